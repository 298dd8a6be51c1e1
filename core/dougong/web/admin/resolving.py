"""From the names in a column to the ids of records: one statement a column, not one a row."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import inspect as sa_inspect
from sqlalchemy import or_, select

from dougong.db.scope import Scope
from dougong.i18n import N_, gettext
from dougong.tenancy.models import Person
from dougong.web.admin.cells import CellError, folded, person_parts, spellings

NAMES = ("code", "name", "serial", "number", "title", "old_code", "plate", "login")
BATCH = 5_000


@dataclass(frozen=True)
class Asked:
    """A name in a cell, with what else the row says: a unit 「1」 is one of the row's building."""

    text: str
    context: Mapping[str, Any]


def resolve(scope: Scope, target: Any, asked: Sequence[Asked], what: str) -> list[UUID | CellError]:
    """Return for each name the id of the record of ``target`` that it means, or why none.

    what: the column's label, for the messages. An id itself is a name too.
    """
    if target is Person:
        return _people(scope, asked, what)
    names = [key for key in NAMES if key in sa_inspect(target).columns]
    known = _candidates(scope, target, names, asked)
    return [_choose(known, one, what) for one in asked]


@dataclass(frozen=True)
class _Candidate:
    id: UUID
    refs: Mapping[str, Any]


def _candidates(
    scope: Scope, target: Any, names: Sequence[str], asked: Sequence[Asked]
) -> dict[str, list[_Candidate]]:
    refs = [
        a.key
        for a in sa_inspect(target).column_attrs
        if a.key.endswith("_id") and a.key not in ("community_id", "group_id")
    ]
    wanted = {s for one in asked for s in spellings(one.text)}
    columns = [target.id, *(getattr(target, k) for k in (*names, *refs))]
    found: dict[str, list[_Candidate]] = defaultdict(list)
    for some in batches(sorted(wanted)):
        ids = [UUID(text) for text in some if _is_id(text)]
        conditions = [getattr(target, name).in_(some) for name in names]
        conditions += [target.id.in_(ids)] if ids else []
        if not conditions:
            continue
        for row in scope.session.execute(select(*columns).where(or_(*conditions))):
            here = dict(zip(refs, row[1 + len(names) :], strict=True))
            said = {str(row[0]), *(folded(n) for n in row[1 : 1 + len(names)] if n)}
            _note(found, said, _Candidate(row[0], here))
    return found


def _note(found: dict[str, list[_Candidate]], said: Iterable[str], candidate: _Candidate) -> None:
    """Add a record to what each of its spellings may mean, once."""
    for text in said:
        if candidate not in found[text]:
            found[text].append(candidate)


def _choose(known: Mapping[str, list[_Candidate]], asked: Asked, what: str) -> UUID | CellError:
    for spelling in spellings(asked.text):
        found = [c for c in known.get(folded(spelling), ()) if _agrees(c.refs, asked.context)]
        if len(found) == 1:
            return found[0].id
        if found:
            return CellError(
                gettext(
                    N_("Several are called “%(name)s”. Name this one more exactly."),
                    name=asked.text,
                )
            )
    return _unknown(asked.text, what)


def _agrees(refs: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    return all(
        context.get(key) is None or value is None or context[key] == value
        for key, value in refs.items()
        if key in context
    )


def _unknown(name: str, what: str) -> CellError:
    return CellError(
        gettext(N_("There is no “%(name)s” here (%(what)s)."), name=name[:60], what=what)
    )


# --- people -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class People:
    """The people that a file may mean, by name, phone and identity number."""

    by_name: Mapping[str, set[UUID]]
    by_tag: Mapping[bytes, set[UUID]]
    scope: Scope

    def find(self, name: str, phone: str, identity: str) -> set[UUID]:
        """Return who is meant: everything that is said must fit."""
        found: set[UUID] | None = self.by_name.get(folded(name), set()) if name else None
        for field, plain in (("phone", phone), ("id_number", identity)):
            if plain:
                tags = tags_of(self.scope, field, plain)
                holders = set().union(*(self.by_tag.get(tag, set()) for tag in tags))
                found = holders if found is None else found & holders
        return found or set()


def known_people(scope: Scope, parts: Iterable[tuple[str, str, str]]) -> People:
    """Return the people of this community that any (name, phone, identity number) may mean."""
    parts = set(parts)
    names = {name for name, _, _ in parts if name}
    phones = {t for _, phone, _ in parts if phone for t in tags_of(scope, "phone", phone)}
    identities = {t for _, _, id in parts if id for t in tags_of(scope, "id_number", id)}
    model: Any = Person
    by_name: dict[str, set[UUID]] = defaultdict(set)
    by_tag: dict[bytes, set[UUID]] = defaultdict(set)
    for column, wanted in (
        (model.name, names),
        (model.phone_index, phones),
        (model.id_number_index, identities),
    ):
        query = select(model.id, model.name, model.phone_index, model.id_number_index)
        pieces = (query.where(column.in_(some)) for some in batches(sorted(wanted)))
        for id, name, *tags in (row for piece in pieces for row in scope.session.execute(piece)):
            by_name[folded(name)].add(id)
            for tag in (tag for tag in tags if tag is not None):
                by_tag[bytes(tag)].add(id)
    return People(by_name, by_tag, scope)


def tags_of(scope: Scope, field: str, plain: str) -> tuple[bytes, ...]:
    """Return the search tags that a person's phone or identity number may have here."""
    owner: Any = scope.community_id
    return scope.vault.known_tags(Person.__encrypted__[field], owner, plain)


def _people(scope: Scope, asked: Sequence[Asked], what: str) -> list[UUID | CellError]:
    parts = [person_parts(one.text) for one in asked]
    people = known_people(scope, parts)
    answers: list[UUID | CellError] = []
    for one, part in zip(asked, parts, strict=True):
        found = people.find(*part)
        if len(found) == 1:
            answers.append(next(iter(found)))
        elif found:
            message = N_("Several people are called “%(name)s”. Add the phone number.")
            answers.append(CellError(gettext(message, name=one.text[:60])))
        else:
            answers.append(_unknown(one.text, what))
    return answers


def batches(values: Sequence[Any], size: int = BATCH) -> Iterator[Sequence[Any]]:
    """Return ``values`` in pieces that fit into one statement."""
    for at in range(0, len(values), size):
        yield values[at : at + size]


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return len(text) == 36
