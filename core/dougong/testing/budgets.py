"""What a page may cost: at most six statements, and no whole table read."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event

from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.web.admin import registry

MOST_STATEMENTS = 6
FRAME = re.compile(r"^\s*(begin|commit|rollback|set|savepoint|release)\b", re.IGNORECASE)


@dataclass
class Seen:
    """The statements of one page, with their parameters; BEGIN, SET and COMMIT apart."""

    statements: list[tuple[str, Any]] = field(default_factory=list)


@contextmanager
def watched() -> Iterator[Seen]:
    """Yield a list that grows by every statement of this process that asks for rows."""
    seen = Seen()

    def note(
        conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if not FRAME.match(statement):
            seen.statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def list_addresses(plugins: Sequence[str], base: str) -> list[str]:
    """Return the addresses of the admin's lists of some plugins. base: ``/c/<community>``."""
    return [
        f"{base}/admin/{view.model.__table__.schema}/{view.model.__table__.name}/"
        for view in registry.views()
        if view.model.__table__.schema in plugins
    ]


def page_addresses(app: Flask, plugins: Sequence[str], base: str) -> list[str]:
    """Return the addresses of the pages of some plugins that need nothing but a place."""
    found = set()
    for rule in app.url_map.iter_rules():
        plugin = rule.endpoint.partition(".")[0]
        is_plain = "GET" in (rule.methods or ()) and rule.arguments == {"scope"}
        if plugin in plugins and is_plain and rule.endpoint != f"{plugin}.static":
            found.add(base + rule.rule.removeprefix("/<scope:scope>"))
    return sorted(found)


def whole_tables(
    installation: Installation, actor: Actor, community_id: Any, seen: Seen, tables: Sequence[str]
) -> list[str]:
    """Return which of some large tables the statements of a page would read from end to end.

    tables: ``schema.table``; the parts of a partitioned one, ``table_2026_11``, count as it unless
    they hold nothing yet.
    """
    found = []
    with installation.scope(actor, community=community_id) as scope:
        link = scope.session.connection()
        for statement, parameters in seen.statements:
            is_reading = statement.lstrip().lower().startswith(("select", "with"))
            if not is_reading or not any(table in statement for table in tables):
                continue
            asked = f"explain (format json, verbose) {statement}"
            plan: Any = link.exec_driver_sql(asked, parameters).scalar_one()
            plan = json.loads(plan) if isinstance(plan, str) else plan
            found += [name for name in _read_whole(plan[0]["Plan"]) if _is_of(name, tables)]
        size = "select pg_relation_size(cast(%s as regclass))"
        return [name for name in found if link.exec_driver_sql(size, (name,)).scalar_one()]


def _read_whole(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield f"{node.get('Schema')}.{node['Relation Name']}"
    for part in node.get("Plans", ()):
        yield from _read_whole(part)


def _is_of(name: str, tables: Sequence[str]) -> bool:
    return any(re.fullmatch(rf"{re.escape(table)}(_\d+)*", name) for table in tables)
