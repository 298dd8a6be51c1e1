"""The catalogue linter: proves from the database, not by review, that tenancy holds everywhere.

It reads pg_catalog, never the models, so that a table made behind their back is found too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from dougong.db.base import METADATA

KEYS = {"community": "community_id", "group": "group_id"}
NEEDED = {
    "community": {"scope_select", "scope_insert", "scope_update", "scope_delete"},
    "group": {"scope_select", "scope_insert", "scope_update", "scope_delete"},
    "community_root": {"scope_select", "scope_update"},
    "group_root": {"scope_select", "scope_update"},
    "platform": {"access_all"},
}
FREE_OF_KIND = {"alembic_version", "scope_key"}
AUDIT_TRIGGERS = {"audit_insert", "audit_update", "audit_delete"}


@dataclass(frozen=True)
class Finding:
    """One fault: the table (or role, or function) and what is wrong with it."""

    where: str
    fault: str

    def __str__(self) -> str:
        return f"{self.where}: {self.fault}"


def lint(connection: Connection, *schemas: str) -> list[Finding]:
    """Return every fault in the tables of ``schemas``, empty when all is well."""
    facts = _read(connection, list(schemas))
    findings = [f for name in sorted(facts) for f in _table(name, facts[name])]
    return findings + list(_roles(connection)) + list(_functions(connection, list(schemas)))


def _read(connection: Connection, schemas: list[str]) -> dict[str, Mapping]:
    rows = connection.execute(TABLES, {"schemas": schemas}).mappings()
    return {
        f"{row['schema']}.{row['name']}": dict(row)
        for row in rows
        if row["name"] not in FREE_OF_KIND
        and not row["name"].startswith("procrastinate_")
        and not row["is_local"]
    }


def _table(name: str, facts: Mapping) -> Iterator[Finding]:
    declared = METADATA.tables.get(name)
    if declared is None:
        yield Finding(name, "is in the database and in no model")
        return
    kind = declared.info.get("kind")
    if kind not in NEEDED:
        yield Finding(name, f"declares no kind of table ({kind})")
        return
    if not (facts["secured"] and facts["forced"]):
        yield Finding(name, "row-level security is not enabled and forced")
    missing = NEEDED[kind] - set(facts["policies"])
    if missing:
        yield Finding(name, f"lacks the policies {', '.join(sorted(missing))}")
    if declared.info["audited"] and set(facts["triggers"]) != AUDIT_TRIGGERS:
        yield Finding(name, f"has the triggers {sorted(facts['triggers'])}, not the audit's")
    if not declared.info["audited"] and not name.startswith("dougong."):
        yield Finding(name, "a plugin's table cannot opt out of the audit")
    if kind == "platform" and "dougong_app" in facts["grantees"]:
        yield Finding(name, "the application's role has grants on a platform table")
    if facts["enums"]:
        yield Finding(name, f"uses PostgreSQL enums ({', '.join(facts['enums'])}): not leakproof")
    if kind in KEYS:
        yield from _keys(name, KEYS[kind], kind, facts)


def _keys(name: str, key: str, kind: str, facts: Mapping) -> Iterator[Finding]:
    if facts["primary"] != [key, "id"] and not (
        facts["primary"][:1] == [key] and len(facts["primary"]) > 1
    ):
        yield Finding(name, f"its primary key is {facts['primary']}, not ({key}, …)")
    for constraint, columns in (facts["uniques"] or {}).items():
        if key not in columns:
            yield Finding(name, f"the unique {constraint} lacks {key}")
    for constraint, columns, target, action in facts["foreign"] or ():
        other = METADATA.tables.get(target)
        other_kind = other.info.get("kind") if other is not None else None
        if other_kind == kind and key not in columns:
            yield Finding(name, f"the foreign key {constraint} to {target} lacks {key}")
        if action in ("n", "d"):
            yield Finding(name, f"the foreign key {constraint} sets null or default on delete")
        if other_kind == "platform":
            yield Finding(name, f"the foreign key {constraint} leads to a platform table")
        allowed = {name.partition(".")[0], "dougong"}
        if other is None or (other.schema not in allowed and not _depends(name, target)):
            yield Finding(name, f"the foreign key {constraint} leads to undeclared {target}")


def _depends(name: str, target: str) -> bool:
    return target.partition(".")[0] in ALLOWED_TARGETS.get(name.partition(".")[0], ())


ALLOWED_TARGETS: dict[str, tuple[str, ...]] = {}


def allow_references(schema: str, targets: tuple[str, ...]) -> None:
    """Declare the schemas of the plugins that a plugin's manifest depends on."""
    ALLOWED_TARGETS[schema] = targets


