"""What protects a table: row-level security, grants and the audit trigger, by its kind.

`protection` returns the statements by which the database still differs from that, so that it can
be run after every migration and shown in a dry run; the catalogue linter compares with the same
declarations.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, Table

from dougong.db.base import METADATA
from dougong.db.catalogue import Catalogue, Relation, read_catalogue


@dataclass(frozen=True)
class Policy:
    """A permissive policy; the expressions are written as PostgreSQL prints them.

    command: ``select``, ``insert``, ``update``, ``delete`` or ``all``.
    """

    command: str
    role: str
    using: str | None = None
    check: str | None = None

    def __str__(self) -> str:
        using = f" using ({self.using})" if self.using else ""
        check = f" with check ({self.check})" if self.check else ""
        return f"for {self.command} to {self.role}{using}{check}"


def _scope(column: str, place: str, *, is_root: bool = False) -> dict[str, Policy]:
    """Return the policies of rows whose ``column`` names the place that they belong to."""
    reads = {
        "community": "ANY (( SELECT dougong.reading_communities() AS reading_communities)::uuid[])",
        "group": "( SELECT dougong.reading_group() AS reading_group)",
    }[place]
    here = f"({column} = ( SELECT dougong.writing_{place}() AS writing_{place}))"
    policies = {
        "scope_select": Policy("select", "dougong_app", using=f"({column} = {reads})"),
        "scope_insert": Policy("insert", "dougong_app", check=here),
        "scope_update": Policy("update", "dougong_app", using=here, check=here),
        "scope_delete": Policy("delete", "dougong_app", using=here),
    }
    kept = ("scope_select", "scope_update") if is_root else tuple(policies)
    return {name: policies[name] for name in kept}


ACCESS_READS = {"access_all": Policy("select", "dougong_access", using="true")}
POLICIES: dict[str, dict[str, Policy]] = {
    "community": _scope("community_id", "community"),
    "group": _scope("group_id", "group") | ACCESS_READS,
    "community_root": _scope("id", "community", is_root=True) | ACCESS_READS,
    "group_root": _scope("id", "group", is_root=True) | ACCESS_READS,
    "platform": {"access_all": Policy("all", "dougong_access", using="true")},
}
EVERYTHING = "select, insert, update, delete"
GRANTS: dict[str, dict[str, str]] = {
    "community": {"dougong_app": EVERYTHING},
    "group": {"dougong_app": EVERYTHING, "dougong_access": "select"},
    "community_root": {"dougong_app": "select, update", "dougong_access": "select"},
    "group_root": {"dougong_app": "select, update", "dougong_access": "select"},
    "platform": {"dougong_access": EVERYTHING},
}
ALWAYS_GRANTED = {"dougong_platform": EVERYTHING, "dougong_backup": "select"}
# A partition is reached through its parent, whose policies and grants hold then. Read by its own
# name it would show every community, so nobody may; a backup copies partitions one by one.
PARTITION_GRANTS = {"dougong_backup": "select"}
PARTITION = re.compile(
    r'(?is)\s*create\s+table\s+(?:if\s+not\s+exists\s+)?([\w".]+)\s+partition\s+of\s+([\w".]+)'
)
SCHEMA_USERS = ("dougong_app", "dougong_access", "dougong_platform", "dougong_backup")
REFERENCING = {
    "insert": "referencing new table as new_rows",
    "update": "referencing old table as old_rows new table as new_rows",
    "delete": "referencing old table as old_rows",
}


def wanted_grants(table: Table) -> dict[str, frozenset[str]]:
    """Return who may do what with a table, by role, in small letters."""
    grants = {**GRANTS[table.info["kind"]], **ALWAYS_GRANTED, **table.info.get("grants", {})}
    return privileges(grants)


def privileges(grants: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return ``select, insert`` by role as sets."""
    return {role: frozenset(verbs.split(", ")) for role, verbs in grants.items()}


def wanted_triggers(table: Table) -> dict[str, str]:
    """Return the statements that make the audit's triggers, by name."""
    if not table.info["audited"]:
        return {}
    name = f'{table.schema}."{table.name}"'
    return {
        f"audit_{operation}": f"create trigger audit_{operation} after {operation} on {name}"
        f" {tables} for each statement execute function dougong.audit_rows()"
        for operation, tables in REFERENCING.items()
    }


