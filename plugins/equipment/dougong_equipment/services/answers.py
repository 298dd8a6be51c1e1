"""Answers to a checklist: read, compared with their limits, kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong_equipment.domain.kinds import ItemKind
from dougong_equipment.models import Answer, ChecklistItem

FINE, WRONG = "ok", "wrong"


@dataclass(frozen=True)
class Answered:
    """One answer as it will be kept. number: of a number only."""

    item: ChecklistItem
    value: str
    number: Decimal | None
    is_fine: bool


def items_of(scope: Scope, checklist_id: UUID | None) -> Sequence[ChecklistItem]:
    """Return the lines of a checklist in their order."""
    if checklist_id is None:
        return []
    query = select(ChecklistItem).where(ChecklistItem.checklist_id == checklist_id)
    return scope.session.scalars(query.order_by(ChecklistItem.position)).all()


def read_answers(
    items: Sequence[ChecklistItem], given: Mapping[str, Any], photos: int
) -> list[Answered]:
    """Return the answers; raises Invalid naming each line that is missing or cannot be read.

    given: by the id of the line. A check is ``ok`` or ``wrong``. photos: how many there are.
    """
    found: list[Answered] = []
    faults: dict[str, str] = {}
    for item in items:
        said = str(given.get(str(item.id), "")).strip()
        if item.kind is ItemKind.PHOTO:
            said = str(photos) if photos else ""
        if not said and item.is_required:
            faults[item.title] = f"{item.title}: " + gettext("is missing.")
        if not said:
            continue
        try:
            found.append(_judged(item, said))
        except ValueError:
            faults[item.title] = f"{item.title}: " + gettext("cannot be read.")
    if faults:
        raise Invalid(N_("Some fields are not right yet."), fields=faults)
    return found


def _judged(item: ChecklistItem, said: str) -> Answered:
    if item.kind is ItemKind.CHECK:
        if said not in (FINE, WRONG):
            raise ValueError(said)
        return Answered(item, said, None, said == FINE)
    if item.kind is not ItemKind.NUMBER:
        return Answered(item, said[:200], None, True)
    try:
        number = Decimal(said)
    except ArithmeticError:
        raise ValueError(said) from None
    if not number.is_finite() or abs(number) >= 10**12:
        raise ValueError(said)
    is_low = item.lowest is not None and number < item.lowest
    is_high = item.highest is not None and number > item.highest
    return Answered(item, said[:200], number, not (is_low or is_high))


def keep_answers(scope: Scope, answers: Sequence[Answered], **subject: UUID) -> None:
    """Keep answers. subject: ``task_id`` or ``visit_id``."""
    scope.session.add_all(
        Answer(item_id=a.item.id, value=a.value, number=a.number, is_fine=a.is_fine, **subject)
        for a in answers
    )
    scope.session.flush()


def wrong_words(answers: Sequence[Answered]) -> str:
    """Return what is wrong, in words; empty when all is fine."""
    return "；".join(_words(a) for a in answers if not a.is_fine)[:500]


def _words(answer: Answered) -> str:
    item = answer.item
    if answer.number is None:
        return gettext("%(item)s: not in order", item=item.title)
    return f"{item.title} {answer.value} {item.uom}（{limits(item)}）"


def limits(item: ChecklistItem) -> str:
    """Return the limits of a line, such as ``0.2 – 0.6``; empty without any."""
    if item.lowest is None and item.highest is None:
        return ""
    return " – ".join(
        "" if v is None else f"{v.normalize():f}" for v in (item.lowest, item.highest)
    )
