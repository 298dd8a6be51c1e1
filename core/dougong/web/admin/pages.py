"""The admin's addresses: one set of pages serves every view."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, Response, g, redirect, render_template, request, url_for

from dougong import services
from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.errors import NotAllowed, NotFound
from dougong.hookspecs import Card, SearchHit
from dougong.i18n import N_, gettext
from dougong.web.admin import bulk, drawing, extensions, listing, lookups, registry, saved
from dougong.web.admin.details import opens
from dougong.web.admin.menu import (
    belongs,
    list_url,
    menu,
    menu_html,
    path_here,
    section_of,
    section_title,
)
from dougong.web.admin.views import RecordAction, RecordView, show, tone
from dougong.web.app import current_installation, require_scope

Crumb = tuple[str, str | None]
blueprint = Blueprint("admin", __name__, url_prefix="/<scope:scope>/admin")


def frame() -> dict[str, Any]:
    """Return what the admin's frame needs in every template."""
    return {
        "menu": lambda: menu_html(current_installation()),
        "path_here": lambda title: path_here(current_installation(), title),
        "show": show,
        "tone": tone,
        "words": drawing.words,
        "draw": lambda column, record: drawing.cell(g.scope, column, record),
        "record_url": record_url,
        "verb_label": verb_label,
        "member": member_label,
        "level_word": level_word,
    }


def level_word(level: str) -> str:
    """Return a level of clearance in words."""
    words = {
        "write": N_("read and change"),
        "read": N_("only read"),
        "hide": N_("hidden"),
        "full": N_("in clear"),
        "mask": N_("masked"),
    }
    return gettext(words[level])


def verb_label(verb: str, operation: str) -> str:
    """Return what was done in words: the service's title, else what happened to the row."""
    if verb in services.SERVICES:
        return str(services.SERVICES[verb].title)
    words = {"insert": N_("Created"), "update": N_("Changed"), "delete": N_("Deleted")}
    return gettext(words.get(operation.lower(), verb))


@blueprint.before_request
def _staff_only() -> None:
    from dougong.web.home import is_staff

    if not is_staff(g.actor):
        raise NotAllowed(N_("This page is for staff."))


def find_view(plugin: str, model: str, verb: str = "view") -> type[RecordView]:
    """Return the view at an address; NotFound where it is off, NotAllowed without permission."""
    scope = require_scope()
    view = registry.view_named(f"{plugin}.{model}")
    if view is None or plugin not in scope.enabled or not belongs(view, scope):
        raise NotFound(N_("There is no such page."))
    if not view.may(scope, verb):
        raise NotAllowed(
            N_("You may not do this here (%(permission)s)."), permission=f"{view.name()}.{verb}"
        )
    return view


def record_url(view: type[RecordView], record: Any, page: str = "details") -> str:
    """Return the address of a record's page, in the community that the record belongs to."""
    return f"{_links(view)(record)}{'' if page == 'details' else page}"


def _links(view: type[RecordView]) -> Callable[[Any], str]:
    """Return what returns the address of a view's record, for as many as there are."""
    here, scope = list_url(view), g.scope
    if scope.community_id:
        return lambda record: f"{here}{record.id}/"

    def link(record: Any) -> str:
        community_id = getattr(record, "community_id", None)
        place = f"c/{community_id}" if community_id else None
        return f"{list_url(view, place)}{record.id}/"

    return link


def crumbs(view: type[RecordView], *further: Crumb) -> list[Crumb]:
    """Return the path to a page: place, section, list, record."""
    section = section_title(current_installation(), section_of(view))
    place: Crumb = (require_scope().place.name, url_for("admin.dashboard"))
    here: Crumb = (view.label(), list_url(view) if further else None)
    return [place, (section, None), here, *further]


# --- dashboard, places, palette -----------------------------------------------------------------


@blueprint.get("/")
def dashboard() -> str:
    """Show the figures of this community, or of the whole group."""
    scope = require_scope()
    answers = scope.ask("dashboard_cards")
    cards: list[Card] = [card for answer in answers for card in answer]
    communities = [c for c in getattr(scope.place, "communities", ()) if c.id in scope.readable]
    columns = scope.ask("compare_communities") if communities else []
    return render_template(
        "admin/dashboard.html",
        cards=sorted(cards, key=lambda card: card.order),
        communities=communities,
        columns=sorted((c for answer in columns for c in answer), key=lambda c: c.order),
        opens=lambda url: opens(scope, url),
    )


