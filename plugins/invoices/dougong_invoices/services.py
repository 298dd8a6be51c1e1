"""Requesting, issuing, asking and crediting: at most once on the wire, whatever is repeated."""

import io
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager

from dougong.db import Scope, uuid7
from dougong.documents import letterhead
from dougong.errors import Invalid, NotFound
from dougong.files import attach, attachments_of, read_attachment
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_fees.domain.amounts import apportion
from dougong_fees.models import BillLine, FeeItem
from dougong_fees.services.bills import KIND
from dougong_fees.services.mine import my_person
from dougong_invoices.domain import STEPS, InvoiceState, TaxedLine, red, tax_number, taxed
from dougong_invoices.errors import NotInvoiceable, WrongState
from dougong_invoices.models import Invoice, TaxRule
from dougong_invoices.offline import OfflineProvider
from dougong_invoices.provider import (
    Answer,
    InvoiceAnswer,
    InvoiceProvider,
    InvoiceRequest,
    Party,
)
from dougong_ledger.models import Payment, PaymentOrder
from dougong_ledger.services.orders import items_of

log = structlog.get_logger(__name__)
PORTAL = "invoices.portal"
OFFLINE = "offline"
STALE = timedelta(minutes=10)
MOST = 200
# Property management services of a general taxpayer.
DEFAULT_RULE = ("3040801010000000000", "企业管理服务", Decimal("0.06"))


def ensure_rule(scope: Scope) -> None:
    """Write the usual tax rule into a community that has none."""
    if scope.session.scalars(select(TaxRule.id).limit(1)).first() is None:
        code, name, rate = DEFAULT_RULE
        scope.session.add(
            TaxRule(from_on=date(2020, 1, 1), tax_code=code, short_name=name, rate=rate)
        )
        scope.session.flush()


# --- requesting -------------------------------------------------------------------------------


@service("invoice.request", title=("Request an invoice", "申请开票"))
def request_invoice(
    scope: Scope, payment: Payment, buyer_name: str, buyer_tax_number: str = ""
) -> Invoice:
    """Request the invoice of what is left of a payment, and have it issued.

    Raises Invalid for a missing title or a tax number whose check sign is wrong, NotInvoiceable
    when there is one already or nothing is left.
    """
    number = tax_number(buyer_tax_number) if buyer_tax_number.strip() else None
    faults = {}
    if not buyer_name.strip():
        faults["buyer_name"] = gettext("This is needed.")
    if buyer_tax_number.strip() and number is None:
        faults["buyer_tax_number"] = gettext("This is no tax number: its check sign is wrong.")
    if faults:
        raise Invalid(N_("Some fields are not right yet."), fields=faults)
    payment = scope.get(Payment, payment.id, lock=True)
    if live_invoice(scope, payment.id) is not None:
        raise NotInvoiceable(N_("There is an invoice for this payment already."))
    lines = lines_of(scope, payment)
    invoice = _new(scope, payment.id, lines)
    invoice.buyer_name, invoice.buyer_tax_number = buyer_name.strip()[:120], number
    return _enqueued(scope, invoice)


def live_invoice(scope: Scope, payment_id: UUID) -> Invoice | None:
    """Return the invoice of a payment that counts or is on its way, None when there is none."""
    gone = (InvoiceState.FAILED, InvoiceState.RED)
    query = select(Invoice).where(
        Invoice.payment_id == payment_id,
        Invoice.credits_id.is_(None),
        Invoice.state.not_in(gone),
    )
    return scope.session.scalars(query).one_or_none()


def _new(scope: Scope, payment_id: UUID, lines: Sequence[TaxedLine]) -> Invoice:
    return Invoice(
        id=uuid7(),
        payment_id=payment_id,
        net=sum((line.net for line in lines), Decimal(0)),
        tax=sum((line.tax for line in lines), Decimal(0)),
        amount=sum((line.total for line in lines), Decimal(0)),
        lines=[_plain(line) for line in lines],
        provider=str(scope.setting("invoices.provider", OFFLINE)),
    )


def _enqueued(scope: Scope, invoice: Invoice) -> Invoice:
    scope.session.add(invoice)
    scope.session.flush()
    scope.enqueue("invoices.invoice.issue", invoice_id=invoice.id)
    return invoice


def _plain(line: TaxedLine) -> dict[str, str]:
    return {
        "name": line.name,
        "tax_code": line.tax_code,
        "rate": str(line.rate),
        "net": str(line.net),
        "tax": str(line.tax),
    }


