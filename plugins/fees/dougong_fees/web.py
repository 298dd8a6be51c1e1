"""Pages of fees: what owners see and pay, and what staff look at before and after a run."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from flask import Flask, Response, redirect, render_template, request, url_for
from sqlalchemy import select, union_all
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as WebResponse

from dougong.db import Scope, member_label
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.installation import Installation
from dougong.tenancy.models import Room
from dougong.texts import number
from dougong.web.admin.menu import menu_page
from dougong.web.app import plugin_blueprint, require_scope
from dougong.web.charts import bar_chart
from dougong_fees import (
    services,
    web_ahead,
    web_deliveries,
    web_handovers,
    web_map,
    web_presets,
)
from dougong_fees.domain.periods import add_months
from dougong_fees.domain.states import OWED, BillState
from dougong_fees.models import (
    Apportionment,
    ApportionmentShare,
    Bill,
    BillKind,
    BillRun,
    FeeTemplate,
    HandOver,
)
from dougong_fees.services import figures, mine, prompt, reports
from dougong_fees.services.explain import period_text
from dougong_ledger import services as ledger
from dougong_ledger.domain import OrderState
from dougong_ledger.models import Payment
from dougong_ledger.services.orders import items_of
from dougong_ledger.services.receipts import receipt_of

blueprint = plugin_blueprint("fees", __name__)
web_handovers.add_pages(blueprint)
web_deliveries.add_pages(blueprint)
web_ahead.add_pages(blueprint)
web_map.add_pages(blueprint)
web_presets.add_pages(blueprint)
SHOWN, SHOWN_OBJECTS, PAST, ZERO = 60, 12, 24, Decimal(0)


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application, and those for staff to the menu."""
    app.register_blueprint(blueprint)
    menu_page(
        "fees.arrears",
        ("Arrears", "欠费清单"),
        "fees.bill.view",
        plugin="fees",
        icon="alert-triangle",
        order=5,
    )
    menu_page(
        "fees.show_figures",
        ("Fees in figures", "收费分析"),
        "fees.bill.view",
        plugin="fees",
        icon="bar-chart-2",
        order=4,
    )
    menu_page(
        "fees.collection_map",
        ("Collection map", "收缴率热力图"),
        "fees.bill.view",
        plugin="fees",
        icon="grid",
        order=5,
        only_in="community",
    )
    menu_page(
        "fees.group_runs",
        ("Bill runs of the group", "集团出账"),
        "fees.bill_run.create",
        plugin="fees",
        icon="layers",
        order=6,
        only_in="group",
    )
    menu_page(
        "fees.show_presets",
        ("Presets of fee items", "收费预设方案"),
        "fees.fee_item.set_up",
        plugin="fees",
        icon="layers",
        order=41,
        only_in="community",
    )
    menu_page(
        "fees.fee_sheet",
        ("Fee sheet", "收费公示表"),
        "fees.fee_item.view",
        plugin="fees",
        icon="file-text",
        order=9,
        only_in="community",
    )
    menu_page(
        "fees.show_deliveries",
        ("Deliver a new building", "批量交房"),
        "fees.delivery.view",
        plugin="fees",
        icon="key",
        order=7,
        only_in="community",
    )
    menu_page(
        "fees.hand_over",
        ("Hand over a room", "办理过户"),
        "fees.hand_over.make",
        plugin="fees",
        icon="repeat",
        order=8,
    )


def new_key() -> str:
    """Return a key for one request that may be sent twice."""
    return uuid4().hex


def page(template: str, **values: object) -> str:
    """Return a page of fees with what every one of them formats."""
    return render_template(
        f"fees/{template}.html", period=period_text, member=member_label, number=number, **values
    )


# --- owners ---------------------------------------------------------------------------------------


