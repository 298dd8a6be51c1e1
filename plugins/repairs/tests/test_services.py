"""Work orders on a real PostgreSQL: every part that people have in them."""

import threading
from datetime import timedelta
from importlib import import_module
from random import Random
from types import ModuleType

import pytest
from sqlalchemy import func, select, text

from dougong.db import uuid7
from dougong.errors import Conflict, Invalid, NotAllowed, NotFound
from dougong.events import OutboxEvent
from dougong.hookspecs import hookimpl
from dougong.messages import inbox
from dougong.tenancy.models import Person
from dougong_repairs import cards, demonstration, services
from dougong_repairs.domain.kinds import Category, OrderState, PauseReason, Source, Urgency
from dougong_repairs.errors import NotYours, Objected, WrongState
from dougong_repairs.models import (
    CleanUp,
    DutyContact,
    TriageCorrection,
    WorkOrder,
)
from dougong_repairs.services.figures import figures

from .conftest import finished, order_of, report

# --- reporting --------------------------------------------------------------------------------


def test_a_tile_alone_is_a_report_in_the_owner_s_room(enter, owner, place):
    with enter(owner()) as scope:
        order = services.report_repair(scope, category=Category.ELECTRICAL)
        assert (order.state, order.source) == (OrderState.REPORTED, Source.PORTAL)
        assert (order.room_id, order.person_id) == (place.room_ids[0], place.person_ids[0])
        assert order.building_id == place.building_ids[0]
        assert order.text == "电气照明"
        assert order.respond_due_at < order.resolve_due_at


@pytest.mark.parametrize("category", Category)
def test_a_tile_without_a_word_is_no_emergency(enter, owner, place, category):
    expected = (
        Urgency.URGENT if category in (Category.ELEVATOR, Category.FIRE_SAFETY) else Urgency.NORMAL
    )
    with enter(owner()) as scope:
        order = services.report_repair(scope, category=category)
        assert (order.category, order.urgency) == (category, expected)
        trapped = services.report_repair(scope, "电梯困人", category=category)
        assert trapped.urgency is Urgency.EMERGENCY


def test_a_report_in_another_s_room_or_without_a_word_is_refused(enter, owner, place):
    with enter(owner()) as scope:
        with pytest.raises(Invalid) as error:
            services.report_repair(scope, "漏水", room_id=place.room_ids[1])
        assert "room_id" in error.value.fields
        with pytest.raises(Invalid):
            services.report_repair(scope, "  ")


def test_the_same_report_sent_twice_is_one_order(enter, owner):
    once = uuid7()
    first, again = (report(enter, owner, client_id=once) for _ in range(2))
    assert first == again
    with enter() as scope:
        assert scope.session.scalar(select(func.count()).select_from(WorkOrder)) == 1


