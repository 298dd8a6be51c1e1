"""Payments through channels: attempts, what the gateways said, money that goes back."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, money, ref, state, to_one
from dougong_ledger.channels import Way
from dougong_ledger.domain import AttemptState, NoticeResult, ReturnState, SurplusState
from dougong_ledger.models.books import APPEND_ONLY, NEVER_DELETED, NOW, Base
from dougong_ledger.models.payments import Payment, PaymentOrder, Refund

Way.__labels__ = labels(  # type: ignore[attr-defined]
    QR=("QR code", "扫码"), PHONE=("Phone's browser", "手机网页"),
    PAGE=("Web page", "电脑网页"), IN_APP=("Inside the app", "应用内"),
)  # fmt: skip
AttemptState.__labels__ = labels(  # type: ignore[attr-defined]
    REQUESTED=("Being asked for", "请求中"), WAITING=("Waiting for the payer", "等待支付"),
    UNKNOWN=("Unknown, is being asked", "未知，查询中"), PAID=("Paid", "已支付"),
    CLOSED=("Closed", "已关闭"), BLOCKED=("Blocked: something differs", "已冻结：不一致"),
)  # fmt: skip
NoticeResult.__labels__ = labels(  # type: ignore[attr-defined]
    SETTLED=("Booked", "已入账"), REPEATED=("Known before", "重复"),
    SURPLUS=("Too much was paid", "多收"), BLOCKED=("Blocked: something differs", "不一致，已冻结"),
    NOTHING=("Nothing to book", "无需入账"),
)  # fmt: skip
SurplusState.__labels__ = labels(  # type: ignore[attr-defined]
    FOUND=("Found", "待处理"), PROPOSED=("Refund proposed", "已申请退款"),
    APPROVED=("Approved, on its way", "已批准，退款中"), REFUNDED=("Refunded", "已退款"),
)  # fmt: skip
ReturnState.__labels__ = labels(  # type: ignore[attr-defined]
    WAITING=("On its way", "退款中"), UNKNOWN=("Unknown, is being asked", "未知，查询中"),
    DONE=("Arrived", "已到账"), FAILED=("Failed", "失败"),
)  # fmt: skip


class PaymentAttempt(InCommunity, Base):
    """An attempt (支付请求) to pay an order through a channel, committed before it is asked.

    merchant_id, merchant_number: the account, as the channel and as its gateway knows it.
    prepared: how the payer goes on (QR text, page).
    """

    __tablename__ = "payment_attempt"
    __table_args__ = (
        UniqueConstraint("community_id", "trade_no"),
        UniqueConstraint("community_id", "provider", "transaction_id"),
        CheckConstraint("amount > 0", name="amount"),
        Index(
            "ix_payment_attempt_open",
            "community_id",
            "started_at",
            postgresql_where=text("state in ('requested', 'waiting', 'unknown')"),
        ),
        {"info": {"grants": NEVER_DELETED}},
    )

    order_id: Mapped[UUID] = ref("ledger.payment_order", info=label("Order", "支付单"))
    order: Mapped[PaymentOrder] = to_one(order_id, PaymentOrder)
    provider: Mapped[str] = mapped_column(String(40), info=label("Channel", "渠道"))
    merchant_id: Mapped[UUID] = mapped_column(info={"api": "hidden"})
    merchant_number: Mapped[str] = mapped_column(String(40), info=label("Merchant no.", "商户号"))
    way: Mapped[Way] = state(Way, info=label("Way", "方式"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    trade_no: Mapped[str] = mapped_column(String(32), info=label("Trade no.", "商户订单号"))
    state: Mapped[AttemptState] = state(
        AttemptState, default=AttemptState.REQUESTED, info=label("State", "状态")
    )
    transaction_id: Mapped[str | None] = mapped_column(
        String(64), info=label("Transaction no.", "渠道交易号")
    )
    prepared: Mapped[Any] = mapped_column(JSONB, default=dict, info={"api": "hidden"})
    problem: Mapped[str | None] = mapped_column(String(200), info=label("Problem", "问题"))
    started_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Started at", "发起时间")
    )
    asked_at: Mapped[datetime | None] = mapped_column(info=label("Asked at", "查询时间"))
    payment_id: Mapped[UUID | None] = ref("ledger.payment", info=label("Payment", "收款"))
    payment: Mapped[Payment | None] = to_one(payment_id, Payment)

    def __str__(self) -> str:
        return self.trade_no


class ChannelNotice(InCommunity, Base):
    """A verified notice (支付通知), stored with what it did, in one transaction.

    nonce: of these very bytes; replayed, they find this row and do nothing.
    """

    __tablename__ = "channel_notice"
    __table_args__ = (
        UniqueConstraint("community_id", "provider", "nonce"),
        {"info": {"grants": APPEND_ONLY}},
    )

    provider: Mapped[str] = mapped_column(String(40), info=label("Channel", "渠道"))
    nonce: Mapped[str] = mapped_column(String(64), info={"api": "hidden"})
    event_id: Mapped[str] = mapped_column(String(64), info=label("Notice no.", "通知编号"))
    trade_no: Mapped[str | None] = mapped_column(String(32), info=label("Trade no.", "商户订单号"))
    result: Mapped[NoticeResult] = state(NoticeResult, info=label("Result", "处理结果"))
    detail: Mapped[str | None] = mapped_column(String(200), info=label("Detail", "说明"))
    received_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Received at", "收到时间")
    )

    def __str__(self) -> str:
        return self.event_id


class SurplusPayment(InCommunity, Base):
    """Money (多收款) that came through a channel although nothing was owed for it any more.

    It waits in the suspense account until one person proposes and another approves its refund.
    """

    __tablename__ = "surplus_payment"
    __table_args__ = (
        UniqueConstraint("community_id", "provider", "transaction_id"),
        CheckConstraint("amount > 0", name="amount"),
        {"info": {"grants": NEVER_DELETED}},
    )

    attempt_id: Mapped[UUID] = ref("ledger.payment_attempt", info=label("Attempt", "支付请求"))
    attempt: Mapped[PaymentAttempt] = to_one(attempt_id, PaymentAttempt)
    provider: Mapped[str] = mapped_column(String(40), info=label("Channel", "渠道"))
    transaction_id: Mapped[str] = mapped_column(
        String(64), info=label("Transaction no.", "渠道交易号")
    )
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    reason: Mapped[str] = mapped_column(String(200), info=label("Why", "原因"))
    state: Mapped[SurplusState] = state(
        SurplusState, default=SurplusState.FOUND, info=label("State", "状态")
    )
    found_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Found at", "发现时间")
    )
    proposal: Mapped[str | None] = mapped_column(String(200), info=label("Proposal", "退款说明"))
    proposed_by: Mapped[UUID | None] = mapped_column(
        info={**label("Proposed by", "申请人"), "api": "read"}
    )
    approved_by: Mapped[UUID | None] = mapped_column(
        info={**label("Approved by", "批准人"), "api": "read"}
    )

    def __str__(self) -> str:
        return f"{self.amount} {self.transaction_id}"


class ChannelReturn(InCommunity, Base):
    """Money (原路退款) that goes back through the channel it came by, for a refund or a surplus."""

    __tablename__ = "channel_return"
    __table_args__ = (
        UniqueConstraint("community_id", "refund_no"),
        UniqueConstraint("community_id", "refund_id"),
        UniqueConstraint("community_id", "surplus_id"),
        CheckConstraint("(refund_id is null) <> (surplus_id is null)", name="one_cause"),
        CheckConstraint("amount > 0", name="amount"),
        {"info": {"grants": NEVER_DELETED}},
    )

    attempt_id: Mapped[UUID] = ref("ledger.payment_attempt", info=label("Attempt", "支付请求"))
    attempt: Mapped[PaymentAttempt] = to_one(attempt_id, PaymentAttempt)
    refund_id: Mapped[UUID | None] = ref("ledger.refund", index=False, info=label("Refund", "退款"))
    refund: Mapped[Refund | None] = to_one(refund_id, Refund)
    surplus_id: Mapped[UUID | None] = ref(
        "ledger.surplus_payment", index=False, info=label("Surplus", "多收款")
    )
    surplus: Mapped[SurplusPayment | None] = to_one(surplus_id, SurplusPayment)
    refund_no: Mapped[str] = mapped_column(String(32), info=label("Refund no.", "商户退款号"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    reason: Mapped[str] = mapped_column(String(200), info=label("Reason", "原因"))
    state: Mapped[ReturnState] = state(
        ReturnState, default=ReturnState.WAITING, info=label("State", "状态")
    )
    problem: Mapped[str | None] = mapped_column(String(200), info=label("Problem", "问题"))
    started_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Started at", "发起时间")
    )
    done_at: Mapped[datetime | None] = mapped_column(info=label("Done at", "完成时间"))

    def __str__(self) -> str:
        return self.refund_no
