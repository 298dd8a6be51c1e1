"""Shifts: begun, written about, handed over with what is open, taken over by the next."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from dougong.db import Scope
from dougong.errors import Conflict, NotAllowed
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_equipment.domain.kinds import FaultSource, FaultState, ShiftState, TaskState, Trade
from dougong_equipment.models import Fault, InspectionRound, InspectionRoute, Shift, ShiftNote
from dougong_equipment.services.clock import happened_at
from dougong_equipment.services.ledger import wrong
from dougong_equipment.services.rounds import WALK


@service("shift.begin", title=("Begin a shift", "接班"), permission=WALK)
def begin_shift(scope: Scope, trade: Trade, post: str, objection: str = "") -> Shift:
    """Begin a shift at a post, and take over what the one before handed over there.

    objection: what was not as it was handed over. Raises Conflict while somebody is on duty there.
    """
    post = post.strip()
    if not post:
        raise wrong("post", gettext("At which post?"))
    last = last_shift(scope, trade, post)
    if last is not None and last.state is ShiftState.ON_DUTY:
        raise Conflict(N_("%(name)s is on duty here and has not handed over."), name=last.held_by)
    if last is not None and last.state is ShiftState.HANDED_OVER:
        last.state, last.taken_at = ShiftState.TAKEN_OVER, scope.now
        last.taken_by = scope.actor.name[:80]
        last.objection = objection.strip()[:500] or None
        scope.emit("shift_taken_over", shift_id=last.id)
    shift = Shift(trade=trade, post=post[:60], begun_at=scope.now, held_by=scope.actor.name[:80])
    scope.session.add(shift)
    scope.session.flush()
    return shift


def last_shift(scope: Scope, trade: Trade, post: str) -> Shift | None:
    """Return the latest shift of a post, locked; None for a new post."""
    query = select(Shift).where(Shift.trade == trade, Shift.post == post)
    query = query.order_by(Shift.begun_at.desc(), Shift.id.desc()).limit(1)
    return scope.session.scalars(query.with_for_update(of=Shift)).first()


@service("shift.note", title=("Write into the log", "记日志"), permission=WALK)
def note_shift(scope: Scope, shift: Shift, text: str, at: datetime | None = None) -> ShiftNote:
    """Write a line into the log of one's shift.

    at: when a phone without network did; it counts also when the word comes after the hand-over.
    Raises NotAllowed for another's shift, Conflict for one that was over then.
    """
    noted_at = happened_at(scope, at)
    _need_own(scope, shift, noted_at)
    if not text.strip():
        raise wrong("text", gettext("Write what happened."))
    note = ShiftNote(
        shift_id=shift.id,
        noted_at=noted_at,
        noted_by=scope.actor.name[:80],
        text=text.strip()[:500],
    )
    scope.session.add(note)
    scope.session.flush()
    return note


@service("shift.hand_over", title=("Hand over", "交班"), permission=WALK)
def hand_over(scope: Scope, shift: Shift, words: str) -> Shift:
    """Hand a shift over in words; what stands open of its trade is written beside them.

    Raises NotAllowed for another's shift, Conflict when it is handed over already.
    """
    _need_own(scope, shift, scope.now)
    if not words.strip():
        raise wrong("words", gettext("Say what the next one must know, or that there is nothing."))
    shift.hand_over, shift.open_words = words.strip()[:500], open_words(scope, shift)
    shift.state, shift.ended_at = ShiftState.HANDED_OVER, scope.now
    scope.session.flush()
    return shift


def open_words(scope: Scope, shift: Shift) -> str:
    """Return what stands open of a shift's trade: rounds to walk, rounds missed, findings."""
    rounds = (
        select(
            func.count().filter(InspectionRound.state.in_((TaskState.OPEN, TaskState.STARTED))),
            func.count().filter(
                InspectionRound.state == TaskState.MISSED,
                InspectionRound.closes_at >= shift.begun_at,
            ),
        )
        .join(InspectionRoute, InspectionRoute.id == InspectionRound.route_id)
        .where(InspectionRoute.trade == shift.trade)
    )
    to_walk, missed = scope.session.execute(rounds).one()
    findings = select(func.count()).where(
        Fault.source == FaultSource.ROUND, Fault.state == FaultState.OPEN
    )
    return gettext(
        "Rounds to walk: %(open)s; missed in this shift: %(missed)s; findings open: %(findings)s",
        open=to_walk,
        missed=missed,
        findings=scope.session.scalar(findings) or 0,
    )


def own_shifts(scope: Scope) -> Sequence[Shift]:
    """Return the shifts in which the actor is on duty."""
    query = select(Shift).where(
        Shift.state == ShiftState.ON_DUTY, Shift.held_by == scope.actor.name[:80]
    )
    return scope.session.scalars(query.order_by(Shift.begun_at)).all()


def notes_of(scope: Scope, shifts: Sequence[UUID]) -> dict[UUID, list[ShiftNote]]:
    """Return the logs of shifts, the oldest line first; one statement."""
    found: dict[UUID, list[ShiftNote]] = {}
    if shifts:
        query = select(ShiftNote).where(ShiftNote.shift_id.in_(shifts))
        for note in scope.session.scalars(query.order_by(ShiftNote.noted_at, ShiftNote.id)):
            found.setdefault(note.shift_id, []).append(note)
    return found


def _need_own(scope: Scope, shift: Shift, at: datetime) -> None:
    if shift.held_by != scope.actor.name[:80] and scope.actor.user_id is not None:
        raise NotAllowed(N_("This is the shift of %(name)s."), name=shift.held_by)
    if shift.ended_at is not None and at > shift.ended_at:
        raise Conflict(N_("This shift is handed over already."))
