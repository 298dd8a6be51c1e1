"""What runs by schedule: warnings and alarms on the clocks, and closing what nobody rates."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import and_, case, or_, select

from dougong.db import Scope, member_label
from dougong.messages import notify
from dougong.services import service
from dougong_repairs.domain.kinds import OrderState
from dougong_repairs.domain.states import OPEN
from dougong_repairs.models import CleanUp, DutyContact, WorkOrder
from dougong_repairs.services.people import DISPATCH
from dougong_repairs.services.stepping import take

STALE_DAYS = 30
MUCH_LATER = timedelta(hours=4)


@service(
    "work_order.watch_clocks",
    title=("Watch the clocks", "时限巡查"),
    permission=DISPATCH,
    is_public=False,
)
def watch_clocks(scope: Scope) -> int:
    """Warn at 75 % of a clock, raise the alarm when it is late, and again much later.

    Each level once per order; an order that is paused stands still. Returns how many were raised.
    """
    level = _level(scope)
    query = (
        select(WorkOrder, level)
        .where(WorkOrder.state.in_(OPEN - {OrderState.PAUSED}), level > WorkOrder.alarm_level)
        .with_for_update(of=WorkOrder, skip_locked=True)
    )
    raised = scope.session.execute(query).all()
    for order, reached in raised:
        order.alarm_level = reached
        fact = "warned" if reached == 1 else "overdue"
        scope.emit(f"repairs.work_order_{fact}", work_order_id=order.id)
        _tell(scope, order, reached)
    scope.session.flush()
    return len(raised)


def _level(scope: Scope):
    now = scope.now
    waits = WorkOrder.responded_at.is_(None)
    much_later = or_(
        and_(waits, WorkOrder.respond_due_at < now - MUCH_LATER),
        WorkOrder.resolve_due_at < now - MUCH_LATER,
    )
    late = or_(and_(waits, WorkOrder.respond_due_at < now), WorkOrder.resolve_due_at < now)
    near = or_(and_(waits, WorkOrder.respond_warn_at < now), WorkOrder.resolve_warn_at < now)
    return case((much_later, 3), (late, 2), (near, 1), else_=0)


def _tell(scope: Scope, order: WorkOrder, level: int) -> None:
    """Tell everybody whose level is reached, and the technician who has it."""
    told: set[UUID] = set(
        scope.session.scalars(select(DutyContact.user_id).where(DutyContact.level <= level))
    )
    if order.technician is not None and order.technician.user_id is not None:
        told.add(order.technician.user_id)
    for user_id in told:
        notify(
            scope,
            user_id,
            "repairs:work_order_late",
            {
                "number": order.number,
                "text": order.text[:60],
                "state": member_label(order.state),
                "is_late": level > 1,
                "due_at": f"{_due_at(order).astimezone(scope.zone):%m-%d %H:%M}",
            },
            key=f"repairs {order.id} {order.times_reopened} {level} {user_id}",
            is_urgent=level > 1,
            link=f"admin/repairs/work_order/{order.id}/",
        )


def _due_at(order: WorkOrder):
    return order.resolve_due_at if order.responded_at else order.respond_due_at


@service(
    "work_order.close_unrated",
    title=("Close what nobody rates", "清理过期工单"),
    permission=DISPATCH,
)
def close_unrated(scope: Scope, is_dry: bool = False) -> CleanUp:
    """Close orders that were done long ago and are not rated; their owners are told.

    The setting ``repairs.close_after_days`` says how long. Orders that are open too long are
    counted and never closed. is_dry: only report. Returns the report of the run.
    """
    days = int(scope.setting("repairs.close_after_days", 7))
    query = select(WorkOrder).where(
        WorkOrder.state == OrderState.DONE, WorkOrder.done_at < scope.now - timedelta(days=days)
    )
    expired = scope.session.scalars(query.with_for_update(of=WorkOrder)).all()
    stale = select(WorkOrder.number).where(
        WorkOrder.state.in_(OPEN), WorkOrder.reported_at < scope.now - timedelta(days=STALE_DAYS)
    )
    numbers = scope.session.scalars(stale.order_by(WorkOrder.number)).all()
    if not is_dry:
        for order in expired:
            take(scope, order, "close")
            order.closed_at = scope.now
    report = CleanUp(
        run_on=scope.today,
        closed=len(expired),
        stale=len(numbers),
        numbers=[*(order.number for order in expired), *numbers],
        is_dry=is_dry,
    )
    scope.session.add(report)
    scope.session.flush()
    return report
