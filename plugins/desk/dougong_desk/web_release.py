"""Item release passes: the resident's pages, the gate, and the page behind the code."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from urllib.parse import quote
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as WebResponse

from dougong.db import Actor, Grant, Scope, member_label
from dougong.db.ciphers import mask
from dougong.documents import Document
from dougong.errors import Conflict, DougongError, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.web.app import current_installation, require_scope
from dougong_desk.domain import ReleaseState
from dougong_desk.models import ReleasePass
from dougong_desk.services import releases

open_blueprint = Blueprint("desk_open", "dougong_desk", url_prefix="/desk")
# Whoever scans a pass may look at it, and do nothing else.
SCANNER = frozenset({"desk.release_pass.scan"})
SHOWN = 60


def add_pages(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint."""
    blueprint.add_url_rule("/my/releases", "my_releases", my_releases)
    blueprint.add_url_rule("/my/releases", "ask_release", ask, methods=["POST"])
    blueprint.add_url_rule(
        "/my/releases/<uuid:release_id>/agree", "agree_release", agree, methods=["POST"]
    )
    blueprint.add_url_rule("/my/releases/<uuid:release_id>.pdf", "my_release_paper", my_paper)
    blueprint.add_url_rule("/releases/<uuid:release_id>.pdf", "release_paper", desk_paper)
    blueprint.add_url_rule("/gate/", "gate", gate)
    blueprint.add_url_rule("/gate/<code>", "gate_pass", gate_pass)
    blueprint.add_url_rule("/gate/<code>", "let_out", let_out, methods=["POST"])


def address_of(community_id: UUID, code: str) -> str:
    """Return the full address that stands in a pass's code."""
    path = url_for("desk_open.scanned", community=community_id, code=code)
    return current_installation().settings.url + path


def shown(document: Document) -> Response:
    """Return the answer that shows a document in the browser."""
    disposition = f"inline; filename*=UTF-8''{quote(document.filename)}"
    return Response(
        document.content,
        content_type=document.media_type,
        headers={"Content-Disposition": disposition},
    )


# --- who lives here -------------------------------------------------------------------------------


def my_releases(problem: str = "") -> str:
    """Show the passes of one's rooms, those that wait for one's word, and the form for one."""
    scope = require_scope()
    rooms, found = releases.my_rooms(scope), releases.my_releases(scope)
    waiting = [each for each in found if each.state is ReleaseState.REQUESTED]
    owned = releases.owns_any(scope, [each.room_id for each in waiting]) if waiting else set()
    return render_template(
        "desk/my_releases.html",
        rooms=rooms,
        found=found,
        asks_me={each.id for each in waiting if each.room_id in owned and not each.owner_word},
        member=member_label,
        today=scope.today,
        given=request.form,
        problem=problem,
    )


def ask() -> WebResponse | tuple[str, int]:
    """Ask for a pass, or show the form again with what is wrong."""
    scope, form = require_scope(), request.form
    try:
        room_id, from_on, until_on = _wish(scope)
        with scope.session.begin_nested():
            releases.ask_release(
                scope, room_id, form.get("items", ""), form.get("bearer", ""), from_on, until_on,
                form.get("plate"),
            )  # fmt: skip
    except Invalid as error:
        said = next(iter((error.fields or {}).values()), None) or translate_error(error)
        return my_releases(said), 422
    return redirect(url_for(".my_releases"), 303)


def _wish(scope: Scope) -> tuple[UUID, date, date]:
    form = request.form
    try:
        from_on = date.fromisoformat(form.get("from_on") or str(scope.today))
        until_on = date.fromisoformat(form.get("until_on") or str(from_on + timedelta(days=2)))
        return UUID(form.get("room", "")), from_on, until_on
    except ValueError:
        fields = {"room": gettext("Choose a room and the days.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from None


def agree(release_id: UUID) -> WebResponse:
    """Agree as the owner that things of who lives there may leave."""
    releases.agree_release(require_scope(), release_id)
    return redirect(url_for(".my_releases"), 303)


def my_paper(release_id: UUID) -> Response:
    """Show one's own pass as PDF, on the phone or to be printed."""
    scope = require_scope()
    return _printed(scope, releases.my_release(scope, release_id))


def desk_paper(release_id: UUID) -> Response:
    """Show a pass as PDF for the desk."""
    scope = require_scope()
    scope.require("desk.release_pass.print")
    return _printed(scope, scope.get(ReleasePass, release_id))


def _printed(scope: Scope, record: ReleasePass) -> Response:
    document: Document = releases.paper(scope, record, address_of(record.community_id, record.code))
    return shown(document)


# --- the gate -------------------------------------------------------------------------------------


def gate() -> str:
    """List what may leave today; a pass is found by its number, room or code."""
    scope = require_scope()
    scope.require("desk.release_pass.view")
    words = request.args.get("q", "").replace("\0", "").strip()
    query = select(ReleasePass).options(joinedload(ReleasePass.room))
    if words.isdigit():
        query = query.where(ReleasePass.number == int(words[:9]))
    elif words:
        query = query.where(ReleasePass.code == words)
    else:
        query = query.where(
            ReleasePass.state == ReleaseState.ISSUED,
            ReleasePass.from_on <= scope.today,
            ReleasePass.until_on >= scope.today,
        )
    found = scope.session.scalars(query.order_by(ReleasePass.number.desc()).limit(SHOWN)).all()
    return render_template("desk/gate.html", found=found, words=words, member=member_label)


def gate_pass(code: str, problem: str = "", status: int = 200) -> tuple[str, int]:
    """Show a pass to the guard, with the button that lets its things out."""
    scope = require_scope()
    scope.require("desk.release_pass.view")
    record = releases.release_of(scope, code)
    return (
        render_template(
            "desk/gate_pass.html",
            record=record,
            refusal=releases.refusal(scope, record),
            may_let_out=scope.may("desk.release_pass.let_out"),
            member=member_label,
            problem=problem,
        ),
        status,
    )


def let_out(code: str) -> WebResponse | tuple[str, int]:
    """Record that the things have left, or say why they may not."""
    scope = require_scope()
    scope.require("desk.release_pass.let_out")
    record = releases.release_of(scope, code)
    try:
        with scope.session.begin_nested():
            releases.let_out(scope, record, request.form.get("note", ""))
    except Conflict as error:
        return gate_pass(code, translate_error(error), 409)
    return redirect(url_for(".gate_pass", code=code), 303)


# --- behind the code ------------------------------------------------------------------------------


@contextmanager
def _scanner(community_id: UUID) -> Iterator[Scope]:
    """Open the community for whoever scans a pass; raises NotFound where the desk is off."""
    grant = Grant(SCANNER, communities=frozenset({community_id}), role="passer_by")
    actor = Actor(None, "扫码核验", kind="visitor", grants=(grant,))
    with current_installation().scope(actor, community=community_id) as scope:
        if "desk" not in scope.enabled:
            raise NotFound(N_("There is no such page."))
        yield scope


@open_blueprint.get("/release/<uuid:community>/<code>")
def scanned(community: UUID, code: str) -> str | tuple[str, int]:
    """Show whether a pass is valid and what is on it, to anybody who holds it."""
    try:
        with _scanner(community) as scope:
            record = releases.release_of(scope, code)
            return render_template(
                "desk/release.html",
                record=record,
                bearer=mask("name", record.bearer),
                refusal=releases.refusal(scope, record),
                gate_url=url_for("desk.gate_pass", scope=f"c/{community}", code=code),
                place_name=scope.place.name,
            )
    except DougongError as error:
        raise NotFound(N_("There is no such pass.")) from error
