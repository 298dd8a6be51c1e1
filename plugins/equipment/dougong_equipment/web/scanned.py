"""The page behind a code on equipment: its record for staff, a report for everybody else."""

from uuid import UUID

from flask import g, redirect, request, url_for

from dougong.db import Scope
from dougong.errors import DougongError, Invalid
from dougong.files import attach
from dougong.i18n import translate_error
from dougong.services import entered
from dougong.web.app import current_installation
from dougong_equipment import services
from dougong_equipment.models import Fault
from dougong_equipment.services.faults import USE_CODE
from dougong_equipment.web.pages import Answer, open_blueprint, page, passer_by

MOST_PHOTOS = 3


@open_blueprint.get("/at/<uuid:community>/<code>")
def scanned(community: UUID, code: str) -> Answer:
    """Lead who may see equipment to its record; show all others a report and nothing private."""
    record = _record_for_staff(community, code)
    if record is not None:
        return redirect(record, 303)
    with passer_by(community) as scope:
        return _page(scope, code)


def _record_for_staff(community: UUID, code: str) -> str | None:
    actor = getattr(g, "actor", None)
    if actor is None:
        return None
    try:
        with current_installation().scope(actor, community=community) as scope:
            if "equipment" not in scope.enabled or not scope.may("equipment.equipment.view"):
                return None
            equipment = services.equipment_of(scope, code)
            return url_for("equipment.record", scope=f"c/{community}", equipment=equipment.id)
    except DougongError:
        return None


def _page(scope: Scope, code: str, **values: object) -> str:
    return page(
        "scanned",
        equipment=services.equipment_of(scope, code),
        place_name=scope.place.name,
        desk_phone=scope.setting("equipment.desk_phone", ""),
        **{"given": request.form, "faults": {}, "sent": None, "fault": "", **values},
    )


@open_blueprint.post("/at/<uuid:community>/<code>")
def report_scanned(community: UUID, code: str) -> Answer:
    with passer_by(community) as scope:
        try:
            fault = scope.call(
                "equipment.fault.report_by_code",
                code=code,
                text=request.form.get("text", ""),
                contact_phone=request.form.get("contact_phone") or None,
                client_id=request.form.get("client_id") or None,
            )
        except Invalid as error:
            values = {"fault": translate_error(error), "faults": error.fields}
            return _page(scope, code, **values), 422
        _attach_photos(scope, fault)
        return _page(scope, code, sent=fault)


def _attach_photos(scope: Scope, fault: Fault) -> None:
    with entered(scope, "equipment.fault.attach", USE_CODE):
        for upload in request.files.getlist("photos")[:MOST_PHOTOS]:
            if upload.filename:
                attach(scope, fault, upload.filename[-120:], upload.stream)
