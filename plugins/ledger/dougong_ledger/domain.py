"""Rules of the ledger: the chart of accounts, states of orders and payments, numbers. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

ZERO = Decimal("0.00")
LARGEST = Decimal(10) ** 9


class AccountKind(StrEnum):
    """What an account counts; it says on which side the account grows."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"


class OrderState(StrEnum):
    """Where a payment order stands."""

    OPEN = "open"
    PAID = "paid"
    CANCELLED = "cancelled"


class PaymentState(StrEnum):
    """How much of a payment has gone back."""

    SETTLED = "settled"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"


class PaymentChannel(StrEnum):
    """How the money came."""

    WALLET = "wallet"
    CASH = "cash"
    POS = "pos"
    BANK_TRANSFER = "bank_transfer"
    ONLINE = "online"
    DEMO = "demo"


class Reconciliation(StrEnum):
    """Whether a payment was found in its channel's bill."""

    NOT_NEEDED = "not_needed"
    WAITING = "waiting"
    MATCHED = "matched"
    DIFFERS = "differs"


class AttemptState(StrEnum):
    """Where an attempt to pay through a channel stands."""

    REQUESTED = "requested"
    WAITING = "waiting"
    UNKNOWN = "unknown"
    PAID = "paid"
    CLOSED = "closed"
    BLOCKED = "blocked"


class NoticeResult(StrEnum):
    """What became of a channel's notice."""

    SETTLED = "settled"
    REPEATED = "repeated"
    SURPLUS = "surplus"
    BLOCKED = "blocked"
    NOTHING = "nothing"


class SurplusState(StrEnum):
    """What happens to money that came although nothing is owed for it."""

    FOUND = "found"
    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUNDED = "refunded"


class ReturnState(StrEnum):
    """Where money stands that goes back through a channel."""

    WAITING = "waiting"
    UNKNOWN = "unknown"
    DONE = "done"
    FAILED = "failed"


class PeriodState(StrEnum):
    """Whether a month of the books may be posted into."""

    CLOSED = "closed"
    REOPENING = "reopening"
    REOPENED = "reopened"


class MovementKind(StrEnum):
    """What happened to a deposit."""

    TAKEN = "taken"
    GIVEN_BACK = "given_back"
    DEDUCTED = "deducted"


class ReceiptState(StrEnum):
    """Whether a receipt counts. A number is voided, never deleted."""

    ISSUED = "issued"
    VOID = "void"


@dataclass(frozen=True)
class AccountPlan:
    """An account that every community gets. Source: 企业会计准则, 会计科目和主要账务处理."""

    code: str
    kind: AccountKind
    english: str
    chinese: str


CASH, BANK, CHANNEL, RECEIVABLE = "1001", "1002", "1012", "1122"
POS_CLEARING = "1012.pos"
PREPAID, DEPOSIT, SUSPENSE = "2203", "2241", "2241.suspense"
CHANNEL_FEES = "6603.channel"
INCOME, LATE_FEE_INCOME, WAIVED = "6001", "6301", "6002"
CHART = (
    AccountPlan(CASH, AccountKind.ASSET, "Cash", "库存现金"),
    AccountPlan(BANK, AccountKind.ASSET, "Bank", "银行存款"),
    AccountPlan(CHANNEL, AccountKind.ASSET, "Payment channels", "其他货币资金"),
    AccountPlan(POS_CLEARING, AccountKind.ASSET, "Card terminal", "其他货币资金—POS"),
    AccountPlan(RECEIVABLE, AccountKind.ASSET, "Receivables", "应收账款"),
    AccountPlan(PREPAID, AccountKind.LIABILITY, "Prepaid balances", "预收账款"),
    AccountPlan(DEPOSIT, AccountKind.LIABILITY, "Deposits", "其他应付款—押金"),
    AccountPlan(SUSPENSE, AccountKind.LIABILITY, "Money nobody claims yet", "其他应付款—待查款"),
    AccountPlan(CHANNEL_FEES, AccountKind.EXPENSE, "Channel fees", "财务费用—渠道手续费"),
    AccountPlan(INCOME, AccountKind.INCOME, "Service income", "主营业务收入"),
    AccountPlan(WAIVED, AccountKind.INCOME, "Waivers", "收入抵减—减免"),
    AccountPlan(LATE_FEE_INCOME, AccountKind.INCOME, "Late fees", "营业外收入—违约金"),
)
MONEY_ACCOUNT = {
    PaymentChannel.WALLET: PREPAID,
    PaymentChannel.CASH: CASH,
    PaymentChannel.POS: POS_CLEARING,
    PaymentChannel.BANK_TRANSFER: BANK,
    PaymentChannel.ONLINE: CHANNEL,
    PaymentChannel.DEMO: CHANNEL,
}
OPEN_ATTEMPTS = (AttemptState.REQUESTED, AttemptState.WAITING, AttemptState.UNKNOWN)
ORDER_STEPS: Mapping[OrderState, frozenset[OrderState]] = {
    OrderState.OPEN: frozenset({OrderState.PAID, OrderState.CANCELLED}),
    OrderState.PAID: frozenset(),
    OrderState.CANCELLED: frozenset(),
}


