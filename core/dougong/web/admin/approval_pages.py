"""What waits for a second person, of all plugins on one page; and who stands in for whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from flask import render_template, request, url_for

from dougong.access import delegations
from dougong.db.scope import Scope
from dougong.errors import DougongError, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.services import approvals, find
from dougong.services.approvals import VIEW, Waiting
from dougong.web.admin import registry
from dougong.web.admin.menu import list_url, menu_page
from dougong.web.admin.pages import blueprint, go
from dougong.web.app import require_scope

menu_page("admin.approval_list", ("Approvals", "审批"), VIEW, icon="check-circle", order=5)


@dataclass(frozen=True)
class Line:
    """One request as the page shows it. kind: what it is; place: its community."""

    waiting: Waiting
    kind: str
    url: str
    place: str
    asked_by: str
    lapses_at: datetime | None
    is_own: bool

    @property
    def refuse(self) -> str:
        """Return the full name of the service that refuses it, empty without one."""
        approval = self.waiting.service.approves
        no = approval.refuse if approval is not None else None
        return f"{self.waiting.service.plugin}.{no}" if no else ""


@blueprint.get("/approvals")
def approval_list() -> str:
    """Show what waits for a decision of the actor here, the oldest first."""
    return _page(require_scope())


def _page(
    scope: Scope, problem: str = "", errors: Mapping[str, str] | None = None, given: Any = None
) -> str:
    scope.require(VIEW)
    found = approvals.waiting(scope, _after(), approvals.SHOWN + 1)
    shown = found[: approvals.SHOWN]
    asking = sorted({each.asked_by for each in shown if each.asked_by is not None})
    people = delegations.people(scope, asking)
    return render_template(
        "admin/approvals.html",
        lines=_lines(scope, shown, {each.id: each.name for each in people}),
        further=shown[-1].id if len(found) > len(shown) else None,
        is_group=scope.community_id is None,
        stand_ins=delegations.stand_ins(scope),
        colleagues=sorted((p for p in people if p.may_stand_in), key=lambda p: p.name),
        today=scope.today,
        problem=problem,
        errors=errors or {},
        given=given or {},
        crumbs=[
            (scope.place.name, url_for("admin.dashboard")),
            (gettext(N_("Approvals")), None),
        ],
    )


def _after() -> UUID | None:
    try:
        return UUID(request.args["after"]) if "after" in request.args else None
    except ValueError:
        raise NotFound(N_("There is no such page.")) from None


def _lines(scope: Scope, found: list[Waiting], names: Mapping[UUID, str]) -> list[Line]:
    places = {c.id: c.name for c in getattr(scope.place, "communities", ())}
    lines = []
    for each in found:
        model = approvals.model_of(each.service)
        view, approval = registry.view_of(model), each.service.approves
        address = list_url(view, f"c/{each.community_id}") + f"{each.id}/" if view else ""
        lapses = approval is not None and approval.is_request
        lines.append(
            Line(
                each,
                view.label() if view else str(each.service.title),
                address,
                places.get(each.community_id, ""),
                (names.get(each.asked_by) or each.asked_name or "—") if each.asked_by else "",
                approvals.lapses_at(scope, each.id) if lapses else None,
                each.asked_by is not None and each.asked_by == scope.actor.user_id,
            )
        )
    return lines


@blueprint.post("/approvals/decide")
def decide() -> Any:
    """Approve or refuse one request, then show what is left where the actor came from."""
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("Choose a community first."))
    approving = {each.name: each for each in approvals.approvals()}
    chosen = approving.get(request.form.get("service", ""))
    if chosen is None or chosen.approves is None:
        raise NotFound(N_("There is no such page."))
    verb = chosen.name
    if "refuse" in request.form and chosen.approves.refuse:
        verb = f"{chosen.plugin}.{chosen.approves.refuse}"
    record = next(iter(find(verb).models))
    try:
        with scope.session.begin_nested():
            scope.call(verb, **{record: request.form.get("id", "")})
    except DougongError as error:
        sentences = [translate_error(error), *getattr(error, "fields", {}).values()]
        return _page(scope, " ".join(sentences)), error.status
    return go(url_for("admin.approval_list", scope=_back(scope), done="acted"))


def _back(scope: Scope) -> str:
    return f"g/{scope.group_id}" if request.form.get("from") == "group" else scope.url_part


@blueprint.post("/approvals/stand-in")
def name_stand_in() -> Any:
    """Let a colleague approve in the actor's place for some days."""
    scope = require_scope()
    scope.require(VIEW)
    form = request.form
    try:
        delegations.stand_in(
            scope,
            _id(form.get("to_user_id", "")),
            _day("from_on", form.get("from_on", "")),
            _day("to_on", form.get("to_on", "")),
            form.get("reason", ""),
        )
    except DougongError as error:
        fields = getattr(error, "fields", {})
        return _page(scope, translate_error(error), fields, form), error.status
    return go(url_for("admin.approval_list", done="created"))


@blueprint.post("/approvals/stand-in/<uuid:id>/end")
def end_stand_in(id: UUID) -> Any:
    """End a delegation at once."""
    scope = require_scope()
    scope.require(VIEW)
    delegations.end_stand_in(scope, id)
    return go(url_for("admin.approval_list", done="revoked"))


def _id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        fields = {"to_user_id": gettext(N_("Choose somebody who works in this group."))}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from None


def _day(name: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        fields = {name: gettext(N_("A day, such as 2026-05-01."))}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from None
