"""People, owners and occupants of the opening workbook: found, made, and given their rooms."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from dougong.db import uuid7
from dougong.db.scope import Scope
from dougong.i18n import N_, gettext
from dougong.tenancy.models import Occupancy, OccupancyKind, Ownership, Person, PersonKind
from dougong.web.admin.cells import CellError, number_of, several
from dougong.web.admin.importing import check_entry
from dougong.web.admin.resolving import known_people
from dougong.web.admin.writing import Entry, Writer

Row = Mapping[str, Any]
Messages = dict[int, str]


def write(scope: Scope, model: Any, entries: Sequence[Entry]) -> Messages:
    """Check and write entries, numbered by position; return what is wrong by position."""
    for entry in entries:
        if not entry.problems:
            check_entry(model, entry)
    Writer(scope, model).write(entries)
    return {entry.number: entry.reason for entry in entries if entry.problems}


def load_people(scope: Scope, rows: Sequence[Row]) -> Messages:
    """Write people; the same name with the same phone is refused."""
    entries = [Entry(at, dict(row)) for at, row in enumerate(rows)]
    keys = [_who(row) for row in rows]
    known = known_people(scope, keys)
    seen: dict[tuple[str, str, str], int] = {}
    for entry, key in zip(entries, keys, strict=True):
        entry.values.setdefault("kind", _kind(entry.values["name"]))
        if not key[1] and not key[2]:
            continue
        if known.find(*key):
            entry.refuse("", gettext(N_("This person is here already.")))
        elif key in seen:
            entry.refuse("", gettext(N_("The same person stands twice on this sheet.")))
        seen.setdefault(key, entry.number)
    return write(scope, Person, entries)


def _who(row: Row) -> tuple[str, str, str]:
    return row["name"], row.get("phone") or "", row.get("id_number") or ""


def _kind(name: str) -> PersonKind:
    return PersonKind.COMPANY if "公司" in name or "有限" in name else PersonKind.PERSON


@dataclass
class Household:
    """One row of owners or occupants: who, by name and phone."""

    number: int
    names: list[str]
    phones: list[str]
    problem: str = ""
    ids: list[UUID] = field(default_factory=list)

    @property
    def people(self) -> list[tuple[str, str, str]]:
        return [(n, p, "") for n, p in zip(self.names, self.phones, strict=True)]


def households(scope: Scope, rows: Sequence[Row]) -> list[Household]:
    """Return who stands in each row, found or newly made."""
    made = [_household(at, row) for at, row in enumerate(rows)]
    wanted = [person for one in made if not one.problem for person in one.people]
    known, times = known_people(scope, wanted), Counter(wanted)
    new: dict[tuple[str, str, str], UUID] = {}
    for one in made:
        for person in one.people if not one.problem else ():
            found = known.find(*person)
            if len(found) > 1:
                message = N_("Several people are called “%(name)s”. Add the phone number.")
                one.problem = gettext(message, name=person[0])
            elif not found and not person[1] and times[person] > 1:
                message = N_("Several rows name “%(name)s” without a phone: one person or two?")
                one.problem = gettext(message, name=person[0])
            else:
                one.ids.append(next(iter(found), None) or new.setdefault(person, uuid7()))
    used = {id for one in made if not one.problem for id in one.ids}
    _make_people(scope, made, {k: v for k, v in new.items() if v in used})
    return made


def _household(at: int, row: Row) -> Household:
    names = several(row["names"])
    phones = several(row.get("phones") or "")
    one = Household(at, names, [*phones, *[""] * (len(names) - len(phones))])
    if not names:
        one.problem = gettext(N_("This is needed."))
    elif len(phones) > len(names):
        one.problem = gettext(N_("There are more phone numbers than names."))
    return one


def _make_people(
    scope: Scope, rows: Sequence[Household], new: Mapping[tuple[str, str, str], UUID]
) -> None:
    entries = []
    for at, ((name, phone, _), id) in enumerate(new.items()):
        values = {"name": name, "kind": _kind(name), **({"phone": phone} if phone else {})}
        entries.append(Entry(at, {**values, "id": id}))
    wrong = write(scope, Person, entries)
    refused = {id: wrong[at] for at, id in enumerate(new.values()) if at in wrong}
    for one in rows:
        one.problem = one.problem or next((refused[i] for i in one.ids if i in refused), "")


# --- owners and occupants ---------------------------------------------------------------------


def load_ownerships(scope: Scope, rows: Sequence[Row]) -> Messages:
    """Write who owns which room, each owner of a row with a share."""
    messages: Messages = {}
    entries: list[Entry] = []
    for one, row in zip(households(scope, rows), rows, strict=True):
        shares: list[Decimal] = []
        try:
            shares = [] if one.problem else shares_of(row.get("shares") or "", len(one.names))
        except CellError as error:
            one.problem = str(error)
        if one.problem:
            messages[one.number] = one.problem
            continue
        for person_id, share in zip(one.ids, shares, strict=True):
            entries.append(_held(scope, one, row, person_id, share=share))
    return messages | write(scope, Ownership, entries)


def load_occupancies(scope: Scope, rows: Sequence[Row]) -> Messages:
    """Write who lives in which room."""
    messages: Messages = {}
    entries: list[Entry] = []
    for one, row in zip(households(scope, rows), rows, strict=True):
        if one.problem:
            messages[one.number] = one.problem
            continue
        further = {k: row[k] for k in ("kind", "bed", "pays_fees") if k in row}
        if further.get("bed"):
            further.setdefault("kind", OccupancyKind.BED)
        entries += [_held(scope, one, row, person_id, **further) for person_id in one.ids]
    return messages | write(scope, Occupancy, entries)


def _held(scope: Scope, one: Household, row: Row, person_id: UUID, **further: Any) -> Entry:
    values = {
        "room_id": row["room_id"],
        "person_id": person_id,
        "from_on": row.get("from_on") or date(scope.today.year, 1, 1),
        **({"to_on": row["to_on"]} if "to_on" in row else {}),
        **further,
    }
    return Entry(one.number, values)


def shares_of(text: str, owners: int) -> list[Decimal]:
    """Return each owner's share, to six places; the first takes what rounding leaves.

    Nothing said means equal shares.

    Raises CellError for another number of shares than owners, or more than the whole.
    """
    parts = [part.strip() for part in text.replace(";", "、").split("、") if part.strip()]
    exact = [_share(part) for part in parts] or [Fraction(1, owners)] * owners
    if len(exact) != owners:
        raise CellError(gettext(N_("There are not as many shares as owners.")))
    if sum(exact) > 1 or min(exact) <= 0:
        raise CellError(gettext(N_("Shares are above nothing and together at most the whole.")))
    shares = [Decimal(int(share * 10**6)) / 10**6 for share in exact]
    if sum(exact) == 1:
        shares[0] += 1 - sum(shares)
    return shares


def _share(text: str) -> Fraction:
    """Return 1/2, 50%, 0.5 or 50 as a part of the whole."""
    above, is_fraction, below = text.partition("/")
    if is_fraction:
        if not (above.strip().isdecimal() and below.strip().isdecimal() and int(below)):
            raise CellError(gettext(N_("This is not a number.")))
        return Fraction(int(above), int(below))
    number = number_of(text)
    return Fraction(number) / (100 if "%" in text or number > 1 else 1)
