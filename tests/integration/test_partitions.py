"""Tables by month: every row finds its partition, nobody reaches one past the table's policies."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from dougong.audit.balances import Balances, apart
from dougong.db.linter import lint
from dougong.db.partitions import name_of, next_month
from dougong.db.scope import Actor
from dougong.i18n import use_locale
from dougong.services.constraints import explain_constraint
from dougong_meters.models import Commodity, Meter, Reading

LONG_AGO = datetime(2019, 2, 28, 23, 30, tzinfo=UTC)
TABLE = Reading.__table__


@pytest.fixture
def meter(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        values = {"commodity": Commodity.WATER, "installed_on": date(2018, 1, 1)}
        made = Meter(serial="P-1", room_id=place.room_ids[0], **values)
        scope.session.add(made)
        scope.session.flush()
        return made.id


def read(installation, place, meter, *instants):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        made = [Reading(meter_id=meter, read_at=at, value=Decimal(at.year)) for at in instants]
        scope.session.add_all(made)
        scope.session.flush()
        return [each.id for each in made]


def lying_in(installation, place):
    """Return the partition of each reading, the oldest first."""
    with installation.platform() as session:
        rows = session.execute(
            text(
                "select tableoid::regclass::text from meters.reading"
                " where community_id = :community order by read_at"
            ),
            {"community": place.community_id},
        )
        return list(rows.scalars())


def test_the_months_around_today_are_there(installation, place, meter):
    now = datetime.now(UTC)
    read(installation, place, meter, now, now + timedelta(days=80))
    coming = (now + timedelta(days=80)).date()
    assert lying_in(installation, place) == [name_of(TABLE, now.date()), name_of(TABLE, coming)]
    made = installation.migrator.make_partitions()  # of what other tests have left in the rest
    assert not {name_of(TABLE, now.date()), name_of(TABLE, coming)} & set(made)
    assert installation.migrator.make_partitions() == []


def test_history_moves_into_months_of_its_own_and_nothing_else_changes(installation, place, meter):
    ids = read(installation, place, meter, LONG_AGO, LONG_AGO + timedelta(hours=1))
    assert lying_in(installation, place) == ["meters.reading_rest"] * 2
    assert set(installation.migrator.make_partitions()) >= {
        "meters.reading_2019_02",
        "meters.reading_2019_03",
    }
    assert lying_in(installation, place) == ["meters.reading_2019_02", "meters.reading_2019_03"]
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        found = scope.get(Reading, ids[0])
        found.value += 1
        scope.session.flush()
        scope.session.expire_all()
        assert scope.session.get(Reading, (place.community_id, ids[0])).value == 2020
        scope.session.delete(scope.get(Reading, ids[1]))
    with installation.databases.engine("migrator").connect() as connection:
        assert [f for f in lint(connection, "meters") if f.where.startswith("meters.")] == []
        assert not list(apart(connection, Balances(), place.community_id))


def test_a_second_reading_at_an_instant_is_refused_in_words(installation, place, meter):
    now = datetime.now(UTC)
    with pytest.raises(IntegrityError) as refused:
        read(installation, place, meter, now, now)
    with use_locale("en"):
        said = explain_constraint(refused.value)
        assert "Meter, Read at" in str(said), str(said)


def test_no_partition_is_read_by_its_own_name(installation, place, meter):
    read(installation, place, meter, LONG_AGO)
    for name in ("meters.reading_rest", name_of(TABLE, datetime.now(UTC).date())):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            installation.scope(Actor.system(), community=place.community_id) as scope,
        ):
            scope.session.execute(text(f"select count(*) from {name}"))
    with installation.scope(Actor.system(), community=place.other_community_id) as scope:
        assert scope.session.scalars(select(Reading)).all() == []
        assert scope.session.execute(text("select count(*) from meters.reading")).scalar() == 0


def test_a_month_is_followed_by_the_next():
    assert next_month(date(2026, 12, 31)) == date(2027, 1, 1)
    assert name_of(TABLE, date(2026, 1, 31)) == "meters.reading_2026_01"
