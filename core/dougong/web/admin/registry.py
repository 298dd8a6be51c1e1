"""What is declared for the admin: views, extensions of views, pages of the menu.

Nobody else keeps these: what an unloaded plugin declared is gone for everybody at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dougong.db.scope import Scope
from dougong.i18n import LazyText
from dougong.plugins.loader import WHEN_FORGOTTEN

if TYPE_CHECKING:
    from dougong.web.admin.views import RecordView


@dataclass(frozen=True)
class ViewExtension:
    """What another plugin adds to a view: a column, a filter, a field of the form, or all three.

    view: ``dougong.room``. values: called with the scope and the page's records, returns a text by
    record id. It is seen only where its plugin is switched on.
    condition: makes it a filter; called with the scope, the view's model and the text that was
    asked for, returns an SQL condition, None when the text makes no sense.
    save: makes it a field; called with the scope, the saved record and the text of the field, in
    the same transaction; raises Invalid. It checks for itself what the actor may do.
    choices: value and label of each choice, for filter and field. permission: who sees it at all.
    """

    view: str
    key: str
    label: LazyText
    values: Callable[[Scope, Sequence[Any]], Mapping[UUID, str]]
    condition: Callable[[Scope, Any, str], Any] | None = None
    save: Callable[[Scope, Any, str], None] | None = None
    choices: Sequence[tuple[str, LazyText]] = ()
    permission: str = ""
    plugin: str = ""

    @property
    def name(self) -> str:
        """Return its name in addresses and forms, which no column can have."""
        return f"{self.plugin}-{self.key}"


@dataclass(frozen=True)
class MenuPage:
    """A page that is not a list of records, as the menu offers it.

    permission: who sees it. plugin: where it is on, and its section unless ``section`` says other.
    only_in: ``community`` or ``group`` for a page that stands only there.
    """

    endpoint: str
    title: LazyText
    permission: str
    plugin: str = "dougong"
    section: str | LazyText = ""
    icon: str = "file-text"
    order: int = 100
    only_in: str = ""


_views: dict[str, "type[RecordView]"] = {}
_extensions: dict[tuple[str, str, str], ViewExtension] = {}
_pages: dict[tuple[str, str], MenuPage] = {}
_version = [0]


def version() -> int:
    """Return a number that moves with every declaration, for what is put together from them."""
    return _version[0]


def add_view(view: "type[RecordView]") -> None:
    """Keep a view; one for the same model takes its place."""
    _version[0] += 1
    _views[view.name()] = view


def views() -> list["type[RecordView]"]:
    """Return the views whose models are there, in the order of their declaration."""
    return [view for view in _views.values() if view.is_mapped()]


def view_named(name: str) -> "type[RecordView] | None":
    """Return the view ``<plugin>.<model>``, None when there is none that can be used."""
    view = _views.get(name)
    return view if view is not None and view.is_mapped() else None


def view_of(model: Any) -> "type[RecordView] | None":
    """Return the view of a model, None when it has none."""
    return next((view for view in views() if view.model is model), None)


def extend_view(plugin: str, extension: ViewExtension) -> None:
    """Add a plugin's extension to another's view."""
    _extensions[extension.view, plugin, extension.key] = replace(extension, plugin=plugin)


def extensions_of(scope: Scope, view: "type[RecordView]") -> list[ViewExtension]:
    """Return what other plugins add to a view here, for this actor."""
    return [
        e
        for e in _extensions.values()
        if e.view == view.name()
        and e.plugin in scope.enabled
        and (not e.permission or scope.may(e.permission))
    ]


def add_page(page: MenuPage) -> None:
    """Keep a page of the menu; the same endpoint and title take its place."""
    _version[0] += 1
    _pages[page.endpoint, page.title.message] = page


def pages() -> list[MenuPage]:
    """Return the menu's pages that are no lists."""
    return list(_pages.values())


def forget(plugin: str) -> None:
    """Take out what a plugin has declared."""
    _version[0] += 1
    for name in [name for name, view in _views.items() if view.plugin() == plugin]:
        del _views[name]
    for key in [key for key, extension in _extensions.items() if extension.plugin == plugin]:
        del _extensions[key]
    for page_key in [key for key, page in _pages.items() if page.plugin == plugin]:
        del _pages[page_key]


WHEN_FORGOTTEN.append(forget)