def _read(invoice: Invoice) -> list[TaxedLine]:
    return [
        TaxedLine(
            each["name"],
            each["tax_code"],
            Decimal(each["rate"]),
            Decimal(each["net"]),
            Decimal(each["tax"]),
        )
        for each in invoice.lines
    ]


def lines_of(scope: Scope, payment: Payment) -> list[TaxedLine]:
    """Return what is left of a payment by fee item, each taxed by the rule of the payment's day.

    Raises NotInvoiceable for prepaid money, of which nothing was supplied yet, and when nothing is
    left; Invalid where no rule says how something is taxed.
    """
    order = scope.get(PaymentOrder, payment.order_id)
    left = payment.amount - payment.refunded
    if order.plugin == "ledger" or left <= 0:
        raise NotInvoiceable(N_("Nothing of this payment can be invoiced."))
    parts: dict[UUID | None, Decimal] = {}
    for item in items_of(scope, order):
        for fee_item_id, amount in _by_fee_item(scope, item):
            parts[fee_item_id] = parts.get(fee_item_id, Decimal(0)) + amount
    keys = [key for key, amount in parts.items() if amount > 0]
    shares = apportion(left, [parts[key] for key in keys])
    named = scope.session.execute(
        select(FeeItem.id, FeeItem.name).where(FeeItem.id.in_([k for k in keys if k]))
    )
    names = {row.id: row.name for row in named}
    on = payment.paid_at.astimezone(scope.zone).date()
    rules = _rules(scope, on)
    return [
        _taxed(rules, key, names.get(key, order.title), share)
        for key, share in zip(keys, shares, strict=True)
        if share
    ]


def _by_fee_item(scope: Scope, item: Any) -> list[tuple[UUID | None, Decimal]]:
    if item.kind != KIND:
        return [(None, item.amount)]
    rows = scope.session.execute(
        select(BillLine.fee_item_id, func.sum(BillLine.amount).label("amount"))
        .where(BillLine.bill_id == item.subject_id)
        .group_by(BillLine.fee_item_id)
        .having(func.sum(BillLine.amount) > 0)
        .order_by(BillLine.fee_item_id)
    ).all()
    if not rows:
        return [(None, item.amount)]
    shares = apportion(item.amount, [row.amount for row in rows])
    return [(row.fee_item_id, share) for row, share in zip(rows, shares, strict=True)]


def _rules(scope: Scope, on: date) -> dict[UUID | None, TaxRule]:
    query = select(TaxRule).where(TaxRule.from_on <= on).order_by(TaxRule.from_on)
    return {rule.fee_item_id: rule for rule in scope.session.scalars(query)}


def _taxed(
    rules: dict[UUID | None, TaxRule], key: UUID | None, name: str, amount: Decimal
) -> TaxedLine:
    rule = rules.get(key) or rules.get(None)
    if rule is None:
        raise NotInvoiceable(N_("No rule says how %(item)s is taxed."), item=name)
    return taxed(f"*{rule.short_name}*{name}", rule.tax_code, rule.rate, amount)


# --- issuing ----------------------------------------------------------------------------------


@service("invoice.issue", title=("Issue", "开具"), is_public=False)
def issue(scope: Scope, invoice_id: UUID) -> str:
    """Send one requested invoice to its vendor; return its state.

    That it is being issued is committed before the vendor is called: whoever is killed meanwhile
    leaves an invoice that is asked about and never sent a second time unasked.
    """
    with _own(scope) as before:
        invoice = before.get(Invoice, invoice_id, lock=True)
        if invoice.state is not InvoiceState.REQUESTED:
            return invoice.state.value
        _step(invoice, InvoiceState.ISSUING)
        invoice.attempts += 1
        request, provider = _request(before, invoice), _provider(before, invoice)
    return _heard(scope, invoice_id, _asked(scope, provider.issue, request)).value


def _own(scope: Scope) -> Any:
    return scope.installation.scope(scope.actor, community=scope.community_id)


def _asked(scope: Scope, ask: Any, request: InvoiceRequest) -> InvoiceAnswer | None:
    """Return a vendor's answer, None when nobody knows what happened."""
    try:
        return ask(scope.installation, scope.community_id, request)
    except Exception:
        log.exception("a vendor of invoices gave no answer", request=request.request_id)
        return None


