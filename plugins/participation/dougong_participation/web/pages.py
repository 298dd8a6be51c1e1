"""The owners' pages: notices, complaints, feedback and questionnaires; results for staff."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dougong import files
from dougong.db import Scope, member_label
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.web.app import plugin_blueprint, require_scope
from dougong.web.offline import worker_script
from dougong_participation import domain, services
from dougong_participation.models import ComplaintKind, Questionnaire, Topic
from dougong_participation.services.complaints import my_complaint
from dougong_participation.services.feedback import STAFF
from dougong_participation.services.questionnaires import open_one

blueprint = plugin_blueprint("participation", "dougong_participation")
PAGE = 30
Answer = str | Response | tuple[str, int]
blueprint.add_app_template_filter(member_label, "member")


open_blueprint = Blueprint(
    "participation_open",
    "dougong_participation",
    url_prefix="/participation",
    static_folder="static",
)
STATIC = Path(__file__).parents[1] / "static"


@blueprint.app_template_global("participation_asset")
def asset(name: str) -> str:
    """Return the address of one of the plugin's static files; it changes when the file does."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return url_for("participation_open.static", filename=name, v=digest)


def page(template: str, **values: Any) -> str:
    """Return a page of the portal."""
    return render_template(f"participation/{template}.html", **values)


def form(template: str, send: Callable[[], Response], **values: Any) -> Answer:
    """Return the answer to a form: where ``send`` leads, or the form again with its faults."""
    try:
        return send()
    except Invalid as error:
        values |= {"fault": translate_error(error), "faults": error.fields, "given": request.form}
        return page(template, **values), 422


def asker() -> Scope:
    """Return the scope of an owner or resident; raises NotYours for a login without a person."""
    scope = require_scope()
    services.me(scope)
    return scope


# --- notices ----------------------------------------------------------------------------------


@blueprint.get("/my/")
def start() -> Answer:
    return redirect(url_for(".notices"), 303)


@blueprint.get("/my/notices/")
def notices() -> Answer:
    scope = asker()
    before = request.args.get("before", type=UUID)
    found = services.my_notices(scope, limit=PAGE + 1, before=before)
    more = found[PAGE - 1][0].id if len(found) > PAGE else None
    return page("notices", notices=found[:PAGE], more=more)


@blueprint.get("/my/notices/<uuid:notice>")
def notice(notice: UUID) -> Answer:
    return page("notice", notice=services.read_notice(asker(), notice))


@blueprint.post("/my/notices/<uuid:notice>/read")
def mark_read(notice: UUID) -> Answer:
    """Remember that a notice was opened on the list, which may have been without network."""
    asker().call("participation.notice.read", notice_id=notice)
    return Response(status=204)


@blueprint.get("/my/notices/worker.js")
def notices_worker() -> Response:
    return worker_script()


# --- complaints -------------------------------------------------------------------------------


@blueprint.get("/my/complaints")
def complaints() -> Answer:
    return page("complaints", complaints=services.my_complaints(asker()))


@blueprint.get("/my/complaints/new")
def new_complaint() -> Answer:
    return page("complain", **_complaint_form(asker()), faults={}, given={})


@blueprint.post("/my/complaints/new")
def file_complaint() -> Answer:
    scope = asker()

    def send() -> Response:
        filed = scope.call(
            "participation.complaint.file",
            title=request.form.get("title", ""),
            text=request.form.get("text", ""),
            kind=request.form.get("kind", ComplaintKind.COMPLAINT.value),
            topic=request.form.get("topic", Topic.OTHER.value),
            room_id=request.form.get("room_id") or None,
        )
        for upload in request.files.getlist("photos"):
            if upload.filename:
                services.add_file(scope, filed.id, upload.filename, upload.stream)
        return redirect(url_for(".complaint", complaint=filed.id), 303)

    return form("complain", send, **_complaint_form(scope))


def _complaint_form(scope: Scope) -> dict[str, Any]:
    rooms = services.my_rooms(scope)
    return {"kinds": ComplaintKind, "topics": Topic, "rooms": rooms, "accepted": files.ACCEPTED}


@blueprint.get("/my/complaints/<uuid:complaint>")
def complaint(complaint: UUID) -> Answer:
    scope = asker()
    return page("complaint", **_complaint_page(scope, complaint), faults={}, given={})


def _complaint_page(scope: Scope, complaint_id: UUID) -> dict[str, Any]:
    found = my_complaint(scope, complaint_id)
    return {
        "complaint": found,
        "replies": services.replies(scope, found),
        "attachments": files.attachments_of(scope, found),
        "may_reply": found.state is not domain.CLOSED,
        "may_rate": found.state is domain.ANSWERED,
        "may_reopen": domain.may_reopen(found.state, found.answered_at, scope.now),
        "ratings": _ratings(),
    }


@blueprint.get("/my/complaints/<uuid:complaint>/files/<uuid:attachment>")
def complaint_file(complaint: UUID, attachment: UUID) -> Answer:
    opened = services.open_file(asker(), complaint, attachment)
    return Response(opened.content, headers=opened.headers)


