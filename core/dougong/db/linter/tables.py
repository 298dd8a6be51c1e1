"""What the linter asks of every table, partition, view and sequence."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Table

from dougong.db.base import METADATA
from dougong.db.catalogue import Catalogue, Grants, Relation
from dougong.db.linter.findings import Finding, put_back, take_away
from dougong.db.linter.keys import lint_keys
from dougong.db.protection import (
    EVERYTHING,
    PARTITION_GRANTS,
    POLICIES,
    Policy,
    privileges,
    same_definition,
    wanted_form,
    wanted_grants,
    wanted_triggers,
)

OWNER = "dougong_owner"
QUEUE = privileges({"dougong_platform": EVERYTHING, "dougong_backup": "select"})
QUEUE_COUNTER = privileges({"dougong_platform": "usage", "dougong_backup": "select"})
QUEUE_TABLES = ("workers", "jobs", "periodic_defers", "events")
# Tables and sequences that no model declares: who may do what with them. The job queue is
# procrastinate's own; it holds ids only and no application's role reads it.
UNDECLARED: dict[str, Grants] = {
    "dougong.scope_key": privileges({"dougong_backup": "maintain"}),
    **{f"dougong.procrastinate_{each}": QUEUE for each in QUEUE_TABLES},
    **{f"dougong.procrastinate_{each}_id_seq": QUEUE_COUNTER for each in QUEUE_TABLES},
}
VERSION_TABLE = "alembic_version"
VIEW_READERS = privileges(
    {"dougong_app": "select", "dougong_platform": "select", "dougong_backup": "select"}
)
INVOKER = ("security_invoker=true", "security_invoker=on", "security_invoker=1")


def lint_relations(catalogue: Catalogue) -> Iterator[Finding]:
    """Yield the faults of everything that holds or shows rows."""
    for name, relation in sorted(catalogue.relations.items()):
        yield from _relation(name, relation)
        if relation.owner != OWNER:
            remedy = f"run `alter table {name} owner to {OWNER}`"
            yield Finding(name, f"belongs to {relation.owner}, not {OWNER}", remedy)


def _relation(name: str, relation: Relation) -> Iterator[Finding]:
    if name in UNDECLARED or name.endswith(f".{VERSION_TABLE}"):
        allowed = UNDECLARED.get(name, privileges({"dougong_backup": "select"}))
        yield from _grants(name, relation, allowed)
        return
    usual = _partition if relation.root else _table
    yield from UNUSUAL.get(relation.kind, usual)(name, relation)


def _sequence(name: str, relation: Relation) -> Iterator[Finding]:
    yield Finding(
        name,
        "is a sequence: one counter for every community tells each what the others do",
        "use uuidv7 ids, or count in a row of the community",
    )


def _unguarded(name: str, relation: Relation) -> Iterator[Finding]:
    what = "materialised view" if relation.kind == "m" else "foreign table"
    yield Finding(
        name,
        f"is a {what}: row-level security cannot hold in it",
        "keep such rows in a table of a model",
    )


def _view(name: str, relation: Relation) -> Iterator[Finding]:
    if not set(relation.options) & set(INVOKER):
        yield Finding(
            name,
            "is a view that is not security_invoker: it reads as its owner, past every policy",
            f"run `alter view {name} set (security_invoker = true)`",
        )
    yield from _grants(name, relation, VIEW_READERS, is_exact=False)
    yield from _rules(name, relation)


# By the kind of relation in PostgreSQL's catalogue, tables and partitions apart.
UNUSUAL = {"S": _sequence, "v": _view, "m": _unguarded, "f": _unguarded}


def _partition(name: str, relation: Relation) -> Iterator[Finding]:
    declared = METADATA.tables.get(relation.root)
    if declared is None:
        yield Finding(name, f"is a partition of {relation.root}, which is in no model", NO_MODEL)
        return
    yield from _security(name, relation, {})
    yield from _grants(name, relation, privileges(PARTITION_GRANTS))
    yield from _triggers(name, relation, {})
    yield from _rules(name, relation)
    yield from lint_keys(name, declared.info.get("kind"), relation)


NO_MODEL = "declare a model for it, or drop it"


def _table(name: str, relation: Relation) -> Iterator[Finding]:
    declared = METADATA.tables.get(name)
    if declared is None:
        yield Finding(name, "is in the database and in no model", NO_MODEL)
        return
    kind = declared.info.get("kind")
    if kind not in POLICIES:
        yield Finding(
            name,
            f"declares no kind of table ({kind})",
            "derive its model from InCommunity, InGroup or OnPlatform",
        )
        return
    yield from _security(name, relation, POLICIES[kind])
    yield from _grants(name, relation, wanted_grants(declared))
    yield from _audit(name, relation, declared)
    yield from _rules(name, relation)
    yield from _columns(name, relation)
    yield from lint_keys(name, kind, relation)


def _security(name: str, relation: Relation, wanted: Mapping[str, Policy]) -> Iterator[Finding]:
    if not (relation.secured and relation.forced):
        yield Finding(name, "row-level security is not enabled and forced", put_back(name))
    missing = sorted(set(wanted) - set(relation.policies))
    if missing:
        yield Finding(name, f"lacks the policies {', '.join(missing)}", put_back(name))
    for policy, found in sorted(relation.policies.items()):
        expected = wanted_form(wanted.get(policy))
        if expected is None:
            remedy = take_away(f"drop policy {policy} on {name}")
            yield Finding(name, f"has the policy {policy}, which the kernel did not make", remedy)
        elif found != expected:
            yield Finding(
                name,
                f"the policy {policy} says {_said(found)} where the kernel says {_said(expected)}",
                put_back(name),
            )


def _said(policy: tuple[object, ...]) -> str:
    command, is_permissive, roles, using, check = policy
    kind = "" if is_permissive else "restrictive, "
    named = ", ".join(roles) if isinstance(roles, tuple) else roles
    return f"“{kind}for {command} to {named} using {using} with check {check}”"


def _grants(
    name: str, relation: Relation, wanted: Grants, *, is_exact: bool = True
) -> Iterator[Finding]:
    """Compare who may do what. is_exact: what is allowed must be granted, too."""
    for role in sorted({*wanted, *relation.grants}):
        has, may = relation.grants.get(role, frozenset()), wanted.get(role, frozenset())
        if has - may:
            yield _too_much(name, role, ", ".join(sorted(has - may)))
        if is_exact and may - has:
            verbs = ", ".join(sorted(may - has))
            yield Finding(name, f"{role} lacks the privilege {verbs}", put_back(name))
    for role, columns in sorted(relation.column_grants.items()):
        yield _too_much(name, role, ", ".join(columns))
    for role in sorted(relation.may_pass_on):
        yield Finding(
            name,
            f"{role} may pass its privileges on to others",
            f"run `revoke grant option for all on {name} from {role} cascade`",
        )


def _too_much(name: str, role: str, verbs: str) -> Finding:
    remedy = take_away(f"revoke {verbs} on {name} from {role}")
    return Finding(name, f"{role} has the privilege {verbs}, which its kind does not give", remedy)


def _audit(name: str, relation: Relation, declared: Table) -> Iterator[Finding]:
    if not declared.info["audited"] and not name.startswith("dougong."):
        yield Finding(
            name,
            "a plugin's table cannot opt out of the audit",
            "remove `__audited__ = False` from its model",
        )
    yield from _triggers(name, relation, wanted_triggers(declared))


def _triggers(name: str, relation: Relation, wanted: Mapping[str, str]) -> Iterator[Finding]:
    for trigger, definition in wanted.items():
        made, enabled = relation.triggers.get(trigger, ("", "A"))
        if not same_definition(made, definition):
            fault = f"lacks the audit's trigger {trigger}"
            yield Finding(name, f"{fault} as the kernel makes it", put_back(name))
        if enabled != "A":
            yield Finding(name, f"its trigger {trigger} does not fire always", put_back(name))
    for trigger in sorted(set(relation.triggers) - set(wanted)):
        yield Finding(
            name,
            f"has the trigger {trigger}: what it does no service, log or Citus knows of",
            take_away(f"drop trigger {trigger} on {name}"),
        )
    if relation.idle:
        yield Finding(
            name,
            f"{relation.idle} of its foreign keys' triggers are switched off",
            f"run `alter table {name} enable trigger all` as a superuser, and check its rows",
        )


def _rules(name: str, relation: Relation) -> Iterator[Finding]:
    for rule in sorted(relation.rules):
        yield Finding(
            name,
            f"has the rule {rule}: it rewrites statements behind the service that made them",
            take_away(f"drop rule {rule} on {name}"),
        )


def _columns(name: str, relation: Relation) -> Iterator[Finding]:
    if relation.enums:
        yield Finding(
            name,
            f"uses PostgreSQL enums ({', '.join(relation.enums)}): not leakproof",
            "declare them with state(): text and a CHECK",
        )
    for column in relation.counted:
        yield Finding(
            name,
            f"{column} is numbered by one counter for every community",
            "use uuidv7 ids, or count in a row of the community",
        )