def protection(
    connection: Connection | None,
    schema: str,
    metadata: MetaData = METADATA,
    coming: Iterable[str] = (),
) -> list[str]:
    """Return the statements that protect every table of ``schema`` as declared, in order.

    connection: None for a schema that does not exist yet: everything is missing. coming: the
    statements that will run before, whose partitions are protected with the others.
    """
    have = read_catalogue(connection, schema) if connection is not None else Catalogue()
    for part, root in partitions_made(coming):
        have.relations.setdefault(part, Relation(part, root=root))
    users = have.schemas.get(schema, {})
    statements = [
        f"grant usage on schema {schema} to {role}"
        for role in SCHEMA_USERS
        if "usage" not in users.get(role, ())
    ]
    for table in metadata.sorted_tables:
        if table.schema == schema:
            statements += _table(table, have)
    return statements


def partitions_made(statements: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (partition, table) of every CREATE TABLE … PARTITION OF, without quotes."""
    for match in filter(None, map(PARTITION.match, statements)):
        yield match[1].replace('"', ""), match[2].replace('"', "")


def _table(table: Table, have: Catalogue) -> Iterator[str]:
    key = f"{table.schema}.{table.name}"
    name, known = f'{table.schema}."{table.name}"', have.relations.get(key, Relation(key))
    yield from _security(name, known)
    yield from _policies(name, known, POLICIES[table.info["kind"]])
    yield from _grants(name, known, wanted_grants(table))
    yield from _audit_triggers(name, known, wanted_triggers(table))
    for part in sorted(have.partitions_of(key), key=lambda p: p.name):
        yield from _security(quoted(part.name), part)
        yield from _policies(quoted(part.name), part, {})
        yield from _grants(quoted(part.name), part, privileges(PARTITION_GRANTS))


def _security(name: str, known: Relation) -> Iterator[str]:
    if not (known.secured and known.forced):
        yield f"alter table {name} enable row level security"
        yield f"alter table {name} force row level security"


def _policies(name: str, known: Relation, wanted: Mapping[str, Policy]) -> Iterator[str]:
    for policy, found in known.policies.items():
        if found != wanted_form(wanted.get(policy)):
            yield f"drop policy {quoted(policy)} on {name}"
    for policy, definition in wanted.items():
        if known.policies.get(policy) != wanted_form(definition):
            yield f"create policy {policy} on {name} {definition}"


def wanted_form(policy: Policy | None) -> tuple[object, ...] | None:
    """Return what the catalogue says of a policy that is as declared."""
    if policy is None:
        return None
    return (policy.command, True, (policy.role,), policy.using, policy.check)


def _grants(name: str, known: Relation, wanted: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Take from a role what it should not have, and give it what it lacks."""
    for role in sorted(set(known.grants) | set(known.column_grants)):
        if _has_too_much(known, role, wanted.get(role, frozenset())):
            yield f"revoke all on {name} from {_named(role)} cascade"
    for role, verbs in wanted.items():
        is_revoked = _has_too_much(known, role, verbs)
        missing = verbs if is_revoked else verbs - known.grants.get(role, frozenset())
        if missing:
            yield f"grant {', '.join(v for v in ORDER if v in missing)} on {name} to {role}"


def _has_too_much(known: Relation, role: str, may: frozenset[str]) -> bool:
    more = known.grants.get(role, frozenset()) - may
    return bool(more) or role in known.column_grants or role in known.may_pass_on


ORDER = (*EVERYTHING.split(", "), "maintain")


def _named(role: str) -> str:
    return "public" if role == "PUBLIC" else quoted(role)


def quoted(name: str) -> str:
    """Return ``schema.table`` or a single name in quotes."""
    return ".".join(f'"{part}"' for part in name.split("."))


def same_definition(one: str, other: str) -> bool:
    """Tell whether two texts define the same trigger, however names are quoted."""
    return one.replace('"', "").lower() == other.replace('"', "").lower()


def _audit_triggers(name: str, known: Relation, wanted: Mapping[str, str]) -> Iterator[str]:
    for trigger, definition in wanted.items():
        found, _enabled = known.triggers.get(trigger, ("", ""))
        if found and not same_definition(found, definition):
            yield f"drop trigger {trigger} on {name}"
        if not same_definition(found, definition):
            yield definition
    # ALWAYS: they fire in a session that calls itself a replica, too.
    if any(known.triggers.get(trigger, ("", ""))[1] != "A" for trigger in wanted):
        always = (f"enable always trigger {trigger}" for trigger in wanted)
        yield f"alter table {name} {', '.join(always)}"
