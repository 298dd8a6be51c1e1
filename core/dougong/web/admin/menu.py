"""The side menu: the dashboard, then a section per plugin, then administration."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from flask import g, request, url_for
from markupsafe import Markup, escape

from dougong.db.scope import Scope
from dougong.i18n import N_, bilingual, current_locale, gettext
from dougong.installation import Installation
from dougong.web.admin import registry
from dougong.web.admin.registry import MenuPage
from dougong.web.admin.views import RecordView
from dougong.web.assets import icon

ADMINISTRATION = "administration"
MOST_KNOWN = 500
_known: dict[Any, "Menu"] = {}


@dataclass(frozen=True)
class Item:
    """One line of the menu. endpoint: of a page that is no list."""

    label: str
    url: str
    icon: str
    order: int
    endpoint: str = ""

    def is_current(self, path: str, endpoint: str | None) -> bool:
        """Tell whether a request shows the page or one below it."""
        return self.endpoint == endpoint if self.endpoint else path.startswith(self.url)

    @cached_property
    def opening(self) -> str:
        """Return its HTML up to where it may be marked as the current one."""
        return f'<li><a href="{escape(self.url)}"'

    @cached_property
    def rest(self) -> str:
        """Return the HTML after that."""
        return f">{icon(self.icon)}{escape(self.label)}</a></li>"


@dataclass(frozen=True)
class Section:
    """Lines under one heading."""

    title: str
    items: list[Item]

    @cached_property
    def opening(self) -> str:
        """Return the HTML before its lines."""
        return f"<h2>{escape(self.title)}</h2><ul>" if self.title else "<ul>"


@dataclass(frozen=True)
class Menu:
    """Sections, and their HTML in parts, between which a line may be marked as the current one."""

    sections: list[Section]

    @cached_property
    def parts(self) -> list[str]:
        """Return the HTML: an empty part stands where a line's mark goes."""
        made: list[str] = []
        for section in self.sections:
            made.append(section.opening)
            for line in section.items:
                made += (line.opening, "", line.rest)
            made.append("</ul>")
        return made

    @cached_property
    def lines(self) -> list[tuple[int, Item]]:
        """Return each line with the place of its mark."""
        places = (at for at, part in enumerate(self.parts) if not part)
        return list(zip(places, (i for s in self.sections for i in s.items), strict=True))


def menu_page(endpoint: str, title: tuple[str, str], permission: str, **more: Any) -> None:
    """Offer a page in the menu; ``more`` are the other fields of MenuPage."""
    registry.add_page(MenuPage(endpoint, bilingual(*title), permission, **more))


def menu(installation: Installation) -> list[Section]:
    """Return what the actor of this request may open, by section."""
    return _menu(installation).sections


def _menu(installation: Installation) -> Menu:
    """Return the menu, put together once for who may the same in the same place and language."""
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
        known = _known[key] = Menu(_sections(installation, scope))
    return known


def menu_html(installation: Installation) -> Markup:
    """Return the menu as HTML: sixty lines as a template were a tenth of a page's time."""
    known, path, endpoint = _menu(installation), request.path, request.endpoint
    parts = list(known.parts)
    for at, line in known.lines:
        if line.is_current(path, endpoint):
            parts[at] = ' aria-current="page"'
    return Markup("".join(parts))


def path_here(installation: Installation, title: str) -> list[tuple[str, str | None]]:
    """Return the path to this request's page: the place, the menu's line above it, its title.

    Empty on the place's own page.
    """
    scope: Scope = g.scope
    home = url_for("admin.dashboard")
    if request.path == home:
        return []
    found: list[tuple[str, str | None]] = [(scope.place.name, home)]
    lines = [(s.title, i) for s in menu(installation) for i in s.items if i.url != home]
    path, endpoint = request.path, request.endpoint
    above = [(t, i) for t, i in lines if path.startswith(i.url) or i.is_current(path, endpoint)]
    if above:
        section, line = max(above, key=lambda each: len(each[1].url))
        found += [(section, None)] if section else []
        found += [(line.label, line.url)] if request.path != line.url else []
    return [*found, (title, None)]


def _sections(installation: Installation, scope: Scope) -> list[Section]:
    found: dict[str, list[Item]] = {"dougong": []}
    for plugin in installation.plugins.loaded:
        found[plugin] = []
    found[ADMINISTRATION] = []
    for view in registry.views():
        if view.in_menu and view.may(scope, "view") and belongs(view, scope):
            line = Item(view.label(), list_url(view), view.icon, view.menu_order)
            found.setdefault(section_of(view), []).append(line)
    here = "community" if scope.community_id else "group"
    for page in registry.pages():
        if page.only_in not in ("", here):
            continue
        if page.plugin in scope.enabled and scope.may(page.permission):
            url = url_for(page.endpoint)
            line = Item(str(page.title), url, page.icon, page.order, page.endpoint)
            found.setdefault(str(page.section) or page.plugin, []).append(line)
    home = "admin.dashboard"
    first = Item(gettext(N_("Dashboard")), url_for(home), "home", 0, home)
    sections = [Section("", [first])]
    for key, lines in found.items():
        if lines:
            title = section_title(installation, key)
            sections.append(Section(title, sorted(lines, key=lambda line: line.order)))
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
