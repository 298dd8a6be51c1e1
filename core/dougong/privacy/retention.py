"""Lets personal data go when its declared time is over, every day, in every community.

When the time of a column starts follows from its table:

* a person's own columns: the day after the last ownership, occupancy or other tie ended; never
  while one is open, and from the making of the row for someone who never had any;
* a row with ``to_on``: that day, never while it is open;
* a row with an instant of its own (``created_at``, ``at`` …): that instant;
* a part of another row (a reference with CASCADE): when that row's time starts;
* any other row that refers to a person: when the person's time starts; else its making.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Column, Date, DateTime, Table, cast, func, literal, select, text
from sqlalchemy.orm import Session

from dougong.db import Scope
from dougong.db.base import METADATA
from dougong.db.columns import Ref
from dougong.errors import NotAllowed
from dougong.i18n import N_
from dougong.privacy.emptying import NOBODY, Emptier, is_filled, name_verb
from dougong.privacy.purposes import before, declarations
from dougong.privacy.subjects import PERSON, own_tables, references
from dougong.services import service
from dougong.tenancy.models import Person

log = structlog.get_logger(__name__)

PEOPLE: Table = Person.__table__  # type: ignore[assignment]
VERB = "dougong.personal.retain"
INSTANTS = ("created_at", "at", "happened_at", "received_at", "sent_at", "recorded_at", "made_at")


@dataclass
class Clocks:
    """When the time of rows of a community started, by table; None for one that still runs."""

    session: Session
    tables: Sequence[Table]
    community_id: UUID
    zone: str
    _people: dict[UUID, date | None] = field(default_factory=dict)

    def of(self, table: Table) -> Any:
        """Return a query of (id, day) for a table; a person's own table is asked separately."""
        if "to_on" in table.c:
            return select(table.c.id, table.c.to_on.label("day"))
        instant = next((table.c[n] for n in INSTANTS if n in table.c), None)
        if instant is not None and isinstance(instant.type, DateTime):
            return select(table.c.id, self._day(instant))
        parent = _part_of(table)
        if parent is not None:
            column, target = parent
            above = self.of(METADATA.tables[target]).subquery()
            return select(table.c.id, above.c.day).join_from(table, above, above.c.id == column)
        return select(table.c.id, self._day(func.uuid_extract_timestamp(table.c.id)))

    def _day(self, instant: Any) -> Any:
        return cast(func.timezone(self.zone, instant), Date).label("day")

    def people(self) -> dict[UUID, date | None]:
        """Return when the ties of every person ended; None while one is open."""
        if not self._people:
            born = select(PEOPLE.c.id, self._day(func.uuid_extract_timestamp(PEOPLE.c.id)))
            rows = self.session.execute(born.where(PEOPLE.c.community_id == self.community_id))
            self._people = dict(tuple(row) for row in rows)
            for person, ends in self._ties().items():
                self._people[person] = None if None in ends else max(d for d in ends if d)
        return self._people

    def _ties(self) -> dict[UUID, set[date | None]]:
        found: dict[UUID, set[date | None]] = defaultdict(set)
        ties = (
            (table, column)
            for table in self.tables
            if "to_on" in table.c
            for column, target in references(table)
            if target == PERSON
        )
        for table, column in ties:
            for person, is_open, last in self._ends(table, column):
                found[person].add(None if is_open else last)
        return found

    def _ends(self, table: Table, person: Column[Any]) -> Any:
        is_open = func.bool_or(table.c.to_on.is_(None))
        where = (table.c.community_id == self.community_id) & person.is_not(None)
        query = select(person, is_open, func.max(table.c.to_on))
        return self.session.execute(query.where(where).group_by(person))


@dataclass(frozen=True)
class Declared:
    """The tables that are looked at, and every personal column of them with its period.

    The same for every community, so it is worked out once for all of them.
    """

    tables: Sequence[Table]
    columns: Sequence[tuple[Table, Column[Any], str]]


def _part_of(table: Table) -> tuple[Any, str] | None:
    for column in table.columns:
        ref = column.info.get("ref")
        if isinstance(ref, Ref) and ref.ondelete == "CASCADE" and ref.target in METADATA.tables:
            return column, ref.target
    return None


