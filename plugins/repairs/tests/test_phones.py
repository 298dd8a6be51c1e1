"""What technicians do without network, and calls for help."""

import io
import threading

import pytest
from sqlalchemy import func, select

from dougong.db import uuid7
from dougong.errors import Conflict, Invalid
from dougong.messages import inbox
from dougong_repairs import services
from dougong_repairs.domain.kinds import OrderState
from dougong_repairs.models import (
    SyncedOperation,
    WorkOrderStep,
)
from dougong_repairs.services.syncing import Operation, perform

from .conftest import order_of, report


def test_what_a_phone_sends_twice_is_done_once(enter, owner, worker, technicians):
    id = report(enter, owner)
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
    started = Operation(uuid7(), "start", id, {})
    threads = [threading.Thread(target=lambda: sent(enter, worker, started)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with enter() as scope:
        steps = select(WorkOrderStep.verb).where(WorkOrderStep.work_order_id == id)
        assert scope.session.scalars(steps.order_by(WorkOrderStep.taken_at)).all() == [
            "report",
            "dispatch",
            "start",
        ]
        assert scope.session.scalar(select(func.count()).select_from(SyncedOperation)) == 1


def sent(enter, worker, operation, photo=None):
    with enter(worker) as scope:
        made = perform(scope, operation, photo)
        return made.is_done, made.problem


def test_a_conflict_is_kept_and_shown_and_changes_nothing(enter, owner, worker, technicians):
    id = report(enter, owner)
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["王师傅"])
    late = Operation(uuid7(), "finish", id, {"solution": "好了"})
    is_done, problem = sent(enter, worker, late)
    assert not is_done
    assert problem
    assert sent(enter, worker, late) == (False, problem)
    with enter() as scope:
        assert order_of(scope, id).state is OrderState.DISPATCHED


def test_a_photo_and_parts_come_with_the_phone_s_operations(enter, owner, worker, technicians):
    id = report(enter, owner)
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
        services.start_order(scope, order_of(scope, id))
    jpeg = b"\xff\xd8\xff\xe0" + bytes(64)
    photo = Operation(uuid7(), "photo_before", id, {})
    for _ in range(2):
        assert sent(enter, worker, photo, io.BytesIO(jpeg)) == (True, None)
    part = Operation(uuid7(), "add_part", id, {"name": "阀芯", "quantity": "2"})
    assert sent(enter, worker, part) == (True, None)
    with enter() as scope:
        from dougong.files import attachments_of

        order = order_of(scope, id)
        assert len(attachments_of(scope, order)) == 1
        assert [str(p) for p in services.parts_of_order(scope, order)] == ["阀芯 × 2"]
    with enter(worker) as scope, pytest.raises(Invalid):
        perform(scope, Operation(uuid7(), "drop", id, {}))


def test_help_reaches_everybody_on_duty(enter, owner, worker, dispatcher, technicians):
    id = report(enter, owner)
    with enter(dispatcher) as scope:
        services.tell_me(scope)
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
    assert sent(enter, worker, Operation(uuid7(), "help", id, {})) == (True, None)
    with enter(dispatcher) as scope:
        assert "1-1-101" in inbox(scope)[0].subject
        assert order_of(scope, id).help_wanted_at is not None
        services.answer_help(scope, order_of(scope, id))
        with pytest.raises(Conflict):
            services.answer_help(scope, order_of(scope, id))
        verbs = [step.verb for step in services.steps_of(scope, order_of(scope, id))]
        assert verbs == ["report", "dispatch", "help", "answer_help"]
    with enter(owner()) as scope:
        public = services.steps_of(scope, order_of(scope, id), is_owner=True)
        assert [step.verb for step in public] == ["report", "dispatch"]


def test_a_call_for_help_ends_with_the_work(enter, owner, worker, technicians):
    id = report(enter, owner)
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
    sent(enter, worker, Operation(uuid7(), "help", id, {}))
    with enter(worker) as scope:
        services.start_order(scope, order_of(scope, id))
        services.finish_order(scope, order_of(scope, id))
        assert order_of(scope, id).help_wanted_at is None