def test_numbers_have_no_gap_when_many_report_at_once(enter, owner):
    threads = [threading.Thread(target=report, args=(enter, owner)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with enter() as scope:
        assert sorted(scope.session.scalars(select(WorkOrder.number))) == [1, 2, 3, 4, 5, 6]


def test_a_phone_number_left_at_the_desk_is_sealed_and_found(enter, dispatcher):
    with enter(dispatcher) as scope:
        order = services.create_work_order(scope, "灯不亮", contact_phone="13800138000")
        id = order.id
    with enter() as scope:
        sealed = scope.session.scalar(text("select contact_phone from repairs.work_order"))
        assert b"138" not in bytes(sealed)
        found = select(WorkOrder.id).where(WorkOrder.contact_phone.matches(scope, "13800138000"))
        assert scope.session.scalars(found).all() == [id]


def test_a_code_takes_reports_without_a_name_until_it_is_too_often(enter, place):
    with enter() as scope:
        point = services.create_report_point(scope, "1 栋大堂", place.building_ids[0])
        order = services.report_by_code(scope, point.code)
        assert (order.source, order.person_id, order.place) == (Source.QR, None, "1 栋大堂")
        assert order.category is Category.PUBLIC_AREA
        for _ in range(11):
            services.report_by_code(scope, point.code, "灯坏了")
        with pytest.raises(Conflict):
            services.report_by_code(scope, point.code, "灯坏了")
        point.is_active = False
        scope.session.flush()
        with pytest.raises(NotFound):
            services.report_by_code(scope, point.code)


# --- the way of an order ----------------------------------------------------------------------


def test_an_order_goes_from_report_to_rating_and_tells_the_owner(
    enter, owner, dispatcher, worker, technicians, place
):
    id = report(enter, owner)
    with enter(dispatcher) as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
    with enter(worker) as scope:
        services.accept_order(scope, order_of(scope, id))
        order = services.start_order(scope, order_of(scope, id))
        assert order.responded_at is not None
        assert order.technician.last_building_id == place.building_ids[0]
        services.add_part(scope, order, "阀芯", unit_price=18)
        services.finish_order(scope, order, "换了阀芯")
    with enter(owner()) as scope:
        order = services.rate_mine(scope, id, 5, rating_speed=4, note="很快")
        assert (order.state, order.rating, order.rating_speed) == (OrderState.CLOSED, 5, 4)
        verbs = [step.verb for step in services.steps_of(scope, order, is_owner=True)]
        assert verbs == ["report", "dispatch", "accept", "start", "finish", "rate"]
    with enter() as scope:
        told = scope.session.scalars(select(OutboxEvent.name).order_by(OutboxEvent.id)).all()
        assert told == [
            f"repairs.work_order_{fact}"
            for fact in ("reported", "dispatched", "accepted", "started", "finished", "rated")
        ]
    with enter(owner()) as scope:
        assert len(inbox(scope)) == 2


def test_another_technician_cannot_work_on_it_and_an_owner_sees_only_his_own(
    enter, owner, worker, colleague, technicians
):
    id = report(enter, owner)
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
    with enter(colleague) as scope, pytest.raises(NotYours):
        services.accept_order(scope, order_of(scope, id))
    with enter(owner(1)) as scope:
        assert services.my_orders(scope) == []
        with pytest.raises(NotFound):
            services.urge_mine(scope, id)
    with enter(owner()) as scope, pytest.raises(NotAllowed):
        services.finish_order(scope, order_of(scope, id))


def test_of_two_who_grab_one_is_quicker(enter, owner, worker, colleague, technicians):
    id = report(enter, owner)
    outcomes = []

    def grab(who):
        try:
            with enter(who) as scope:
                services.grab_order(scope, order_of(scope, id))
            outcomes.append("taken")
        except Conflict:
            outcomes.append("late")

    threads = [threading.Thread(target=grab, args=(who,)) for who in (worker, colleague)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["late", "taken"]


def test_a_pause_stops_the_clock(enter, owner, worker, technicians):
    id = report(enter, owner)
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
        services.start_order(scope, order_of(scope, id))
    with enter(worker) as scope:
        order = services.pause_order(scope, order_of(scope, id), PauseReason.NO_PARTS, "等货")
        before, remaining = order.resolve_due_at, order.resolve_left_s
        order.paused_at = scope.now - timedelta(days=30)
        assert remaining > 0
    with enter() as scope:
        assert services.watch_clocks(scope) == 0
    with enter(worker) as scope:
        order = services.resume_order(scope, order_of(scope, id))
        assert order.resolve_due_at >= before
        assert (order.paused_at, order.pause_reason) == (None, None)


def test_returned_transferred_and_handed_over(enter, owner, worker, dispatcher, technicians):
    id = report(enter, owner)
    with enter(dispatcher) as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
    with enter(worker) as scope:
        order = services.give_back_order(scope, order_of(scope, id), "不会修")
        assert (order.state, order.technician_id) == (OrderState.RETURNED, None)
    with enter(dispatcher) as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
    with enter(worker) as scope:
        order = services.transfer_order(scope, order_of(scope, id), technicians["王师傅"])
        assert order.technician_id == technicians["王师傅"]
    with enter(dispatcher) as scope:
        order = services.hand_over_order(scope, order_of(scope, id), "某电梯公司")
        assert (order.state, order.technician_id) == (OrderState.CONTRACTED, None)
        services.finish_order(scope, order, "已修复")
    with enter(owner()) as scope:
        order = services.my_order(scope, id)
        public = [s.verb for s in services.steps_of(scope, order, is_owner=True)]
        assert "give_back" not in public
        assert "finish" in public


def test_reopened_within_seven_days_and_not_after(enter, owner, worker, technicians):
    id = finished(enter, owner, worker, technicians)
    with enter(owner()) as scope:
        order = services.reopen_mine(scope, id, "又漏了")
        assert (order.state, order.times_reopened) == (OrderState.REPORTED, 1)
        assert (order.technician_id, order.responded_at, order.done_at) == (None, None, None)
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
        services.start_order(scope, order_of(scope, id))
        order = services.finish_order(scope, order_of(scope, id))
        order.done_at = scope.now - timedelta(days=8)
    with enter(owner()) as scope, pytest.raises(WrongState):
        services.reopen_mine(scope, id, "又漏了")


def test_urging_is_heard_every_half_hour(enter, owner):
    id = report(enter, owner)
    with enter(owner()) as scope:
        assert services.urge_mine(scope, id).times_urged == 1
        with pytest.raises(WrongState):
            services.urge_mine(scope, id)


def test_another_plugin_can_object_to_a_step(installation, enter, owner, technicians):
    id = report(enter, owner)

    def work_order_objections(work_order, verb):
        return "请先确认报价" if verb == "start" else None

    module = ModuleType("objecting")
    module.work_order_objections = hookimpl(work_order_objections)
    # It answers in the place of another plugin that is on here, and gives it back.
    hooks, other = installation.plugins.hooks, "participation"
    hooks.unregister(other)
    hooks.register(other, module)
    try:
        with enter() as scope:
            services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
            with pytest.raises(Objected) as error:
                services.start_order(scope, order_of(scope, id))
            assert error.value.parameters["reason"] == "请先确认报价"
            assert order_of(scope, id).state is OrderState.DISPATCHED
    finally:
        hooks.unregister(other)
        hooks.register(other, import_module("dougong_participation.hooks"))


def test_cancelling_is_the_owner_s_until_somebody_has_accepted(enter, owner, technicians):
    id = report(enter, owner)
    with enter(owner()) as scope:
        assert services.cancel_mine(scope, id, "好了").state is OrderState.CANCELLED
    id = report(enter, owner)
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
        services.accept_order(scope, order_of(scope, id))
    with enter(owner()) as scope, pytest.raises(WrongState):
        services.cancel_mine(scope, id)
    with enter() as scope:
        assert services.drop_order(scope, order_of(scope, id), "重复").state is OrderState.CANCELLED


# --- clocks -----------------------------------------------------------------------------------


def test_warned_at_three_quarters_then_late_then_much_later_each_once(enter, owner, dispatcher):
    id = report(enter, owner)
    with enter(dispatcher) as scope:
        services.tell_me(scope, 2)
    for age, level in ((0, 0), (1, 1), (3, 2), (300, 3)):
        with enter() as scope:
            order = order_of(scope, id)
            order.respond_warn_at = scope.now + timedelta(minutes=1 - age)
            order.respond_due_at = scope.now + timedelta(minutes=2 - age)
            order.resolve_warn_at = order.resolve_due_at = scope.now + timedelta(days=1)
        if age == 1:
            with enter() as scope:
                order_of(scope, id).respond_warn_at = scope.now - timedelta(seconds=1)
        with enter() as scope:
            services.watch_clocks(scope)
            assert services.watch_clocks(scope) == 0
            assert order_of(scope, id).alarm_level == level
    with enter() as scope:
        told = scope.session.scalars(select(OutboxEvent.name)).all()
        assert told.count("repairs.work_order_warned") == 1
        assert told.count("repairs.work_order_overdue") == 2
    with enter(dispatcher) as scope:
        assert len(inbox(scope)) == 2


def test_who_is_told_of_late_orders_is_known_once(enter, dispatcher):
    with enter(dispatcher) as scope:
        services.tell_me(scope, 1)
        services.tell_me(scope, 3)
        assert [c.level for c in scope.session.scalars(select(DutyContact))] == [3]


def test_what_nobody_rates_is_closed_by_rule_with_a_report_and_the_owner_is_told(
    enter, owner, worker, technicians
):
    id = finished(enter, owner, worker, technicians)
    stale = report(enter, owner)
    with enter() as scope:
        order_of(scope, id).done_at = scope.now - timedelta(days=8)
        order_of(scope, stale).reported_at = scope.now - timedelta(days=40)
    with enter() as scope:
        assert services.close_unrated(scope, is_dry=True).closed == 1
        assert order_of(scope, id).state is OrderState.DONE
        made = services.close_unrated(scope)
        assert (made.closed, made.stale, made.numbers) == (1, 1, [1, 2])
        assert order_of(scope, id).state is OrderState.CLOSED
        assert order_of(scope, stale).state is OrderState.REPORTED
        assert len(scope.session.scalars(select(CleanUp)).all()) == 2
    with enter(owner()) as scope:
        assert "已办结" in inbox(scope)[0].subject


# --- figures, corrections, demonstration ------------------------------------------------------


def test_a_correction_is_kept_once_and_starts_the_clocks_anew(enter, owner, dispatcher):
    id = report(enter, owner)
    with enter(dispatcher) as scope:
        order = order_of(scope, id)
        slow = order.resolve_due_at
        services.correct_order(scope, order, Category.ELECTRICAL, Urgency.EMERGENCY)
        assert order.resolve_due_at < slow
        services.correct_order(scope, order, Category.PLUMBING, Urgency.EMERGENCY)
        kept = scope.session.scalars(select(TriageCorrection)).all()
        assert [(k.category, k.urgency) for k in kept] == [(Category.PLUMBING, Urgency.EMERGENCY)]


def test_cards_and_panels_tell_of_orders(enter, owner, worker, technicians, place):
    finished(enter, owner, worker, technicians)
    with enter() as scope:
        titles = [card.title for card in scope.answer(cards.dashboard(scope))]
        assert titles == ["在办工单", "超时工单", "处理时长中位数", "维修满意度"]
        assert cards.search(scope, "水龙头", 5)[0].title == "1 水龙头漏水"
        assert scope.answer(cards.panels(scope, scope.get(Person, place.person_ids[0])))[0].rows
        story = scope.answer(cards.panels(scope, scope.session.scalars(select(WorkOrder)).one()))
        assert len(story[0].rows) == 4
    with enter(owner()) as scope:
        [card] = scope.answer(cards.portal(scope, place.person_ids[0]))
        assert card.value == "1 件待评价"


def test_the_demonstration_can_be_loaded_and_counted(enter):
    with enter() as scope:
        demonstration.load(scope, Random(1))
    with enter() as scope:
        shown = figures(scope)
        assert sum(week.done for week in shown["weeks"]) > 150
        first, last = shown["weeks"][0], shown["weeks"][-2]
        assert last.median < first.median
        assert {row.key for row in shown["categories"]} == set(Category)
        assert scope.session.scalar(select(func.count()).select_from(WorkOrder)) == 176
