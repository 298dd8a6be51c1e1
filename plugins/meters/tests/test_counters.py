"""What is kept of the midnights of months is what the readings say, whatever is written when."""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from random import Random
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text

from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.tenancy.models import Room
from dougong_meters import hooks, services
from dougong_meters.models import Meter, MonthCounter, Reading, ReadingKind, ReadingState
from dougong_meters.services.counters import may_be_kept_after

KINDS = [*[ReadingKind.NORMAL] * 3, ReadingKind.ESTIMATE, ReadingKind.ROLLOVER]


def months_back(scope, count):
    """Return the first days of this month and of some before it, newest first."""
    found = [scope.today.replace(day=1)]
    while len(found) <= count:
        found.append((found[-1] - timedelta(days=1)).replace(day=1))
    return found


def midnight(scope, on):
    return datetime.combine(on, time(), scope.zone)


def hang(scope, place, number=0, **values):
    meter = Meter(
        serial=uuid4().hex, commodity="water", room_id=place.room_ids[number],
        **{"installed_on": date(2020, 1, 1), "digits": 4, "multiplier": Decimal(2), **values},
    )  # fmt: skip
    scope.session.add(meter)
    scope.session.flush()
    return meter


def read(scope, meter, at, value, **more):
    reading = Reading(meter_id=meter.id, value=Decimal(value), read_at=at, **more)
    scope.session.add(reading)
    scope.session.flush()
    return reading


def plain(scope, month):
    """Return the floors' usage, added up room by room from what readings say."""
    rooms = {room.id: room for room in scope.session.scalars(select(Room))}
    found = defaultdict(lambda: [Decimal(0), 0, 0])
    for room, used in services.usage_by_room(scope, list(rooms), month, "water").items():
        floor = found[rooms[room].building_id, rooms[room].floor]
        floor[2] += used is None
        if used is not None:
            floor[0] += used[0]
            floor[1] += 1
    return {place: tuple(sums) for place, sums in found.items()}


def by_floor(scope, month):
    floors = services.usage_by_floor(scope, month, "water")
    return {(f.building_id, f.floor): (f.quantity, f.rooms, f.unknown) for f in floors}


def keep(scope):
    while services.keep_counters(scope, most=7):
        pass


def right(scope):
    return scope.session.scalars(services.wrong_counters()).all() == []


@pytest.mark.parametrize("seed", range(3))
def test_a_floors_usage_is_its_readings_whatever_happens_to_meters(scope, place, seed):
    chance, months = Random(seed), months_back(scope, 5)
    meters = [hang(scope, place, n) for n in range(4)]
    meters.append(hang(scope, place, 0, digits=None))
    meters.append(hang(scope, place, 1, installed_on=months[2] + timedelta(days=9)))
    meters.append(hang(scope, place, 2, removed_on=months[3] + timedelta(days=3)))
    days = (scope.today - months[-1]).days
    written = []
    for step in range(60):
        meter = chance.choice(meters)
        if written and step % 6 == 5:
            reading = chance.choice(written)
            verb = chance.choice([services.accept_reading, services.reject_reading])
            if verb is services.reject_reading:
                verb(scope, reading, "试")
            elif reading.state is not ReadingState.REJECTED:
                verb(scope, reading)
        elif step % 6 == 4:
            at = midnight(scope, months[-1] + timedelta(days=chance.randrange(days)))
            services.collect(scope, [(meter.id, Decimal(chance.randrange(3000)), at)])
        else:
            kind = chance.choice(
                [*[ReadingKind.NORMAL] * 3, ReadingKind.ESTIMATE, ReadingKind.ROLLOVER]
            )
            at = midnight(scope, months[-1] + timedelta(hours=chance.randrange(days * 24)))
            at += timedelta(seconds=step)
            state = chance.choice(["accepted", "accepted", "suspect"])
            value = chance.randrange(3000)
            written.append(read(scope, meter, at, value, kind=kind, state=ReadingState(state)))
        if step % 9 == 8:
            services.keep_counters(scope, most=chance.choice([2, 50]))
            assert right(scope)
    for month in months[1:]:
        assert by_floor(scope, month) == plain(scope, month)
    keep(scope)
    assert right(scope)
    for month in months[1:]:
        assert by_floor(scope, month) == plain(scope, month)
    assert any(sums[0] for month in months[1:] for sums in plain(scope, month).values())


