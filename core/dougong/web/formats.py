"""How templates write days and instants: the filters ``day`` and ``instant``."""

from datetime import date, datetime

from babel.dates import format_date, format_datetime
from flask import g

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
