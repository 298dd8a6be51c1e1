"""What a repair costs: quotation before paid work, warranty, bill, van, helpers, roster."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from dougong.db.scope import Grant
from dougong.errors import Conflict, Invalid, NotFound
from dougong.events.delivery import deliver
from dougong.services import create
from dougong_fees.domain.states import BillState
from dougong_fees.models import Bill, BillKind
from dougong_fees.services import explain_bill
from dougong_repairs import services
from dougong_repairs.admin import WorkOrderView
from dougong_repairs.domain.kinds import Category, OrderState, PartKind, Urgency
from dougong_repairs.domain.states import STEPS
from dougong_repairs.domain.warranty import Term, covers, ends_on
from dougong_repairs.errors import NotYours, WrongState
from dougong_repairs.models import (
    Delivery,
    OnCall,
    Quotation,
    QuotationState,
    Technician,
    VanStock,
    WorkOrder,
    WorkOrderPart,
)


def order_of(scope, id):
    return scope.get(WorkOrder, id, lock=True)


@pytest.fixture
def begun(enter, owner, worker, technicians):
    """Return the id of an owner's order that a technician has begun."""
    with enter(owner()) as scope:
        id = services.report_repair(scope, text="水龙头漏水", category=Category.PLUMBING).id
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
    with enter(worker) as scope:
        services.start_order(scope, order_of(scope, id))
    return id


def offered(enter, worker, id, **values):
    with enter(worker) as scope:
        order = order_of(scope, id)
        services.quote_order(scope, order, "混水阀", Decimal("168.05"), Decimal(1))
        services.quote_order(
            scope, order, "人工", Decimal("60.01"), Decimal("1.5"), PartKind.LABOUR
        )
        return services.offer_order(scope, order, **values).id


def test_paid_work_waits_until_the_owner_accepts_and_is_billed_then(
    installation, enter, owner, worker, begun, place
):
    with enter(worker) as scope, pytest.raises(Invalid):
        services.quote_order(scope, order_of(scope, begun), "阀", Decimal("168.005"))
    quotation = offered(enter, worker, begun)
    with enter(worker) as scope, pytest.raises(WrongState):
        services.finish_order(scope, order_of(scope, begun))
    with enter(owner(1)) as scope, pytest.raises(NotFound):
        services.accept_quote(scope, begun, quotation)
    with enter(owner()) as scope:
        assert services.quotation_of(scope, order_of(scope, begun)).total == Decimal("258.07")
        services.accept_quote(scope, begun, quotation)
    with enter(owner()) as scope, pytest.raises(WrongState):
        services.accept_quote(scope, begun, quotation)
    with enter(worker) as scope:
        services.finish_order(scope, order_of(scope, begun), "换了阀")
    deliver(installation, place.community_id)
    with enter() as scope:
        bill = scope.get(Bill, scope.get(WorkOrder, begun).bill_id)
        assert (bill.kind, bill.state, bill.amount) == (
            BillKind.SINGLE,
            BillState.OPEN,
            Decimal("258.07"),
        )
        assert (bill.payer_id, bill.room_id) == (place.person_ids[0], place.room_ids[0])
        lines = explain_bill(scope, bill)
        assert [line.title for line in lines] == ["混水阀", "人工"]
        assert sum(line.amount for line in lines) == bill.amount
        assert services.bill_order(scope, order_of(scope, begun)) == bill.id
        assert len(scope.session.scalars(select(Bill)).all()) == 1


def test_what_was_declined_is_neither_done_nor_charged(
    installation, enter, owner, worker, begun, place
):
    quotation = offered(enter, worker, begun)
    with enter(owner()) as scope:
        services.decline_quote(scope, begun, quotation)
    with enter(worker) as scope:
        services.add_part(scope, order_of(scope, begun), "生料带", unit_price=Decimal(3))
        services.finish_order(scope, order_of(scope, begun))
    deliver(installation, place.community_id)
    with enter() as scope:
        assert scope.get(WorkOrder, begun).bill_id is None
        assert scope.session.scalars(select(Bill)).all() == []
        assert scope.get(Quotation, quotation).state is QuotationState.DECLINED


def test_no_more_is_billed_than_was_accepted(enter, owner, worker, begun):
    quotation = offered(enter, worker, begun)
    with enter(owner()) as scope:
        services.accept_quote(scope, begun, quotation)
    with enter() as scope:
        part = scope.session.scalars(select(WorkOrderPart).limit(1)).one()
        part.unit_price = Decimal(900)
        scope.session.flush()
        with pytest.raises(Invalid):
            services.bill_order(scope, order_of(scope, begun))


def test_under_warranty_a_quotation_needs_a_reason(enter, worker, begun, place):
    with enter() as scope:
        given = {"building_id": place.building_ids[0], "delivered_on": scope.today}
        create(scope, Delivery, given)
        covered = services.warranty_of(scope, order_of(scope, begun))
        assert [c.part for c in covered][-1] == "给排水管道"
    with pytest.raises(Invalid) as error:
        offered(enter, worker, begun)
    assert "outside_warranty" in error.value.fields
    offered(enter, worker, begun, outside_warranty="业主自行改装")


