"""The pages of a bulk change: which fields, what would change, what was done, and back again."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from flask import render_template, request, url_for
from werkzeug.datastructures import MultiDict

from dougong.db.scope import Scope
from dougong.errors import Conflict, DougongError, Invalid, NotAllowed, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.web.admin import bulk, listing, registry
from dougong.web.admin.menu import belongs, list_url
from dougong.web.admin.pages import blueprint, crumbs, go
from dougong.web.admin.views import RecordView
from dougong.web.app import require_scope

NOT_FIELDS = {"csrf_token", "ids", "picked", "set", "step", "all", "query", "seen"}


@blueprint.post("/<plugin>/<model>/bulk")
def bulk_change(plugin: str, model: str) -> Any:
    """Ask which fields to set for the chosen records, show what would change, then do it."""
    scope = require_scope()
    view = _view(plugin, model)
    ids, is_cut = _picked(scope, view)
    step = request.form.get("step", "")
    if not step:
        return _ask(view, ids, is_cut=is_cut)
    given = {k: v.replace("\0", "") for k, v in request.form.items() if k not in NOT_FIELDS}
    chosen = request.form.getlist("set")
    try:
        new = bulk.values(scope, view, chosen, given)
    except Invalid as error:
        return _ask(view, ids, given, error), error.status
    if step != "do":
        return _preview(scope, view, ids, chosen, given, new)
    return _do(scope, view, ids, chosen, given, new)


@blueprint.post("/<plugin>/<model>/bulk/undo")
def undo_bulk(plugin: str, model: str) -> Any:
    """Take a bulk change back."""
    view = _view(plugin, model)
    bulk.undo(require_scope(), view, request.form.get("run", ""))
    return go(f"{list_url(view)}?done=undone")


def _view(plugin: str, model: str) -> type[RecordView]:
    scope = require_scope()
    view = registry.view_named(f"{plugin}.{model}")
    if view is None or plugin not in scope.enabled or not belongs(view, scope):
        raise NotFound(N_("There is no such page."))
    if not bulk.may(scope, view):
        raise NotAllowed(
            N_("You may not do this here (%(permission)s)."), permission=f"{view.name()}.change"
        )
    return view


def _picked(scope: Scope, view: type[RecordView]) -> tuple[list[UUID], bool]:
    """Return the chosen records and whether there would be more than can be changed at once."""
    if request.form.get("all") == "1":
        query = MultiDict(parse_qsl(request.form.get("query", "")[:2000]))
        found = bulk.picked(scope, view, listing.Wish.read(query))
        ids = [id for id, _ in found]
    else:
        given = [*request.form.getlist("ids"), *request.form.get("picked", "").split(",")]
        try:
            ids = [UUID(value) for value in dict.fromkeys(given) if value]
        except ValueError:
            raise NotFound(N_("There is no such record here (%(kind)s)."), kind="id") from None
    if not ids:
        raise Invalid(N_("Choose at least one row first."))
    if len(ids) > bulk.MOST:
        raise Invalid(N_("Choose at most %(number)s rows."), number=bulk.MOST)
    return ids, len(ids) == bulk.MOST


def _ask(
    view: type[RecordView],
    ids: list[UUID],
    given: Mapping[str, str] | None = None,
    error: DougongError | None = None,
    *,
    is_cut: bool = False,
) -> str:
    scope = require_scope()
    fields = bulk.fields(scope, view, given or {}, getattr(error, "fields", None))
    plugin, _, model = view.name().partition(".")
    for field in fields:
        field.is_required = False
        if field.kind == "relation":
            field.lookup = url_for("admin.lookup", plugin=plugin, model=model, key=field.name)
    return render_template(
        "admin/bulk.html",
        view=view,
        ids=ids,
        fields=fields,
        chosen=request.form.getlist("set"),
        message=translate_error(error) if error else "",
        is_cut=is_cut,
        most=bulk.MOST,
        crumbs=crumbs(view, (gettext(N_("Change several")), None)),
    )


def _preview(
    scope: Scope,
    view: type[RecordView],
    ids: list[UUID],
    chosen: list[str],
    given: Mapping[str, str],
    new: Mapping[str, Any],
    message: str = "",
) -> str:
    attempts = []
    for community_id, some in bulk.places_of(scope, view, ids).items():
        with bulk.within(scope, community_id) as place:
            attempts.append(_tried(place, view, some, new))
    return render_template(
        "admin/bulk_preview.html",
        view=view,
        attempts=attempts,
        number=sum(len(each.changed) for each in attempts),
        chosen=chosen,
        given={name: given.get(name, "") for name in chosen},
        message=message,
        crumbs=crumbs(view, (gettext(N_("Change several")), None)),
    )


def _tried(
    scope: Scope, view: type[RecordView], ids: list[UUID], new: Mapping[str, Any]
) -> bulk.Attempt:
    if not view.may(scope, "change"):
        text = gettext(
            N_("You may not do this here (%(permission)s)."), permission=f"{view.name()}.change"
        )
        refused = [(gettext(N_("All chosen records")), text)]
        return bulk.Attempt(scope.community_id, scope.place.name, refused=refused)
    return bulk.attempt(scope, view, ids, new)


def _do(
    scope: Scope,
    view: type[RecordView],
    ids: list[UUID],
    chosen: list[str],
    given: Mapping[str, str],
    new: Mapping[str, Any],
) -> Any:
    """Do it community by community; each is all or nothing."""
    done: list[bulk.Attempt] = []
    failed: list[tuple[str, str]] = []
    seen = dict(part.split(":", 1) for part in request.form.getlist("seen") if ":" in part)
    for community_id, some in bulk.places_of(scope, view, ids).items():
        try:
            with bulk.within(scope, community_id) as place:
                mark = seen.get(str(community_id or ""), "")
                done.append(bulk.attempt(place, view, some, new, seen=mark))
        except Conflict as error:
            if community_id in (None, scope.community_id):
                message = translate_error(error)
                return _preview(scope, view, ids, chosen, given, new, message), error.status
            failed.append((_name_of(scope, community_id), translate_error(error)))
    if scope.community_id is not None or view.model.__kind__ != "community":
        return go(f"{list_url(view)}?done=bulk&number={len(done[0].changed)}&run={done[0].run}")
    return render_template(
        "admin/bulk_done.html",
        view=view,
        done=done,
        failed=failed,
        summary=bulk.summary(done),
        undo_url=lambda each: f"/c/{each.community_id}/admin/{plugin_path(view)}/bulk/undo",
        crumbs=crumbs(view, (gettext(N_("Change several")), None)),
    )


def plugin_path(view: type[RecordView]) -> str:
    """Return a view's part of an address: ``meters/meter``."""
    return view.name().replace(".", "/", 1)


def _name_of(scope: Scope, community_id: UUID) -> str:
    return next((c.name for c in scope.place.communities if c.id == community_id), "")
