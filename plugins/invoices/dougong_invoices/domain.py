"""Rules of invoices: states, tax of a line, the check digit of a tax number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

FEN = Decimal("0.01")
SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
TAX_NUMBER_LENGTH = 18


class InvoiceState(StrEnum):
    """Where an invoice stands. Unknown: the vendor's answer did not come; it is asked for."""

    REQUESTED = "requested"
    ISSUING = "issuing"
    ISSUED = "issued"
    UNKNOWN = "unknown"
    FAILED = "failed"
    RED = "red"


STEPS: Mapping[InvoiceState, frozenset[InvoiceState]] = {
    InvoiceState.REQUESTED: frozenset({InvoiceState.ISSUING}),
    InvoiceState.ISSUING: frozenset(
        {InvoiceState.ISSUED, InvoiceState.UNKNOWN, InvoiceState.FAILED}
    ),
    # Back to requested only when the vendor says that it knows nothing of the request.
    InvoiceState.UNKNOWN: frozenset(
        {InvoiceState.ISSUED, InvoiceState.FAILED, InvoiceState.REQUESTED}
    ),
    InvoiceState.FAILED: frozenset({InvoiceState.REQUESTED}),
    InvoiceState.ISSUED: frozenset({InvoiceState.RED}),
    InvoiceState.RED: frozenset(),
}


@dataclass(frozen=True)
class TaxedLine:
    """A line of an invoice in yuan. total = net + tax; rate: share, 0.06 for 6 %."""

    name: str
    tax_code: str
    rate: Decimal
    net: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        return self.net + self.tax


def taxed(name: str, tax_code: str, rate: Decimal, total: Decimal) -> TaxedLine:
    """Return a line from its sum with tax: the net is rounded once, the tax is what is left.

    Raises ValueError for a negative rate.
    """
    if rate < 0:
        raise ValueError("a tax rate is not negative")
    net = (total / (1 + rate)).quantize(FEN, ROUND_HALF_UP)
    return TaxedLine(name, tax_code, rate, net, total - net)


def red(lines: Sequence[TaxedLine]) -> list[TaxedLine]:
    """Return the lines of the red-letter credit of an invoice: the same with the other sign."""
    return [TaxedLine(e.name, e.tax_code, e.rate, -e.net, -e.tax) for e in lines]


def tax_number(text: str) -> str | None:
    """Return a tax number as it is written, None unless its check sign is right.

    Source: GB 32100-2015, unified social credit code: 18 signs, the last one over the others with
    the weights 3^n modulo 31.
    """
    number = "".join(text.split()).upper()
    if len(number) != TAX_NUMBER_LENGTH or any(sign not in SIGNS for sign in number):
        return None
    weighted = sum(SIGNS.index(sign) * pow(3, n, 31) for n, sign in enumerate(number[:-1]))
    return number if SIGNS[(31 - weighted % 31) % 31] == number[-1] else None
