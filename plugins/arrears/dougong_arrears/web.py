"""Pages of arrears: the desk, a case, reminders and notices; the payer's own page."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

from flask import Flask, Response, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as WebResponse

from dougong.db import member_label
from dougong.documents import Document
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation
from dougong.tenancy.models import Person, Room
from dougong.web.admin.menu import menu_page
from dougong.web.admin.progress import progress_of
from dougong.web.app import plugin_blueprint, require_scope
from dougong_arrears import services
from dougong_arrears.domain import (
    AGES,
    AgreementState,
    ContactKind,
    Interruption,
    NextStep,
    NoticeKind,
    NoticeState,
    Outcome,
    unpaid_parts,
)
from dougong_arrears.models import Agreement, Dispute, NoticeRun
from dougong_arrears.services import agreements, desk, notices, owning
from dougong_fees.models import Bill
from dougong_fees.services.mine import my_person

blueprint = plugin_blueprint("arrears", __name__)
Answer = str | WebResponse | tuple[str, int]
SHOWN = 200


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application, and those for staff to the menu."""
    app.register_blueprint(blueprint)
    menu_page(
        "arrears.work",
        ("Collector's desk", "催缴工作台"),
        "arrears.contact.view",
        plugin="arrears",
        icon="inbox",
        order=1,
    )
    menu_page(
        "arrears.reminders",
        ("Send reminders", "发送缴费提醒"),
        "arrears.reminder.preview",
        plugin="arrears",
        icon="bell",
        order=2,
    )
    menu_page(
        "arrears.prints",
        ("Print notices", "批量打印催费函"),
        "arrears.notice_run.start",
        plugin="arrears",
        icon="printer",
        order=3,
    )


def page(template: str, **values: Any) -> str:
    """Return a page of arrears with what every one of them formats."""
    return render_template(f"arrears/{template}.html", member=member_label, ages=AGES, **values)


# --- the desk ---------------------------------------------------------------------------------


@blueprint.get("/desk")
def work() -> str:
    """Show who owes what since when, what was said last and what comes next."""
    scope = require_scope()
    scope.require("arrears.contact.view")
    wish = _wish()
    found = desk.lines(scope, wish, desk.PAGE + 1)
    shown = found[: desk.PAGE]
    last = shown[-1] if len(found) > desk.PAGE else None
    collectors, buildings = desk.choices(scope)
    return page(
        "desk",
        lines=shown,
        after=f"{last.owed}_{last.room_id}_{last.payer_id}" if last else None,
        totals=desk.totals(scope, wish),
        wish=wish,
        collectors=collectors,
        buildings=buildings,
        today=scope.today,
    )


def _wish() -> desk.Wish:
    collector, building = request.args.get("collector", ""), request.args.get("building", "")
    after = request.args.get("after", "").split("_")
    try:
        if collector not in ("", "mine"):
            UUID(collector)
        return desk.Wish(
            collector,
            UUID(building) if building else None,
            (Decimal(after[0]), UUID(after[1]), UUID(after[2])) if len(after) == 3 else None,
        )
    except (ValueError, InvalidOperation):
        raise NotFound(N_("There is no such page.")) from None


# --- a case -----------------------------------------------------------------------------------


@blueprint.get("/case/<uuid:room_id>/<uuid:payer_id>")
def case(room_id: UUID, payer_id: UUID) -> str:
    """Show one payer's arrears for a room, what was said, and what can be done."""
    return _case(*_case_of(room_id, payer_id))


def _case_of(room_id: UUID, payer_id: UUID) -> tuple[Room, Person]:
    scope = require_scope()
    scope.require("arrears.contact.view")
    return desk.people_of(scope, room_id, payer_id)


def _case(room: Room, payer: Person, **values: Any) -> str:
    scope = require_scope()
    story = desk.story_of(scope, room.id, payer.id)
    given = {"given": {}, "faults": {}, "fault": "", "phone": None} | values
    return page(
        "case",
        room=room,
        payer=payer,
        bills=desk.bills_of(scope, room.id, payer.id),
        tone=lambda day: desk.limit_tone(scope, day),
        story=story.contacts,
        promises=story.promises,
        reminders=story.reminders,
        plan=story.plan,
        agreements=story.agreements,
        kinds=ContactKind,
        outcomes=Outcome,
        interruptions=Interruption,
        steps=NextStep,
        today=scope.today,
        **given,
    )