@blueprint.get("/my/")
def my() -> str:
    """Show what a person has to pay, what he paid lately, and his wallet."""
    scope = require_scope()
    person_id = mine.my_person(scope)
    bills = services.my_bills(scope, person_id).with_only_columns(Bill.id)
    shown = union_all(
        bills.where(Bill.state.in_(OWED)).order_by(Bill.due_on, Bill.id).limit(SHOWN),
        bills.where(Bill.state == BillState.PAID).order_by(Bill.due_on.desc()).limit(12),
    )
    found = scope.session.scalars(
        select(Bill)
        .where(Bill.id.in_(select(shown.subquery().c.id)))
        .options(joinedload(Bill.room))
        .order_by(Bill.due_on, Bill.id)
    ).all()
    due = [bill for bill in found if bill.state in OWED]
    paid = [bill for bill in reversed(found) if bill.state not in OWED]
    total = sum(prompt.payable(scope, due).values(), ZERO)
    balance = ledger.balance_of(scope, person_id)
    return page(
        "my",
        due=due,
        paid=paid,
        total=total,
        balance=balance,
        offers=ledger.offers_in(scope, request.user_agent.string) if total > balance else [],
        today=scope.today,
        key=new_key(),
    )


@blueprint.get("/my/bills")
def my_past_bills() -> str:
    """Show every bill of a person that nothing is left of, newest first, page by page."""
    scope = require_scope()
    query = services.my_bills(scope, mine.my_person(scope)).where(Bill.state.not_in(OWED))
    if before := request.args.get("before"):
        query = query.where(Bill.id < _uuid(before))
    query = query.order_by(Bill.id.desc()).limit(PAST + 1).options(joinedload(Bill.room))
    found = scope.session.scalars(query).all()
    return page(
        "my_past_bills", bills=found[:PAST], further=found[PAST - 1].id if found[PAST:] else None
    )


@blueprint.get("/my/<uuid:bill_id>")
def my_bill(bill_id: UUID) -> str:
    """Show one of the actor's bills with each line explained."""
    scope = require_scope()
    bill = mine.my_bill(scope, bill_id)
    whole = services.whole_bill(scope, bill)
    return page(
        "my_bill",
        bill=bill,
        lines=whole.lines,
        payments=whole.payments,
        late_fee=whole.late_fee,
        payable=whole.payable,
        is_owed=bill.state in OWED,
        today=scope.today,
        key=new_key(),
    )


@blueprint.post("/my/order")
def order() -> WebResponse:
    """Open a payment order for the chosen bills, and pay it at once when the button said so."""
    scope = require_scope()
    ids = [_uuid(value) for value in request.form.getlist("bill")]
    if not ids:
        return redirect(url_for(".my"), 303)
    made = services.order_mine(scope, ids, request.form.get("key") or new_key())
    if request.form.get("pay") == "wallet":
        services.pay_mine(scope, made.id)
    if request.form.get("provider"):
        # The same form goes on to the channel, after the order is committed.
        return redirect(url_for("ledger.start", order_id=made.id), 307)
    return redirect(url_for(".my_order", order_id=made.id), 303)


@blueprint.get("/my/order/<uuid:order_id>")
def my_order(order_id: UUID) -> str:
    """Show what is about to be paid from the wallet, or that it has been."""
    scope = require_scope()
    found = mine.my_order(scope, order_id)
    payment = scope.session.scalars(
        select(Payment).where(Payment.order_id == found.id)
    ).one_or_none()
    balance = ledger.balance_of(scope, mine.my_person(scope))
    return page(
        "my_order",
        order=found,
        items=items_of(scope, found),
        payment=payment,
        receipt=receipt_of(scope, payment) if payment else None,
        balance=balance,
        missing=max(found.amount - balance, 0),
        is_open=found.state is OrderState.OPEN and found.expires_at > scope.now,
        is_online=bool(ledger.offers(scope)),
        key=new_key(),
    )


@blueprint.post("/my/order/<uuid:order_id>/pay")
def pay(order_id: UUID) -> WebResponse:
    """Pay the order from the wallet; sent twice, it pays once."""
    services.pay_mine(require_scope(), order_id)
    return redirect(url_for(".my_order", order_id=order_id), 303)


