"""What all models of the plugin are declared with."""

from typing import Any

from sqlalchemy import Boolean, Integer, String, false, literal_column, true
from sqlalchemy.orm import mapped_column

from dougong.db import label, plugin_base

Base = plugin_base("equipment")


def read_only(english: str, chinese: str) -> dict[str, object]:
    """Return the ``info`` of a column that only services set."""
    return {**label(english, chinese), "api": "read"}


def words(length: int, english: str, chinese: str, **more: Any) -> Any:
    """Return a column of short text."""
    return mapped_column(String(length), info=label(english, chinese), **more)


def whole(default: int, english: str, chinese: str) -> Any:
    """Return a column of whole numbers with a default that the database knows, too."""
    known = literal_column(str(default))
    info = label(english, chinese)
    return mapped_column(Integer, default=default, server_default=known, info=info)


def flag(default: bool, english: str, chinese: str) -> Any:
    """Return a column of yes or no."""
    known = true() if default else false()
    info = label(english, chinese)
    return mapped_column(Boolean, default=default, server_default=known, info=info)
