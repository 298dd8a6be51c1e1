"""Keys as tenancy and Citus need them: the place first, everywhere, and paired with itself.

Citus distributes the tables of communities by ``community_id``; those of groups and places become
reference tables. A key without the place would be unique across tenants, which also tells one
tenant what another has.
"""

from collections.abc import Iterator

from dougong.db.base import METADATA
from dougong.db.catalogue import Key, Reference, Relation
from dougong.db.linter.findings import Finding

KEYS = {"community": "community_id", "group": "group_id"}
ROOTS = {"community": "dougong.community", "group": "dougong.property_group"}
CITUS = "Citus would refuse it"
ALLOWED_TARGETS: dict[str, tuple[str, ...]] = {}


def allow_references(schema: str, targets: tuple[str, ...]) -> None:
    """Declare the schemas of the plugins that a plugin's manifest depends on."""
    ALLOWED_TARGETS[schema] = targets


def lint_keys(name: str, kind: str | None, relation: Relation) -> Iterator[Finding]:
    """Yield the faults of a table's keys and foreign keys. kind: as its model declares."""
    place = KEYS.get(kind or "")
    if place is not None:
        yield from _primary(name, place, relation)
        for key in relation.keys:
            yield from _unique(name, place, key)
    for reference in relation.references:
        yield from _reference(name, kind, reference)


def _primary(name: str, place: str, relation: Relation) -> Iterator[Finding]:
    primary = next((key.columns for key in relation.keys if key.is_primary), ())
    if primary[:1] != (place,) or len(primary) < 2:
        columns = ", ".join(primary) or "missing"
        yield Finding(
            name,
            f"its primary key is ({columns}), not ({place}, …)",
            f"make it ({place}, id), as InCommunity and InGroup do",
        )


def _unique(name: str, place: str, key: Key) -> Iterator[Finding]:
    if key.is_primary:
        return
    if place not in key.columns:
        yield Finding(
            name,
            f"the unique {key.name} lacks {place}: it holds across tenants",
            f"make it ({place}, {', '.join(filter(None, key.columns)) or '…'})",
        )
    elif key.columns[0] != place:
        yield Finding(
            name,
            f"{place} does not come first in the unique {key.name}",
            f"put {place} first: rows of one place are then looked up and distributed together",
        )
    elif place not in key.equal:
        yield Finding(
            name,
            f"the exclusion {key.name} does not compare {place} with =",
            f"write `{place} WITH =`: {CITUS}",
        )


def _reference(name: str, kind: str | None, reference: Reference) -> Iterator[Finding]:
    target = METADATA.tables.get(reference.target)
    target_kind = target.info.get("kind") if target is not None else None
    allowed = {name.partition(".")[0], "dougong", *ALLOWED_TARGETS.get(name.partition(".")[0], ())}
    if reference.target.partition(".")[0] not in allowed or target is None:
        yield _wrong(
            name, reference, "which the manifest does not depend on", "add it to `depends`"
        )
    yield from _pairs(name, kind, target_kind, reference)
    if kind in KEYS and target_kind == "platform":
        remedy = "keep its id without a foreign key: platform rows are none of a community's"
        yield _wrong(name, reference, "a platform table", remedy)
    if kind != "community" and target_kind == "community":
        remedy = f"keep its id without a foreign key: {CITUS}"
        yield _wrong(name, reference, "a community's table from outside of it", remedy)
    if {reference.on_delete, reference.on_update} & {"n", "d"} or reference.on_update == "c":
        yield Finding(
            name,
            f"the foreign key {reference.name} sets null or default, or cascades an update",
            f"let it restrict, and change the rows in a service: {CITUS}",
        )


def _pairs(
    name: str, kind: str | None, target_kind: str | None, reference: Reference
) -> Iterator[Finding]:
    """Check that a reference between rows of a place carries the place, first, to the same."""
    place = KEYS.get(kind or "")
    if place is None or target_kind != kind:
        return
    if place not in dict(reference.pairs):
        yield _wrong(name, reference, f"without {place}", "declare it with ref()")
    elif reference.pairs[0] != (place, place):
        pairs = ", ".join(f"{here} → {there}" for here, there in reference.pairs)
        yield Finding(
            name,
            f"the foreign key {reference.name} does not begin with {place} → {place} ({pairs})",
            "declare it with ref()",
        )


def _wrong(name: str, reference: Reference, what: str, remedy: str) -> Finding:
    fault = f"the foreign key {reference.name} leads to {reference.target}, {what}"
    return Finding(name, fault, remedy)
