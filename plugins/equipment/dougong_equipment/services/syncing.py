"""What a phone did, possibly without network: done here exactly once."""

from collections.abc import Mapping
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

VERBS = ("start", "finish", "task_photo", "visit", "visit_photo", "report", "shift_note")


@dataclass(frozen=True)
class Operation:
    """One thing done on the phone: its id there, the verb, the task, round or equipment."""

    client_id: UUID
    verb: str
    subject_id: UUID
    values: Mapping[str, Any]


def perform(scope: Scope, operation: Operation, photo: IO[bytes] | None = None) -> SyncedWork:
    """Do what a phone sent, once; see `dougong.services.offline.perform_once`.

    Raises Invalid for a verb that phones may not ask for, NotAllowed without the permission.
    """
    if operation.verb not in VERBS:
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
    given, subject = operation.values, operation.subject_id
    if operation.verb in ("task_photo", "visit_photo"):
        _keep_photo(scope, operation, photo)
    elif operation.verb == "start":
        scope.call("equipment.maintenance_task.start", task=subject)
    elif operation.verb == "finish":
        scope.call("equipment.maintenance_task.finish", task=subject, **_said(given, "report"))
    elif operation.verb == "visit":
        scope.call(
            "equipment.inspection_round.visit",
            round=subject,
            point_id=given.get("point"),
            arrived_at=_instant(given.get("arrived_at")),
            left_at=_instant(given.get("left_at")),
            **_said(given, "proof"),
        )
    elif operation.verb == "shift_note":
        scope.call("equipment.shift.note", shift=subject, text=str(given.get("text", "")))
    else:
        scope.call(
            "equipment.fault.report",
            equipment=subject,
            text=str(given.get("text", "")),
            is_breakdown=bool(given.get("is_breakdown")),
            client_id=operation.client_id,
        )


def _said(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the answers, the note, and one more text of what a phone sent."""
    answers = given.get("answers") or {}
    if not isinstance(answers, dict):
        raise Invalid(N_("The request was not understood."))
    return {
        "answers": answers,
        "note": str(given.get("note") or ""),
        name: str(given.get(name) or ""),
    }


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
