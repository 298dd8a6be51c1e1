"""Who gets an order: by reasons, in turn, by hand, and nobody who is off."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from dougong.errors import Invalid
from dougong.i18n import use_locale
from dougong_repairs import services
from dougong_repairs.domain.kinds import OrderState, Urgency
from dougong_repairs.models import (
    Technician,
)

from .conftest import order_of, report, set_mode


def test_automatic_dispatch_gives_its_reasons(installation, enter, owner, technicians, place):
    set_mode(installation, place, "automatic")
    ids = [report(enter, owner) for _ in range(4)]
    with enter() as scope:
        assert services.dispatch_waiting(scope) == 4
        orders = [order_of(scope, id) for id in ids]
        assert {o.technician_id for o in orders} == set(technicians.values())
        assert all("skill=2" in o.dispatch_reason for o in orders)
        assert "技能 2/3" in services.reason_words(orders[0].dispatch_reason)
        with use_locale("en"):
            words = services.reason_words(orders[0].dispatch_reason)
        assert "skill 2 of 3" in words and not re.search("[\u4e00-\u9fff]", words)
        assert services.reason_words("业主点名要他") == "业主点名要他"
        assert services.dispatch_waiting(scope) == 0


def test_in_turn_everybody_gets_one(installation, enter, owner, technicians, place):
    set_mode(installation, place, "rotate")
    ids = [report(enter, owner) for _ in range(4)]
    with enter() as scope:
        assert services.dispatch_waiting(scope) == 4
        had = [order_of(scope, id).technician_id for id in ids]
        assert had[0] != had[1]
        assert had[:2] == had[2:]


@pytest.mark.parametrize("mode", ["grab", "assign"])
def test_nothing_is_dispatched_by_itself_where_people_do(
    installation, enter, owner, technicians, place, mode
):
    set_mode(installation, place, mode)
    report(enter, owner)
    with enter() as scope:
        assert services.dispatch_waiting(scope) == 0
        assert services.dispatch_waiting(scope, is_forced=True) == 1


def test_hybrid_leaves_time_to_take_but_not_for_an_emergency(enter, owner, technicians, worker):
    id, emergency = report(enter, owner), report(enter, owner)
    with enter() as scope:
        order_of(scope, emergency).urgency = Urgency.EMERGENCY
    with enter(worker) as scope:
        waiting = services.pool(scope, services.technician_of(scope))
        assert [o.id for o in waiting] == [emergency, id]
    with enter() as scope:
        assert services.dispatch_waiting(scope) == 1
        assert order_of(scope, id).state is OrderState.REPORTED
        order_of(scope, id).reported_at = scope.now - timedelta(minutes=11)
        scope.session.flush()
        assert services.dispatch_waiting(scope) == 1


def test_who_is_off_shift_gets_nothing(enter, owner, worker, technicians):
    id = report(enter, owner)
    with enter(worker) as scope:
        services.change_shift(scope, False)
    with enter() as scope:
        services.dispatch_waiting(scope, is_forced=True)
        assert order_of(scope, id).technician_id == technicians["王师傅"]
        with pytest.raises(Invalid):
            services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])


def test_a_technician_is_linked_by_name_at_his_first_visit_or_made(enter, worker, technicians):
    with enter(worker) as scope:
        assert services.technician_of(scope).id == technicians["刘师傅"]
    with enter(worker) as scope:
        assert services.technician_of(scope).id == technicians["刘师傅"]
        assert scope.session.scalar(select(func.count()).select_from(Technician)) == 2
