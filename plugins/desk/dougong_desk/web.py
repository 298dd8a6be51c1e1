"""Pages of the front desk: everything is reached and paid with the keyboard alone."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from uuid import UUID, uuid4

from flask import Flask, Response, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as WebResponse

from dougong.db import member_label
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.installation import Installation
from dougong.web.admin.details import shown_panels
from dougong.web.admin.menu import menu_page
from dougong.web.app import plugin_blueprint, require_scope
from dougong_desk import services, web_release
from dougong_desk.domain import DENOMINATIONS, ShiftState, Tender, VoidState
from dougong_desk.models import Draft, Shift, Taking, VoidRequest
from dougong_desk.services.finding import find, people_of
from dougong_desk.services.takings import MEANS, rooms_named
from dougong_desk.web_release import shown
from dougong_ledger.domain import PaymentChannel
from dougong_ledger.models import Payment

blueprint = plugin_blueprint("desk", __name__, static_folder="static")
web_release.add_pages(blueprint)


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application and to the menu."""
    app.register_blueprint(blueprint)
    app.register_blueprint(web_release.open_blueprint)
    menu_page(
        "desk.gate",
        ("Gate: release passes", "门岗放行核验"),
        "desk.release_pass.view",
        plugin="desk",
        icon="log-out",
        order=3,
        only_in="community",
    )
    menu_page(
        "desk.counter",
        ("Front desk", "前台收费"),
        "desk.taking.take",
        plugin="desk",
        icon="home",
        order=1,
        only_in="community",
    )
    menu_page(
        "desk.shift",
        ("My shift", "我的班次"),
        "desk.shift.open",
        plugin="desk",
        icon="clock",
        order=2,
        only_in="community",
    )


def page(template: str, **values: object) -> str:
    """Return a page of the desk with what every one of them formats."""
    return render_template(f"desk/{template}.html", member=member_label, **values)


# --- finding --------------------------------------------------------------------------------------


@blueprint.get("/")
def counter() -> str | WebResponse:
    """Show the one box, what is parked and what waits; one room that fits is opened at once."""
    scope = require_scope()
    scope.require("desk.taking.take")
    words = request.args.get("q", "").strip()
    found = find(scope, words) if words else []
    held = _ids(request.args.getlist("room"))
    if len(found) == 1:
        rooms = [*held, found[0].room_id]
        return redirect(url_for(".room", room=[str(each) for each in rooms]), 303)
    return page(
        "counter",
        words=words,
        found=found,
        held=held,
        shift=services.my_shift(scope),
        drafts=services.my_drafts(scope),
        voids=_my_voids(),
    )


def _my_voids() -> list[VoidRequest]:
    scope = require_scope()
    waiting = (VoidState.ASKED, VoidState.APPROVED)
    query = select(VoidRequest).where(
        VoidRequest.state.in_(waiting), VoidRequest.asked_on == scope.today
    )
    return list(scope.session.scalars(query.order_by(VoidRequest.id).limit(20)))


@blueprint.get("/room")
def room() -> str:
    """Show all about a room and what may be paid; further rooms go onto the same slip."""
    scope = require_scope()
    scope.require("desk.taking.take")
    draft_id = _id(request.args["draft"]) if "draft" in request.args else None
    before = services.at_counter(scope, _ids(request.args.getlist("room")), draft_id)
    rooms, draft = before.rooms, before.draft
    dues = services.dues_of(scope, [each.id for each in rooms])
    chosen = {UUID(each) for each in draft.chosen} if draft else {due.subject_id for due in dues}
    return page(
        "room",
        rooms=rooms,
        people=people_of(scope, rooms[0].id),
        dues=dues,
        chosen=chosen,
        total=sum((due.amount for due in dues if due.subject_id in chosen), Decimal(0)),
        draft=draft,
        shift=before.shift,
        means=MEANS,
        key=uuid4().hex,
    )


@blueprint.get("/room/panels")
def panels() -> str:
    """Show what every plugin knows of a room; the page asks for it once it is there."""
    scope = require_scope()
    scope.require("desk.taking.take")
    rooms = rooms_named(scope, _ids(request.args.getlist("room")))
    if not rooms:
        raise NotFound(N_("There is no such room here."))
    answers = scope.ask("record_panels", record=rooms[0])
    found = [panel for answer in answers for panel in answer]
    return page("panels", panels=shown_panels(scope, found))


# --- taking ---------------------------------------------------------------------------------------


@blueprint.post("/take")
def take() -> WebResponse:
    """Take the money, or park the draft when that button was used."""
    scope = require_scope()
    rooms, chosen = _ids(request.form.getlist("room")), _ids(request.form.getlist("due"))
    draft_id = request.form.get("draft")
    if request.form.get("do") == "park":
        services.park_draft(scope, rooms, chosen, request.form.get("note", ""))
        taking = None
    else:
        key = request.form.get("key", "")
        taking = services.take_payment(scope, rooms, chosen, _tenders(request.form), key)
    if draft_id:
        draft = scope.session.get(Draft, (scope.community_id, _id(draft_id)))
        if draft is not None:
            services.drop_draft(scope, draft)
    if taking is None:
        return redirect(url_for(".counter"), 303)
    return redirect(url_for(".taken", taking_id=taking.id), 303)