def _roles(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        text(
            "select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin"
            " from pg_roles where rolname like 'dougong\\_%'"
        )
    )
    for role in rows:
        if role.rolsuper or role.rolcreaterole or role.rolcreatedb:
            yield Finding(role.rolname, "has more rights than the kernel gave it")
        if role.rolbypassrls and role.rolname in ("dougong_app", "dougong_access"):
            yield Finding(role.rolname, "bypasses row-level security")
        if role.rolname == "dougong_owner" and role.rolcanlogin:
            yield Finding(role.rolname, "can sign in")


def _functions(connection: Connection, schemas: list[str]) -> Iterator[Finding]:
    rows = connection.execute(
        text(
            "select n.nspname || '.' || p.proname as name, p.proconfig as config"
            " from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
            " where n.nspname = any (:schemas) and p.prosecdef"
        ),
        {"schemas": schemas},
    )
    for row in rows:
        if not any(str(c).startswith("search_path=") for c in row.config or ()):
            yield Finding(row.name, "is SECURITY DEFINER without a search_path of its own")
    views = connection.execute(
        text(
            "select schemaname || '.' || viewname from pg_views v join pg_class c"
            " on c.oid = (quote_ident(schemaname) || '.' || quote_ident(viewname))::regclass"
            " where schemaname = any (:schemas)"
            " and not coalesce('security_invoker=true' = any (c.reloptions), false)"
        ),
        {"schemas": schemas},
    )
    for (view,) in views:
        yield Finding(view, "is a view that is not security_invoker")


TABLES = text(
    """
    select n.nspname as schema, c.relname as name, c.relrowsecurity as secured,
           c.relforcerowsecurity as forced,
           coalesce(obj_description(c.oid) = 'local', false) as is_local,
           array(select polname::text from pg_policy where polrelid = c.oid) as policies,
           array(select tgname || case tgenabled when 'A' then '' when 'D' then ' (disabled)'
                                  else ' (not always)' end from pg_trigger
                 where tgrelid = c.oid and not tgisinternal) as triggers,
           array(select distinct r.rolname::text from aclexplode(c.relacl) a
                 join pg_roles r on r.oid = a.grantee) as grantees,
           array(select a.attname::text from pg_attribute a join pg_type t on t.oid = a.atttypid
                 where a.attrelid = c.oid and a.attnum > 0 and t.typtype = 'e') as enums,
           coalesce((select array(
                         select a.attname::text from unnest(i.indkey) with ordinality k(n, o)
                         join pg_attribute a on a.attrelid = c.oid and a.attnum = k.n
                         order by k.o)
            from pg_index i where i.indrelid = c.oid and i.indisprimary), '{}') as "primary",
           (select json_object_agg(x.relname, array(
                select a.attname from unnest(i.indkey) k(n)
                join pg_attribute a on a.attrelid = c.oid and a.attnum = k.n))
            from pg_index i join pg_class x on x.oid = i.indexrelid
            where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)) as uniques,
           (select json_agg(json_build_array(f.conname,
                array(select a.attname from unnest(f.conkey) k(n)
                      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.n),
                tn.nspname || '.' || t.relname, f.confdeltype))
            from pg_constraint f join pg_class t on t.oid = f.confrelid
            join pg_namespace tn on tn.oid = t.relnamespace
            where f.conrelid = c.oid and f.contype = 'f') as "foreign"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any (:schemas) and c.relkind in ('r', 'p') and not c.relispartition
    """
)
