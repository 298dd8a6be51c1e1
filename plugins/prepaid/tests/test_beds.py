"""Students check in and out of dormitories by lists, with what is left of their energy."""

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event, select

from dougong.db import Actor
from dougong.errors import Conflict, Invalid
from dougong.tenancy.models import Occupancy, Person, Room
from dougong.testing.people import sign_in
from dougong.testing.programs import make_login
from dougong.web.app import create_app
from dougong_ledger import services as ledger
from dougong_ledger.domain import PaymentChannel
from dougong_prepaid import services
from dougong_prepaid.models import EnergyAccount, Student
from dougong_prepaid.services import Arrival

DAY = date(2026, 9, 1)


@pytest.fixture
def codes(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        return [scope.get(Room, id).code for id in place.room_ids]


def arrivals(codes, *numbers, room=0):
    return [Arrival(codes[room], n, f"学生{n}", "13800000000") for n in numbers]


def test_a_list_is_checked_in_once_whatever_its_length(scope, codes):
    seen, connection = [], scope.session.connection()

    def note(conn, cursor, statement, *rest):
        seen.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    assert services.check_in(scope, DAY, arrivals(codes, "1")) == 1
    few = len(seen)
    seen.clear()
    many = arrivals(codes, "1", "2", "3", "4") + arrivals(codes, "5", "6", room=1)
    assert services.check_in(scope, DAY, many) == 5
    event.remove(connection, "before_cursor_execute", note)
    assert len(seen) <= few + 1, seen
    assert services.check_in(scope, DAY, many) == 0
    assert len(scope.session.scalars(select(Student)).all()) == 6
    beds = scope.session.scalars(select(Occupancy.bed).where(Occupancy.bed.is_not(None)))
    assert sorted(beds) == ["1", "1", "2", "2", "3", "4"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ((("9-9", "7"),), "9-9"),
        ((("0", "1"), ("0", "1")), "1"),
        ((("0", "1"), ("0", "2"), ("0", "3"), ("0", "4"), ("0", "5")), "4"),
        ((("1", "9"),), "9"),
    ],
    ids=["unknown room", "twice", "full", "lives elsewhere"],
)
def test_a_wrong_line_keeps_nothing(scope, codes, lines, told):
    services.check_in(scope, DAY, arrivals(codes, "9"))
    before = len(scope.session.scalars(select(Person)).all())
    rows = [
        Arrival(codes[int(room)] if room.isdigit() else room, number, "学生")
        for room, number in lines
    ]
    with pytest.raises(Invalid) as raised:
        services.check_in(scope, DAY, rows)
    assert told in raised.value.fields["lines"]
    assert len(scope.session.scalars(select(Person)).all()) == before


def test_who_leaves_takes_his_part_and_the_last_ones_the_rest(scope, place, codes):
    services.check_in(scope, DAY, arrivals(codes, "1", "2", "3"))
    services.open_accounts(scope, [place.room_ids[0]])
    account = scope.session.scalars(select(EnergyAccount)).one()
    services.top_up(scope, account, Decimal("100.00"), PaymentChannel.CASH, "top-0001")
    people = {s.number: s.person_id for s in scope.session.scalars(select(Student))}
    occupied = select(Occupancy).where(Occupancy.kind == "bed", Occupancy.to_on.is_(None))
    extra = [o for o in scope.session.scalars(occupied) if o.person_id not in people.values()]
    assert not extra
    heads = len(services.people_in(scope, place.room_ids[0]))
    left = services.check_out(scope, scope.today, ["1"])
    assert (left.beds, left.rooms, left.problems) == (1, 0, [])
    given = ledger.balance_of(scope, people["1"])
    assert given == (Decimal(100) / heads).quantize(Decimal("0.01"), "ROUND_UP")
    with pytest.raises(Conflict):
        services.check_out(scope, scope.today, ["1"])
    building = scope.get(Room, place.room_ids[0]).building_id
    rest = services.check_out(scope, scope.today, building_id=building)
    assert rest.beds == 2
    scope.session.refresh(account)
    held = sum((ledger.balance_of(scope, each) for each in people.values()), account.balance)
    assert held == 100 and ledger.trial_balance(scope).is_balanced


def test_what_a_room_owes_stays_with_it_and_is_told(scope, place, codes):
    services.check_in(scope, DAY, arrivals(codes, "1"))
    services.open_accounts(scope, [place.room_ids[0]])
    scope.session.scalars(select(EnergyAccount)).one().balance = Decimal("-3.20")
    scope.session.flush()
    left = services.check_out(scope, scope.today, ["1"])
    assert left.beds == 1 and "3.20" in left.problems[0]
    with pytest.raises(Invalid):
        services.check_out(scope, scope.today)


def test_the_page_takes_lists(installation, place, codes):
    login = make_login(installation, place, "community_manager")
    browser = sign_in(create_app(installation), installation, login)
    address = f"/c/{place.community_id}/prepaid/beds"
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(address).text)[1]

    def send(**form):
        return browser.post(address, data={"csrf_token": token, **form})

    lines = f"{codes[0]}\t2026110234\t张三\t13800000000\n{codes[1]}，2026110235，李四"
    assert send(do="in", on="2026-09-01", lines=lines).status_code == 200
    assert send(do="in", on="2026-09-01", lines="9-9 1 王五").status_code == 422
    assert send(do="in", on="never", lines=lines).status_code == 422
    today = date.today() + timedelta(days=1)
    assert send(do="out", on=str(today), numbers="2026110234").status_code == 200
    assert send(do="out", on=str(today), numbers="2026110234").status_code == 409