@dataclass(frozen=True)
class Posting:
    """An amount that moves from the credited to the debited account.

    Both sides are in one row, so that no set of postings can be out of balance. amount: yuan, more
    than zero. Accounts by code.
    """

    debit: str
    credit: str
    amount: Decimal
    memo: str = ""
    room_id: UUID | None = None
    person_id: UUID | None = None

    def __post_init__(self) -> None:
        if self.amount <= 0 or self.debit == self.credit:
            raise ValueError("a posting moves more than nothing between two accounts")

    def reversed(self) -> "Posting":
        """Return the posting that undoes this one."""
        return Posting(
            self.credit, self.debit, self.amount, self.memo, self.room_id, self.person_id
        )


@dataclass(frozen=True)
class AccountBalance:
    """One line of the trial balance: turnover on both sides since the beginning, in yuan."""

    code: str
    name: str
    kind: AccountKind
    debit: Decimal
    credit: Decimal

    @property
    def balance(self) -> Decimal:
        """Return the balance on the side where the account grows."""
        grows_on_debit = self.kind in (AccountKind.ASSET, AccountKind.EXPENSE)
        return self.debit - self.credit if grows_on_debit else self.credit - self.debit


@dataclass(frozen=True)
class TrialBalance:
    """Every account's turnover, and the sums of both sides, which are equal."""

    accounts: Sequence[AccountBalance]

    @property
    def debit(self) -> Decimal:
        return sum((a.debit for a in self.accounts), ZERO)

    @property
    def credit(self) -> Decimal:
        return sum((a.credit for a in self.accounts), ZERO)

    @property
    def is_balanced(self) -> bool:
        return self.debit == self.credit

    def balance(self, code: str) -> Decimal:
        """Return the balance of an account, zero when nothing was ever posted to it."""
        return sum((a.balance for a in self.accounts if a.code == code), ZERO)


def provider_account(provider: str) -> str:
    """Return the code of the account that holds what a channel owes us: ``1012.wechat_pay``."""
    return f"{CHANNEL}.{provider}"[:20]


def community_mark(community_id: UUID) -> str:
    """Return the six characters with which a community's trade numbers begin."""
    return hashlib.sha256(community_id.bytes).hexdigest()[:6]


def trade_no(community_id: UUID, attempt_id: UUID) -> str:
    """Return the number under which a channel knows an attempt: 32 letters and digits.

    It begins with the community's mark, so that a bill of a merchant who collects for many
    communities can be told apart.
    """
    digits, rest = "", attempt_id.int
    while rest:
        rest, digit = divmod(rest, 32)
        digits = "0123456789abcdefghijklmnopqrstuv"[digit] + digits
    return community_mark(community_id) + digits.zfill(26)


def next_month(month_on: date) -> date:
    """Return the first day of the month after the one that a day is in."""
    return date(month_on.year + month_on.month // 12, month_on.month % 12 + 1, 1)


def yuan(fen: Any) -> Decimal:
    """Return yuan from the fen of a sum that the database made."""
    return (Decimal(int(fen)) / 100).quantize(ZERO)


def is_amount(amount: Decimal) -> bool:
    """Tell whether money of this amount can move: above zero, whole fen, below a billion."""
    return 0 < amount < LARGEST and amount == amount.quantize(ZERO)


def request_hash(parts: Mapping[str, Any]) -> str:
    """Return a fingerprint of what an idempotency key was used for."""
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def state_after_refund(amount: Decimal, refunded: Decimal) -> PaymentState:
    """Return the state of a payment of which ``refunded`` yuan have gone back.

    Raises ValueError when more went back than came.
    """
    if not 0 <= refunded <= amount:
        raise ValueError("no more can go back than was paid")
    if refunded == 0:
        return PaymentState.SETTLED
    return PaymentState.REFUNDED if refunded == amount else PaymentState.PARTLY_REFUNDED


def receipt_code(prefix: str, number: int) -> str:
    """Return a receipt's number as printed: ``2026-000042``."""
    return f"{prefix}-{number:06}"


def gaps(numbers: Iterable[int]) -> list[int]:
    """Return the numbers missing between 1 and the highest, for the proof that there are none."""
    have = set(numbers)
    return [n for n in range(1, max(have, default=0) + 1) if n not in have]
