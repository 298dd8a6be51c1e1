"""Reconciliation: a channel's days with their differences, and bank statements with their lines."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, labels, money, ref, state, to_one
from dougong_ledger.matching import DayState, ExceptionKind, ExceptionState, LineState
from dougong_ledger.models.books import NEVER_DELETED, NOW, Base
from dougong_ledger.models.channels import PaymentAttempt
from dougong_ledger.models.payments import Payment

DayState.__labels__ = labels(  # type: ignore[attr-defined]
    BALANCED=("Balanced", "已对平"), OPEN=("Differences are open", "有未处理差异")
)
ExceptionKind.__labels__ = labels(  # type: ignore[attr-defined]
    MISSING_HERE=("Paid there, not booked here", "渠道有，账上无"),
    MISSING_THERE=("Booked here, not paid there", "账上有，渠道无"),
    AMOUNT_DIFFERS=("Another amount", "金额不符"),
    REFUND_MISSING_HERE=("Refunded there, not booked here", "渠道有退款，账上无"),
    REFUND_MISSING_THERE=("Refund booked here, not made there", "账上有退款，渠道无"),
)
ExceptionState.__labels__ = labels(OPEN=("Open", "待处理"), RESOLVED=("Resolved", "已处理"))  # type: ignore[attr-defined]
LineState.__labels__ = labels(  # type: ignore[attr-defined]
    MATCHED=("Matched", "已匹配"), SUSPENSE=("Nobody claims it yet", "待查款"),
    ASSIGNED=("Assigned", "已认领"), OUTGOING=("Went out", "支出"),
)  # fmt: skip


class ReconciliationDay(InCommunity, Base):
    """A day of a channel (渠道对账日): the gateway's bill beside our books. Amounts in yuan."""

    __tablename__ = "reconciliation_day"
    __table_args__ = (
        UniqueConstraint("community_id", "provider", "merchant_number", "day_on"),
        {"info": {"grants": NEVER_DELETED}},
    )

    provider: Mapped[str] = mapped_column(String(40), info=label("Channel", "渠道"))
    merchant_id: Mapped[UUID] = mapped_column(info={"api": "hidden"})
    merchant_number: Mapped[str] = mapped_column(String(40), info=label("Merchant no.", "商户号"))
    day_on: Mapped[date] = mapped_column(info=label("Day", "日期"))
    state: Mapped[DayState] = state(DayState, info=label("State", "状态"))
    digest: Mapped[str] = mapped_column(String(80), info=label("Digest of the bill", "账单摘要值"))
    their_count: Mapped[int] = mapped_column(Integer, info=label("Their payments", "渠道笔数"))
    their_amount: Mapped[Decimal] = money(info=label("Their sum", "渠道金额"))
    their_refunds: Mapped[Decimal] = money(info=label("Their refunds", "渠道退款"))
    our_count: Mapped[int] = mapped_column(Integer, info=label("Our payments", "账上笔数"))
    our_amount: Mapped[Decimal] = money(info=label("Our sum", "账上金额"))
    our_refunds: Mapped[Decimal] = money(info=label("Our refunds", "账上退款"))
    fees: Mapped[Decimal] = money(info=label("Fees", "手续费"))
    fetched_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Fetched at", "下载时间")
    )

    def __str__(self) -> str:
        return f"{self.day_on} {self.provider}"


class ReconciliationException(InCommunity, Base):
    """One difference (对账差异) of a day, with what was done about it."""

    __tablename__ = "reconciliation_exception"
    __table_args__ = (
        Index(
            "uq_reconciliation_exception_what",
            "community_id",
            "day_id",
            "kind",
            "trade_no",
            text("coalesce(refund_no, '')"),
            unique=True,
        ),
        {"info": {"grants": NEVER_DELETED}},
    )

    day_id: Mapped[UUID] = ref("ledger.reconciliation_day", info=label("Day", "对账日"))
    day: Mapped[ReconciliationDay] = to_one(day_id, ReconciliationDay)
    kind: Mapped[ExceptionKind] = state(ExceptionKind, info=label("Difference", "差异"))
    trade_no: Mapped[str] = mapped_column(String(64), info=label("Trade no.", "商户订单号"))
    refund_no: Mapped[str | None] = mapped_column(
        String(64), info=label("Refund no.", "商户退款号")
    )
    transaction_id: Mapped[str | None] = mapped_column(
        String(64), info=label("Transaction no.", "渠道交易号")
    )
    our_amount: Mapped[Decimal | None] = money(info=label("Ours", "账上金额"))
    their_amount: Mapped[Decimal | None] = money(info=label("Theirs", "渠道金额"))
    attempt_id: Mapped[UUID | None] = ref(
        "ledger.payment_attempt", info=label("Attempt", "支付请求")
    )
    attempt: Mapped[PaymentAttempt | None] = to_one(attempt_id, PaymentAttempt)
    state: Mapped[ExceptionState] = state(
        ExceptionState, default=ExceptionState.OPEN, info=label("State", "状态")
    )
    resolution: Mapped[str | None] = mapped_column(
        String(200), info=label("Resolution", "处理说明")
    )
    resolved_by: Mapped[UUID | None] = mapped_column(
        info={**label("Resolved by", "处理人"), "api": "read"}
    )
    resolved_at: Mapped[datetime | None] = mapped_column(info=label("Resolved at", "处理时间"))

    def __str__(self) -> str:
        return self.trade_no


class BankLine(InCommunity, Base):
    """A line of a bank statement (银行流水), imported once by its serial number.

    amount: yuan, below zero for money that went out.
    """

    __tablename__ = "bank_line"
    __table_args__ = (
        UniqueConstraint("community_id", "serial"),
        CheckConstraint("amount <> 0", name="amount"),
        {"info": {"grants": NEVER_DELETED}},
    )

    on: Mapped[date] = mapped_column("booked_on", info=label("Booked on", "交易日期"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    serial: Mapped[str] = mapped_column(String(80), info=label("Serial no.", "流水号"))
    payer: Mapped[str | None] = encrypted(mask="name", info=label("Other side", "对方户名"))
    payer_account: Mapped[str | None] = encrypted(mask="all", info=label("Account", "对方账号"))
    memo: Mapped[str | None] = encrypted(mask="all", info=label("Memo", "摘要"))
    state: Mapped[LineState] = state(LineState, info=label("State", "状态"))
    payment_id: Mapped[UUID | None] = ref("ledger.payment", info=label("Payment", "收款"))
    payment: Mapped[Payment | None] = to_one(payment_id, Payment)
    imported_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Imported at", "导入时间")
    )

    def __str__(self) -> str:
        return self.serial
