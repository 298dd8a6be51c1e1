"""What a payment channel (支付渠道) is: the interface that its vendor writes against.

A plugin that brings a channel depends on ``ledger`` and answers ``payment_channels`` with objects
of `Channel`. The ledger owns orders, states, journal, refunds and reconciliation; a channel owns
bytes: it asks its gateway, and reads what its gateway says. All money is Decimal yuan here,
whatever the gateway counts in.

Rules that every channel can rely on: an attempt is committed before ``prepare`` is called; money is
booked only from a `Notice` that the channel has verified, or from ``query``; ``trade_no`` and
``refund_no`` are unique and stay the same when something is asked again.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dougong.errors import DeviceError, NotAllowed
from dougong.i18n import N_

if TYPE_CHECKING:
    from dougong.db.scope import Scope

YUAN = "CNY"


class ChannelUnsure(DeviceError):
    """The gateway did not answer, or not so that one could know: ask again later."""

    code = "ledger.channel_unsure"


class ChannelRefused(DeviceError):
    """The gateway answered that it does not do this; the message says why, in plain words."""

    code = "ledger.channel_refused"


class Forged(NotAllowed):
    """A notice that the gateway did not sign, or not just now."""

    code = "ledger.forged"


class Way(StrEnum):
    """How the payer gets to the channel."""

    QR = "qr"
    PHONE = "phone"
    PAGE = "page"
    IN_APP = "in_app"


class Standing(StrEnum):
    """Where a payment or refund stands at the gateway."""

    PENDING = "pending"
    DONE = "done"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass(frozen=True)
class Merchant:
    """A merchant account at a gateway. id: the channel's own row; number: as the gateway says."""

    id: UUID
    number: str
    title: str = ""


@dataclass(frozen=True)
class PaymentRequest:
    """What a payer is to pay. amount: yuan. trade_no: at most 32 letters and digits.

    notify_url: where the gateway sends notices. return_url: where the payer's browser comes back.
    payer: how the gateway knows him (openid), for ``Way.IN_APP``.
    """

    trade_no: str
    amount: Decimal
    title: str
    way: Way
    expires_at: datetime
    notify_url: str
    return_url: str
    payer_ip: str = "127.0.0.1"
    payer: str | None = None


@dataclass(frozen=True)
class Prepared:
    """How the payer goes on. qr: text of a QR code. url: a page. script: for an app's page."""

    qr: str | None = None
    url: str | None = None
    script: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What the gateway says about a payment. amount: yuan, None while nothing was paid."""

    standing: Standing
    trade_no: str
    merchant_number: str
    amount: Decimal | None = None
    currency: str = YUAN
    transaction_id: str | None = None
    paid_at: datetime | None = None


@dataclass(frozen=True)
class RefundRequest:
    """Money that goes back. amount: of this refund; total: of the payment, both yuan."""

    trade_no: str
    refund_no: str
    amount: Decimal
    total: Decimal
    reason: str
    notify_url: str


@dataclass(frozen=True)
class Notice:
    """A verified notice. nonce: what makes these bytes unique. outcome: None for other topics."""

    nonce: str
    event_id: str
    outcome: Outcome | None


@dataclass(frozen=True)
class StatementRow:
    """One line of a gateway's bill. amount: yuan, above zero; fee: what the gateway keeps."""

    trade_no: str
    transaction_id: str
    amount: Decimal
    fee: Decimal
    at: datetime
    refund_no: str | None = None

    @property
    def is_refund(self) -> bool:
        return self.refund_no is not None


@dataclass(frozen=True)
class Statement:
    """A gateway's bill of one day. digest: of the file as it came, checked by the channel."""

    rows: Sequence[StatementRow]
    digest: str


class Channel(ABC):
    """One way of paying that a plugin brings.

    id: ``wechat_pay``; unique, stands in payments for ever. title: in both languages.
    ways: what it offers. app_mark: what its app's browser writes into its User-Agent, empty without
    an app. app_script: address below the place of the script that hands ``data-prepared`` to the
    app. It raises ChannelUnsure when it cannot know what became of a request, and ChannelRefused
    when it does.
    """

    id: str
    title: Any
    ways: Sequence[Way] = (Way.QR,)
    app_mark: str = ""
    app_script: str = ""

    def identity_url(
        self, scope: "Scope", merchant_id: UUID, back_url: str, state: str
    ) -> str | None:
        """Return where the app tells who its user is, None where ``Way.IN_APP`` is not set up.

        The app leads the payer back to ``back_url`` with ``state`` as it was and a ``code``.
        """
        return None

    def payer_of(self, scope: "Scope", merchant_id: UUID, code: str) -> str:
        """Return how the gateway knows the payer to whom the app gave a code, once.

        Raises ChannelRefused for a code that is unknown, used or too old.
        """
        raise ChannelRefused(N_("This channel does not offer that."))

    @abstractmethod
    def merchant(self, scope: "Scope") -> Merchant | None:
        """Return the account that is used in this community, None where there is none."""

    @abstractmethod
    def prepare(self, scope: "Scope", merchant_id: UUID, request: PaymentRequest) -> Prepared:
        """Tell the gateway what is to be paid, and return how the payer goes on."""

    @abstractmethod
    def query(self, scope: "Scope", merchant_id: UUID, trade_no: str) -> Outcome:
        """Return where a payment stands; one that the gateway never heard of is CLOSED."""

    @abstractmethod
    def close(self, scope: "Scope", merchant_id: UUID, trade_no: str) -> None:
        """Make sure that nobody can pay this any more. Raises ChannelRefused when it was paid."""

    @abstractmethod
    def refund(self, scope: "Scope", merchant_id: UUID, request: RefundRequest) -> Standing:
        """Send money back. Asked again with the same ``refund_no``, it happens once."""

    @abstractmethod
    def query_refund(self, scope: "Scope", merchant_id: UUID, request: RefundRequest) -> Standing:
        """Return where a refund stands; one that the gateway never heard of is FAILED."""

    @abstractmethod
    def read_notice(
        self, scope: "Scope", merchant_id: UUID, headers: Mapping[str, str], body: bytes
    ) -> Notice:
        """Return what a notice says once it is proved genuine; raises Forged otherwise."""

    @abstractmethod
    def acknowledge(self, is_taken: bool) -> tuple[int, str, bytes]:
        """Return status, media type and body that make the gateway stop, or come again."""

    @abstractmethod
    def statement(self, scope: "Scope", merchant_id: UUID, day: date) -> Statement:
        """Return the gateway's bill of a day in China; raises ChannelUnsure before it is there."""
