"""The desk's pages: apply for somebody who came or called, and take in his papers."""

from typing import Any
from uuid import UUID

from flask import redirect, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from dougong import files
from dougong.db import Scope
from dougong.errors import NotFound
from dougong.i18n import N_, gettext
from dougong.tenancy.models import Room
from dougong.web.app import require_scope
from dougong_renovation import services
from dougong_renovation.domain import works
from dougong_renovation.domain.states import BEFORE_PERMIT
from dougong_renovation.domain.works import DocumentKind, Work
from dougong_renovation.models import Application
from dougong_renovation.services.rules import longest
from dougong_renovation.web.pages import Answer, blueprint, form, page


def _desk(permission: str) -> Scope:
    scope = require_scope()
    scope.require(permission)
    if scope.community_id is None:
        raise NotFound(N_("There is no such page."))
    return scope


@blueprint.get("/desk/new")
def new_for_somebody() -> Answer:
    scope = _desk("renovation.application.create")
    found = _apply_page(scope, request.args.get("room", ""))
    is_wrong = bool(found["code"]) and found["room"] is None
    faults = {"room": gettext("There is no room with this code.")} if is_wrong else {}
    return page("desk_new", **found, faults=faults)


def _apply_page(scope: Scope, code: str) -> dict[str, Any]:
    """Return what the form shows: the room by its code, and in whose name one can apply."""
    code = code.replace("\0", "").strip()
    query = select(Room).where(Room.code == code)
    room = scope.session.scalars(query).first() if code else None
    return {
        "code": code,
        "room": room,
        "people": services.holders_of(scope, room.id) if room is not None else [],
        "works": [work for work in Work if not works.RULES[work].is_forbidden],
        "rules": works.RULES,
        "days": longest(scope).days,
    }


@blueprint.post("/desk/new")
def send_for_somebody() -> Answer:
    scope = _desk("renovation.application.create")

    def send() -> Response:
        made = scope.call(
            "renovation.application.create",
            works=request.form.getlist("works"),
            **{
                name: request.form.get(name, "")
                for name in ("room_id", "person_id", "starts_on", "ends_on")
            },
            **{
                name: request.form.get(name, "") for name in ("text", "contractor", "contact_phone")
            },
        )
        return redirect(url_for(".desk_papers", application=made.id), 303)

    return form("desk_new", send, lambda: _apply_page(scope, request.form.get("code", "")))


@blueprint.get("/desk/<uuid:application>/")
def desk_papers(application: UUID) -> Answer:
    return page("desk_papers", **_papers(_desk("renovation.document.create"), application))


def _papers(scope: Scope, application_id: UUID) -> dict[str, Any]:
    found = scope.get(Application, application_id)
    documents = services.documents_of(scope, found)
    return {
        "application": found,
        "documents": documents,
        "missing": services.missing_documents(scope, found, documents),
        "kinds": DocumentKind,
        "may_hand_in": found.state in BEFORE_PERMIT,
        "accepted": files.ACCEPTED,
    }


@blueprint.post("/desk/<uuid:application>/")
def take_in_papers(application: UUID) -> Answer:
    scope = _desk("renovation.document.create")

    def send() -> Response:
        found = scope.get(Application, application, lock=True)
        kind = DocumentKind(request.form.get("kind", DocumentKind.OTHER.value))
        for upload in request.files.getlist("files"):
            if upload.filename:
                services.take_in(scope, found, kind, upload.filename, upload.stream)
        return redirect(url_for(".desk_papers", application=application), 303)

    return form("desk_papers", send, lambda: _papers(scope, application))
