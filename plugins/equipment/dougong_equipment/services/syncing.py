"""What a phone did, possibly without network: done here exactly once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any
from uuid import UUID

from dougong.db import Scope
from dougong.errors import Invalid
from dougong.files import attach
from dougong.i18n import N_
from dougong.services import entered
from dougong.services.offline import perform_once
from dougong_equipment.models import InspectionRound, MaintenanceTask, SyncedWork
from dougong_equipment.services.rounds import WALK, photo_name
from dougong_equipment.services.tasks import WORK

Values = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One thing done on the phone: its id there, the verb, the task, round or equipment."""

    client_id: UUID
    verb: str
    subject_id: UUID
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a text that the phone sent, an empty one when it sent none."""
        return str(self.values.get(name) or "")


def perform(scope: Scope, operation: Operation, photo: IO[bytes] | None = None) -> SyncedWork:
    """Do what a phone sent, once; see `dougong.services.offline.perform_once`.

    Raises Invalid for a verb that phones may not ask for, NotAllowed without the permission.
    """
    if operation.verb not in (*VERBS, *PHOTOS):
        raise Invalid(N_("A phone may not ask for this (%(verb)s)."), verb=operation.verb)
    if not scope.may(WORK):
        scope.require(WALK)
    return perform_once(
        scope,
        SyncedWork,
        operation.client_id,
        lambda: _do(scope, operation, photo),
        audit=("equipment.maintenance_task.sync", None),
        worker=scope.actor.name[:80],
        verb=operation.verb,
    )


def _do(scope: Scope, operation: Operation, photo: IO[bytes] | None) -> None:
    if operation.verb in PHOTOS:
        _keep_photo(scope, operation, photo)
        return
    name, record, rest = VERBS[operation.verb]
    scope.call(f"equipment.{name}", **{record: operation.subject_id}, **rest(operation))


def _begun(done: Operation) -> Values:
    """Return when the phone says that it was done, which may be long before this."""
    said = done.values.get("at")
    return {"at": _instant(said) if said else None}


def _noted(done: Operation) -> Values:
    return {**_begun(done), "text": done.text("text")}


def _finished(done: Operation) -> Values:
    return {**_answered(done), **_begun(done), "report": done.text("report")}


def _visited(done: Operation) -> Values:
    return {
        **_answered(done),
        "proof": done.text("proof"),
        "point_id": done.values.get("point"),
        "arrived_at": _instant(done.values.get("arrived_at")),
        "left_at": _instant(done.values.get("left_at")),
    }


def _reported(done: Operation) -> Values:
    return {
        **_noted(done),
        "is_breakdown": bool(done.values.get("is_breakdown")),
        "client_id": done.client_id,
    }


# What a phone may ask for: the service, the record that it is about, and its other arguments.
VERBS: dict[str, tuple[str, str, Callable[[Operation], Values]]] = {
    "start": ("maintenance_task.start", "task", _begun),
    "finish": ("maintenance_task.finish", "task", _finished),
    "visit": ("inspection_round.visit", "round", _visited),
    "report": ("fault.report", "equipment", _reported),
    "shift_note": ("shift.note", "shift", _noted),
}
PHOTOS = ("task_photo", "visit_photo")


def _answered(done: Operation) -> Values:
    answers = done.values.get("answers") or {}
    if not isinstance(answers, dict):
        raise Invalid(N_("The request was not understood."))
    return {"answers": answers, "note": done.text("note")}


def _instant(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        raise Invalid(N_("The request was not understood.")) from None


def _keep_photo(scope: Scope, operation: Operation, photo: IO[bytes] | None) -> None:
    if photo is None:
        raise Invalid(N_("The file is empty."))
    if operation.verb == "task_photo":
        scope.require(WORK)
        subject: Any = scope.get(MaintenanceTask, operation.subject_id)
        name = f"photo-{operation.client_id.hex[:8]}.jpg"
    else:
        scope.require(WALK)
        subject = scope.get(InspectionRound, operation.subject_id)
        name = photo_name(_point(operation), operation.client_id)
    with entered(scope, "equipment.maintenance_task.attach", None):
        attach(scope, subject, name, photo)


def _point(operation: Operation) -> UUID:
    try:
        return UUID(str(operation.values.get("point")))
    except ValueError:
        raise Invalid(N_("The request was not understood.")) from None