@service("personal.retain", title=("Let old personal data go", "清除到期个人信息"), is_public=False)
def retain(scope: Scope) -> dict[str, int]:
    """Empty what has outlived its period in this community; the worker does it every day."""
    if scope.community_id is None:
        raise NotAllowed(N_("Choose a community first; a group page writes no rows."))
    return let_go_in(scope.installation, scope.community_id, scope.zone.key)


def let_go(
    installation: Any, today: date | None = None, *, community: UUID | None = None
) -> dict[str, int]:
    """Empty what has outlived its period, in one community or every one; return values by column.

    One transaction per community, so that a failure in one holds up no other.
    """
    total: dict[str, int] = defaultdict(int)
    declared = _declared(installation)
    for community_id, zone in _places(installation, community):
        for column, count in _let_go(installation, declared, community_id, zone, today).items():
            total[column] += count
    return dict(total)


def let_go_in(
    installation: Any, community_id: UUID, zone: str, today: date | None = None
) -> dict[str, int]:
    """Empty what has outlived its period in one community; return values by column."""
    return _let_go(installation, _declared(installation), community_id, zone, today)


def _let_go(
    installation: Any, declared: Declared, community_id: UUID, zone: str, today: date | None
) -> dict[str, int]:
    with installation.platform() as session:
        name_verb(session, VERB, "retention")
        emptier = Emptier(session, installation.keyring, community_id)
        for table, column, ids in _due(declared, session, community_id, zone, today):
            emptier.empty(table, column, ids)
        if emptier.counts:
            emptier.record(NOBODY, "retention", {})
            log.info("personal data was let go", community=str(community_id), **emptier.counts)
        return dict(emptier.counts)


def overdue(
    installation: Any, today: date | None = None, *, community: UUID | None = None
) -> dict[str, int]:
    """Return what `let_go` would empty now, by column; nothing is changed."""
    total: dict[str, int] = defaultdict(int)
    declared = _declared(installation)
    for community_id, zone in _places(installation, community):
        with installation.platform() as session:
            for table, column, ids in _due(declared, session, community_id, zone, today):
                total[f"{table.fullname}.{column.name}"] += len(ids)
    return dict(total)


def _places(installation: Any, community: UUID | None) -> list[Any]:
    """Return id and time zone of one community, or of every one."""
    query = text(
        "select id, zone from dougong.community"
        " where cast(:only as uuid) is null or id = :only order by id"
    )
    with installation.access() as session:
        return list(session.execute(query, {"only": community}).all())


def _declared(installation: Any) -> Declared:
    tables = {table.fullname: table for table in own_tables(installation)}
    columns = []
    for said in declarations(installation.plugins).values():
        table = tables.get(f"{said.schema}.{said.table}")
        if table is None or table.info.get("kind") != "community" or said.column not in table.c:
            continue
        columns.append((table, table.c[said.column], said.retention))
    return Declared(list(tables.values()), columns)


def _due(
    declared: Declared, session: Session, community_id: UUID, zone: str, today: date | None
) -> Iterator[tuple[Table, Column[Any], list[UUID]]]:
    """Yield table, column and the rows whose period is over, for every declared column."""
    day = today or datetime.now(ZoneInfo(zone)).date()
    clocks = Clocks(session, declared.tables, community_id, zone)
    for table, column, retention in declared.columns:
        ids = _expired(clocks, table, column, before(day, retention))
        if ids:
            yield table, column, ids


def _expired(clocks: Clocks, table: Table, column: Any, last: date) -> list[UUID]:
    """Return the rows whose time started on or before ``last`` and that still hold something."""
    here = (table.c.community_id == clocks.community_id) & is_filled(column)
    owner = _person_column(table)
    if owner is not None:
        people = clocks.people()
        rows = clocks.session.execute(select(table.c.id, owner).where(here))
        return [id for id, person in rows if _is_over(people.get(person), last)]
    starts = clocks.of(table).subquery()
    query = select(table.c.id).join_from(table, starts, starts.c.id == table.c.id)
    return list(clocks.session.scalars(query.where(here, starts.c.day <= literal(last))))


def _person_column(table: Table) -> Any:
    """Return the column whose person's time counts for a row, None when the row has its own."""
    if table.fullname == PERSON:
        return table.c.id
    if "to_on" in table.c or any(name in table.c for name in INSTANTS) or _part_of(table):
        return None
    return next((c for c, target in references(table) if target == PERSON), None)


def _is_over(started: date | None, last: date) -> bool:
    return started is not None and started <= last