def _heard(scope: Scope, invoice_id: UUID, answer: InvoiceAnswer | None) -> InvoiceState:
    """Write down what a vendor answered, in a transaction of its own; return the state."""
    with _own(scope) as after:
        invoice = after.get(Invoice, invoice_id, lock=True)
        if invoice.state not in (InvoiceState.ISSUING, InvoiceState.UNKNOWN):
            return invoice.state
        if answer is not None and answer.answer is Answer.ISSUED:
            _issued(after, invoice, answer)
        elif answer is not None and answer.answer is Answer.REFUSED:
            _step(invoice, InvoiceState.FAILED)
            invoice.reason = answer.message[:200]
        elif answer is not None and answer.answer is Answer.UNHEARD_OF:
            if invoice.state is InvoiceState.ISSUING:
                _step(invoice, InvoiceState.UNKNOWN)
            _step(invoice, InvoiceState.REQUESTED)
        elif invoice.state is InvoiceState.ISSUING:
            _step(invoice, InvoiceState.UNKNOWN)
        after.session.flush()
        return invoice.state


def _issued(scope: Scope, invoice: Invoice, answer: InvoiceAnswer) -> None:
    _step(invoice, InvoiceState.ISSUED)
    invoice.number, invoice.issued_at = answer.number, answer.issued_at or scope.now
    invoice.reason = invoice.reason if invoice.credits_id else None
    if answer.document:
        attach(scope, invoice, f"{invoice.number}.pdf", io.BytesIO(answer.document))
    if invoice.credits_id is not None:
        original = scope.get(Invoice, invoice.credits_id, lock=True)
        _step(original, InvoiceState.RED)
        scope.emit("invoices.invoice_credited", invoice_id=original.id, credit_id=invoice.id)
        return
    scope.emit("invoices.invoice_issued", invoice_id=invoice.id, payment_id=invoice.payment_id)


def _request(scope: Scope, invoice: Invoice) -> InvoiceRequest:
    head = letterhead(scope)
    entity = head.legal_entity
    original = scope.get(Invoice, invoice.credits_id) if invoice.credits_id else None
    return InvoiceRequest(
        str(invoice.id),
        Party(entity.name if entity else head.group, entity.tax_number if entity else None),
        Party(invoice.buyer_name, invoice.buyer_tax_number),
        _read(invoice),
        invoice.requested_at.astimezone(scope.zone),
        head.community,
        invoice.reason or "",
        original.number if original else None,
    )


def _provider(scope: Scope, invoice: Invoice) -> InvoiceProvider:
    if invoice.provider == OFFLINE:
        return OfflineProvider()
    found = scope.ask("invoice_provider", name=invoice.provider)
    if not found:
        raise NotFound(N_("Nobody issues invoices as %(name)s."), name=invoice.provider)
    return found[0]


def _step(invoice: Invoice, target: InvoiceState) -> None:
    if target not in STEPS[invoice.state]:
        raise WrongState(N_("This cannot be done with the invoice as it stands."))
    invoice.state = target


@service("invoice.resolve", title=("Ask the vendor", "查询开票结果"), is_public=False)
def resolve(scope: Scope) -> int:
    """Ask vendors what became of invoices whose answer did not come; return how many are settled.

    One that has been in the issuing for ten minutes was left behind by a process that died. What
    the vendor never heard of is sent; what it issued is taken over.
    """
    stale = scope.now - STALE
    with _own(scope) as reading:
        query = select(Invoice.id, Invoice.state).where(
            Invoice.state.in_((InvoiceState.UNKNOWN, InvoiceState.ISSUING, InvoiceState.REQUESTED)),
            Invoice.requested_at <= stale,
        )
        waiting = reading.session.execute(query.order_by(Invoice.id).limit(MOST)).all()
    settled = 0
    for row in waiting:
        state = row.state
        if state is not InvoiceState.REQUESTED:
            state = ask_vendor(scope, row.id)
        if state is InvoiceState.REQUESTED:
            state = InvoiceState(issue(scope, row.id))
        settled += state in (InvoiceState.ISSUED, InvoiceState.FAILED)
    return settled


def ask_vendor(scope: Scope, invoice_id: UUID) -> InvoiceState:
    """Ask the vendor what became of one invoice, write it down, and return its state."""
    with _own(scope) as before:
        invoice = before.get(Invoice, invoice_id)
        request, provider = _request(before, invoice), _provider(before, invoice)
    return _heard(scope, invoice_id, _asked(scope, provider.query, request))