@blueprint.post("/case/<uuid:room_id>/<uuid:payer_id>")
def act(room_id: UUID, payer_id: UUID) -> Answer:
    """Do what a form of the case asks for, and show the case again."""
    room, payer = _case_of(room_id, payer_id)
    step = STEPS.get(request.form.get("do", ""))
    if step is None:
        raise NotFound(N_("There is no such page."))
    try:
        shown = step(room, payer)
    except Invalid as error:
        values = {"fault": translate_error(error), "faults": error.fields, "given": request.form}
        return _case(room, payer, **values), 422
    if shown is not None:
        return _case(room, payer, phone=shown)
    return redirect(url_for(".case", room_id=room_id, payer_id=payer_id), 303)


def _record(room: Room, payer: Person) -> None:
    promised = request.form.get("promised", "").strip()
    services.record_contact(
        require_scope(),
        room,
        payer,
        _member(ContactKind, "kind"),
        _member(Outcome, "outcome"),
        happened_on=_day("happened_on"),
        note=request.form.get("note", ""),
        interrupts=_member(Interruption, "interrupts") if request.form.get("interrupts") else None,
        promised=_money(promised) if promised else None,
        promised_by=_day("promised_by"),
    )


def _plan(room: Room, payer: Person) -> None:
    services.plan_next(
        require_scope(), room, payer, _member(NextStep, "next_step"), _day("next_on")
    )


def _phone(room: Room, payer: Person) -> str:
    return services.reveal_phone(require_scope(), room, payer) or gettext("none on record")


def _dispute(room: Room, payer: Person) -> None:
    scope = require_scope()
    bill = scope.get(Bill, request.form.get("bill", ""))
    if bill.payer_id != payer.id:
        raise NotFound(N_("There is no such bill here."))
    services.open_dispute(scope, bill, request.form.get("reason", ""))


def _settle(room: Room, payer: Person) -> None:
    scope = require_scope()
    dispute = scope.get(Dispute, request.form.get("dispute", ""))
    services.settle_dispute(scope, dispute, request.form.get("outcome_note", ""))


def _sign(room: Room, payer: Person) -> None:
    parts = request.form.get("parts", "")
    services.sign_agreement(
        require_scope(),
        room,
        payer,
        int(parts) if parts.isascii() and parts.isdigit() else 0,
        _day("first_due_on") or require_scope().today,
    )


STEPS: dict[str, Callable[[Room, Person], str | None]] = {
    "record": _record,
    "plan": _plan,
    "phone": _phone,
    "dispute": _dispute,
    "settle": _settle,
    "sign": _sign,
}


def _member(kind: Any, name: str) -> Any:
    try:
        return kind(request.form.get(name, ""))
    except ValueError:
        raise Invalid(
            N_("Some fields are not right yet."), fields={name: gettext("Choose one.")}
        ) from None


def _day(name: str) -> date | None:
    value = request.form.get(name, "").strip()
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise Invalid(
            N_("Some fields are not right yet."), fields={name: gettext("Choose a day.")}
        ) from None


def _money(value: str) -> Decimal:
    try:
        amount = Decimal(value.replace(",", ""))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0 or amount != round(amount, 2):
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"promised": gettext("An amount in yuan."), "least": gettext("An amount.")},
        )
    return amount


# --- agreements -------------------------------------------------------------------------------


@blueprint.get("/agreement/<uuid:agreement_id>")
def agreement(agreement_id: UUID) -> str:
    """Show an agreement's instalments and what is left of them."""
    scope = require_scope()
    scope.require("arrears.agreement.view")
    shown = (joinedload(Agreement.room), joinedload(Agreement.payer))
    found = scope.get(Agreement, agreement_id, options=shown)
    return page("agreement", agreement=found, parts=_parts(found), today=scope.today)


def _parts(found: Agreement) -> list[Any]:
    scope = require_scope()
    parts = agreements.parts_of(scope, [found.id])[found.id]
    return unpaid_parts(parts, agreements.paid_of(scope, [found.id]).get(found.id, Decimal(0)))


@blueprint.get("/agreement/<uuid:agreement_id>/print")
def print_agreement(agreement_id: UUID) -> Response:
    """Download an agreement as PDF."""
    scope = require_scope()
    return _download(services.print_agreement(scope, scope.get(Agreement, agreement_id)))


# --- reminders --------------------------------------------------------------------------------


@blueprint.get("/reminders")
def reminders() -> str:
    """Show who would be told of what, were reminders sent now."""
    scope = require_scope()
    due = services.preview_reminders(scope)
    return page(
        "reminders",
        due=due[:SHOWN],
        count=len(due),
        owed=sum((each.owed for each in due), Decimal(0)),
        sent=request.args.get("sent", type=int),
        is_automatic=scope.setting("arrears.sends_reminders", True),
        quiet=scope.setting("messages.quiet_hours", "22:00-07:00"),
    )


@blueprint.post("/reminders")
def send_reminders() -> WebResponse:
    """Have the reminders sent."""
    return redirect(url_for(".reminders", sent=services.send_now(require_scope())), 303)


