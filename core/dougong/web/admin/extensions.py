"""What other plugins add to a view: columns, filters and fields of the form, each on its own.

A plugin that fails here is counted like everywhere, its addition is left out, the page goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from dougong.db.scope import Scope
from dougong.errors import DougongError, Invalid
from dougong.web.admin.forms import FormField
from dougong.web.admin.registry import ViewExtension, extensions_of
from dougong.web.admin.views import RecordView

T = TypeVar("T")


def columns(
    scope: Scope, view: type[RecordView], records: Sequence[Any]
) -> list[tuple[ViewExtension, Mapping[UUID, str]]]:
    """Return the added columns with their texts by record id."""
    found: list[tuple[ViewExtension, Mapping[UUID, str]]] = []
    for extension in extensions_of(scope, view):
        texts = _isolated(scope, extension, extension.values, scope, records)
        if texts is not None:
            found.append((extension, texts))
    return found


def conditions(
    scope: Scope, view: type[RecordView], chosen: Mapping[str, str]
) -> dict[str, tuple[str, Any]]:
    """Return text and SQL condition of the added filters that are chosen, by name."""
    found = {}
    for extension in extensions_of(scope, view):
        condition, text = extension.condition, chosen.get(extension.name, "")
        if condition is None or not text:
            continue
        made = _isolated(scope, extension, condition, scope, view.model, text)
        if made is not None:
            found[extension.name] = (text, made)
    return found


def filters(scope: Scope, view: type[RecordView]) -> list[ViewExtension]:
    """Return the extensions by which the list can be filtered."""
    return [e for e in extensions_of(scope, view) if e.condition is not None]


def fields(
    scope: Scope,
    view: type[RecordView],
    record: Any | None,
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> list[FormField]:
    """Return the added fields of the form, with the record's texts or what was just sent."""
    made = []
    for extension in extensions_of(scope, view):
        if extension.save is None:
            continue
        field = FormField(extension.name, str(extension.label), "text")
        if extension.choices:
            field.kind = "choice"
            field.choices = [("", "—"), *((v, str(text)) for v, text in extension.choices)]
        if given is not None:
            field.value = given.get(extension.name, "")
        elif record is not None:
            texts = _isolated(scope, extension, extension.values, scope, [record])
            by_label = {str(text): value for value, text in extension.choices}
            shown = (texts or {}).get(record.id, "")
            field.value = by_label.get(shown, shown)
        field.error = (errors or {}).get(extension.name, "")
        made.append(field)
    return made


def save(scope: Scope, view: type[RecordView], record: Any, given: Mapping[str, str]) -> None:
    """Hand the added fields to their plugins; raises Invalid naming the wrong ones.

    What a plugin raises by mistake undoes the whole form: half of it is not what was asked for.
    """
    for extension in extensions_of(scope, view):
        if extension.save is None or extension.name not in given:
            continue
        try:
            with scope.installation.plugins.boundary(extension.plugin, "view extension"):
                extension.save(scope, record, given[extension.name].strip())
        except Invalid as error:
            text = " ".join(error.fields.values()) or str(error)
            raise Invalid(error.message, fields={extension.name: text}) from error


def _isolated(
    scope: Scope, extension: ViewExtension, ask: Callable[..., T], *arguments: Any
) -> T | None:
    try:
        with (
            scope.session.begin_nested(),
            scope.installation.plugins.boundary(extension.plugin, "view extension"),
        ):
            return ask(*arguments)
    except DougongError:
        raise
    except Exception:  # noqa: BLE001 - the plugin boundary; it has been counted and logged
        return None
