"""The page of shifts: who is on duty, the log, handing over and taking over."""

from typing import Any
from uuid import UUID

from flask import redirect, request, url_for
from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import DougongError
from dougong.i18n import translate_error
from dougong_equipment.domain.kinds import ShiftState, Trade
from dougong_equipment.models import Shift
from dougong_equipment.services.rounds import WALK
from dougong_equipment.services.shifts import notes_of
from dougong_equipment.web.pages import Answer, blueprint, in_community, page

SHIFTS_SHOWN = 12


@blueprint.get("/shifts/")
def shifts() -> Answer:
    scope = in_community()
    scope.require(WALK)
    return _page(scope)


def _page(scope: Scope, **values: Any) -> str:
    query = select(Shift).order_by(Shift.begun_at.desc(), Shift.id.desc()).limit(SHIFTS_SHOWN)
    found = scope.session.scalars(query).all()
    running = [each for each in found if each.state is not ShiftState.TAKEN_OVER]
    return page(
        "shifts",
        running=running,
        past=[each for each in found if each.state is ShiftState.TAKEN_OVER],
        notes=notes_of(scope, [each.id for each in found]),
        trades=list(Trade),
        posts=sorted({each.post for each in found}),
        me=scope.actor.name[:80],
        **{"fault": "", **values},
    )


@blueprint.post("/shifts/begin")
def begin() -> Answer:
    given = {key: request.form.get(key, "") for key in ("trade", "post", "objection")}
    return _done(in_community(), "equipment.shift.begin", given)


@blueprint.post("/shifts/<uuid:shift>/<any(note, hand_over):verb>")
def act_on_shift(shift: UUID, verb: str) -> Answer:
    key = "text" if verb == "note" else "words"
    given = {"shift": shift, key: request.form.get(key, "")}
    return _done(in_community(), f"equipment.shift.{verb}", given)


def _done(scope: Scope, name: str, given: dict[str, Any]) -> Answer:
    try:
        scope.call(name, **given)
    except DougongError as error:
        if error.status not in (409, 422):
            raise
        fields = getattr(error, "fields", {}) or {}
        words = " ".join([translate_error(error), *fields.values()])
        return _page(scope, fault=words), error.status
    return redirect(url_for(".shifts"), 303)
