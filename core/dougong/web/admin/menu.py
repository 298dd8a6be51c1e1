"""The side menu: the dashboard, then a section per plugin, then administration."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import g, request, url_for

from dougong.db.scope import Scope
from dougong.i18n import N_, bilingual, current_locale, gettext
from dougong.installation import Installation
from dougong.web.admin import registry
from dougong.web.admin.registry import MenuPage
from dougong.web.admin.views import RecordView

ADMINISTRATION = "administration"
MOST_KNOWN = 500
_known: dict[Any, "list[tuple[str, list[_Line]]]"] = {}


@dataclass(frozen=True)
class Item:
    """One line of the menu."""

    label: str
    url: str
    icon: str
    is_current: bool
    order: int


@dataclass(frozen=True)
class _Line:
    """A line of the menu whoever looks at it. endpoint: of a page that is no list."""

    label: str
    url: str
    icon: str
    order: int
    endpoint: str = ""


@dataclass(frozen=True)
class Section:
    """Lines under one heading."""

    title: str
    items: list[Item]


def menu_page(endpoint: str, title: tuple[str, str], permission: str, **more: Any) -> None:
    """Offer a page in the menu; ``more`` are the other fields of MenuPage."""
    registry.add_page(MenuPage(endpoint, bilingual(*title), permission, **more))


def menu(installation: Installation) -> list[Section]:
    """Return what the actor of this request may open, by section.

    Put together once for who may the same in the same place and language.
    """
    scope: Scope = g.scope
    key = (
        id(installation),
        installation.plugins.generation,
        registry.version(),
        scope.enabled,
        scope.url_part,
        current_locale(),
        frozenset((n.permissions, n.group_id, n.communities) for n in scope.actor.grants),
    )
    known = _known.get(key)
    if known is None:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        known = _known[key] = _sections(installation, scope)
    return [Section(title, [_item(line) for line in lines]) for title, lines in known]


def _item(line: _Line) -> Item:
    if line.endpoint:
        is_current = line.endpoint == request.endpoint
    else:
        is_current = request.path.startswith(line.url)
    return Item(line.label, line.url, line.icon, is_current, line.order)


def _sections(installation: Installation, scope: Scope) -> list[tuple[str, list[_Line]]]:
    found: dict[str, list[_Line]] = {"dougong": []}
    for plugin in installation.plugins.loaded:
        found[plugin] = []
    found[ADMINISTRATION] = []
    for view in registry.views():
        if view.in_menu and view.may(scope, "view") and belongs(view, scope):
            line = _Line(view.label(), list_url(view), view.icon, view.menu_order)
            found.setdefault(section_of(view), []).append(line)
    here = "community" if scope.community_id else "group"
    for page in registry.pages():
        if page.only_in not in ("", here):
            continue
        if page.plugin in scope.enabled and scope.may(page.permission):
            url = url_for(page.endpoint)
            line = _Line(str(page.title), url, page.icon, page.order, page.endpoint)
            found.setdefault(page.section or page.plugin, []).append(line)
    home = "admin.dashboard"
    first = _Line(gettext(N_("Dashboard")), url_for(home), "home", 0, home)
    sections = [("", [first])]
    for key, lines in found.items():
        if lines:
            title = section_title(installation, key)
            sections.append((title, sorted(lines, key=lambda line: line.order)))
    return sections


def section_of(view: type[RecordView]) -> str:
    """Return the section a view stands in: its plugin's unless it stands elsewhere."""
    return str(view.section) or view.plugin()


def section_title(installation: Installation, section: str) -> str:
    """Return a section's heading: a plugin's name, what the kernel calls its own, or the text."""
    own = {"dougong": N_("Basic records"), ADMINISTRATION: N_("Administration")}
    if section in own:
        return gettext(own[section])
    found = installation.plugins.found.get(section)
    return str(section if found is None else found.manifest.name)


def belongs(view: type[RecordView], scope: Scope) -> bool:
    """Tell whether a view has a place here: the group's own tables stand on group pages."""
    return scope.community_id is None or view.model.__kind__ == "community"


def list_url(view: type[RecordView], scope: Scope | str | None = None, **arguments: Any) -> str:
    """Return the address of a view's list, in this scope or another."""
    place = scope if scope is not None else g.scope
    part = place.url_part if isinstance(place, Scope) else str(place)
    address = f"/{part}/admin/{view.name().replace('.', '/', 1)}/"
    return f"{address}?{urlencode(arguments)}" if arguments else address
