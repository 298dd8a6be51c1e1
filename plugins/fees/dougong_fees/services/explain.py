"""Why each line of a bill is what it is, in words that an owner can check with a calculator."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from babel.dates import format_date
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from dougong.db import Scope, member_label
from dougong.i18n import N_, current_locale, gettext
from dougong.services import service
from dougong.texts import number
from dougong_fees.domain.formula import parse, reckon
from dougong_fees.models import (
    Bill,
    BillKind,
    BillLine,
    Charge,
    ChargeMethod,
    Commodity,
    Discount,
    FeePrice,
    FeeRule,
    ShareKey,
)
from dougong_fees.services.prompt import EarlyPart, in_force, parts_of_lines

UOM = {
    Commodity.WATER: "m³",
    Commodity.ELECTRICITY: "kWh",
    Commodity.GAS: "m³",
    Commodity.HEAT: "GJ",
}


FACTS = {
    "area": N_("Built area"),
    "inner_area": N_("Inner area"),
    "floor": N_("Floor"),
    "persons": N_("People"),
    "kind": N_("Kind"),
    "usage": N_("Usage"),
    "price": N_("Price"),
}


@dataclass(frozen=True)
class LineExplanation:
    """One line: what, for when, the sum that leads to its amount, and notes that prove it."""

    title: str
    period: str
    formula: str
    amount: Decimal
    notes: list[str] = field(default_factory=list)


@service("bill.explain", title=("Explain", "查看计算过程"))
def explain_bill(scope: Scope, bill: Bill) -> list[LineExplanation]:
    """Return the explanation of every line of a bill, in the locale in force."""
    return explain_trace(bill) or explain_lines(charged(scope, bill))


def explain_trace(bill: Bill) -> list[LineExplanation]:
    """Return the explanation that a bill without lines carries itself; of others nothing."""
    if bill.kind is BillKind.LATE_FEE:
        return [_late(entry) for entry in bill.trace or ()]
    if bill.kind is BillKind.APPORTIONMENT:
        return [_apportioned(bill, bill.trace or {})]
    if bill.kind is BillKind.SINGLE:
        return [_single(bill, line) for line in (bill.trace or {})["lines"]]
    return []


@dataclass(frozen=True)
class Charged:
    """A bill's lines with all that they follow from. early: what paying early leaves off."""

    rows: Sequence[tuple[BillLine, FeePrice | None, Discount | None]]
    early: Sequence[EarlyPart]

    @property
    def lines(self) -> list[BillLine]:
        return [line for line, _, _ in self.rows]


def charged(scope: Scope, bill: Bill) -> Charged:
    """Return the lines of a bill with prices, discounts and rules for paying early. One statement.

    A line stands once for each rule that was in force for its item.
    """
    community = BillLine.community_id
    found = scope.session.execute(
        select(BillLine, FeePrice, Discount, FeeRule)
        .join(Bill, (Bill.community_id == community) & (Bill.id == BillLine.bill_id))
        .join(Charge, (Charge.community_id == community) & (Charge.id == BillLine.charge_id))
        .outerjoin(
            FeePrice, (FeePrice.community_id == community) & (FeePrice.id == BillLine.price_id)
        )
        .outerjoin(
            Discount,
            (Discount.community_id == community)
            & (Discount.id == Charge.discount_id)
            & (BillLine.factor != 1),
        )
        .outerjoin(FeeRule, in_force())
        .where(BillLine.bill_id == bill.id)
        .order_by(BillLine.fee_item_id, BillLine.from_on, BillLine.part, BillLine.id, FeeRule.id)
        .options(joinedload(BillLine.fee_item))
    ).all()
    rows = {line.id: (line, price, discount) for line, price, discount, _ in found}
    return Charged(list(rows.values()), parts_of_lines(bill, [(r[0], r[3]) for r in found]))


def explain_lines(charged: Charged) -> list[LineExplanation]:
    """Return the explanation of lines that are read already."""
    early = {part.item: part for part in charged.early}
    return [
        _line(line, price, _less_notes(line, discount, early.pop(line.fee_item.name, None)))
        for line, price, discount in charged.rows
    ]


