"""Functions: the kernel's are as its SQL files say, and none else runs with the owner's rights."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from sqlalchemy import Connection, Row, text

from dougong.db.base import KERNEL_SCHEMA
from dougong.db.linter.findings import Finding, take_away
from dougong.db.statements import split_statements

# What runs with the owner's rights, past row-level security, and who may call it.
DEFINERS: dict[str, frozenset[str]] = {
    "enter": frozenset({"dougong_app", "dougong_access", "dougong_platform"}),
    "audit_append": frozenset(),
    "audit_rows": frozenset(),
    "audit_redact": frozenset({"dougong_platform"}),
    "procrastinate_defer_jobs_v1": frozenset({"dougong_app", "dougong_access", "dougong_platform"}),
}
SAFE_PATH = {"pg_catalog", KERNEL_SCHEMA, "pg_temp"}
SOURCES = ("scope.sql", "audit.sql", "jobs.sql")
MADE = re.compile(
    r"(?is)create\s+(?:or\s+replace\s+)?(?:function|procedure)\s+(?:dougong\.)?(\w+)\s*\("
)
VOLATILITY = re.compile(r"(?i)\b(immutable|stable)\b")
REMADE = "a superuser changed it: run its statement in dougong/db/sql again"


@dataclass(frozen=True)
class Source:
    """A function as the kernel's SQL says: its body, and ``i``, ``s`` or ``v`` for volatility."""

    body: str
    volatility: str


@cache
def kernel_functions() -> dict[str, Source]:
    """Return every function of the kernel by name; the last definition of a name holds."""
    made: dict[str, Source] = {}
    for name in SOURCES:
        script = files("dougong.db").joinpath(f"sql/{name}").read_text()
        for statement in split_statements(script):
            found = MADE.match(statement)
            if found is not None:
                made[found[1]] = _source(statement)
    return made


def _source(statement: str) -> Source:
    head, quote, rest = statement.partition("$$")
    body = rest.rpartition("$$")[0] if quote else head[head.lower().rindex("return ") :]
    word = VOLATILITY.search(head + rest.rpartition("$$")[2])
    return Source(_bare(body), word[1][0].lower() if word else "v")


def _bare(body: str) -> str:
    """Return a body without what PostgreSQL adds when it prints an expression."""
    return re.sub(r"\s|[()]|::text|\bdougong\.", "", body).lower()


def lint_functions(connection: Connection, schemas: tuple[str, ...]) -> Iterator[Finding]:
    """Yield the faults of the functions in ``schemas``."""
    rows = connection.execute(text(FUNCTIONS), {"schemas": list(schemas)}).all()
    for row in rows:
        yield from _rights(row)
        if row.schema == KERNEL_SCHEMA:
            yield from _as_made(row)
    there = {row.name for row in rows if row.schema == KERNEL_SCHEMA}
    for name in sorted(set(kernel_functions()) - there) if KERNEL_SCHEMA in schemas else ():
        yield Finding(f"{KERNEL_SCHEMA}.{name}", "is missing", REMADE)


def _rights(row: Row[Any]) -> Iterator[Finding]:
    where = f"{row.schema}.{row.name}"
    if row.owner != "dougong_owner":
        remedy = f"run `alter {row.kind} {where} owner to dougong_owner`"
        yield Finding(where, f"belongs to {row.owner}, not dougong_owner", remedy)
    allowed = DEFINERS.get(row.name) if row.schema == KERNEL_SCHEMA else None
    if not row.definer:
        return
    if not _is_path_safe(row.config or ()):
        yield Finding(
            where,
            "is SECURITY DEFINER without a safe search_path of its own",
            f"run `alter {row.kind} {where} set search_path = pg_catalog, pg_temp`",
        )
    if allowed is None:
        yield Finding(
            where,
            "is SECURITY DEFINER: it runs as the owner, past every policy",
            f"run `alter {row.kind} {where} security invoker`",
        )
    for role in sorted(set(row.callers) - (allowed or frozenset())):
        yield Finding(
            where,
            f"is SECURITY DEFINER and {role} may execute it",
            take_away(f"revoke execute on {row.kind} {where} from {role}"),
        )


def _is_path_safe(config: tuple[str, ...]) -> bool:
    """Tell whether the path names only schemas that no role writes to, temporary tables last."""
    for setting in config:
        name, _, value = setting.partition("=")
        if name == "search_path":
            path = [each.strip().strip('"') for each in value.split(",")]
            return set(path) <= SAFE_PATH and path[-1] == "pg_temp"
    return False


def _as_made(row: Row[Any]) -> Iterator[Finding]:
    where, source = f"{row.schema}.{row.name}", kernel_functions().get(row.name)
    if source is None:
        yield Finding(
            where, f"is a {row.kind} that the kernel did not make", f"run `drop {row.kind} {where}`"
        )
        return
    if _bare(row.body) != source.body:
        yield Finding(where, "does not do what the kernel's SQL says", REMADE)
    if row.volatility != source.volatility:
        fault = (
            f"is declared {row.volatility}, not {source.volatility}, so plans may keep its value"
        )
        yield Finding(where, fault, REMADE)
    if row.name in DEFINERS and not row.definer:
        yield Finding(where, "is not SECURITY DEFINER any more", REMADE)


FUNCTIONS = """
    select n.nspname::text as schema, p.proname::text as name, p.prosecdef as definer,
           case p.prokind when 'p' then 'procedure' else 'function' end as kind,
           p.provolatile::text as volatility, p.proconfig as config,
           pg_get_userbyid(p.proowner)::text as owner,
           coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as body,
           array(select coalesce(pg_get_userbyid(nullif(a.grantee, 0)), 'PUBLIC')::text
                 from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                 where a.grantee <> p.proowner) as callers
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = any (:schemas) order by 1, 2
"""