def _ratings() -> dict[int, str]:
    words = (
        gettext("very bad"),
        gettext("bad"),
        gettext("fair"),
        gettext("good"),
        gettext("very good"),
    )
    return dict(zip(domain.RATINGS, words, strict=True))


@blueprint.post("/my/complaints/<uuid:complaint>/<any(reply, rate, reopen):verb>")
def act_on_complaint(complaint: UUID, verb: str) -> Answer:
    scope = asker()
    given: dict[str, Any] = {"complaint_id": complaint}
    if verb == "rate":
        given |= {"rating": request.form.get("rating", "0"), "note": request.form.get("note", "")}
    else:
        given["words"] = request.form.get("words", "")

    def send() -> Response:
        scope.call(f"participation.complaint.{verb}", **given)
        return redirect(url_for(".complaint", complaint=complaint), 303)

    return form("complaint", send, **_complaint_page(scope, complaint))


# --- feedback ---------------------------------------------------------------------------------


@blueprint.get("/my/feedback")
def feedback() -> Answer:
    asker()
    origin = request.args.get("page", "")[:200]
    is_sent = "sent" in request.args
    return page("feedback", topics=Topic, page=origin, is_sent=is_sent, faults={}, given={})


@blueprint.post("/my/feedback")
def give_feedback() -> Answer:
    scope = asker()

    def send() -> Response:
        scope.call(
            "participation.feedback.give",
            text=request.form.get("text", ""),
            topic=request.form.get("topic", Topic.OTHER.value),
            page=request.form.get("page", ""),
            is_nameless="is_nameless" in request.form,
        )
        return redirect(url_for(".feedback", sent=1), 303)

    return form("feedback", send, topics=Topic, page=request.form.get("page", ""), is_sent=False)


@blueprint.get("/feedback")
def staff_feedback() -> Answer:
    scope = require_scope()
    scope.require(STAFF)
    if scope.community_id is None:
        # Feedback belongs to a community: who leads several says to which.
        places = [c for c in scope.place.communities if is_open_in(scope, c.id)]
        return page("feedback_places", places=places, page=request.args.get("page", "")[:200])
    origin, is_sent = request.args.get("page", "")[:200], "sent" in request.args
    return page("staff_feedback", topics=Topic, page=origin, is_sent=is_sent, faults={}, given={})


def is_open_in(scope: Scope, community_id: UUID) -> bool:
    """Tell whether somebody on a group's page may send feedback to a community of the group."""
    is_on = "participation" in scope.places.get(community_id, {})
    return is_on and community_id in scope.where_may(STAFF)


@blueprint.post("/feedback")
def give_staff_feedback() -> Answer:
    given = {name: request.form.get(name, "") for name in ("text", "page")}
    topic = request.form.get("topic", Topic.OTHER.value)

    def send() -> Response:
        require_scope().call("participation.feedback.give_as_staff", topic=topic, **given)
        return redirect(url_for(".staff_feedback", sent=1), 303)

    return form("staff_feedback", send, topics=Topic, page=given["page"], is_sent=False)


# --- questionnaires ---------------------------------------------------------------------------


@blueprint.get("/my/questionnaires")
def questionnaires() -> Answer:
    scope = asker()
    found = services.my_questionnaires(scope, services.me(scope))
    return page("questionnaires", questionnaires=found)


@blueprint.get("/my/questionnaires/<uuid:questionnaire>")
def questionnaire(questionnaire: UUID) -> Answer:
    scope = asker()
    found = open_one(scope, questionnaire)
    is_answered = dict(services.my_questionnaires(scope, services.me(scope))).get(found, False)
    asked = services.questions(scope, found)
    return page(
        "questionnaire",
        questionnaire=found,
        questions=asked,
        is_answered=is_answered,
        faults={},
        given={},
    )


@blueprint.post("/my/questionnaires/<uuid:questionnaire>")
def answer_questionnaire(questionnaire: UUID) -> Answer:
    scope = asker()
    found = open_one(scope, questionnaire)
    asked = services.questions(scope, found)

    def send() -> Response:
        answers = {str(q.id): request.form.getlist(f"q_{q.id}") for q in asked}
        scope.call("participation.questionnaire.answer", questionnaire_id=found.id, answers=answers)
        return redirect(url_for(".questionnaire", questionnaire=found.id), 303)

    values = {"questionnaire": found, "questions": asked, "is_answered": False}
    return form("questionnaire", send, **values)


@blueprint.get("/questionnaire/<uuid:questionnaire>/results")
def results(questionnaire: UUID) -> Answer:
    scope = require_scope()
    scope.require("participation.questionnaire.view")
    if scope.community_id is None:
        raise NotFound(N_("There is no such page."))
    found = scope.get(Questionnaire, questionnaire)
    sheets, answered = services.results(scope, found)
    return page("results", questionnaire=found, sheets=sheets, results=answered)
