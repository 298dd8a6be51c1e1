"""Inspection rounds: made by rule, walked point by point, missed when nobody came."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from dougong.db import Scope, insert_rows
from dougong.errors import Conflict, Invalid
from dougong.files import attachments_of
from dougong.i18n import N_, gettext
from dougong.messages import notify
from dougong.services import service
from dougong_equipment.domain.kinds import FaultSource, Proof, TaskState
from dougong_equipment.domain.recurrence import due_moments
from dougong_equipment.models import (
    InspectionPlan,
    InspectionPoint,
    InspectionRound,
    PointVisit,
    RouteStop,
    Watcher,
)
from dougong_equipment.services.answers import items_of, keep_answers, read_answers, wrong_words
from dougong_equipment.services.clock import CLOCK_MAY_BE_OFF
from dougong_equipment.services.faults import order_repair, raise_fault

WALK = "equipment.inspection_round.walk"
AHEAD = timedelta(hours=36)
MISSED_LEVEL = 2
ROUND_COLUMNS = ("plan_id", "route_id", "starts_at", "closes_at", "state", "points")


@service("inspection_plan.keep", title=("Bring rounds up to date", "更新巡检任务"))
def keep_rounds(scope: Scope) -> int:
    """Make the rounds of the next day and a half, and call missed what nobody finished in time.

    Runs every ten minutes. Rounds whose time passed while nothing ran are made as missed, so that
    the record has no holes; running twice makes nothing twice. Returns how many were made.
    """
    count = select(RouteStop.route_id, func.count()).group_by(RouteStop.route_id)
    stops = {row[0]: row[1] for row in scope.session.execute(count)}
    query = select(InspectionPlan).where(InspectionPlan.is_active)
    plans = scope.session.scalars(query.with_for_update(of=InspectionPlan)).all()
    rows = [row for plan in plans for row in _rounds(scope, plan, stops.get(plan.route_id, 0))]
    scope.session.flush()
    made = 0
    if rows:
        columns = dict(zip(ROUND_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        made = insert_rows(scope, InspectionRound, columns, on_conflict="do nothing")
    _close(scope)
    return made


def _rounds(scope: Scope, plan: InspectionPlan, points: int) -> Iterator[tuple[Any, ...]]:
    zone, until = scope.zone, scope.now + AHEAD
    after = plan.planned_until_at or max(plan.starts_at, scope.now) - timedelta(seconds=1)
    if not points or after >= until:
        return
    span = (plan.starts_at, after, until)
    starts, first, last = (at.astimezone(zone).replace(tzinfo=None) for at in span)
    try:
        moments = due_moments(plan.rule, starts, first, last)
    except ValueError:
        return
    plan.planned_until_at = until
    for moment in moments:
        begins = moment.replace(tzinfo=zone)
        closes = begins + timedelta(minutes=plan.window_minutes)
        state = TaskState.OPEN if begins <= scope.now else TaskState.PLANNED
        yield plan.id, plan.route_id, begins, closes, state, points


def _close(scope: Scope) -> None:
    """Open what begins, and call missed what is over; each is told once."""
    query = select(InspectionRound).where(
        InspectionRound.state.in_((TaskState.PLANNED, TaskState.OPEN, TaskState.STARTED)),
        InspectionRound.starts_at <= scope.now,
    )
    query = query.order_by(InspectionRound.starts_at).with_for_update(of=InspectionRound)
    missed = []
    for each in scope.session.scalars(query).all():
        if each.closes_at <= scope.now:
            each.state = TaskState.MISSED
            missed.append(each)
            scope.emit("round_missed", round_id=each.id)
        elif each.state is TaskState.PLANNED:
            each.state = TaskState.OPEN
    scope.session.flush()
    _tell(scope, missed)


def _tell(scope: Scope, missed: list[InspectionRound]) -> None:
    if not missed:
        return
    first = missed[0]
    query = select(Watcher.user_id).where(Watcher.level <= MISSED_LEVEL)
    for user_id in scope.session.scalars(query).all():
        notify(
            scope,
            user_id,
            "equipment:rounds_missed",
            {
                "count": len(missed),
                "route": first.route.name,
                "visited": first.visited,
                "points": first.points,
                "until": f"{first.closes_at.astimezone(scope.zone):%m-%d %H:%M}",
            },
            key=f"equipment missed {first.id} {user_id}",
            link="admin/equipment/inspection_round/?state=missed",
        )


@service("inspection_round.make_up", title=("Make up", "补检"))
def make_up_round(scope: Scope, round: InspectionRound, minutes: int = 60) -> InspectionRound:
    """Have the points that a missed round did not reach looked at now, within some minutes.

    Raises Conflict unless the round was missed, and when it is made up for already.
    """
    if round.state is not TaskState.MISSED or round.visited >= round.points:
        raise Conflict(N_("Only a round that was missed is made up for."))
    known = select(InspectionRound.id).where(InspectionRound.makes_up_id == round.id)
    if scope.session.scalars(known).first() is not None:
        raise Conflict(N_("This round is made up for already."))
    if not 5 <= minutes <= 20160:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"minutes": gettext("Between 5 minutes and 14 days.")},
        )
    made = InspectionRound(
        plan_id=round.plan_id,
        route_id=round.route_id,
        starts_at=scope.now,
        closes_at=scope.now + timedelta(minutes=minutes),
        state=TaskState.OPEN,
        points=round.points - round.visited,
        makes_up_id=round.id,
    )
    scope.session.add(made)
    scope.session.flush()
    return made


@service("point_visit.check", title=("Check again", "复查评分"))
def check_visit(
    scope: Scope, visit: PointVisit, is_fine: bool, score: int, remark: str = ""
) -> PointVisit:
    """Keep what a supervisor found who looked again, with a score from 1 to 5.

    The first look stays as it was; what is not fine becomes a finding. Raises Conflict for a
    visit that was checked already.
    """
    if visit.checked_at is not None:
        raise Conflict(N_("This visit was checked already."))
    if not 1 <= score <= 5:
        raise Invalid(
            N_("Some fields are not right yet."), fields={"score": gettext("Between 1 and 5.")}
        )
    visit.checked_at, visit.checked_by = scope.now, scope.actor.name[:80]
    visit.score, visit.remark = score, remark.strip()[:500] or None
    scope.session.flush()
    if not is_fine:
        _find_fault(scope, visit.point, f"recheck {visit.id}", remark.strip())
    return visit


def photo_wanted(round_id: UUID, point_id: UUID, percent: int) -> bool:
    """Tell whether a photo is wanted at a point of a round: by chance, and the same each time."""
    drawn = hashlib.sha256(round_id.bytes + point_id.bytes).digest()
    return int.from_bytes(drawn[:4]) % 100 < percent


def photo_name(point_id: UUID, client_id: UUID) -> str:
    """Return the name of a photo of a point; it lies with the round."""
    return f"point-{point_id.hex}-{client_id.hex[:8]}.jpg"


@service("inspection_round.visit", title=("Visit a point", "到点检查"), permission=WALK)
def visit_point(
    scope: Scope,
    round: InspectionRound,
    point_id: UUID,
    arrived_at: datetime,
    left_at: datetime,
    proof: str = "",
    answers: dict[str, Any] | None = None,
    note: str = "",
) -> PointVisit:
    """Write down what was found at a point.

    proof: what was scanned there: the address in the QR code, or the number of the NFC tag; without
    it the visit stands as unproven. The times are those of the phone; a visit within the round's
    time counts also when it is sent later. Raises Invalid for another point's code, a stay that was
    too short, a missing answer or photo; Conflict for a second visit or one out of time.
    """
    point = _stop(scope, round, point_id)
    _check_times(scope, round, point, arrived_at, left_at)
    how = proof_of(point, proof)
    photos = _photos(scope, round, point)
    found = read_answers(items_of(scope, point.checklist_id), answers or {}, photos)
    visit = PointVisit(
        round_id=round.id,
        point_id=point.id,
        arrived_at=arrived_at,
        left_at=left_at,
        proof=how,
        is_fine=all(answer.is_fine for answer in found),
        visited_by=scope.actor.name[:80],
        note=note.strip()[:500] or None,
    )
    scope.session.add(visit)
    scope.session.flush()
    keep_answers(scope, found, visit_id=visit.id)
    _count(scope, round)
    if not visit.is_fine:
        _find_fault(scope, point, f"visit {visit.id}", wrong_words(found))
    return visit


def _stop(scope: Scope, round: InspectionRound, point_id: UUID) -> InspectionPoint:
    """Return a point of the route; raises Invalid for another one, Conflict when it was visited."""
    query = select(RouteStop.id).where(
        RouteStop.route_id == round.route_id, RouteStop.point_id == point_id
    )
    if scope.session.scalars(query).first() is None:
        raise Invalid(N_("This point is not on the route."))
    known = select(PointVisit.id).where(
        PointVisit.round_id.in_((round.id, round.makes_up_id)), PointVisit.point_id == point_id
    )
    if scope.session.scalars(known).first() is not None:
        raise Conflict(N_("This point was visited in this round already."))
    return scope.get(InspectionPoint, point_id)


def _check_times(
    scope: Scope,
    round: InspectionRound,
    point: InspectionPoint,
    arrived_at: datetime,
    left_at: datetime,
) -> None:
    if arrived_at.tzinfo is None or left_at.tzinfo is None:
        raise Invalid(N_("The request was not understood."))
    if left_at > scope.now + CLOCK_MAY_BE_OFF:
        raise Invalid(N_("The phone's clock is wrong."))
    if not round.starts_at - CLOCK_MAY_BE_OFF <= arrived_at <= left_at <= round.closes_at:
        raise Conflict(N_("This round was to be walked at another time."))
    if (left_at - arrived_at).total_seconds() < point.stay_s:
        raise Invalid(N_("Stay at least %(seconds)s seconds."), seconds=point.stay_s)


def proof_of(point: InspectionPoint, shown: str) -> Proof:
    """Return how somebody proved that he was there; raises Invalid for another point's code."""
    said = shown.strip()
    if not said:
        return Proof.NONE
    if said.rpartition("/")[2] == point.code:
        return Proof.QR
    if point.tag and said.replace(":", "").lower() == point.tag.replace(":", "").lower():
        return Proof.NFC
    raise Invalid(N_("This is the code of another point."))


def _photos(scope: Scope, round: InspectionRound, point: InspectionPoint) -> int:
    mark = f"point-{point.id.hex}-"
    count = sum(a.name.startswith(mark) for a in attachments_of(scope, round))
    if not count and photo_wanted(round.id, point.id, point.photo_percent):
        raise Invalid(N_("A photo is wanted here this time."))
    return count


def _count(scope: Scope, round: InspectionRound) -> None:
    """Say how far a round is; complete in time is done, also when the word came late."""
    query = select(func.count()).where(PointVisit.round_id == round.id)
    round.visited = scope.session.scalar(query) or 0
    if round.visited >= round.points:
        round.state, round.done_at = TaskState.DONE, scope.now
        scope.emit("round_done", round_id=round.id)
    elif round.state in (TaskState.PLANNED, TaskState.OPEN):
        round.state = TaskState.STARTED
    scope.session.flush()


def _find_fault(scope: Scope, point: InspectionPoint, key: str, words: str) -> None:
    fault = raise_fault(
        scope,
        key,
        f"{point.name}：{words or gettext('not in order')}",
        FaultSource.ROUND,
        equipment_id=point.equipment_id,
        building_id=point.building_id,
        place=point.name,
    )
    order_repair(scope, fault)
