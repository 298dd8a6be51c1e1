"""The applicant's pages: apply, papers, agreement, passes, inspections; and the neighbours'."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dougong import files
from dougong.db import Scope, member_label
from dougong.errors import Invalid
from dougong.i18n import translate_error
from dougong.web.app import plugin_blueprint, require_scope
from dougong_renovation import services
from dougong_renovation.domain import states, works
from dougong_renovation.domain.states import Part
from dougong_renovation.domain.works import DocumentKind, Work
from dougong_renovation.models import ViolationKind
from dougong_renovation.services.rules import longest
from dougong_renovation.services.site import PASSES_FROM
from dougong_renovation.words import verb_words

Answer = str | Response | tuple[str, int]
STATIC = Path(__file__).parents[1] / "static"
NOISES = (ViolationKind.NOISE, ViolationKind.DAMAGE, ViolationKind.RUBBISH, ViolationKind.OTHER)
blueprint = plugin_blueprint("renovation", "dougong_renovation")
blueprint.add_app_template_filter(member_label, "member")
blueprint.add_app_template_filter(verb_words, "renovation_verb")


@blueprint.app_template_global("renovation_asset")
def asset(name: str) -> str:
    """Return the address of one of the plugin's static files; it changes when the file does."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return url_for("renovation_open.static", filename=name, v=digest)


def page(template: str, **values: Any) -> str:
    """Return a page of the plugin."""
    return render_template(f"renovation/{template}.html", **{"faults": {}, "given": {}} | values)


def form(template: str, send: Callable[[], Response], values: Callable[[], dict]) -> Answer:
    """Return the answer to a form: where ``send`` leads, or the form again with its faults."""
    try:
        return send()
    except Invalid as error:
        faults = {"fault": translate_error(error), "faults": error.fields, "given": request.form}
        return page(template, **values() | faults), 422


def asker() -> Scope:
    """Return the scope of an owner or resident; raises NotYours for a login without a person."""
    scope = require_scope()
    services.me(scope)
    return scope


@blueprint.get("/my/")
def mine() -> Answer:
    return page("mine", applications=services.my_applications(asker()))


@blueprint.get("/my/new")
def apply() -> Answer:
    return page("apply", **_apply_page(asker()))


def _apply_page(scope: Scope) -> dict[str, Any]:
    return {
        "rooms": services.my_rooms(scope),
        "works": [work for work in Work if not works.RULES[work].is_forbidden],
        "forbidden": works.forbidden(Work),
        "rules": works.RULES,
        "days": longest(scope).days,
        "deposit": services.usual_deposit(scope),
    }


@blueprint.post("/my/new")
def send_application() -> Answer:
    scope = asker()

    def send() -> Response:
        made = scope.call(
            "renovation.application.submit",
            room_id=request.form.get("room_id", ""),
            works=request.form.getlist("works"),
            starts_on=request.form.get("starts_on", ""),
            ends_on=request.form.get("ends_on", ""),
            text=request.form.get("text", ""),
            contractor=request.form.get("contractor", ""),
            contact_phone=request.form.get("contact_phone", ""),
        )
        return redirect(url_for(".show", application=made.id), 303)

    return form("apply", send, lambda: _apply_page(scope))


@blueprint.get("/my/<uuid:application>")
def show(application: UUID) -> Answer:
    scope = asker()
    return page("application", **_application(scope, application))


def _application(scope: Scope, application_id: UUID) -> dict[str, Any]:
    found = services.my_application(scope, application_id)
    is_before = found.state in states.BEFORE_PERMIT
    has_passes = found.state in PASSES_FROM or found.permit_number is not None
    story = services.story_of(scope, found)
    return {
        "application": found,
        "may": states.possible(found.state, {Part.OWNER}),
        "documents": story.documents,
        "missing": services.missing_documents(scope, found, story.documents) if is_before else [],
        "kinds": DocumentKind,
        "may_hand_in": is_before,
        "accepted": files.ACCEPTED,
        "passes": services.passes_of(scope, found) if has_passes else [],
        "may_ask_pass": found.state in PASSES_FROM,
        "steps": story.steps,
        "inspections": story.inspections,
        "violations": story.violations,
        "hours": services.work_hours(scope),
        "forbidden": works.forbidden(Work),
    }


@blueprint.post("/my/<uuid:application>/papers")
def hand_in(application: UUID) -> Answer:
    scope = asker()

    def send() -> Response:
        kind = DocumentKind(request.form.get("kind", DocumentKind.OTHER.value))
        for upload in request.files.getlist("files"):
            if upload.filename:
                services.hand_in(scope, application, kind, upload.filename, upload.stream)
        return redirect(url_for(".show", application=application), 303)

    return form("application", send, lambda: _application(scope, application))


@blueprint.get("/my/<uuid:application>/papers/<uuid:document>")
def paper(application: UUID, document: UUID) -> Answer:
    opened = services.open_document(asker(), application, document)
    return Response(opened.content, headers=opened.headers)


@blueprint.post("/my/<uuid:application>/<any(submit_again, sign, report_finished, withdraw):verb>")
def act(application: UUID, verb: str) -> Answer:
    scope = asker()
    more = {"has_read": "has_read" in request.form} if verb == "sign" else {}

    def send() -> Response:
        scope.call(f"renovation.application.{verb}", application_id=application, **more)
        return redirect(url_for(".show", application=application), 303)

    return form("application", send, lambda: _application(scope, application))


@blueprint.post("/my/<uuid:application>/passes")
def ask_for_pass(application: UUID) -> Answer:
    scope = asker()

    def send() -> Response:
        scope.call(
            "renovation.worker_pass.ask",
            application_id=application,
            name=request.form.get("name", ""),
            id_number=request.form.get("id_number", ""),
            trade=request.form.get("trade", ""),
            phone=request.form.get("phone") or None,
        )
        return redirect(url_for(".show", application=application), 303)

    return form("application", send, lambda: _application(scope, application))


# --- neighbours -------------------------------------------------------------------------------


@blueprint.get("/my/near")
def near() -> Answer:
    scope = asker()
    return page("near", **_near(scope), sent="sent" in request.args)


def _near(scope: Scope) -> dict[str, Any]:
    hours = services.work_hours(scope)
    is_loud = hours.allow(scope.now.astimezone(scope.zone))
    found = services.near_me(scope)
    return {"applications": found, "hours": hours, "is_loud": is_loud, "kinds": NOISES}


@blueprint.post("/my/near/<uuid:application>")
def report(application: UUID) -> Answer:
    scope = asker()

    def send() -> Response:
        scope.call(
            "renovation.violation.report",
            application_id=application,
            kind=request.form.get("kind", ViolationKind.NOISE.value),
            text=request.form.get("text", ""),
        )
        return redirect(url_for(".near", sent=1), 303)

    return form("near", send, lambda: _near(scope) | {"at": application})
