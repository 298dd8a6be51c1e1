"""A bill run bills each charge once, exactly, and its journal balances."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import select, text

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid, NotAllowed
from dougong.services import create
from dougong.tenancy.models import Ownership, Person, Room, RoomState
from dougong_fees import services
from dougong_fees.domain.amounts import Rounding, line_amount
from dougong_fees.domain.periods import PeriodMethod, months
from dougong_fees.domain.states import BillState, RunState
from dougong_fees.errors import RunClosed
from dougong_fees.models import (
    Bill,
    BillLine,
    BillRun,
    Charge,
    ChargeMethod,
    Commodity,
    FeeItem,
    FeePrice,
    PriceTier,
)
from dougong_ledger import services as ledger
from dougong_ledger.domain import RECEIVABLE

OCTOBER, NOVEMBER, DUE = date(2026, 10, 1), date(2026, 11, 1), date(2026, 11, 20)
D = Decimal


def make_run(scope, from_on=OCTOBER, to_on=NOVEMBER, **values):
    return services.create_run(scope, "2026年10月", from_on, to_on, DUE, **values)


def bills(scope):
    scope.session.expire_all()
    return scope.session.scalars(select(Bill).order_by(Bill.room_id, Bill.from_on)).all()


def lines(scope, room_id=None):
    scope.session.expire_all()
    query = select(BillLine).join(Bill, Bill.id == BillLine.bill_id)
    if room_id:
        query = query.where(Bill.room_id == room_id)
    return scope.session.scalars(query.order_by(BillLine.from_on, BillLine.part)).all()


def test_a_run_bills_area_times_price(scope, place, item):
    run = make_run(scope)
    rooms = {room.id: room for room in scope.session.scalars(select(Room))}
    assert (run.bills, run.lines, run.problems) == (4, 4, [])
    for bill in bills(scope):
        expected = line_amount(rooms[bill.room_id].built_area, D("2.80"))
        assert (bill.amount, bill.state, bill.balance) == (expected, BillState.DRAFT, expected)
    assert run.amount == sum(b.amount for b in bills(scope))


def test_publishing_posts_what_is_owed_once(scope, place, item):
    run = make_run(scope)
    services.publish_run(scope, run)
    services.publish_run(scope, run)
    trial = ledger.trial_balance(scope)
    assert trial.is_balanced
    assert trial.balance(RECEIVABLE) == trial.balance("6001.property") == run.amount > 0
    assert {b.state for b in bills(scope)} == {BillState.OPEN}


def test_a_charge_is_billed_once_however_often_a_run_is_repeated(scope, place, item):
    first = make_run(scope)
    services.prepare_run(scope, first)
    assert (first.bills, len(bills(scope))) == (4, 4)
    assert make_run(scope).bills == 0
    services.publish_run(scope, first)
    assert make_run(scope, date(2026, 10, 15), date(2026, 11, 15)).bills == 0
    assert make_run(scope, NOVEMBER, date(2026, 12, 1)).previous_amount == first.amount
    with pytest.raises(RunClosed):
        services.prepare_run(scope, first)


def test_rolling_back_leaves_nothing_and_lets_the_charges_be_billed_again(scope, place, item):
    run = make_run(scope)
    services.publish_run(scope, run)
    services.roll_back_run(scope, run, "单价有误")
    services.roll_back_run(scope, run, "单价有误")
    trial = ledger.trial_balance(scope)
    assert (trial.is_balanced, trial.balance(RECEIVABLE), run.state) == (
        True,
        0,
        RunState.ROLLED_BACK,
    )
    assert {b.state for b in bills(scope)} == {BillState.WITHDRAWN}
    again = make_run(scope)
    services.publish_run(scope, again)
    assert ledger.trial_balance(scope).balance(RECEIVABLE) == again.amount == run.amount


def test_a_price_that_changes_inside_the_period_splits_the_line(scope, place, item):
    price = scope.session.scalars(select(FeePrice)).one()
    price.to_on = date(2026, 10, 11)
    scope.session.flush()
    create(
        scope,
        FeePrice,
        {"fee_item_id": item.id, "from_on": date(2026, 10, 11), "unit_price": "3.00"},
    )
    run = make_run(scope)
    assert (run.bills, run.lines) == (4, 8)
    room = scope.session.get_one(Room, (scope.community_id, place.room_ids[0]))
    parts = lines(scope, room.id)
    for line, price, start, end in zip(parts, ("2.80", "3.00"), (1, 11), (11, 32), strict=True):
        count = months(
            PeriodMethod.CALENDAR_MONTH,
            date(2026, 10, start),
            NOVEMBER if end == 32 else date(2026, 10, end),
        )
        assert line.amount == line_amount(room.built_area, D(price), months=count)


def test_a_sale_inside_the_period_splits_the_bill_between_the_owners(scope, place, item):
    sold = date(2026, 10, 16)
    owner = scope.session.scalars(
        select(Ownership).where(Ownership.room_id == place.room_ids[0])
    ).one()
    owner.to_on = sold
    scope.session.add(
        Ownership(room_id=place.room_ids[0], person_id=place.person_ids[1], from_on=sold)
    )
    scope.session.flush()
    make_run(scope)
    split = [b for b in bills(scope) if b.room_id == place.room_ids[0]]
    assert {(b.payer_id, b.from_on, b.to_on) for b in split} == {
        (place.person_ids[0], OCTOBER, sold),
        (place.person_ids[1], sold, NOVEMBER),
    }


@pytest.mark.parametrize("method", list(PeriodMethod), ids=[m.value for m in PeriodMethod])
def test_the_months_in_the_database_are_those_of_the_rules(scope, place, item, method):
    item.period_method = method
    scope.session.flush()
    charges = scope.session.scalars(select(Charge)).all()
    charges[0].from_on, charges[1].to_on = date(2026, 10, 9), date(2026, 12, 5)
    charges[2].anchor_day = 31
    scope.session.flush()
    make_run(scope, OCTOBER, date(2027, 1, 1))
    for line in lines(scope):
        charge = next(c for c in charges if c.id == line.charge_id)
        kept = method in (PeriodMethod.ANCHOR_MONTH, PeriodMethod.WHOLE_MONTHS)
        anchor = (charge.anchor_day or charge.from_on.day) if kept else 1
        count = months(method, line.from_on, line.to_on, anchor)
        assert (line.months_numerator, line.months_denominator) == count.as_integer_ratio()
        assert line.amount == line_amount(line.quantity, line.unit_price, months=count)


def test_what_cannot_be_billed_is_listed_and_never_billed_as_zero(scope, place, item):
    rooms = [scope.session.get_one(Room, (scope.community_id, r)) for r in place.room_ids]
    rooms[0].built_area = None
    scope.session.execute(
        text("delete from dougong.ownership where room_id = :room"), {"room": rooms[1].id}
    )
    rooms[2].state = RoomState.VACANT
    item.vacancy_factor = D("0.7")
    scope.session.flush()
    run = make_run(scope)
    assert {(p["room"], p["problem"]) for p in run.problems} == {
        (rooms[0].code, "no_area"),
        (rooms[1].code, "no_payer"),
    }
    assert run.bills == 2
    reduced = line_amount(rooms[2].built_area, D("2.80"), factor=D("0.7"))
    assert [b.amount for b in bills(scope) if b.room_id == rooms[2].id] == [reduced]


@dataclass(frozen=True)
class Usage:
    """An answer to ``usage_for_period`` as meters gives it."""

    room_id: UUID
    quantity: Decimal | None
    serial: str = "W-1"
    opening: Decimal = D(100)
    opening_at: datetime = datetime(2026, 9, 30, 16, tzinfo=UTC)
    closing: Decimal = D(200)
    closing_at: datetime = datetime(2026, 10, 31, 16, tzinfo=UTC)
    multiplier: Decimal = D(1)
    problem: str | None = None


@pytest.fixture
def water(scope, place, monkeypatch):
    """A fee item for water in three yearly tiers, and the readings that are known."""
    item = FeeItem(
        code="water",
        name="水费",
        method=ChargeMethod.USAGE,
        commodity=Commodity.WATER,
        account_code="6001.water",
    )
    scope.session.add(item)
    scope.session.flush()
    price = FeePrice(fee_item_id=item.id, from_on=date(2020, 1, 1), unit_price=D(5))
    scope.session.add(price)
    scope.session.flush()
    for above, up_to, unit_price in ((0, 180, 5), (180, 260, 7), (260, None, 9)):
        scope.session.add(
            PriceTier(price_id=price.id, above=above, up_to=up_to, unit_price=unit_price)
        )
    for room in place.room_ids[:2]:
        scope.session.add(Charge(room_id=room, fee_item_id=item.id, from_on=date(2026, 1, 1)))
    scope.session.flush()
    known: dict = {}
    ask = type(scope).ask

    def answer(self, hook, /, **arguments):
        if hook != "usage_for_period":
            return ask(self, hook, **arguments)
        return [list(known.get(arguments["from_on"], ()))]

    monkeypatch.setattr(type(scope), "ask", answer)
    return known


def test_tiers_add_up_over_the_year_and_split_inside_one_bill(scope, place, water):
    room = place.room_ids[0]
    water[date(2026, 9, 1)] = [Usage(room, D(170))]
    water[OCTOBER] = [Usage(room, D(100))]
    first = make_run(scope, date(2026, 9, 1), OCTOBER)
    assert [(p["problem"]) for p in first.problems] == ["no_meter"]
    make_run(scope)
    split = [line for line in lines(scope, room) if line.from_on == OCTOBER]
    assert [(x.quantity, x.unit_price, x.amount) for x in split] == [
        (D(10), D(5), D(50)),
        (D(80), D(7), D(560)),
        (D(10), D(9), D(90)),
    ]
    assert {x.used_before for x in split} == {D(170)}
    assert split[0].evidence["serial"] == "W-1"


def test_a_missing_reading_is_a_problem_with_its_reason(scope, place, water):
    water[OCTOBER] = [Usage(place.room_ids[0], None, problem="There is no reading.")]
    run = make_run(scope)
    assert run.bills == 0
    assert {p["problem"] for p in run.problems} == {"There is no reading.", "no_meter"}


def test_usage_is_split_by_days_at_a_change_of_price(scope, place, water):
    price = scope.session.scalars(select(FeePrice)).one()
    price.to_on = date(2026, 10, 11)
    scope.session.flush()
    scope.session.add(
        FeePrice(fee_item_id=price.fee_item_id, from_on=date(2026, 10, 11), unit_price=D(6))
    )
    scope.session.flush()
    water[OCTOBER] = [Usage(place.room_ids[0], D(31))]
    make_run(scope)
    found = lines(scope, place.room_ids[0])
    assert [(x.quantity, x.unit_price) for x in found] == [(D(10), D(5)), (D(21), D(6))]


def test_each_item_is_rounded_by_its_own_rule(scope, place, item):
    item.rounding = Rounding.YUAN
    scope.session.flush()
    make_run(scope)
    assert all(b.amount == b.amount.to_integral_value() for b in bills(scope))


def test_a_run_that_needs_approval_is_published_after_another_person_approved(installation, place):
    from dougong.tenancy.operations import set_setting

    with installation.access() as session:
        set_setting(session, place.community_id, "fees.run_needs_approval", True)
    clerk, boss = place.actor("*"), place.actor("*")
    with installation.scope(clerk, community=place.community_id) as scope:
        run = make_run(scope)
        with pytest.raises(RunClosed):
            services.publish_run(scope, run)
        with pytest.raises(NotAllowed):
            services.approve_run(scope, run)
        run_id = run.id
    with installation.scope(boss, community=place.community_id) as scope:
        run = services.approve_run(scope, scope.get(BillRun, run_id))
        assert services.publish_run(scope, run).state is RunState.PUBLISHED


def test_another_community_is_neither_read_nor_billed(installation, place, scope, item):
    make_run(scope)
    scope.session.commit()
    with installation.scope(Actor.system(), community=place.other_community_id) as other:
        assert bills(other) == []
        assert make_run(other).bills == 0


def test_an_agreed_payer_pays_instead_of_the_owner(scope, place, item):
    developer = Person(name="开发商")
    scope.session.add(developer)
    scope.session.flush()
    charge = scope.session.scalars(select(Charge).where(Charge.room_id == place.room_ids[0])).one()
    charge.payer_id = developer.id
    scope.session.flush()
    make_run(scope)
    assert [b.payer_id for b in bills(scope) if b.room_id == charge.room_id] == [developer.id]
    assert uuid7() not in {b.payer_id for b in bills(scope)}


@pytest.mark.parametrize(
    ("from_on", "to_on"),
    [(NOVEMBER, OCTOBER), (OCTOBER, date(2028, 1, 1)), (date(1, 1, 1), date(1, 2, 1))],
    ids=["backwards", "two years", "long ago"],
)
def test_a_period_that_makes_no_sense_is_told(scope, from_on, to_on):
    with pytest.raises(Invalid):
        make_run(scope, from_on, to_on)


def test_a_new_price_ends_the_one_before_and_leaves_bills_alone(scope, place, item):
    run = make_run(scope)
    services.add_price(scope, item, D("3.10"), NOVEMBER, source="业主大会决议")
    prices = scope.session.scalars(select(FeePrice).order_by(FeePrice.from_on)).all()
    assert [(p.to_on, p.unit_price) for p in prices] == [(NOVEMBER, D("2.80")), (None, D("3.10"))]
    assert make_run(scope, NOVEMBER, date(2026, 12, 1)).amount > run.amount
    with pytest.raises(Conflict):
        services.add_price(scope, item, D(4), NOVEMBER)
    with pytest.raises(Invalid):
        services.add_price(scope, item, D("1e20"), date(2027, 1, 1))


def test_rooms_are_charged_in_one_go_and_once(scope, place):
    item = FeeItem(code="waste", name="垃圾清运费", method=ChargeMethod.FIXED)
    scope.session.add(item)
    scope.session.flush()
    assert services.assign_charges(scope, item, OCTOBER) == 4
    assert services.assign_charges(scope, item, OCTOBER) == 0
    assert services.assign_charges(scope, item, OCTOBER, building_id=place.building_ids[0]) == 0
    assert {p["problem"] for p in make_run(scope).problems} == {"no_price"}