def test_the_room_s_own_hand_over_counts_before_its_building_s(enter, begun, place):
    with enter() as scope:
        long_ago = scope.today - timedelta(days=4000)
        building, room = place.building_ids[0], place.room_ids[0]
        create(scope, Delivery, {"building_id": building, "delivered_on": scope.today})
        values = {"building_id": building, "room_id": room, "delivered_on": long_ago}
        create(scope, Delivery, values)
        assert services.warranty_of(scope, order_of(scope, begun)) == []


@given(st.dates(date(1990, 1, 1), date(2050, 1, 1)), st.integers(1, 120), st.integers(1, 120))
def test_a_longer_warranty_never_ends_earlier(day, months, more):
    assert day < ends_on(day, months) <= ends_on(day, months + more)


def test_a_warranty_ends_on_the_last_day_of_a_shorter_month():
    assert ends_on(date(2024, 8, 31), 6) == date(2025, 2, 28)
    terms = [Term("管道", Category.PLUMBING, 24)]
    [cover] = covers(terms, Category.PLUMBING, date(2024, 3, 1), date(2026, 2, 28))
    assert cover.last_on == date(2026, 2, 28)
    assert covers(terms, Category.PLUMBING, date(2024, 3, 1), date(2026, 3, 1)) == []


def test_a_part_comes_out_of_the_van_at_its_price(enter, dispatcher, worker, begun, technicians):
    with enter(dispatcher) as scope:
        services.load_van(scope, technicians["刘师傅"], "角阀", Decimal(2), Decimal(25))
    with enter(worker) as scope:
        part = services.add_part(scope, order_of(scope, begun), "角阀", Decimal(2))
        assert (part.unit_price, part.is_charged) == (Decimal(25), False)
        with pytest.raises(Conflict):
            services.add_part(scope, order_of(scope, begun), "角阀")
        assert scope.session.scalar(select(VanStock.quantity)) == 0


def test_an_appointment_keeps_its_technician_s_time_free(enter, owner, worker, begun, technicians):
    with enter(owner()) as scope:
        other = services.report_repair(scope, text="灯不亮", category=Category.ELECTRICAL).id
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, other), technicians["刘师傅"])
    with enter(worker) as scope:
        at = scope.now + timedelta(days=1)
        services.appoint_order(scope, order_of(scope, begun), at)
        with pytest.raises(Conflict):
            services.appoint_order(scope, order_of(scope, other), at + timedelta(minutes=119))
        services.appoint_order(scope, order_of(scope, other), at + timedelta(minutes=120))
        with pytest.raises(Invalid):
            services.appoint_order(scope, order_of(scope, begun), scope.now - timedelta(hours=1))


def test_a_helper_sees_an_order_and_it_stays_with_its_technician(
    enter, worker, colleague, begun, technicians
):
    with enter(worker) as scope:
        services.add_helper(scope, order_of(scope, begun), technicians["王师傅"])
        with pytest.raises(Conflict):
            services.add_helper(scope, order_of(scope, begun), technicians["王师傅"])
    with enter(colleague) as scope:
        assert services.helps_with(scope, services.technician_of(scope)) == [begun]
        with pytest.raises(NotYours):
            services.finish_order(scope, order_of(scope, begun))


def test_a_role_may_show_only_one_s_own_work_orders(
    enter, place, worker, colleague, begun, technicians
):
    view = frozenset({"repairs.work_order.view"})
    rule = frozenset({"repairs.work_order.own_work_orders_only"})

    def orders_of(actor, *rules):
        grants = tuple(Grant(view, place.group_id, role="r", rules=each) for each in rules)
        with enter(replace(actor, grants=grants)) as scope:
            return scope.session.scalars(select(WorkOrder.id)).all()

    for actor in (worker, colleague):
        with enter(actor) as scope:
            services.technician_of(scope)
    assert orders_of(worker, rule) == orders_of(colleague, frozenset()) == [begun]
    assert orders_of(colleague, rule) == []
    assert orders_of(colleague, rule, frozenset()) == [begun], "another role shows all"
    with enter(worker) as scope:
        services.add_helper(scope, order_of(scope, begun), technicians["王师傅"])
    assert orders_of(colleague, rule) == [begun]


def test_who_is_on_call_gets_emergencies_off_shift_and_nothing_else(enter, technicians):
    with enter() as scope:
        for technician in scope.session.scalars(select(Technician)):
            technician.is_on_shift = False
        span = {"from_at": scope.now - timedelta(hours=1), "to_at": scope.now + timedelta(hours=1)}
        create(scope, OnCall, {"technician_id": technicians["王师傅"], **span})
        calm = services.create_work_order(scope, "灯坏了", Category.ELECTRICAL, Urgency.NORMAL)
        grave = services.create_work_order(scope, "困人", Category.ELEVATOR, Urgency.EMERGENCY)
        assert services.dispatch_waiting(scope, is_forced=True) == 1
        assert (calm.state, grave.state) == (OrderState.REPORTED, OrderState.DISPATCHED)
        assert grave.technician_id == technicians["王师傅"]


def test_the_order_s_page_offers_only_what_its_state_allows():
    offered_in = {
        action.service.name.rpartition(".")[2]: set(action.states)
        for action in WorkOrderView.actions
    }
    assert all(offered_in.values())
    for verb, step in STEPS.items():
        if verb in offered_in and verb != "drop":
            assert offered_in[verb] == {state.value for state in step.sources}, verb