@blueprint.post("/my/top-up")
def top_up() -> WebResponse:
    """Put demonstration money into the actor's wallet, and go back to what he was paying."""
    scope = require_scope()
    services.top_up_mine(scope, request.form.get("amount", ""), request.form.get("key", ""))
    order_id = request.form.get("order")
    if order_id:
        return redirect(url_for(".my_order", order_id=_uuid(order_id)), 303)
    return redirect(url_for(".my"), 303)


@blueprint.get("/my/receipt/<uuid:order_id>")
def my_receipt(order_id: UUID) -> Response:
    """Download the receipt of one of the actor's orders."""
    document = services.print_mine(require_scope(), order_id)
    return _download(document.content, document.filename, document.media_type)


@blueprint.get("/my/apportionment/<uuid:bill_id>")
def my_apportionment(bill_id: UUID) -> str:
    """Show an owner the whole worksheet that his share comes from."""
    scope = require_scope()
    bill = mine.my_bill(scope, bill_id)
    if bill.kind is not BillKind.APPORTIONMENT:
        raise NotFound(N_("There is no such bill here."))
    found = scope.get(Apportionment, UUID(bill.trace["apportionment"]))
    return page("my_apportionment", bill=bill, found=found, shares=_worksheet(found))


def _worksheet(found: Apportionment) -> list[Any]:
    """Return room, ratio, exclusion and amount of every share, by room; no names."""
    query = (
        select(
            Room.code,
            ApportionmentShare.ratio,
            ApportionmentShare.amount,
            ApportionmentShare.is_excluded,
            ApportionmentShare.reason,
        )
        .join(Room, Room.id == ApportionmentShare.room_id)
        .where(ApportionmentShare.apportionment_id == found.id)
        .order_by(Room.sort_key)
    )
    return list(require_scope().session.execute(query))


# --- staff ----------------------------------------------------------------------------------------


@blueprint.get("/explain/<uuid:bill_id>")
def explain(bill_id: UUID) -> str:
    """Show staff why a bill is what it is, and what was paid and waived of it."""
    scope = require_scope()
    scope.require("fees.bill.explain")
    bill = scope.get(Bill, bill_id, options=(joinedload(Bill.room), joinedload(Bill.payer)))
    whole = services.whole_bill(scope, bill)
    return page(
        "explain",
        bill=bill,
        lines=whole.lines,
        payments=whole.payments,
        waivers=whole.waivers,
        late_fee=whole.late_fee,
    )


@blueprint.get("/print/<uuid:bill_id>")
def print_bill(bill_id: UUID) -> Response:
    """Download a bill as PDF with every line explained."""
    scope = require_scope()
    document = services.print_bill(scope, scope.get(Bill, bill_id))
    return _download(document.content, document.filename, document.media_type)


@blueprint.get("/hand-over/<uuid:record_id>/print")
def print_hand_over(record_id: UUID) -> Response:
    """Download the statement of a hand-over as PDF."""
    scope = require_scope()
    document = services.print_hand_over(scope, scope.get(HandOver, record_id))
    return _download(document.content, document.filename, document.media_type)


@blueprint.get("/my/<uuid:bill_id>/print")
def print_my_bill(bill_id: UUID) -> Response:
    """Download one of the actor's own bills as PDF."""
    document = services.print_my_bill(require_scope(), bill_id)
    return _download(document.content, document.filename, document.media_type)


@blueprint.get("/report/<uuid:run_id>")
def report(run_id: UUID) -> str:
    """Show a run before or after it is published: sums, comparison, outliers, problems."""
    scope = require_scope()
    scope.require("fees.bill_run.view")
    run = scope.get(BillRun, run_id)
    return page(
        "report",
        run=run,
        report=reports.run_report(scope, run),
        reasons=Counter(entry["problem"] for entry in run.problems or ()).most_common(),
        problems=(run.problems or [])[:SHOWN],
        words=reports.words,
    )


