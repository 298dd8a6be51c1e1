"""Today's tasks and rounds on the phone; all of it works without network, too."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from flask import Response as FlaskResponse
from flask import request, url_for
from sqlalchemy import select

from dougong.db import Scope, member_label
from dougong.errors import Invalid
from dougong.files.models import Attachment
from dougong.i18n import N_, gettext
from dougong.web.app import csrf_token
from dougong.web.offline import web_manifest, worker_script
from dougong_equipment.domain.kinds import ItemKind, TaskState
from dougong_equipment.models import (
    ChecklistItem,
    Equipment,
    InspectionPoint,
    InspectionRound,
    MaintenanceTask,
    PointVisit,
    RouteStop,
)
from dougong_equipment.services.answers import limits
from dougong_equipment.services.rounds import WALK, photo_wanted
from dougong_equipment.services.shifts import own_shifts
from dougong_equipment.services.syncing import Operation, perform
from dougong_equipment.services.tasks import TO_DO, WORK, is_inspection
from dougong_equipment.web.pages import Answer, asset, blueprint, in_community, scanning_page

MOST_TASKS, MOST_ROUNDS = 60, 12
SOON = timedelta(hours=2)
Items = Mapping[UUID | None, Sequence[ChecklistItem]]


def _worker() -> Scope:
    scope = in_community()
    if not scope.may(WORK):
        scope.require(WALK)
    return scope


@blueprint.get("/work/")
def work() -> Answer:
    _worker()
    return scanning_page("work", words=_words())


@blueprint.get("/work/worker.js")
def worker() -> FlaskResponse:
    return worker_script()


@blueprint.get("/work/manifest.webmanifest")
def manifest() -> FlaskResponse:
    return web_manifest(gettext("Maintenance and rounds"), url_for(".work"), asset("equipment.svg"))


@blueprint.get("/work/list.json")
def work_list() -> FlaskResponse:
    """Send what the page shows: what is to be done today, with its checklists."""
    scope = _worker()
    tasks = _tasks(scope) if scope.may(WORK) else []
    rounds = _rounds(scope) if scope.may(WALK) else []
    stops = _stops(scope, rounds)
    wanted = {t.checklist_id for t in tasks}
    wanted |= {s.point.checklist_id for found in stops.values() for s in found}
    items = _items(scope, wanted - {None})
    photos = _photos(scope, [t.id for t in tasks] + [r.id for r in rounds])
    visited = _visited(scope, rounds)
    shifts = own_shifts(scope) if scope.may(WALK) else []
    body = {
        "csrf": csrf_token(),
        "tasks": [_task(scope, task, items, photos) for task in tasks],
        "rounds": [
            _round(scope, each, stops.get(each.route_id, []), items, visited, photos)
            for each in rounds
        ],
        "shifts": [
            {
                "id": str(each.id),
                "post": each.post,
                "trade": member_label(each.trade),
                "since": f"{each.begun_at.astimezone(scope.zone):%H:%M}",
            }
            for each in shifts
        ],
    }
    return FlaskResponse(json.dumps(body), content_type="application/json")


def _tasks(scope: Scope) -> Sequence[MaintenanceTask]:
    query = select(MaintenanceTask).where(MaintenanceTask.state.in_(TO_DO))
    return scope.session.scalars(query.order_by(MaintenanceTask.due_on).limit(MOST_TASKS)).all()


def _rounds(scope: Scope) -> Sequence[InspectionRound]:
    query = select(InspectionRound).where(
        InspectionRound.state.in_((TaskState.PLANNED, TaskState.OPEN, TaskState.STARTED)),
        InspectionRound.starts_at <= scope.now + SOON,
        InspectionRound.closes_at > scope.now,
    )
    query = query.order_by(InspectionRound.closes_at).limit(MOST_ROUNDS)
    return scope.session.scalars(query).all()


def _stops(scope: Scope, rounds: Sequence[InspectionRound]) -> dict[UUID, list[RouteStop]]:
    routes = {each.route_id for each in rounds}
    found: dict[UUID, list[RouteStop]] = {}
    if routes:
        query = select(RouteStop).where(RouteStop.route_id.in_(routes))
        for stop in scope.session.scalars(query.order_by(RouteStop.position)):
            found.setdefault(stop.route_id, []).append(stop)
    return found


def _items(scope: Scope, checklists: set[Any]) -> dict[UUID | None, list[ChecklistItem]]:
    found: dict[UUID | None, list[ChecklistItem]] = {}
    if checklists:
        query = select(ChecklistItem).where(ChecklistItem.checklist_id.in_(checklists))
        for item in scope.session.scalars(query.order_by(ChecklistItem.position)):
            found.setdefault(item.checklist_id, []).append(item)
    return found


def _photos(scope: Scope, subjects: Sequence[UUID]) -> dict[UUID, list[str]]:
    """Return the names of the photos of tasks and rounds; one statement."""
    found: dict[UUID, list[str]] = {}
    if subjects:
        query = select(Attachment).where(Attachment.subject_id.in_(subjects))
        for each in scope.session.scalars(query):
            found.setdefault(each.subject_id, []).append(each.name or "")
    return found


def _visited(scope: Scope, rounds: Sequence[InspectionRound]) -> set[tuple[UUID, UUID]]:
    wanted = {each.id for each in rounds} | {each.makes_up_id for each in rounds}
    query = select(PointVisit.round_id, PointVisit.point_id).where(
        PointVisit.round_id.in_(wanted - {None})
    )
    return {(round_id, point_id) for round_id, point_id in scope.session.execute(query)}


def _task(
    scope: Scope, task: MaintenanceTask, items: Items, photos: Mapping[UUID, list[str]]
) -> dict[str, Any]:
    equipment: Equipment = task.equipment
    return {
        "id": str(task.id),
        "name": task.name,
        "equipment": equipment.name,
        "equipment_id": str(equipment.id),
        "number": equipment.number,
        "place": place_words(equipment),
        "state": task.state.value,
        "state_words": member_label(task.state),
        "statute": member_label(task.statute) if task.statute else "",
        "due": gettext("due %(day)s", day=task.due_on.isoformat()),
        "is_late": task.due_on < scope.today,
        "needs_report": is_inspection(task),
        "items": [_item(item) for item in items.get(task.checklist_id, ())],
        "photos": len(photos.get(task.id, ())),
    }


def place_words(equipment: Equipment) -> str:
    """Return where equipment stands."""
    building = equipment.building.name if equipment.building is not None else ""
    floor = gettext("floor %(floor)s", floor=equipment.floor) if equipment.floor is not None else ""
    return " ".join(part for part in (building, floor, equipment.place) if part)


def _item(item: ChecklistItem) -> dict[str, Any]:
    return {
        "id": str(item.id),
        "title": item.title,
        "kind": item.kind.value,
        "uom": item.uom,
        "limits": limits(item),
        "is_required": item.is_required,
    }


def _round(
    scope: Scope,
    each: InspectionRound,
    stops: Sequence[RouteStop],
    items: Items,
    visited: set[tuple[UUID, UUID]],
    photos: Mapping[UUID, list[str]],
) -> dict[str, Any]:
    names = photos.get(each.id, [])
    return {
        "id": str(each.id),
        "route": each.route.name,
        "trade": member_label(each.route.trade),
        "state_words": member_label(each.state),
        "from": f"{each.starts_at.astimezone(scope.zone):%H:%M}",
        "until": f"{each.closes_at.astimezone(scope.zone):%H:%M}",
        "points": [
            {
                **_point(each, stop.point, items, names),
                "is_visited": (each.id, stop.point_id) in visited,
            }
            for stop in stops
            # A round that makes up for a missed one is of the points that were not reached then.
            if (each.makes_up_id, stop.point_id) not in visited
        ],
    }


def _mark(secret: str) -> str:
    """Return what a code or the number of a tag is recognised by, and cannot be guessed from."""
    return sha256(secret.encode()).hexdigest()[:16]


def _point(
    each: InspectionRound, point: InspectionPoint, items: Items, names: Sequence[str]
) -> dict[str, Any]:
    lines = items.get(point.checklist_id, ())
    photo_lines = [item for item in lines if item.kind is ItemKind.PHOTO]
    is_drawn = photo_wanted(each.id, point.id, point.photo_percent)
    return {
        "id": str(point.id),
        "name": point.name,
        "place": gettext("floor %(floor)s", floor=point.floor) if point.floor is not None else "",
        # The code itself stays here: who has not been there does not know it.
        "mark": _mark(point.code),
        "tag_mark": _mark(point.tag.replace(":", "").lower()) if point.tag else "",
        "stay_s": point.stay_s,
        "wants_photo": is_drawn or bool(photo_lines),
        "needs_photo": is_drawn or any(item.is_required for item in photo_lines),
        "items": [_item(item) for item in lines],
        "photos": sum(name.startswith(f"point-{point.id.hex}-") for name in names),
    }


@blueprint.post("/work/operation")
def take_operation() -> FlaskResponse:
    """Do one thing that was done on the phone, exactly once; answer with what came of it."""
    scope = _worker()
    try:
        operation = Operation(
            UUID(request.form.get("client_id", "")),
            request.form.get("verb", ""),
            UUID(request.form.get("subject", "")),
            json.loads(request.form.get("values") or "{}"),
        )
    except ValueError:
        raise Invalid(N_("The request was not understood.")) from None
    if not isinstance(operation.values, dict):
        raise Invalid(N_("The request was not understood."))
    upload = request.files.get("photo")
    made = perform(scope, operation, upload.stream if upload else None)
    body = {"is_done": made.is_done, "problem": made.problem or ""}
    return FlaskResponse(json.dumps(body), content_type="application/json")


def _words() -> dict[str, str]:
    """Return the words that the page's script says."""
    return {
        "offline": gettext("No network. What you do is kept and sent later."),
        "online": gettext("Everything is sent."),
        "waiting": gettext("waiting to be sent"),
        "conflict": gettext("Could not be done"),
        "dismiss": gettext("I have read it"),
        "again": gettext("Fill in again"),
        "ready": gettext("This page also opens without network."),
        "sign_in": gettext("Sign in again to send what waits."),
        "none": gettext("Nothing is to be done now. Well done."),
        "kept": gettext("Kept"),
        "full": gettext("The phone has no room left. Send what waits before you take more photos."),
        "start": gettext("Begin"),
        "finish": gettext("Finish"),
        "photo": gettext("Photo"),
        "note": gettext("Note"),
        "report": gettext("No. of the inspection report"),
        "fault": gettext("Something else is wrong?"),
        "report_fault": gettext("Report the fault"),
        "missing": gettext("Still missing:"),
        "ok": gettext("in order"),
        "wrong": gettext("not in order"),
        "scan_here": gettext("Scan the code here"),
        "touch_here": gettext("Hold the phone to the NFC tag"),
        "no_code": gettext("The code cannot be read"),
        "unproven": gettext("Without the code, this visit stands as unproven."),
        "done_here": gettext("Done here"),
        "stay": gettext("Stay a little longer:"),
        "on_duty": gettext("On duty since"),
        "log_entry": gettext("What happened?"),
        "write_down": gettext("Write into the log"),
    }
