"""The dispatcher's board, the figures, and the sheet of codes."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import redirect, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from dougong.db import Scope
from dougong.documents import Label, Sheet, label_pages, render
from dougong.errors import DougongError, NotFound
from dougong.i18n import N_, gettext
from dougong.web.app import current_installation, require_scope
from dougong.web.charts import LineChart, line_chart
from dougong_repairs import cards, services
from dougong_repairs.domain.kinds import OrderState
from dougong_repairs.domain.states import WAITING
from dougong_repairs.models import ReportPoint, Technician, WorkOrder
from dougong_repairs.services.dispatching import RANK, mode_of
from dougong_repairs.services.figures import figures
from dougong_repairs.services.people import DISPATCH
from dougong_repairs.web.map import drawn
from dougong_repairs.web.pages import Answer, blueprint, clock, page, problem
from dougong_repairs.web.scanned import address_of

COLUMNS = (
    (OrderState.REPORTED, OrderState.RETURNED),
    (OrderState.DISPATCHED,),
    (OrderState.ACCEPTED,),
    (OrderState.IN_PROGRESS, OrderState.CONTRACTED),
    (OrderState.PAUSED,),
    (OrderState.DONE,),
)
MOST_CARDS = 200
CHARTS = ("p90", "median", "rating")


def _dispatcher() -> Scope:
    scope = require_scope()
    scope.require(DISPATCH)
    if scope.community_id is None:
        raise NotFound(N_("There is no such page."))
    return scope


@blueprint.get("/board/")
def board() -> Answer:
    return page("board", **_board(_dispatcher()))


@blueprint.get("/board/cards")
def board_cards() -> Answer:
    return page("cards", **_board(_dispatcher()))


def _board(scope: Scope) -> dict[str, Any]:
    shown = [state for column in COLUMNS for state in column]
    query = (
        select(WorkOrder)
        .where(WorkOrder.state.in_(shown))
        .options(
            joinedload(WorkOrder.room),
            joinedload(WorkOrder.building),
            joinedload(WorkOrder.technician),
        )
        .order_by(WorkOrder.reported_at.desc())
        .limit(MOST_CARDS)
    )
    orders = sorted(scope.session.scalars(query), key=lambda o: (RANK[o.urgency], o.reported_at))
    columns = [
        (states[0], [(o, clock(scope, o)) for o in orders if o.state in states])
        for states in COLUMNS
    ]
    places = services.positions(scope)
    workers = services.workers(scope, places)
    return {
        "columns": columns,
        "reason_words": services.reason_words,
        "workers": workers,
        "waiting": [order for order in orders if order.state in WAITING],
        "assignable": WAITING | {OrderState.DISPATCHED},
        "transferable": {OrderState.ACCEPTED, OrderState.IN_PROGRESS, OrderState.PAUSED},
        "mode": mode_of(scope),
        "open_states": cards.OPEN_STATES,
        "map": drawn(places, workers, orders),
        "calls": [order for order in orders if order.help_wanted_at],
    }


@blueprint.post("/board/assign")
def assign_on_board() -> Answer:
    scope = _dispatcher()
    order = scope.get(WorkOrder, request.form.get("order", ""), lock=True)
    technician = scope.get(Technician, request.form.get("technician", ""))
    can_dispatch = order.state in WAITING | {OrderState.DISPATCHED}
    verb = "dispatch" if can_dispatch else "transfer"
    try:
        with scope.session.begin_nested():
            scope.call(
                f"repairs.work_order.{verb}", work_order=order.id, technician_id=technician.id
            )
    except DougongError as error:
        return page("cards", **_board(scope), fault=problem(error)), 409
    return page("cards", **_board(scope), said=_said(order, technician))


def _said(order: WorkOrder, technician: Technician) -> str:
    return gettext(
        "No. %(number)s is with %(name)s now.", number=order.number, name=technician.name
    )


@blueprint.post("/board/orders/<uuid:order>/help")
def answer_help(order: UUID) -> Answer:
    """Say that help is on its way."""
    scope = _dispatcher()
    try:
        scope.call("repairs.work_order.answer_help", work_order=order)
    except DougongError as error:
        return page("cards", **_board(scope), fault=problem(error)), 409
    return page("cards", **_board(scope), said=gettext("The technician reads that help comes."))


@blueprint.post("/board/automatic")
def dispatch_now() -> Answer:
    scope = _dispatcher()
    count = scope.call("repairs.work_order.dispatch_waiting", is_forced=True)
    said = gettext("%(count)s orders dispatched; each says why.", count=count)
    return page("cards", **_board(scope), said=said)


@blueprint.post("/board/tell-me")
def tell_me_of_late_orders() -> Answer:
    _dispatcher().call("repairs.duty_contact.tell_me", level=1)
    return redirect(url_for(".board"), 303)


@blueprint.get("/board/orders/<uuid:order>/proposal")
def proposal(order: UUID) -> Answer:
    """Show whom the rule would choose for one order, and why."""
    scope = _dispatcher()
    found = scope.get(WorkOrder, order)
    chosen = services.propose(scope, [found]) if found.state in WAITING else []
    names = {str(t.id): t.name for t in scope.session.scalars(select(Technician))}
    choices = [(names[c.worker], services.explain(c)) for c in chosen]
    return page("proposal", order=found, choices=choices)


@blueprint.get("/metrics")
def metrics() -> Answer:
    scope = require_scope()
    scope.require("repairs.work_order.view")
    if scope.community_id is None:
        raise NotFound(N_("There is no such page."))
    found = figures(scope)
    since = f"done_at.from={found['since_on']}"
    return page(
        "metrics",
        **found,
        **{f"chart_{name}": _weekly(scope, found["weeks"], name) for name in CHARTS},
        week_part=_week_part,
        category_part=lambda line: f"{since}&category={line.key.value}",
        technician_part=lambda line: f"{since}&technician={line.technician_id}",
    )


def _weekly(scope: Scope, weeks: list[Any], name: str) -> LineChart | None:
    points = [
        (week.key.replace(tzinfo=scope.zone), Decimal(str(getattr(week, name))))
        for week in weeks
        if getattr(week, name) is not None
    ]
    return line_chart(points, scope.zone, timedelta(days=8))


def _week_part(line: Any) -> str:
    """Return the filter of the list that makes up a week's line; the last day is included."""
    return f"done_at.from={line.key.date()}&done_at.to={line.key.date() + timedelta(days=6)}"


@blueprint.get("/codes.pdf")
def codes() -> Answer:
    """Print the codes to report by, 24 to a sheet."""
    scope = require_scope()
    scope.require("repairs.report_point.view")
    if scope.community_id is None:
        raise NotFound(N_("There is no such page."))
    address = current_installation().settings.url
    labels = [
        Label(
            address + address_of(scope.community_id, point.code),
            point.code,
            point.name,
            gettext("Scan to report a repair"),
        )
        for point in scope.session.scalars(
            select(ReportPoint).where(ReportPoint.is_active).order_by(ReportPoint.name)
        )
    ]
    sheet = Sheet()
    made = render(scope, "repairs:codes", {"pages": label_pages(labels, sheet), "sheet": sheet})
    return Response(made.content, content_type="application/pdf")