def test_a_map_of_what_is_kept_asks_no_readings(scope, place):
    months = months_back(scope, 2)
    meter = hang(scope, place)
    read(scope, meter, midnight(scope, months[2]), 100)
    read(scope, meter, midnight(scope, months[1]), 112)
    read(scope, meter, midnight(scope, months[0]), 130)
    keep(scope)
    with scope.session.begin_nested() as past:
        # Past every service: what is shown comes from what is kept.
        scope.session.execute(text("delete from meters.reading"))
        assert [f.quantity for f in services.usage_by_floor(scope, months[1], "water")] == [36]
        past.rollback()


def test_a_reading_that_comes_late_is_in_the_map_at_once(scope, place):
    months = months_back(scope, 2)
    meter = hang(scope, place)
    read(scope, meter, midnight(scope, months[2]), 100)
    read(scope, meter, midnight(scope, months[1]), 110)
    read(scope, meter, midnight(scope, months[0]) - timedelta(days=2), 120)
    keep(scope)
    late = midnight(scope, months[0]) - timedelta(days=1)
    services.collect(scope, [(meter.id, Decimal(125), late)])
    assert [f.quantity for f in services.usage_by_floor(scope, months[1], "water")] == [30]
    keep(scope)
    assert [f.quantity for f in services.usage_by_floor(scope, months[1], "water")] == [30]


def test_what_is_read_today_forgets_nothing(scope, place):
    meter = hang(scope, place)
    keep(scope)
    count = select(func.count()).select_from(MonthCounter)
    before = scope.session.scalar(count)
    read(scope, meter, scope.now, 5)
    assert before == scope.session.scalar(count) == 13


def test_nobody_waits_for_the_job_and_it_leaves_meters_that_somebody_reads(installation, place):
    system = Actor.system()
    with installation.scope(system, community=place.community_id) as scope:
        meters = [hang(scope, place, n).id for n in range(2)]
    with installation.scope(system, community=place.community_id) as desk:
        read(desk, desk.get(Meter, meters[0]), midnight(desk, months_back(desk, 1)[1]), 5)
        with installation.scope(system, community=place.community_id) as job:
            assert services.keep_counters(job) == 13
            kept = select(MonthCounter.meter_id).distinct()
            assert job.session.scalars(kept).all() == [meters[1]]
    with installation.scope(system, community=place.community_id) as job:
        assert services.keep_counters(job) == 13 and right(job)


def test_a_counter_that_is_wrong_is_found_and_kept_anew(installation, place):
    system = Actor.system()

    def is_well():
        (found,) = hooks.health_checks(installation)
        return found.is_well

    with installation.scope(system, community=place.community_id) as scope:
        meter = hang(scope, place)
        read(scope, meter, midnight(scope, months_back(scope, 2)[2]), 5)
        keep(scope)
    assert is_well()
    with installation.scope(system, community=place.community_id) as scope:
        assert services.check_counters(scope) == 0
        scope.session.execute(text("update meters.month_counter set value = value + 1"))
        with pytest.raises(Conflict):
            services.check_counters(scope)
    assert not is_well()
    with installation.scope(system, community=place.community_id) as scope:
        assert services.recount_counters(scope) == 3
        keep(scope)
    assert is_well()


def test_what_may_be_kept_in_any_zone_is_asked_for():
    for hours in range(24 * 62):
        now = datetime(2026, 9, 30, tzinfo=UTC) + timedelta(hours=hours)
        for offset in (-12, -3, 0, 8, 14):
            here = now.astimezone(timezone(timedelta(hours=offset)))
            begun = here.replace(day=1, hour=0)
            assert may_be_kept_after(begun - timedelta(seconds=1), now)
    assert not may_be_kept_after(now - timedelta(days=2), now - timedelta(days=1))
