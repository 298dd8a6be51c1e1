"""What protects a table: row-level security, grants and the audit trigger, by its kind.

`protection` returns the statements that are still missing in the database, so that it can be run
after every migration and shown in a dry run.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, MetaData, Table, text

from dougong.db.base import METADATA

READ = "(select dougong.reading_communities())::uuid[]"
POLICIES: dict[str, dict[str, str]] = {
    "community": {
        "scope_select": f"for select to dougong_app using (community_id = any ({READ}))",
        "scope_insert": "for insert to dougong_app"
        " with check (community_id = (select dougong.writing_community()))",
        "scope_update": "for update to dougong_app"
        " using (community_id = (select dougong.writing_community()))"
        " with check (community_id = (select dougong.writing_community()))",
        "scope_delete": "for delete to dougong_app"
        " using (community_id = (select dougong.writing_community()))",
    },
    "group": {
        "scope_select": "for select to dougong_app"
        " using (group_id = (select dougong.reading_group()))",
        "scope_insert": "for insert to dougong_app"
        " with check (group_id = (select dougong.writing_group()))",
        "scope_update": "for update to dougong_app"
        " using (group_id = (select dougong.writing_group()))"
        " with check (group_id = (select dougong.writing_group()))",
        "scope_delete": "for delete to dougong_app"
        " using (group_id = (select dougong.writing_group()))",
    },
    "community_root": {
        "scope_select": f"for select to dougong_app using (id = any ({READ}))",
        "scope_update": "for update to dougong_app"
        " using (id = (select dougong.writing_community()))"
        " with check (id = (select dougong.writing_community()))",
    },
    "group_root": {
        "scope_select": "for select to dougong_app using (id = (select dougong.reading_group()))",
        "scope_update": "for update to dougong_app"
        " using (id = (select dougong.writing_group()))"
        " with check (id = (select dougong.writing_group()))",
    },
    "platform": {},
}
EVERYTHING = "select, insert, update, delete"
GRANTS: dict[str, dict[str, str]] = {
    "community": {"dougong_app": EVERYTHING},
    "group": {"dougong_app": EVERYTHING, "dougong_access": "select"},
    "community_root": {"dougong_app": "select, update", "dougong_access": "select"},
    "group_root": {"dougong_app": "select, update", "dougong_access": "select"},
    "platform": {"dougong_access": EVERYTHING},
}
OPEN_POLICY = {"group": True, "community_root": True, "group_root": True, "platform": True}


def protection(
    connection: Connection | None, schema: str, metadata: MetaData = METADATA
) -> list[str]:
    """Return the missing protective statements for every table of ``schema``, in order.

    connection: None for a schema that does not exist yet: everything is missing.
    """
    have = _Present(connection, schema)
    statements = [
        f"grant usage on schema {schema} to {role}"
        for role in ("dougong_app", "dougong_access", "dougong_platform", "dougong_backup")
        if not have.usage(role)
    ]
    for table in metadata.sorted_tables:
        if table.schema == schema:
            statements += _table(table, have)
    return statements


def _table(table: Table, have: "_Present") -> Iterator[str]:
    name, kind = f'{table.schema}."{table.name}"', table.info["kind"]
    if not have.secured(table.name):
        yield f"alter table {name} enable row level security"
        yield f"alter table {name} force row level security"
    policies = dict(POLICIES[kind])
    if OPEN_POLICY.get(kind):
        verbs = "all" if kind == "platform" else "select"
        policies["access_all"] = f"for {verbs} to dougong_access using (true)"
    for policy, definition in policies.items():
        if not have.policy(table.name, policy):
            yield f"create policy {policy} on {name} {definition}"
    grants = {**GRANTS[kind], "dougong_platform": EVERYTHING, "dougong_backup": "select"}
    grants |= table.info.get("grants", {})
    for role, privileges in grants.items():
        if not have.granted(table.name, role):
            yield f"grant {privileges} on {name} to {role}"
    if table.info["audited"]:
        yield from _audit_triggers(table, name, have)


def _audit_triggers(table: Table, name: str, have: "_Present") -> Iterator[str]:
    referencing = {
        "insert": "referencing new table as new_rows",
        "update": "referencing old table as old_rows new table as new_rows",
        "delete": "referencing old table as old_rows",
    }
    for operation, tables in referencing.items():
        trigger = f"audit_{operation}"
        if not have.trigger(table.name, trigger):
            yield (
                f"create trigger {trigger} after {operation} on {name} {tables}"
                " for each statement execute function dougong.audit_rows()"
            )
    # ALWAYS: they fire in a session that calls itself a replica, too.
    if not have.always(table.name):
        each = (f"enable always trigger audit_{operation}" for operation in referencing)
        yield f"alter table {name} {', '.join(each)}"


class _Present:
    """What the database already has in one schema."""

    def __init__(self, connection: Connection | None, schema: str) -> None:
        self.facts: dict[str, set[tuple[str, str]]] = {
            "policy": set(),
            "trigger": set(),
            "grant": set(),
            "secured": set(),
            "usage": set(),
            "always": set(),
        }
        if connection is not None:
            self._read(connection, schema)

    def _read(self, connection: Connection, schema: str) -> None:
        queries = {
            "policy": "select tablename, policyname from pg_policies where schemaname = :schema",
            "trigger": "select c.relname, t.tgname from pg_trigger t"
            " join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = :schema and not t.tgisinternal",
            "always": "select c.relname, 'yes' from pg_trigger t"
            " join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = :schema and t.tgname like 'audit\\_%' and t.tgenabled = 'A'"
            " group by c.relname having count(*) >= 3",
            "grant": "select distinct c.relname, r.rolname from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace,"
            " aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee"
            " where n.nspname = :schema",
            "secured": "select c.relname, 'yes' from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = :schema and c.relrowsecurity and c.relforcerowsecurity",
            "usage": "select r.rolname, 'yes' from pg_namespace n,"
            " aclexplode(n.nspacl) a join pg_roles r on r.oid = a.grantee"
            " where n.nspname = :schema and a.privilege_type = 'USAGE'",
        }
        for fact, query in queries.items():
            rows = connection.execute(text(query), {"schema": schema})
            self.facts[fact] = {(row[0], row[1]) for row in rows}

    def policy(self, table: str, name: str) -> bool:
        return (table, name) in self.facts["policy"]

    def trigger(self, table: str, name: str) -> bool:
        return (table, name) in self.facts["trigger"]

    def granted(self, table: str, role: str) -> bool:
        return (table, role) in self.facts["grant"]

    def secured(self, table: str) -> bool:
        return (table, "yes") in self.facts["secured"]

    def always(self, table: str) -> bool:
        return (table, "yes") in self.facts["always"]

    def usage(self, role: str) -> bool:
        return (role, "yes") in self.facts["usage"]
