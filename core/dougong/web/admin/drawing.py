"""Cells and rows of lists as HTML, drawn in Python: as macros they were most of a page's time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from babel.dates import format_date
from markupsafe import Markup, escape

from dougong.db.scope import Scope
from dougong.i18n import N_, current_locale, gettext, ngettext
from dougong.web.admin.columns import Column, show, tone
from dougong.web.assets import icon

MOST_LISTED = 100
# How cells of a kind behave in a narrow table; moments never break, free text may anywhere.
WIDTHS = {
    "money": "number",
    "number": "number",
    "day": "moment",
    "instant": "moment",
    "text": "free",
    "data": "free",
    "id": "free",
}


def words(key: Any) -> str:
    """Return a key in words, in the locale in force."""
    return gettext(str(key).replace("_", " ").capitalize())


def cell(scope: Scope, column: Column, record: Any) -> Markup:
    """Return a value as it stands in a list and on the record's page."""
    value = show(scope, column, record)
    if value is None or value == "":
        return Markup("")
    if column.kind == "state":
        return _markup(
            f'<span class="pill {tone(getattr(record, column.key))}">{escape(value)}</span>'
        )
    if column.kind == "flag":
        hidden = f'<span class="visually-hidden">{escape(gettext(N_("yes")))}</span>'
        return _markup(f"{icon('check')}{hidden}") if value else Markup("")
    if column.kind == "day":
        return escape(day(value))
    if column.kind == "instant":
        return escape(instant(scope, value))
    return data(value) if column.kind == "data" else escape(value)


def _markup(text: str) -> Markup:
    """Return text as HTML whose parts were escaped before."""
    return Markup(text)


def day(value: Any) -> str:
    """Return a day in the locale's middle form."""
    if current_locale() == "en":
        return format_date(value, "medium", locale="en")
    return f"{value.year}年{value.month}月{value.day}日"


def instant(scope: Scope, value: Any) -> str:
    """Return an instant in the place's zone."""
    return value.astimezone(scope.zone).strftime("%Y-%m-%d %H:%M")


def data(value: Any) -> Markup:
    """Return a structure: a list of terms, of entries that open, or plain text."""
    if isinstance(value, Mapping):
        parts = [f"<dt>{escape(words(k))}</dt><dd>{data(v)}</dd>" for k, v in value.items()]
        return _markup(f'<dl class="small mb-0">{"".join(parts)}</dl>')
    if isinstance(value, bool):
        return escape(gettext(N_("yes") if value else N_("no")))
    if isinstance(value, str | int | float):
        return escape(_translated(value))
    if not value:
        return Markup("")
    entries = [f"<li>{_entry(each)}</li>" for each in value[:MOST_LISTED]]
    entries += ["<li>…</li>"] if len(value) > MOST_LISTED else []
    number = escape(ngettext("One entry", "%(num)s entries", len(value)))
    listed = f'<ul class="small">{"".join(entries)}</ul>'
    return _markup(f"<details><summary>{number}</summary>{listed}</details>")


def _entry(value: Any) -> Markup:
    if not isinstance(value, Mapping):
        return escape(value)
    return escape(", ".join(f"{words(k)}: {_translated(v)}" for k, v in value.items()))


def _translated(value: Any) -> Any:
    return gettext(value) if isinstance(value, str) and value else value


# --- the rows of a list ---------------------------------------------------------------------------


def rows(
    scope: Scope,
    columns: Sequence[Column],
    records: Iterable[Any],
    *,
    base: str,
    link: Callable[[Any], str],
    picks: bool = False,
    inline: Sequence[str] = (),
    extensions: Sequence[tuple[Any, Mapping[UUID, str]]] = (),
    communities: Mapping[UUID, str] | None = None,
) -> Markup:
    """Return the rows of a list's table.

    base: the list's address. link: returns a record's address. picks: a box to choose each row.
    inline: columns whose cells open as a field. extensions: other plugins' texts by record.
    communities: names for group pages.
    """
    heads = [_head(column, number, inline) for number, column in enumerate(columns)]
    change, place = escape(gettext(N_("Change"))), escape(gettext(N_("Community")))
    made: list[str] = []
    for record in records:
        made.append("<tr>")
        if picks:
            made.append(_pick(record))
        for number, (column, head) in enumerate(zip(columns, heads, strict=True)):
            text = cell(scope, column, record)
            if number == 0:
                text = _markup(f'<a class="record-link" href="{link(record)}">{text or "—"}</a>')
            elif column.key in inline:
                address = f"{base}{record.id}/cell/{column.key}"
                text = _markup(
                    f'<button class="edit-cell" type="button" title="{change}" hx-get="{address}"'
                    f' hx-target="closest td" hx-swap="innerHTML">{text or "—"}</button>'
                )
            made.append(f"{head}{text}</td>")
        for extension, values in extensions:
            label, text = escape(extension.label), escape(values.get(record.id, ""))
            made.append(f'<td data-label="{label}">{text}</td>')
        if communities:
            name = escape(communities.get(record.community_id, ""))
            made.append(f'<td data-label="{place}">{name}</td>')
        made.append("</tr>\n")
    return _markup("".join(made))


def _head(column: Column, number: int, inline: Sequence[str]) -> str:
    names = [WIDTHS[column.kind]] if column.kind in WIDTHS else []
    names += ["first"] if number == 0 else []
    classes = f' class="{" ".join(names)}"' if names else ""
    classes += ' translate="no"' if column.is_code else ""
    return f'<td{classes} data-label="{escape(column.label)}">'


def _pick(record: Any) -> str:
    label = escape(gettext(N_("Choose %(what)s"), what=record))
    box = f'<input type="checkbox" name="ids" value="{record.id}" aria-label="{label}">'
    return f'<td class="pick">{box}</td>'


__all__ = ["cell", "data", "day", "instant", "rows", "words"]
