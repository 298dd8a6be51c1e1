"""What a vendor of e-invoices implements, and what it is told and answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from dougong_invoices.domain import TaxedLine

if TYPE_CHECKING:
    from dougong.installation import Installation


class Answer(StrEnum):
    """What a vendor says about a request. Unheard of: it never got it, so it may be sent again."""

    ISSUED = "issued"
    PENDING = "pending"
    REFUSED = "refused"
    UNHEARD_OF = "unheard_of"


@dataclass(frozen=True)
class Party:
    """Seller or buyer. tax_number: None for a natural person."""

    name: str
    tax_number: str | None = None


@dataclass(frozen=True)
class InvoiceRequest:
    """What is to be issued. request_id: ours, the same for every repetition.

    credits: number of the invoice that this one credits in red; its amounts are negative.
    """

    request_id: str
    seller: Party
    buyer: Party
    lines: Sequence[TaxedLine]
    requested_at: datetime
    drawer: str
    remark: str = ""
    credits: str | None = None

    @property
    def net(self) -> Decimal:
        return sum((line.net for line in self.lines), Decimal(0))

    @property
    def tax(self) -> Decimal:
        return sum((line.tax for line in self.lines), Decimal(0))

    @property
    def total(self) -> Decimal:
        return self.net + self.tax


@dataclass(frozen=True)
class InvoiceAnswer:
    """A vendor's answer. document: the invoice's file when it was issued."""

    answer: Answer
    number: str | None = None
    issued_at: datetime | None = None
    document: bytes | None = None
    message: str = ""


class InvoiceProvider(Protocol):
    """A vendor of e-invoices, asked outside of any transaction.

    ``issue`` is idempotent on the request's id, red-letter credits included: asked again it answers
    with the first invoice. An exception means that nobody knows what happened: the invoice becomes
    unknown and ``query`` is asked until it knows.
    """

    def issue(self, installation: "Installation", community, request: InvoiceRequest):
        """Issue an invoice; return an InvoiceAnswer."""

    def query(self, installation: "Installation", community, request: InvoiceRequest):
        """Return an InvoiceAnswer for what became of a request."""