# --- notices ----------------------------------------------------------------------------------


@blueprint.get("/notices")
def prints() -> str:
    """Show the print runs and the form for a new one."""
    return _prints()


def _prints(**values: Any) -> str:
    scope = require_scope()
    scope.require("arrears.notice_run.start")
    runs = scope.session.scalars(select(NoticeRun).order_by(NoticeRun.id.desc()).limit(20)).all()
    given = {"given": {}, "faults": {}, "fault": ""} | values
    _, buildings = desk.choices(scope)
    return page(
        "prints", runs=runs, kinds=NoticeKind, buildings=buildings, today=scope.today, **given
    )


@blueprint.post("/notices")
def start_print() -> Answer:
    """Start a print run and show how far it is."""
    scope, building = require_scope(), request.form.get("building", "")
    try:
        run = services.start_notices(
            scope,
            _member(NoticeKind, "kind"),
            _day("pay_by_on") or scope.today,
            _money(request.form.get("least", "").strip() or "0"),
            UUID(building) if building else None,
        )
    except Invalid as error:
        values = {"fault": translate_error(error), "faults": error.fields, "given": request.form}
        return _prints(**values), 422
    return redirect(url_for(".print_run", run_id=run.id), 303)


def _run(run_id: UUID) -> NoticeRun:
    scope = require_scope()
    scope.require("arrears.notice_run.start")
    return scope.get(NoticeRun, run_id)


@blueprint.get("/notices/<uuid:run_id>")
def print_run(run_id: UUID) -> str:
    """Show how far a print run is, and offer its file once it is ready."""
    return page("print_run", **_run_values(_run(run_id)))


@blueprint.get("/notices/<uuid:run_id>/progress")
def print_progress(run_id: UUID) -> str:
    """Return the part of the page that changes."""
    return page("print_run_body", **_run_values(_run(run_id)))


def _run_values(run: NoticeRun) -> dict[str, Any]:
    scope = require_scope()
    is_gone = run.expires_at is not None and (run.expires_at <= scope.now or run.size == 0)
    return {"run": run, "is_gone": is_gone, "progress": progress_of(scope, run.job_id)}


@blueprint.get("/notices/<uuid:run_id>/download")
def download(run_id: UUID) -> Response:
    """Send the file of a print run: demands as an archive, the public notice as PDF."""
    run, scope = _run(run_id), require_scope()
    content = b"".join(notices.file_of(scope, run)) if run.state is NoticeState.READY else b""
    if not content or run.expires_at is None or run.expires_at <= scope.now:
        raise NotFound(N_("This file is no longer there. Print the notices again."))
    is_public = run.kind is NoticeKind.PUBLIC
    name = f"{member_label(run.kind)}-{run.made_at.astimezone(scope.zone):%Y-%m-%d}"
    kind = "application/pdf" if is_public else "application/zip"
    return _download(Document(content, f"{name}.{'pdf' if is_public else 'zip'}", kind))


def _download(document: Document) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(document.filename)}"
    return Response(
        document.content,
        content_type=document.media_type,
        headers={"Content-Disposition": disposition},
    )


# --- payers -----------------------------------------------------------------------------------


@blueprint.get("/my/")
def my() -> str:
    """Show a payer his agreements, what he was reminded of, and what he may choose."""
    scope = require_scope()
    choice = owning.my_choice(scope)
    found = owning.agreements_of(scope, my_person(scope))
    return page(
        "my",
        agreements=[(each, _parts(each) if _is_active(each) else []) for each in found[:3]],
        reminders=owning.my_reminders(scope),
        wants_due_soon=choice is None or choice.wants_due_soon,
        is_saved="saved" in request.args,
        today=scope.today,
        key=uuid4().hex,
    )


def _is_active(found: Agreement) -> bool:
    return found.state is AgreementState.ACTIVE


@blueprint.post("/my/choice")
def choose() -> WebResponse:
    """Save what a payer chose about reminders."""
    services.choose_reminders(require_scope(), request.form.get("due_soon") == "yes")
    return redirect(url_for(".my", saved=1), 303)


@blueprint.post("/my/agreement/<uuid:agreement_id>/pay")
def pay_instalment(agreement_id: UUID) -> WebResponse:
    """Open the order for the next instalment, and show by what it can be paid."""
    key = request.form.get("key") or uuid4().hex
    order = owning.order_my_instalment(require_scope(), agreement_id, key)
    return redirect(url_for("fees.my_order", order_id=order.id), 303)


@blueprint.get("/my/agreement/<uuid:agreement_id>")
def my_agreement(agreement_id: UUID) -> Response:
    """Download one of the actor's own agreements as PDF."""
    return _download(services.print_my_agreement(require_scope(), agreement_id))