@service("invoice.try_again", title=("Try again", "重新开具"))
def try_again(scope: Scope, invoice: Invoice) -> Invoice:
    """Request an invoice anew that a vendor refused. Raises WrongState for any other."""
    invoice = scope.get(Invoice, invoice.id, lock=True)
    if invoice.credits_id is None and live_invoice(scope, invoice.payment_id) is not None:
        raise NotInvoiceable(N_("There is an invoice for this payment already."))
    _step(invoice, InvoiceState.REQUESTED)
    return _enqueued(scope, invoice)


@service("invoice.credit", title=("Credit in red", "红冲"))
def credit(scope: Scope, invoice: Invoice, reason: str) -> Invoice:
    """Request the red-letter invoice that takes an issued one back; return it.

    Repeated, it returns the first one. Raises WrongState for what is not issued or is red itself.
    """
    invoice = scope.get(Invoice, invoice.id, lock=True)
    query = select(Invoice).where(Invoice.credits_id == invoice.id)
    known = scope.session.scalars(query).one_or_none()
    if known is not None:
        return known
    if not reason.strip():
        raise Invalid(
            N_("Some fields are not right yet."), fields={"reason": gettext("This is needed.")}
        )
    if invoice.state is not InvoiceState.ISSUED or invoice.credits_id is not None:
        raise WrongState(N_("This cannot be done with the invoice as it stands."))
    made = _new(scope, invoice.payment_id, red(_read(invoice)))
    made.credits_id, made.provider = invoice.id, invoice.provider
    made.buyer_name, made.buyer_tax_number = invoice.buyer_name, invoice.buyer_tax_number
    made.reason = reason.strip()[:200]
    return _enqueued(scope, made)


def credit_refunded(scope: Scope, payment_id: UUID) -> None:
    """Credit the issued invoice of a payment that says more than is left after refunds.

    Called after each refund and after each issuing, so that a refund which came in between is not
    forgotten. What is left can be invoiced anew; an invoice of what is left stays.
    """
    invoice = live_invoice(scope, payment_id)
    if invoice is None or invoice.state is not InvoiceState.ISSUED:
        return
    payment = scope.get(Payment, payment_id)
    if invoice.amount > payment.amount - payment.refunded:
        credit(scope, invoice, gettext("Refund"))


# --- the owner --------------------------------------------------------------------------------


def my_payments(scope: Scope) -> Sequence[Payment]:
    """Return the actor's latest payments for something that was supplied."""
    query = (
        select(Payment)
        .join(PaymentOrder, PaymentOrder.id == Payment.order_id)
        .where(
            Payment.payer_id == my_person(scope),
            PaymentOrder.plugin != "ledger",
            Payment.refunded < Payment.amount,
        )
        .options(contains_eager(Payment.order))
    )
    return scope.session.scalars(query.order_by(Payment.paid_at.desc()).limit(24)).all()


def my_invoices(scope: Scope, payments: Sequence[Payment]) -> dict[UUID, Invoice]:
    """Return the invoices of payments that count or are on their way, by payment."""
    query = select(Invoice).where(
        Invoice.payment_id.in_([payment.id for payment in payments]),
        Invoice.credits_id.is_(None),
        Invoice.state.not_in((InvoiceState.FAILED, InvoiceState.RED)),
    )
    return {invoice.payment_id: invoice for invoice in scope.session.scalars(query)}


def my_payment(scope: Scope, payment_id: UUID) -> Payment:
    """Return one of the actor's payments; raises NotFound for anybody else's."""
    payment = scope.get(Payment, payment_id)
    if payment.payer_id != my_person(scope):
        raise NotFound(N_("There is no such payment here."))
    return payment


@service("invoice.request_mine", title=("Request", "申请开票"), permission=PORTAL, is_public=False)
def request_mine(
    scope: Scope, payment_id: UUID, buyer_name: str, buyer_tax_number: str = ""
) -> Invoice:
    """Request the invoice of one of the actor's own payments."""
    return request_invoice(scope, my_payment(scope, payment_id), buyer_name, buyer_tax_number)


def document_of(scope: Scope, invoice: Invoice) -> Any:
    """Return the file of an issued invoice; raises NotFound when there is none."""
    found = attachments_of(scope, invoice)
    if not found:
        raise NotFound(N_("There is no file of this invoice."))
    return read_attachment(scope, found[0])
