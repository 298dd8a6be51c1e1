"""Kinds of work in a room: which are free, which need papers, which nobody may do.

Source: 《住宅室内装饰装修管理办法》 (Ministry of Construction, order 110 of 2002, amended in 2011):
art. 5 what is forbidden, art. 6 what an authority approves, art. 7 and 8 what is designed or
tested, art. 14 the papers of an application.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class DocumentKind(StrEnum):
    """Papers of an application."""

    OWNERSHIP = "ownership"
    IDENTITY = "identity"
    PLAN = "plan"
    CONTRACTOR = "contractor"
    CONSENT = "consent"
    DESIGN = "design"
    APPROVAL = "approval"
    METHOD = "method"
    OTHER = "other"


class Work(StrEnum):
    """Kinds of work."""

    SURFACES = "surfaces"
    ELECTRICAL = "electrical"
    PLUMBING = "plumbing"
    LIGHT_WALLS = "light_walls"
    AIR_CONDITIONING = "air_conditioning"
    WATERPROOFING = "waterproofing"
    STRUCTURE = "structure"
    FLOOR_LOAD = "floor_load"
    FACADE = "facade"
    GAS = "gas"
    HEATING = "heating"
    ADDED_STRUCTURE = "added_structure"
    WET_ROOM_MOVED = "wet_room_moved"
    LOAD_BEARING_OPENING = "load_bearing_opening"
    INSULATION = "insulation"


@dataclass(frozen=True)
class Rule:
    """What a kind of work needs; ``article`` of the order that says so, 0 for none."""

    needs: frozenset[DocumentKind] = frozenset()
    is_forbidden: bool = False
    article: int = 0


FREE = Rule()
DESIGN, METHOD, APPROVAL = DocumentKind.DESIGN, DocumentKind.METHOD, DocumentKind.APPROVAL
RULES: dict[Work, Rule] = {
    Work.SURFACES: FREE,
    Work.ELECTRICAL: FREE,
    Work.PLUMBING: FREE,
    Work.LIGHT_WALLS: FREE,
    Work.AIR_CONDITIONING: FREE,
    Work.WATERPROOFING: Rule(frozenset({METHOD}), article=8),
    Work.STRUCTURE: Rule(frozenset({DESIGN}), article=5),
    Work.FLOOR_LOAD: Rule(frozenset({DESIGN}), article=7),
    Work.FACADE: Rule(frozenset({APPROVAL}), article=6),
    Work.GAS: Rule(frozenset({APPROVAL}), article=6),
    Work.HEATING: Rule(frozenset({APPROVAL}), article=6),
    Work.ADDED_STRUCTURE: Rule(frozenset({APPROVAL}), article=6),
    Work.WET_ROOM_MOVED: Rule(is_forbidden=True, article=5),
    Work.LOAD_BEARING_OPENING: Rule(is_forbidden=True, article=5),
    Work.INSULATION: Rule(is_forbidden=True, article=5),
}
ALWAYS = frozenset({DocumentKind.OWNERSHIP, DocumentKind.IDENTITY, DocumentKind.PLAN})


def forbidden(works: Iterable[Work]) -> list[Work]:
    """Return the works among these that nobody may do, in the order of their declaration."""
    chosen = set(works)
    return [work for work in Work if work in chosen and RULES[work].is_forbidden]


def needed(
    works: Iterable[Work], *, has_contractor: bool, is_owner: bool
) -> frozenset[DocumentKind]:
    """Return the papers that an application needs.

    has_contractor: a firm does the work, so its licence is needed. is_owner: else the owner's
    written consent is needed. Source: art. 14 of the order.
    """
    papers = set(ALWAYS)
    for work in works:
        papers |= RULES[work].needs
    if has_contractor:
        papers.add(DocumentKind.CONTRACTOR)
    if not is_owner:
        papers.add(DocumentKind.CONSENT)
    return frozenset(papers)
