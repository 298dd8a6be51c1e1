"""The side menu: the dashboard, then a section per plugin, then administration."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import g, request, url_for

from dougong.db.scope import Scope
from dougong.i18n import N_, bilingual, gettext
from dougong.installation import Installation
from dougong.web.admin import registry
from dougong.web.admin.registry import MenuPage
from dougong.web.admin.views import RecordView

ADMINISTRATION = "administration"


@dataclass(frozen=True)
class Item:
    """One line of the menu."""

    label: str
    url: str
    icon: str
    is_current: bool
    order: int


@dataclass(frozen=True)
class Section:
    """Lines under one heading."""

    title: str
    items: list[Item]


def menu_page(endpoint: str, title: tuple[str, str], permission: str, **more: Any) -> None:
    """Offer a page in the menu; ``more`` are the other fields of MenuPage."""
    registry.add_page(MenuPage(endpoint, bilingual(*title), permission, **more))


def menu(installation: Installation) -> list[Section]:
    """Return what the actor of this request may open, by section."""
    scope: Scope = g.scope
    found: dict[str, list[Item]] = {"dougong": []}
    for plugin in installation.plugins.loaded:
        found[plugin] = []
    found[ADMINISTRATION] = []
    for view in registry.views():
        if view.in_menu and view.may(scope, "view") and belongs(view, scope):
            found.setdefault(section_of(view), []).append(_item(view))
    here = "community" if scope.community_id else "group"
    for page in registry.pages():
        if page.only_in not in ("", here):
            continue
        if page.plugin in scope.enabled and scope.may(page.permission):
            is_current = request.endpoint == page.endpoint
            item = Item(str(page.title), url_for(page.endpoint), page.icon, is_current, page.order)
            found.setdefault(page.section or page.plugin, []).append(item)
    home = Item(
        gettext(N_("Dashboard")),
        url_for("admin.dashboard"),
        "home",
        request.endpoint == "admin.dashboard",
        0,
    )
    sections = [Section("", [home])]
    for key, items in found.items():
        if items:
            title = section_title(installation, key)
            sections.append(Section(title, sorted(items, key=lambda item: item.order)))
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


def _item(view: type[RecordView]) -> Item:
    url = list_url(view)
    return Item(view.label(), url, view.icon, request.path.startswith(url), view.menu_order)


def list_url(view: type[RecordView], scope: Scope | str | None = None, **arguments: Any) -> str:
    """Return the address of a view's list, in this scope or another."""
    place = scope if scope is not None else g.scope
    part = place.url_part if isinstance(place, Scope) else str(place)
    address = f"/{part}/admin/{view.name().replace('.', '/', 1)}/"
    return f"{address}?{urlencode(arguments)}" if arguments else address
