"""Writing many records at once, and finding which of them the database refuses.

Inserting in bulk says only that something is wrong. Unique keys are therefore looked up before,
in one statement each, and what else is refused is found by halving.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint, select, tuple_
from sqlalchemy import inspect as sa_inspect
from sqlalchemy.exc import DataError, IntegrityError

from dougong import services
from dougong.db import insert_rows, uuid7
from dougong.db.scope import Scope
from dougong.errors import DougongError
from dougong.i18n import N_, gettext, translate_error
from dougong.services.constraints import explain_constraint
from dougong.tenancy.models import natural_key
from dougong.web.admin.resolving import batches

KEYS = ("community_id", "group_id")
PIECE = 2_000
MOST_TRIES = 600
# Where a session keeps the list of (``schema.table``, id) of what is created, if it keeps one.
BOOK = "records created"


@dataclass
class Entry:
    """One row of a file. number: its line there. names: relations before they are resolved.

    before: what a changed record held in the attributes that changed.
    """

    number: int
    values: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    new_id: UUID | None = None
    found_id: UUID | None = None
    done: str = "created"
    before: dict[str, Any] = field(default_factory=dict)

    def refuse(self, label: str, message: str) -> None:
        """Note what is wrong. label: of the column; empty when it is about the whole row."""
        self.problems.append((label, message))

    @property
    def reason(self) -> str:
        """Return everything that is wrong with the row."""
        return reason(self.problems)


def reason(problems: Sequence[tuple[str, str]]) -> str:
    """Return problems (label, sentence) as one text."""
    return " ".join(f"{label}: {text}" if label else text for label, text in problems)


class Writer:
    """Writes entries of one model. match: the attribute by which a row finds its record."""

    def __init__(
        self, scope: Scope, model: Any, fields: Sequence[Any] = (), match: str = ""
    ) -> None:
        self.scope, self.model, self.match_key = scope, model, match
        self.labels = {each.key: each.label for each in fields}
        self.tries = 0
        # By key, which row has which value: pieces of a file are written one after the other.
        self.seen: dict[tuple[str, ...], dict[Any, int]] = defaultdict(dict)

    # --- which record a row means ---------------------------------------------------------------

    def match(self, entries: Sequence[Entry]) -> None:
        """Find the records that rows change, by the key column; refuse what means several."""
        key = self.match_key
        if not key:
            return
        rows = [e for e in entries if e.values.get(key) is not None and not e.problems]
        encrypted = self.model.__encrypted__.get(key)
        column = getattr(self.model, f"{key}_index" if encrypted else key)
        wanted = {id(e): self._tags(encrypted, e.values[key]) for e in rows}
        first = {tag: tags[0] for tags in wanted.values() for tag in tags}
        found: dict[Any, list[UUID]] = defaultdict(list)
        for some in batches(list(first)):
            query = select(column, self.model.id).where(column.in_(some))
            for value, identity in self.scope.session.execute(query):
                found[first[bytes(value) if encrypted else value]].append(identity)
        seen = self.seen["match", key]
        for entry in rows:
            value = wanted[id(entry)][0]
            if value in seen:
                entry.refuse(self._label(key), _same_as(seen[value]))
            elif len(found[value]) > 1:
                entry.refuse(self._label(key), gettext(N_("Several records have this value.")))
            elif found[value]:
                entry.found_id = found[value][0]
            seen.setdefault(value, entry.number)

    def _tags(self, encrypted: Any, value: Any) -> tuple[Any, ...]:
        """Return what the key column may hold for a value: search keys may be rotating."""
        if encrypted is None:
            return (value,)
        owner: Any = self.scope.community_id or self.scope.group_id
        return self.scope.vault.known_tags(encrypted, owner, value)

    # --- writing --------------------------------------------------------------------------------

    def write(self, entries: Sequence[Entry]) -> None:
        """Create and change; what is refused is noted on the entry."""
        good = [entry for entry in entries if not entry.problems]
        new = [entry for entry in good if entry.found_id is None]
        changed = [entry for entry in good if entry.found_id is not None]
        if changed:
            self.scope.require(services.permission_of(self.model, "change"))
        self._change(changed)
        own = services.permission_of(self.model, "create")
        if own in services.SERVICES:
            for entry in new:
                self._one(entry, self._create_one)
            return
        for entry in new:
            self._complete(entry)
        self._refuse_doubles(new)
        for group in self._groups([entry for entry in new if not entry.problems]):
            for piece in batches(group, PIECE):
                self._insert(piece)

    def _complete(self, entry: Entry) -> None:
        """Fill in what the columns' defaults would, which bulk inserts do not ask."""
        entry.values = {k: v for k, v in entry.values.items() if v is not None}
        for key, default in self._defaults:
            if key in entry.values:
                continue
            if default.is_scalar:
                entry.values[key] = default.arg
            elif default.is_callable:
                entry.values[key] = default.arg(None)
        if entry.values.get("sort_key") == "" and entry.values.get("code"):
            entry.values["sort_key"] = natural_key(entry.values["code"])
        entry.values["id"] = entry.new_id = entry.values.get("id") or entry.new_id or uuid7()

    @cached_property
    def _defaults(self) -> list[tuple[str, Any]]:
        attributes = sa_inspect(self.model).column_attrs
        found = [(a.key, a.columns[0].default) for a in attributes if a.key != "id"]
        return [(key, default) for key, default in found if default is not None]

    def _refuse_doubles(self, entries: Sequence[Entry]) -> None:
        """Refuse rows whose unique key another row or record has; a statement for each key."""
        for constraint in self.model.__table__.constraints:
            if not isinstance(constraint, UniqueConstraint):
                continue
            names = {c.name: a.key for a in sa_inspect(self.model).column_attrs for c in a.columns}
            keys = [names[c.name] for c in constraint.columns if c.name not in KEYS]
            rows = [e for e in entries if all(e.values.get(k) is not None for k in keys)]
            if keys and rows:
                self._refuse_double(keys, rows)

    def _refuse_double(self, keys: Sequence[str], rows: Sequence[Entry]) -> None:
        columns = [getattr(self.model, key) for key in keys]
        values = {id(entry): tuple(entry.values[key] for key in keys) for entry in rows}
        taken: set[tuple[Any, ...]] = set()
        for some in batches(list(set(values.values()))):
            query = select(*columns).where(tuple_(*columns).in_(some))
            taken |= {tuple(row) for row in self.scope.session.execute(query)}
        label = "、".join(self._label(key) for key in keys)
        seen = self.seen[tuple(keys)]
        for entry in rows:
            value = values[id(entry)]
            if value in seen:
                entry.refuse(label, _same_as(seen[value]))
            elif value in taken:
                entry.refuse(label, gettext(N_("There is already a record with this.")))
            seen.setdefault(value, entry.number)

    @staticmethod
    def _groups(entries: Sequence[Entry]) -> list[list[Entry]]:
        """Return entries that fill the same columns together: a bulk insert has one set."""
        groups: dict[frozenset[str], list[Entry]] = defaultdict(list)
        for entry in entries:
            groups[frozenset(entry.values)].append(entry)
        return list(groups.values())

    def _insert(self, entries: Sequence[Entry]) -> None:
        """Insert entries; when the database refuses, find by halving which it is."""
        self.tries += 1
        if self.tries > MOST_TRIES:
            text = N_("Too many rows were refused; this one was not tried any more.")
            for entry in entries:
                entry.refuse("", gettext(text))
            return
        names = list(entries[0].values)
        columns = {name: [entry.values[name] for entry in entries] for name in names}
        try:
            with self.scope.session.begin_nested():
                insert_rows(self.scope, self.model, columns)
            self._note(entries)
        except (IntegrityError, DataError) as error:
            if len(entries) == 1:
                entries[0].refuse("", sentence(error))
                return
            middle = len(entries) // 2
            self._insert(entries[:middle])
            self._insert(entries[middle:])

    def _change(self, entries: Sequence[Entry]) -> None:
        own = services.permission_of(self.model, "change")
        if own in services.SERVICES:
            for entry in entries:
                self._one(entry, self._change_one)
            return
        for piece in batches(entries, 500):
            try:
                self._change_together(piece)
            except (IntegrityError, DataError):
                for entry in piece:
                    self._one(entry, self._change_one)

    def _change_together(self, piece: Sequence[Entry]) -> None:
        query = select(self.model).where(self.model.id.in_([e.found_id for e in piece]))
        records = {r.id: r for r in self.scope.session.scalars(query)}
        with self.scope.session.begin_nested():
            for entry in piece:
                self._set(records[entry.found_id], entry)

    def _set(self, record: Any, entry: Entry) -> None:
        new = self._differing(record, entry)
        for key, value in new.items():
            setattr(record, key, value)

    @staticmethod
    def _differing(record: Any, entry: Entry) -> dict[str, Any]:
        """Return the values that the record does not hold yet; note what it holds instead."""
        new = {k: v for k, v in entry.values.items() if getattr(record, k) != v}
        entry.before = {key: getattr(record, key) for key in new}
        entry.done = "changed" if new else "unchanged"
        return new

    def _note(self, entries: Sequence[Entry]) -> None:
        book = self.scope.session.info.get(BOOK)
        if book is not None:
            kind = f"{self.model.__schema__}.{self.model.__tablename__}"
            book += [(kind, entry.new_id) for entry in entries]

    def _create_one(self, entry: Entry) -> None:
        entry.new_id = services.create(self.scope, self.model, entry.values).id
        self._note([entry])

    def _change_one(self, entry: Entry) -> None:
        record = self.scope.get(self.model, entry.found_id, lock=True)  # type: ignore[arg-type]
        if new := self._differing(record, entry):
            services.change(self.scope, record, new)

    def _one(self, entry: Entry, act: Any) -> None:
        try:
            with self.scope.session.begin_nested():
                act(entry)
                self.scope.session.flush()
        except (IntegrityError, DataError, DougongError) as error:
            labels: Mapping[str, str] = getattr(error, "fields", {})
            for key, message in labels.items():
                entry.refuse(self._label(key), message)
            if not labels:
                entry.refuse("", sentence(error))

    def _label(self, key: str) -> str:
        from dougong.web.admin.importing import label_of

        return self.labels.get(key) or label_of(self.model, key)


def sentence(error: Exception) -> str:
    """Return what a refused row is told."""
    if isinstance(error, IntegrityError):
        error = explain_constraint(error)
    if isinstance(error, DougongError):
        return " ".join([translate_error(error), *getattr(error, "fields", {}).values()])
    return gettext(N_("A value does not fit its column."))


def _same_as(number: int) -> str:
    return gettext(N_("The same stands in row %(row)s."), row=number)
