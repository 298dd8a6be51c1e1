"""Votes of the owners: who counts how much, and when a matter is decided.

Everything is exact: areas are Decimal square metres, owners are whole, thresholds are compared by
multiplication. Source: Civil Code art. 278; 法释〔2009〕7号 art. 8 and 9 (one exclusive part is one
owner; whoever has several counts once, and so does the developer for what is unsold).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from dougong.i18n import bilingual

ZERO = Decimal(0)


class Matter(StrEnum):
    """What is voted on, by the majority that it needs."""

    ORDINARY = "ordinary"
    GRAVE = "grave"

    __labels__ = {
        "ORDINARY": bilingual(
            "Ordinary: more than half (items 1–5, 9)", "一般事项：过半数（1–5、9 项）"
        ),
        "GRAVE": bilingual("Grave: three quarters (items 6–8)", "重大事项：四分之三（6–8 项）"),
    }


class Choice(StrEnum):
    """What somebody says to a matter."""

    IN_FAVOUR = "in_favour"
    AGAINST = "against"
    ABSTAIN = "abstain"

    __labels__ = {
        "IN_FAVOUR": bilingual("In favour", "同意"),
        "AGAINST": bilingual("Against", "反对"),
        "ABSTAIN": bilingual("Abstain", "弃权"),
    }


@dataclass(frozen=True)
class Right:
    """The right of one owner to vote for his share of a room.

    area: square metres of the share. owner: None for the developer's unsold rooms. choice: None
    until he has voted.
    """

    room: UUID
    owner: UUID | None
    area: Decimal
    choice: Choice | None = None


@dataclass(frozen=True)
class Weight:
    """An area in square metres, and a number of owners."""

    area: Decimal = ZERO
    owners: int = 0


@dataclass(frozen=True)
class Result:
    """How a vote came out. by: the weight of each choice."""

    total: Weight
    joined: Weight
    by: dict[Choice, Weight]
    has_quorum: bool
    is_passed: bool


def tally(rights: Iterable[Right], matter: Matter) -> Result:
    """Return how a vote came out.

    Areas count share by share. Rooms with the same owners are one owner. Where the owners of one
    room differ, the owner that they are together is counted where the larger part of the area that
    voted stands, and as abstaining when none is larger.
    """
    listed = list(rights)
    heads = _heads(listed)
    by_head: dict[frozenset[UUID | None], dict[Choice, Decimal]] = {
        head: defaultdict(Decimal) for head in heads.values()
    }
    areas: dict[Choice, Decimal] = dict.fromkeys(Choice, ZERO)
    for right in listed:
        if right.choice is not None:
            areas[right.choice] += right.area
            by_head[heads[right.room]][right.choice] += right.area
    owners = dict.fromkeys(Choice, 0)
    for said in by_head.values():
        if said:
            owners[_leaning(said)] += 1
    total = Weight(sum((right.area for right in listed), ZERO), len(by_head))
    joined = Weight(sum(areas.values(), ZERO), sum(owners.values()))
    by = {choice: Weight(areas[choice], owners[choice]) for choice in Choice}
    has_quorum = bool(listed) and _reaches(joined, total, 2, 3)
    return Result(total, joined, by, has_quorum, has_quorum and _carries(by, joined, matter))


def with_silence(rights: Iterable[Right]) -> list[Right]:
    """Return the rights with a choice for those who said nothing: what most of the others said.

    Most means by area and by owners; where the two differ, or nobody voted, they abstain. That is
    what some local rules say of ballots that were delivered and not returned.
    """
    listed = list(rights)
    by = tally(listed, Matter.ORDINARY).by
    by_area = max(Choice, key=lambda choice: by[choice].area)
    leads = all(
        by[by_area].area > by[other].area and by[by_area].owners > by[other].owners
        for other in Choice
        if other is not by_area
    )
    silent = by_area if leads else Choice.ABSTAIN
    return [replace(right, choice=right.choice or silent) for right in listed]


def _heads(rights: Iterable[Right]) -> dict[UUID, frozenset[UUID | None]]:
    """Return by room the set of its owners: the same set is one owner, however many rooms."""
    owners: dict[UUID, set[UUID | None]] = defaultdict(set)
    for right in rights:
        owners[right.room].add(right.owner)
    return {room: frozenset(held) for room, held in owners.items()}


def _leaning(said: dict[Choice, Decimal]) -> Choice:
    most = max(said.values())
    leading = [choice for choice, area in said.items() if area == most]
    return leading[0] if len(leading) == 1 else Choice.ABSTAIN


def _reaches(part: Weight, whole: Weight, above: int, below: int) -> bool:
    """Tell whether a weight is at least above/below of another, by area and by owners."""
    return part.area * below >= whole.area * above and part.owners * below >= whole.owners * above


def _carries(by: dict[Choice, Weight], joined: Weight, matter: Matter) -> bool:
    favour = by[Choice.IN_FAVOUR]
    if matter is Matter.GRAVE:
        return _reaches(favour, joined, 3, 4)
    return favour.area * 2 > joined.area and favour.owners * 2 > joined.owners