def _tenders(form: Mapping[str, str]) -> list[Tender]:
    """Return what was put down: the first means and amount, and a second one when it is given."""
    found = []
    for number in ("1", "2"):
        typed = form.get(f"amount{number}", "").strip()
        if typed:
            reference = form.get(f"reference{number}", "").strip() or None
            means = form.get(f"means{number}", "")
            found.append(Tender(means, _money(f"amount{number}", typed), reference))
    return found


@blueprint.get("/taken/<uuid:taking_id>")
def taken(taking_id: UUID) -> str:
    """Show what was taken and the change; Enter prints the slip, the next room is a key away."""
    scope = require_scope()
    taking = scope.get(Taking, taking_id)
    return page(
        "taken",
        taking=taking,
        payments=services.payments_of(scope, taking),
        shift=services.my_shift(scope),
    )


@blueprint.get("/form/<uuid:taking_id>.pdf")
def form(taking_id: UUID) -> Response:
    """Show the receipt on continuous paper as PDF, ready to be printed."""
    scope = require_scope()
    return shown(services.print_form(scope, scope.get(Taking, taking_id)))


@blueprint.get("/slip/<uuid:taking_id>.pdf")
def slip(taking_id: UUID) -> Response:
    """Show the slip as PDF, ready to be printed."""
    scope = require_scope()
    return shown(services.print_slip(scope, scope.get(Taking, taking_id)))


@blueprint.post("/drop/<uuid:draft_id>")
def drop(draft_id: UUID) -> WebResponse:
    """Forget a parked draft."""
    scope = require_scope()
    services.drop_draft(scope, scope.get(Draft, draft_id))
    return redirect(url_for(".counter"), 303)


# --- voiding --------------------------------------------------------------------------------------


@blueprint.post("/void/<uuid:payment_id>")
def ask_void(payment_id: UUID) -> WebResponse:
    """Ask to void a payment that was just taken."""
    scope = require_scope()
    services.ask_void(scope, scope.get(Payment, payment_id), request.form.get("reason", ""))
    return redirect(url_for(".counter"), 303)


@blueprint.post("/voids/<uuid:request_id>/<step>")
def decide_void(request_id: UUID, step: str) -> WebResponse:
    """Approve or refuse somebody else's request, or give the money of one's own back."""
    scope = require_scope()
    steps = {
        "approve": services.approve_void,
        "refuse": services.refuse_void,
        "carry-out": services.carry_out_void,
    }
    if step not in steps:
        raise NotFound(N_("There is no such page."))
    steps[step](scope, scope.get(VoidRequest, request_id))
    return redirect(url_for(".counter"), 303)


# --- the shift ------------------------------------------------------------------------------------


@blueprint.get("/shift")
def shift() -> str:
    """Show the actor's shift: what it took so far and the count, or how to open one."""
    scope = require_scope()
    scope.require("desk.shift.open")
    mine = services.my_shift(scope)
    return page(
        "shift",
        shift=mine,
        drawer=services.drawer(scope, mine) if mine else None,
        waiting=[] if mine else services.waiting_floats(scope),
        last=None if mine else _last(),
        denominations=DENOMINATIONS,
        pos=PaymentChannel.POS,
    )


def _last() -> Shift | None:
    scope = require_scope()
    query = select(Shift).where(
        Shift.cashier_id == scope.actor.user_id, Shift.state != ShiftState.OPEN
    )
    return scope.session.scalars(query.order_by(Shift.closed_at.desc()).limit(1)).first()


@blueprint.post("/shift/open")
def open_shift() -> WebResponse:
    """Open the actor's shift with what he counted."""
    given = request.form.get("taken_from", "")
    services.open_shift(
        require_scope(),
        _money("opening_float", request.form.get("opening_float", "")),
        _id(given) if given else None,
        request.form.get("float_reason"),
    )
    return redirect(url_for(".counter"), 303)


@blueprint.post("/shift/close")
def close_shift() -> WebResponse:
    """Close the actor's shift with his count."""
    scope, form = require_scope(), request.form
    mine = services.my_shift(scope)
    if mine is None:
        return redirect(url_for(".shift"), 303)
    services.close_shift(
        scope,
        mine,
        {f"{v:f}": _pieces(form.get(f"n{v:f}", "")) for v in DENOMINATIONS},
        _money("pos_slips", form.get("pos_slips") or "0"),
        _money("banked", form.get("banked") or "0"),
        form.get("bank_slip"),
        form.get("difference_reason"),
        form.get("pos_reason"),
    )
    return redirect(url_for(".shift"), 303)


@blueprint.get("/shift/<uuid:shift_id>.pdf")
def shift_report(shift_id: UUID) -> Response:
    """Show a shift's report as PDF."""
    scope = require_scope()
    return shown(services.print_shift(scope, scope.get(Shift, shift_id)))


# --- what people type -----------------------------------------------------------------------------


def _money(field: str, typed: str) -> Decimal:
    try:
        amount = Decimal(typed.strip().replace(",", ""))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) >= 10**9:
        fields = {field: gettext("An amount in yuan, such as 350.50.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    return amount


def _pieces(typed: str) -> int:
    typed = typed.strip() or "0"
    if not typed.isdigit() or len(typed) > 6:
        fields = {"pieces": gettext("Count notes and coins by denomination.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    return int(typed)


def _ids(values: list[str]) -> list[UUID]:
    return [_id(value) for value in dict.fromkeys(values)]


def _id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFound(N_("There is no such page.")) from None
