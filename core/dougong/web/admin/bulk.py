"""Changing some columns of many records at once: chosen rows, or all that a list's filters pass.

What would change is shown first, tried in a transaction that is rolled back. Then it is done by the
generic service, in one transaction per community, all or nothing, and taken back as one step.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import Index, UniqueConstraint, select, text
from sqlalchemy.exc import DataError, IntegrityError

from dougong import services
from dougong.db import uuid7
from dougong.db.scope import Scope
from dougong.errors import Conflict, DougongError, Invalid
from dougong.i18n import N_, gettext, ngettext
from dougong.services.inputs import writable_columns
from dougong.web.admin import listing
from dougong.web.admin.forms import FormField, fingerprint, form_fields, typed
from dougong.web.admin.views import RecordView, show
from dougong.web.admin.writing import sentence
from dougong.web.app import current_installation

MOST = 2_000
SHOWN = 50
KEYS = {"community_id", "group_id"}


@dataclass
class Attempt:
    """What changing a community's records did, or would have done.

    changes: the first fifty, each a record's name with (label, old, new). seen: a digest of the
    records as they were before. run: what `undo` takes it back by, once it is done.
    """

    community_id: UUID | None
    name: str
    changed: list[UUID] = field(default_factory=list)
    same: int = 0
    changes: list[tuple[str, list[tuple[str, str, str]]]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    seen: str = ""
    run: str = ""


class _RollBack(Exception):
    """Ends a trial."""


def may(scope: Scope, view: type[RecordView]) -> bool:
    """Tell whether the actor may change records of the view in bulk, here or in a community."""
    is_group_table = view.model.__kind__ != "community"
    if scope.community_id is not None or is_group_table:
        return view.may(scope, "change")
    offered = view.can_change and view.plugin() in scope.enabled
    return offered and scope.may(f"{view.name()}.change")


def fields(
    scope: Scope,
    view: type[RecordView],
    given: Mapping[str, str],
    errors: Mapping[str, str] | None = None,
) -> list[FormField]:
    """Return the fields that can be set to one value for many: not personal, not unique ones.

    On group pages without relations, for a building is of one community.
    """
    unique = _unique(view.model)
    blank = {name: given.get(name, "") for name in view.form_keys()}
    return [
        each
        for each in form_fields(scope, view, None, blank, errors)
        if each.kind not in ("personal", "data")
        and each.name not in unique
        and (each.kind != "relation" or scope.community_id is not None)
    ]


def _unique(model: Any) -> set[str]:
    """Return the columns that no two records of a place may share."""
    table = model.__table__
    keys = [c.columns for c in table.constraints if isinstance(c, UniqueConstraint)]
    keys += [i.columns for i in table.indexes if isinstance(i, Index) and i.unique]
    rest = [[c.name for c in columns if c.name not in KEYS] for columns in keys]
    return {names[0] for names in rest if len(names) == 1}


def values(
    scope: Scope, view: type[RecordView], chosen: Sequence[str], given: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is to be set; raises Invalid when nothing is, or when something is not right."""
    known = writable_columns(view.model)
    offered = {each.name: each for each in fields(scope, view, given) if each.name in chosen}
    if not offered:
        raise Invalid(N_("Tick at least one field to change."))
    found = {name: typed(scope, each, given.get(name, "")) for name, each in offered.items()}
    empty = [name for name, value in found.items() if value is None and not known[name][1]]
    if empty:
        reason = gettext(N_("This is needed."))
        raise Invalid(N_("Some fields are not right yet."), fields=dict.fromkeys(empty, reason))
    checked = services.checked(view.model, "change", found)
    return {name: checked[name] for name in found}


def picked(scope: Scope, view: type[RecordView], wish: listing.Wish) -> list[tuple[UUID, Any]]:
    """Return (id, community) of what a list's filters pass, in its order, two thousand at most."""
    columns = [view.model.id]
    if view.model.__kind__ == "community":
        columns.append(view.model.community_id)
    query = listing.matching(scope, view, wish).with_only_columns(*columns).limit(MOST)
    return [(row[0], row[1] if len(row) > 1 else None) for row in scope.session.execute(query)]


def places_of(scope: Scope, view: type[RecordView], ids: Sequence[UUID]) -> dict[Any, list[UUID]]:
    """Return the ids by the community they belong to; ids that cannot be seen are left out."""
    model = view.model
    if model.__kind__ != "community":
        return {None: list(ids)}
    query = select(model.id, model.community_id).where(model.id.in_(ids))
    found: dict[Any, list[UUID]] = {}
    for id, community_id in scope.session.execute(query):
        found.setdefault(community_id, []).append(id)
    return found