def _less_notes(line: BillLine, discount: Discount | None, early: EarlyPart | None) -> list[str]:
    """Return why a line costs less than its price, or would when it were paid early."""
    notes = []
    if discount is not None:
        notes.append(
            gettext(
                "%(share)s%% left off, %(kind)s: %(basis)s",
                share=number(discount.share * 100),
                kind=member_label(discount.kind),
                basis=discount.basis,
            )
        )
    if offer := (line.evidence or {}).get("offer"):
        words = gettext("%(pay)s months paid, %(get)s months covered: %(basis)s", **offer)
        notes.append(words)
    if early is not None:
        notes.append(
            gettext(
                "Paid in full by %(day)s: %(billed)s × %(share)s%% = %(amount)s yuan less;"
                " %(basis)s",
                day=early.until_on.isoformat(),
                billed=f"{early.billed:,.2f}",
                share=number(early.share * 100),
                amount=f"{early.amount:,.2f}",
                basis=early.basis,
            )
        )
    return notes


def _line(line: BillLine, price: FeePrice | None, less: list[str]) -> LineExplanation:
    item = line.fee_item
    months = Fraction(line.months_numerator, line.months_denominator)
    parts = [_core(line)]
    if line.addition:
        parts = [f"({parts[0]} + {number(line.addition)})"]
    if item.method is not ChargeMethod.USAGE and months != 1:
        parts.append(gettext("%(months)s months", months=_fraction(months)))
    if line.factor != 1:
        parts.append(f"{number(line.factor * 100)}%")
    notes = [*less, *_notes(line, price)]
    return LineExplanation(
        item.name,
        period_text(line.from_on, line.to_on),
        f"{' × '.join(parts)} = {line.amount:,.2f}",
        line.amount,
        notes,
    )


def _core(line: BillLine) -> str:
    """Return what is reckoned before months and share: quantity × price, or the formula."""
    item, evidence = line.fee_item, line.evidence or {}
    if item.method is ChargeMethod.FORMULA:
        worth = reckon(parse(evidence["formula"]), _facts(evidence))
        return number(Decimal(worth.numerator) / Decimal(worth.denominator)) if worth else "0"
    if item.method is ChargeMethod.FIXED and line.quantity == 1:
        return number(line.unit_price)
    return f"{number(line.quantity)} {_uom(line)} × {number(line.unit_price)}".strip()


def exact_per_month(line: BillLine) -> Fraction:
    """Return what a line comes to in a month before share and rounding, exact, in yuan."""
    item, evidence = line.fee_item, line.evidence or {}
    if item.method is not ChargeMethod.FORMULA:
        return Fraction(line.quantity) * Fraction(line.unit_price) + Fraction(line.addition or 0)
    worth = reckon(parse(evidence["formula"]), _facts(evidence))
    return (worth or Fraction(0)) + Fraction(line.addition or 0)