@blueprint.get("/places")
def places() -> str:
    """Return the communities to switch to; the same page opens there."""
    from dougong.tenancy.operations import group_facts
    from dougong.web.admin.access import reachable

    scope = require_scope()
    with current_installation().access() as session:
        group = group_facts(session, scope.group_id)
    rest = _rest_of(request.args.get("path", ""))
    return render_template(
        "admin/places.html", group=group, communities=reachable(scope, group), rest=rest
    )


def _rest_of(path: str) -> str:
    """Return an address without its scope, cut at the record: records differ between places."""
    parts = path.split("/")
    return "/".join(parts[3:6]) + "/" if len(parts) > 5 and parts[3] == "admin" else "admin/"


@blueprint.get("/search")
def palette() -> str:
    """Return pages and records that match what someone typed into the palette."""
    scope = require_scope()
    words = " ".join(request.args.get("q", "").replace("\0", "").split())[:100]
    hits: list[SearchHit] = []
    if len(words) >= 2:
        hits = lookups.pages(menu(current_installation()), words)
        hits += lookups.records(scope, words)
        for answer in scope.ask("search_records", words=words, limit=8):
            hits += [lookups.placed(scope, hit) for hit in answer[:8]]
    return render_template("admin/hits.html", hits=hits[:30], words=words)


# --- list ---------------------------------------------------------------------------------------


@blueprint.get("/<plugin>/<model>/")
def records(plugin: str, model: str) -> str:
    """Show the list."""
    scope = require_scope()
    view = find_view(plugin, model)
    wish = listing.Wish.read(request.args)
    page = listing.load(scope, view, wish)
    bulk_actions = [a for a in allowed_actions(scope, view) if a.bulk]
    bulk_actions = bulk_actions if scope.community_id else []
    may_bulk = bulk.may(scope, view)
    added, communities = extensions.columns(scope, view, page.records), community_names(scope)
    communities = communities if view.model.__kind__ == "community" else {}
    rows = drawing.rows(
        scope,
        page.columns,
        page.records,
        base=request.path,
        link=_links(view),
        picks=bool(bulk_actions or may_bulk),
        inline=view.inline_keys(scope),
        extensions=added,
        communities=communities,
    )
    return render_template(
        "admin/list.html",
        view=view,
        rows=rows,
        page=page,
        wish=wish,
        crumbs=crumbs(view),
        filters=listing.filter_fields(scope, view, wish),
        saved=saved.views_of(scope, view),
        extensions=added,
        communities=communities,
        bulk=bulk_actions,
        address=_address,
        may_bulk=may_bulk,
        sorted_by=page.order,
    )


@blueprint.get("/<plugin>/<model>/count")
def count(plugin: str, model: str) -> str:
    """Return how many rows the list's filters pass, counted to the end because someone asked."""
    scope = require_scope()
    view = find_view(plugin, model)
    number = listing.count_all(scope, view, listing.Wish.read(request.args))
    return f'<span class="count" role="status">{number:,}</span>'


def _address(**changes: Any) -> str:
    """Return this list's address with some arguments changed; paging starts anew."""
    arguments = {k: v for k, v in request.args.items() if k not in ("after", "before", "done")}
    arguments |= {k: v for k, v in changes.items() if v is not None}
    kept = {k: v for k, v in arguments.items() if v not in ("", None)}
    return f"{request.path}?{urlencode(kept)}" if kept else request.path


def community_names(scope: Scope) -> dict[UUID, str]:
    """Return the communities' names on a group page, nothing inside of one."""
    if scope.community_id is not None:
        return {}
    return {c.id: c.name for c in scope.place.communities}


def allowed_actions(scope: Scope, view: type[RecordView]) -> list[RecordAction]:
    """Return the view's actions that the actor may do here."""
    return [a for a in view.actions if scope.may(a.service.permission)]


# --- saved views ----------------------------------------------------------------------------------


@blueprint.post("/<plugin>/<model>/views")
def save_view(plugin: str, model: str) -> Any:
    """Keep the list's filters, order and columns under a name, or forget them."""
    scope = require_scope()
    view = find_view(plugin, model)
    query = request.form.get("query", "")[:1000]
    if request.form.get("forget"):
        saved.forget(scope, view, request.form["forget"])
        return go(list_url(view))
    saved.keep(
        scope,
        view,
        request.form.get("name", ""),
        query,
        is_shared=request.form.get("shared") == "true",
    )
    return go(f"{list_url(view)}?{query}")


def go(address: str) -> Response:
    """Send the browser on after a form was taken."""
    return redirect(address, 303)  # type: ignore[return-value]