@contextmanager
def within(scope: Scope, community_id: UUID | None) -> Iterator[Scope]:
    """Open the scope in which a community's records are changed: this one, or one of their own."""
    if community_id in (None, scope.community_id):
        yield scope
        return
    with current_installation().scope(g.actor, community=community_id) as inner:
        yield inner


def attempt(
    scope: Scope,
    view: type[RecordView],
    ids: Sequence[UUID],
    new: Mapping[str, Any],
    *,
    seen: str | None = None,
) -> Attempt:
    """Change the records, and keep it only when ``seen`` says what they looked like before.

    Without ``seen`` it is a trial. Raises Conflict when the records have changed since the trial,
    or one of them is refused: then nothing is changed.
    """
    made = Attempt(scope.community_id, scope.place.name)
    before, scope.reason = scope.reason, gettext(N_("Bulk change"))
    try:
        with scope.session.begin_nested():
            made.run = f"{uuid7(datetime.now(UTC) - SKEW)}.{_transaction(scope)}"
            _change_all(scope, view, ids, new, made)
            if seen is None:
                raise _RollBack
            if made.refused or made.seen != seen:
                raise Conflict(
                    N_("Some of these have changed meanwhile; nothing was done. Look again.")
                )
    except _RollBack:
        scope.session.expire_all()
    finally:
        scope.reason = before
    return made


def _change_all(
    scope: Scope, view: type[RecordView], ids: Sequence[UUID], new: Mapping[str, Any], made: Attempt
) -> None:
    model = view.model
    query = select(model).where(model.id.in_(ids)).order_by(model.id).with_for_update(of=model)
    digest = hashlib.sha256()
    columns = [c for c in view.seen_columns(scope).values() if c.attribute in new]
    for record in scope.session.scalars(query).unique().all():
        if all(getattr(record, key) == value for key, value in new.items()):
            made.same += 1
            continue
        name, mark = str(record), fingerprint(record)
        old = [str(show(scope, column, record)) for column in columns]
        try:
            with scope.session.begin_nested():
                services.change(scope, record, dict(new))
        except (DougongError, IntegrityError, DataError) as error:
            made.refused.append((name, sentence(error)))
            continue
        digest.update(f"{record.id}{mark}".encode())
        made.changed.append(record.id)
        if len(made.changes) < SHOWN:
            scope.session.expire(record, [c.key for c in columns if c.kind == "relation"])
            texts = [str(show(scope, column, record)) for column in columns]
            parts = zip([str(c.label) for c in columns], old, texts, strict=True)
            made.changes.append((name, [part for part in parts if part[1] != part[2]]))
    made.seen = digest.hexdigest()


def _transaction(scope: Scope) -> str:
    return scope.session.execute(text("select pg_current_xact_id()::text")).scalar_one()


def summary(attempts: Sequence[Attempt]) -> str:
    """Return how many records a bulk change has changed, in words."""
    number = sum(len(each.changed) for each in attempts)
    return ngettext("One record was changed.", "%(num)s records were changed.", number)


# --- taking it back -------------------------------------------------------------------------------

EVENTS = text(
    """
    select e.id from dougong.audit_event e
    where e.id >= :first and e.id < :last and e.txid = cast(:txid as xid8)
      and e.chain_id = :chain and e.schema_name = :schema and e.table_name = :table
      and e.verb = :verb and e.operation = 'UPDATE' and e.actor_id = :actor
    order by e.id desc
    """
)
LONGEST_RUN_MS = 10 * 60_000
# The clocks of the database and of this process may differ a little.
SKEW = timedelta(minutes=1)


def undo(scope: Scope, view: type[RecordView], run: str) -> int:
    """Take back a bulk change of the actor's own, all of it or nothing; return how many records.

    Raises Conflict when one of the records has changed since.
    """
    from dougong.audit import timeline as audit

    try:
        mark, _, txid = run.partition(".")
        first, number = UUID(mark), int(txid)
    except ValueError:
        raise Invalid(N_("There is no such change here.")) from None
    table = view.model.__table__
    with scope.installation.platform() as session:
        events = session.scalars(
            EVENTS,
            {
                "first": first,
                "last": UUID(int=first.int + (LONGEST_RUN_MS << 80)),
                "txid": str(number),
                "chain": scope.community_id or scope.group_id,
                "schema": table.schema,
                "table": table.name,
                "verb": f"{view.name()}.change",
                "actor": scope.actor.user_id,
            },
        ).all()
    if not events:
        raise Invalid(N_("There is no such change here."))
    for event_id in events:
        audit.undo(scope, event_id)
    return len(events)