def _facts(evidence: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a formula's line; numbers in JSON are read as decimals."""
    return {
        name: value if isinstance(value, str) else Decimal(str(value))
        for name, value in evidence.get("facts", {}).items()
    }


def fact_text(name: str, value: Any) -> str:
    """Return a fact of a formula in words, ``Built area 89.5``; a dash when it is not known."""
    shown = value if isinstance(value, str) else "—" if value is None else number(value)
    return f"{gettext(FACTS[name])} {shown}"


def _formula_notes(evidence: dict[str, Any]) -> list[str]:
    formula = parse(evidence["formula"])
    named = {name: value for name, value in _facts(evidence).items() if name in formula.names()}
    facts = "，".join(fact_text(name, value) for name, value in named.items())
    return [
        gettext("Formula: %(formula)s", formula=evidence["formula"]),
        *([facts] if facts else []),
    ]


def _tier_note(evidence: dict[str, Any]) -> str:
    span = f"> {number(Decimal(str(evidence['above'])))}"
    if "up_to" in evidence:
        span += f" – {number(Decimal(str(evidence['up_to'])))}"
    note = gettext("Tier %(tier)s: %(span)s", tier=evidence["tier"], span=span)
    if "extra" in evidence:
        extra, persons = number(Decimal(str(evidence["extra"]))), evidence["persons"]
        note += " " + gettext(
            "(%(extra)s more for %(persons)s people)", extra=extra, persons=persons
        )
    return note


def _uom(line: BillLine) -> str:
    item = line.fee_item
    if item.method is ChargeMethod.AREA:
        return "㎡"
    return UOM.get(item.commodity, "") if item.method is ChargeMethod.USAGE else ""


def _notes(line: BillLine, price: FeePrice | None) -> list[str]:
    notes = []
    evidence: dict[str, Any] = line.evidence or {}
    if "formula" in evidence:
        notes += _formula_notes(evidence)
    if "serial" in evidence:
        notes.append(
            gettext(
                "Meter %(serial)s: %(opening)s (%(opening_on)s) → %(closing)s (%(closing_on)s),"
                " multiplier %(multiplier)s",
                serial=evidence.get("serial", ""),
                opening=number(Decimal(evidence.get("opening", 0))),
                opening_on=evidence.get("opening_at", "")[:10],
                closing=number(Decimal(evidence.get("closing", 0))),
                closing_on=evidence.get("closing_at", "")[:10],
                multiplier=number(Decimal(evidence.get("multiplier", 1))),
            )
        )
    if "tier" in evidence:
        notes.append(_tier_note(evidence))
    if line.used_before:
        notes.append(
            gettext("Used before in the same span: %(used)s", used=number(line.used_before))
        )
    if price is not None:
        since = format_date(price.from_on, "long", locale=current_locale())
        source = f"；{price.source}" if price.source else ""
        notes.append(gettext("Price in force since %(day)s", day=since) + source)
    notes.append(gettext("Rounded once, to %(unit)s", unit=member_label(line.fee_item.rounding)))
    return notes


def _apportioned(bill: Bill, trace: dict[str, Any]) -> LineExplanation:
    pool, ratio = Decimal(trace["pool"]), Decimal(trace["ratio"])
    notes = [
        gettext(
            "Divided by: %(key)s; ratio of this room: %(ratio)s",
            key=member_label(ShareKey(trace["key"])),
            ratio=number(ratio),
        ),
        gettext("The shares of all rooms add up to %(pool)s yuan.", pool=f"{pool:,.2f}"),
    ]
    if "main" in trace:
        main, deducted = Decimal(trace["main"]), Decimal(trace.get("deducted", 0))
        price = number(Decimal(trace["price"]))
        left = f"({number(main)} − {number(deducted)}) × {price} = {pool:,.2f}"
        notes.insert(0, gettext("Main meter less the meters below it: %(left)s", left=left))
    period = period_text(bill.from_on, bill.to_on)
    text = gettext("Share of %(pool)s yuan", pool=f"{pool:,.2f}")
    return LineExplanation(bill.title, period, f"{text} = {bill.amount:,.2f}", bill.amount, notes)


def _late(entry: dict[str, Any]) -> LineExplanation:
    rate = Decimal(entry["daily_rate"])
    notes = [
        gettext(
            "%(owed)s yuan × %(days)s days (%(period)s)",
            owed=number(Decimal(span["owed"])),
            days=span["days"],
            period=period_text(date.fromisoformat(span["from"]), date.fromisoformat(span["to"])),
        )
        for span in entry["spans"]
    ]
    spans = entry["spans"]
    period = (
        period_text(date.fromisoformat(spans[0]["from"]), date.fromisoformat(spans[-1]["to"]))
        if spans
        else ""
    )
    text = gettext("%(rate)s%% per day, simple, never on interest", rate=number(rate * 100))
    amount = Decimal(entry["amount"])
    return LineExplanation(entry["item"], period, f"{text} = {amount:,.2f}", amount, notes)


def _single(bill: Bill, line: dict[str, str]) -> LineExplanation:
    amount = Decimal(line["amount"])
    text = f"{line['quantity']} × {line['unit_price']} = {amount:,.2f}"
    return LineExplanation(line["name"], bill.from_on.isoformat(), text, amount)


def period_text(from_on: date, to_on: date) -> str:
    """Return a half-open period with its last day included, as people say it."""
    last = to_on - timedelta(days=1)
    return f"{from_on.isoformat()} – {last.isoformat()}"


def _fraction(months: Fraction) -> str:
    shown = number(round(Decimal(months.numerator) / Decimal(months.denominator), 4))
    return shown if months.denominator == 1 else f"{shown} ({months})"