@blueprint.route("/runs", methods=["GET", "POST"])
def group_runs() -> str:
    """Show the runs of all communities of a group; start and decide them as one."""
    scope = require_scope()
    scope.require("fees.bill_run.create")
    outcome = None
    values = _next_month(scope.today)
    if "do" in request.form:
        outcome = _decide(scope, request.form)
    elif request.method == "POST":
        values = {name: request.form.get(name, "") for name in values}
        outcome = services.create_group_runs(scope, values["name"], *_days(values))
    runs = services.group_runs(scope)
    return page(
        "group_runs",
        outcome=outcome,
        values=values,
        runs=runs,
        objects=services.together(runs)[:SHOWN_OBJECTS],
    )


def _decide(scope: Scope, values: Mapping[str, str]) -> list[services.CommunityRun]:
    """Approve, publish or roll back the runs of one name and period in every community."""
    key = (values["name"], *_days({**values, "due_on": values["to_on"]})[:2])
    if values["do"] == "approve":
        return services.approve_group_runs(scope, *key)
    if values["do"] == "publish":
        return services.publish_group_runs(scope, *key)
    reason = values.get("reason", "").strip()
    if not reason:
        fields = {"reason": gettext("Say why it is rolled back.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    return services.roll_back_group_runs(scope, *key, reason)


@blueprint.route("/templates/<uuid:template_id>", methods=["GET", "POST"])
def template(template_id: UUID) -> str:
    """Show what a version of a group's fee item means for each community; roll it out or back."""
    scope = require_scope()
    found = scope.get(FeeTemplate, template_id)
    steps = {"roll-out": services.roll_out_template, "undo": services.undo_template}
    act = steps.get(request.form.get("do", ""), services.preview_template)
    return page("template", version=found, communities=act(scope, found))


def _next_month(today: date) -> dict[str, str]:
    """Return the fields of the month before today's, which is what one bills."""
    to_on = today.replace(day=1)
    from_on = add_months(to_on, -1)
    due_on = to_on.replace(day=20)
    return {
        "name": f"{from_on.year}-{from_on.month:02}",
        "from_on": from_on.isoformat(),
        "to_on": to_on.isoformat(),
        "due_on": due_on.isoformat(),
    }


def _days(values: Mapping[str, str]) -> tuple[date, date, date]:
    try:
        from_on, to_on, due_on = (
            date.fromisoformat(values[name]) for name in ("from_on", "to_on", "due_on")
        )
    except ValueError:
        raise Invalid(
            N_("Some fields are not right yet."), fields={"from_on": gettext("Choose a day.")}
        ) from None
    return from_on, to_on, due_on


@blueprint.get("/figures")
def show_figures() -> str:
    """Draw collection, arrears by age and today's money; every number leads to its list."""
    scope = require_scope()
    scope.require("fees.bill.view")
    scope.require("ledger.payment.view")
    runs, ages, means = figures.collections(scope), figures.ages(scope), figures.takings(scope)
    differences, bank_lines = figures.unreconciled(scope)
    return page(
        "figures",
        collections=runs,
        rate_chart=bar_chart([(f"{run.from_on:%m}", run.percent) for run in runs]),
        ages=ages,
        owed=sum((age.amount for age in ages), ZERO),
        age_chart=bar_chart([(_span(age), age.amount) for age in ages]),
        span=_span,
        takings=means,
        means_chart=bar_chart(
            [(member_label(m.channel), max(m.amount, Decimal(0))) for m in means]
        ),
        differences=differences,
        bank_lines=bank_lines,
        today=scope.today,
    )


def _span(age: figures.Age) -> str:
    return f"{age.low}–{age.high}" if age.high else f"> {age.low - 1}"


@blueprint.get("/arrears")
def arrears() -> str:
    """Show who owes what, by age."""
    scope = require_scope()
    scope.require("fees.bill.view")
    return page("arrears", found=reports.arrears(scope), ages=reports.AGES)


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFound(N_("There is no such bill here.")) from None


def _download(content: bytes, filename: str, media_type: str) -> Response:
    from urllib.parse import quote

    disposition = f"attachment; filename*=UTF-8''{quote(filename)}"
    return Response(content, content_type=media_type, headers={"Content-Disposition": disposition})
