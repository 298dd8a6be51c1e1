"""How templates write texts, days and instants: ``_``, and the filters ``day`` and ``instant``."""

from datetime import date, datetime
from typing import Any

from babel.dates import format_date, format_datetime
from flask import g
from markupsafe import Markup

from dougong import i18n
from dougong.db.scope import Scope


def day(value: date | None) -> str:
    """Return a day in the reader's language, nothing for None."""
    return format_date(value, "medium", locale=i18n.current_locale()) if value else ""


def instant(value: datetime | None) -> str:
    """Return an instant to the minute on the clocks of the place, nothing for None."""
    if not value:
        return ""
    scope: Scope | None = g.get("scope")
    local = value.astimezone(scope.zone) if scope else value
    return format_datetime(local, "yyyy-MM-dd HH:mm", locale=i18n.current_locale())


def said(message: str, /, **values: Any) -> Markup:
    """Return a message in the reader's language as HTML, with its values escaped."""
    text = Markup(i18n.gettext(message))
    return text % values if "%" in text else text
