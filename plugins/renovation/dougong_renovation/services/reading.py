"""Everything that an applicant's page shows of his renovation, in one statement."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Date, Select, String, cast, literal, null, select
from sqlalchemy import type_coerce as read_as

from dougong.db import Scope
from dougong_renovation.domain.works import DocumentKind
from dougong_renovation.models import (
    Application,
    ApplicationStep,
    Document,
    Inspection,
    InspectionKind,
    Violation,
    ViolationKind,
    ViolationState,
)

HIDDEN = (ViolationState.DISMISSED.value, ViolationState.REPORTED.value)


@dataclass(frozen=True)
class Paper:
    """A paper that was handed in."""

    id: UUID
    kind: DocumentKind
    handed_in_at: datetime


@dataclass(frozen=True)
class Taken:
    """A step that was taken."""

    verb: str
    note: str | None
    taken_at: datetime


@dataclass(frozen=True)
class Looked:
    """An inspection of the site."""

    kind: InspectionKind
    note: str | None
    is_passed: bool
    inspected_at: datetime


@dataclass(frozen=True)
class Broken:
    """A violation that stands. claim: yuan."""

    kind: ViolationKind
    text: str
    state: ViolationState
    due_on: date | None
    claim: Decimal


@dataclass
class Story:
    """What belongs to a renovation: papers and steps oldest first, the rest newest first."""

    documents: list[Paper] = field(default_factory=list)
    steps: list[Taken] = field(default_factory=list)
    inspections: list[Looked] = field(default_factory=list)
    violations: list[Broken] = field(default_factory=list)


def story_of(scope: Scope, application: Application) -> Story:
    """Return the papers, steps, inspections and violations that the applicant sees."""
    parts = [_papers(), _steps(), _inspections(), _violations()]
    query = parts[0].union_all(*parts[1:]).subquery()
    # Ids are minted from the time, so that their order is the order in which things happened.
    rows = scope.session.execute(
        select(query).where(query.c.application_id == application.id).order_by(query.c.id)
    ).all()
    story = Story()
    for row in rows:
        _ADD[row.part](story, row)
    return story


def _part(name: str, model: Any, **columns: Any) -> Select[Any]:
    """Return rows of one table in the shape that all parts share."""
    empty = {
        "kind": cast(null(), String),
        "words": cast(null(), String),
        "state": cast(null(), String),
        "flag": cast(null(), Boolean),
        "due_on": cast(null(), Date),
        "fen": cast(null(), BigInteger),
    }
    shown = [value.label(key) for key, value in (empty | columns).items() if key != "at"]
    return select(
        literal(name).label("part"),
        model.id,
        model.application_id,
        columns["at"].label("at"),
        *shown,
    )


def _papers() -> Select[Any]:
    return _part("paper", Document, kind=read_as(Document.kind, String), at=Document.handed_in_at)


def _steps() -> Select[Any]:
    step = ApplicationStep
    return _part("step", step, kind=step.verb, words=step.note, at=step.taken_at)


def _inspections() -> Select[Any]:
    return _part(
        "inspection",
        Inspection,
        kind=read_as(Inspection.kind, String),
        words=Inspection.note,
        flag=Inspection.is_passed,
        at=Inspection.inspected_at,
    )


def _violations() -> Select[Any]:
    return _part(
        "violation",
        Violation,
        kind=read_as(Violation.kind, String),
        words=Violation.text,
        state=read_as(Violation.state, String),
        due_on=Violation.due_on,
        fen=read_as(Violation.claim, BigInteger),
        at=Violation.found_at,
    ).where(read_as(Violation.state, String).not_in(HIDDEN))


def _add_paper(story: Story, row: Any) -> None:
    story.documents.append(Paper(row.id, DocumentKind(row.kind), row.at))


def _add_step(story: Story, row: Any) -> None:
    story.steps.append(Taken(row.kind, row.words, row.at))


def _add_inspection(story: Story, row: Any) -> None:
    found = Looked(InspectionKind(row.kind), row.words, row.flag, row.at)
    story.inspections.insert(0, found)


def _add_violation(story: Story, row: Any) -> None:
    kind, state = ViolationKind(row.kind), ViolationState(row.state)
    claim = Decimal(row.fen) / 100
    story.violations.insert(0, Broken(kind, row.words, state, row.due_on, claim))


_ADD: dict[str, Callable[[Story, Any], None]] = {
    "paper": _add_paper,
    "step": _add_step,
    "inspection": _add_inspection,
    "violation": _add_violation,
}
