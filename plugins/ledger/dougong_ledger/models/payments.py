"""Money that comes and goes: wallets, payment orders, payments, refunds, receipts."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, money, ref, state, to_one
from dougong.tenancy.models import Person
from dougong_ledger.domain import (
    OrderState,
    PaymentChannel,
    PaymentState,
    ReceiptState,
    Reconciliation,
)
from dougong_ledger.matching import order_number
from dougong_ledger.models.books import APPEND_ONLY, NEVER_DELETED, NOW, Base

OrderState.__labels__ = labels(
    OPEN=("Open", "待支付"), PAID=("Paid", "已支付"), CANCELLED=("Cancelled", "已取消")
)
PaymentState.__labels__ = labels(
    SETTLED=("Settled", "已入账"),
    PARTLY_REFUNDED=("Partly refunded", "部分退款"),
    REFUNDED=("Refunded", "已退款"),
)
PaymentChannel.__labels__ = labels(
    WALLET=("Wallet", "钱包（预存）"),
    CASH=("Cash", "现金"),
    POS=("Card terminal", "POS 刷卡"),
    BANK_TRANSFER=("Bank transfer", "银行转账"),
    ONLINE=("Online", "线上支付"),
    DEMO=("Demonstration", "演示渠道"),
)
Reconciliation.__labels__ = labels(
    NOT_NEEDED=("Not by channel", "无需对账"),
    WAITING=("Not reconciled", "未对账"),
    MATCHED=("Reconciled", "已对平"),
    DIFFERS=("Differs", "有差异"),
)
ReceiptState.__labels__ = labels(ISSUED=("Issued", "有效"), VOID=("Void", "作废"))


class Wallet(InCommunity, Base):
    """A wallet (钱包): the prepaid balance of a person, money that the company owes him."""

    __tablename__ = "wallet"
    __named_by__ = ("person",)
    __table_args__ = (
        UniqueConstraint("community_id", "person_id"),
        CheckConstraint("balance >= 0", name="balance"),
        {"info": {"grants": NEVER_DELETED}},
    )

    person_id: Mapped[UUID] = ref("dougong.person", index=False, info=label("Person", "人员"))
    person: Mapped[Person] = to_one(person_id, Person)
    balance: Mapped[Decimal] = money(
        default=Decimal(0), info={**label("Balance", "余额"), "api": "read"}
    )

    def __str__(self) -> str:
        return str(self.person)


class WalletMovement(InCommunity, Base):
    """Money into (more than zero) or out of a wallet, with the journal entry that it stands in."""

    __tablename__ = "wallet_movement"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        {"info": {"grants": APPEND_ONLY}},
    )

    wallet_id: Mapped[UUID] = ref("ledger.wallet", info=label("Wallet", "钱包"))
    wallet: Mapped[Wallet] = to_one(wallet_id, Wallet)
    entry_id: Mapped[UUID] = ref("ledger.journal_entry", index=False, info=label("Entry", "凭证"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    moved_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("At", "时间"))

    def __str__(self) -> str:
        return f"{self.amount:+}"


class PaymentOrder(InCommunity, Base):
    """A payment order (支付单), written before any channel is called.

    plugin: whose records it pays. The idempotency key makes a repeated request find the first
    order; request_hash tells a repetition from another request under the same key.
    """

    __tablename__ = "payment_order"
    __table_args__ = (
        UniqueConstraint("community_id", "idempotency_key"),
        CheckConstraint("amount > 0", name="amount"),
        {"info": {"grants": NEVER_DELETED}},
    )

    plugin: Mapped[str] = mapped_column(String(31), info=label("For", "用途"))
    title: Mapped[str] = mapped_column(String(200), info=label("Title", "说明"))
    payer_id: Mapped[UUID | None] = ref("dougong.person", info=label("Payer", "付款人"))
    payer: Mapped[Person | None] = to_one(payer_id, Person)
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    state: Mapped[OrderState] = state(
        OrderState, default=OrderState.OPEN, info=label("State", "状态")
    )
    idempotency_key: Mapped[str] = mapped_column(String(80), info={"api": "hidden"})
    request_hash: Mapped[str] = mapped_column(String(64), info={"api": "hidden"})
    opened_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Opened at", "下单时间")
    )
    expires_at: Mapped[datetime] = mapped_column(info=label("Open until", "有效至"))

    @property
    def number(self) -> str:
        """What a payer writes into the memo of a bank transfer."""
        return order_number(self.id)

    def __str__(self) -> str:
        return self.title


class PaymentOrderItem(InCommunity, Base):
    """One thing that an order pays: a record of the order's plugin, and how much of it."""

    __tablename__ = "payment_order_item"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_payment_order_item_subject_id", "community_id", "subject_id"),
        {"info": {"grants": APPEND_ONLY}},
    )

    order_id: Mapped[UUID] = ref("ledger.payment_order", info=label("Order", "支付单"))
    order: Mapped[PaymentOrder] = to_one(order_id, PaymentOrder)
    kind: Mapped[str] = mapped_column(String(60), info=label("Kind", "类型"))
    subject_id: Mapped[UUID] = mapped_column(info={**label("Record", "记录"), "api": "read"})
    title: Mapped[str] = mapped_column(String(200), info=label("Title", "说明"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))

    def __str__(self) -> str:
        return self.title


class Payment(InCommunity, Base):
    """A payment (收款): the money of one order, however it came.

    provider: id of the payment channel that an online payment came through.
    """

    __tablename__ = "payment"
    __table_args__ = (
        UniqueConstraint("community_id", "order_id"),
        CheckConstraint("refunded >= 0 and refunded <= amount", name="refunded"),
        Index("ix_payment_paid_at", "community_id", "paid_at"),
        Index(
            "ix_payment_unreconciled",
            "community_id",
            "paid_at",
            postgresql_where=text("reconciliation in ('waiting', 'differs')"),
        ),
        {"info": {"grants": NEVER_DELETED}},
    )

    order_id: Mapped[UUID] = ref("ledger.payment_order", index=False, info=label("Order", "支付单"))
    order: Mapped[PaymentOrder] = to_one(order_id, PaymentOrder)
    payer_id: Mapped[UUID | None] = ref("dougong.person", info=label("Payer", "付款人"))
    payer: Mapped[Person | None] = to_one(payer_id, Person)
    channel: Mapped[PaymentChannel] = state(PaymentChannel, info=label("Channel", "渠道"))
    provider: Mapped[str | None] = mapped_column(
        String(40), info=label("Online channel", "线上渠道")
    )
    reconciliation: Mapped[Reconciliation] = state(
        Reconciliation,
        default=Reconciliation.NOT_NEEDED,
        server_default="not_needed",
        info={**label("Reconciliation", "对账"), "api": "read"},
    )
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    refunded: Mapped[Decimal] = money(
        default=Decimal(0), server_default=text("0"), info=label("Refunded", "已退")
    )
    state: Mapped[PaymentState] = state(
        PaymentState, default=PaymentState.SETTLED, info=label("State", "状态")
    )
    reference: Mapped[str | None] = mapped_column(String(80), info=label("Reference", "流水号"))
    taken_by: Mapped[UUID | None] = mapped_column(
        info={**label("Taken by", "收款人"), "api": "read"}
    )
    paid_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("Paid at", "付款时间"))

    def __str__(self) -> str:
        return f"{self.amount} {self.local(self.paid_at)[:10]}"


class Refund(InCommunity, Base):
    """Money of a payment that went back to where it came from, with the reason."""

    __tablename__ = "refund"
    __table_args__ = (
        UniqueConstraint("community_id", "idempotency_key"),
        CheckConstraint("amount > 0", name="amount"),
        {"info": {"grants": APPEND_ONLY}},
    )

    payment_id: Mapped[UUID] = ref("ledger.payment", info=label("Payment", "收款"))
    payment: Mapped[Payment] = to_one(payment_id, Payment)
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    reason: Mapped[str] = mapped_column(String(200), info=label("Reason", "原因"))
    idempotency_key: Mapped[str] = mapped_column(String(80), info={"api": "hidden"})
    request_hash: Mapped[str] = mapped_column(String(64), info={"api": "hidden"})
    refunded_by: Mapped[UUID | None] = mapped_column(
        info={**label("Refunded by", "退款人"), "api": "read"}
    )
    refunded_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Refunded at", "退款时间")
    )

    def __str__(self) -> str:
        return f"{self.amount} {self.reason}"


class ReceiptSeries(InCommunity, Base):
    """A numbered book of receipts; its row is locked while a number is taken, so none is lost."""

    __tablename__ = "receipt_series"
    __table_args__ = (
        UniqueConstraint("community_id", "prefix"),
        {"info": {"grants": NEVER_DELETED}},
    )

    prefix: Mapped[str] = mapped_column(String(20), info=label("Prefix", "字轨"))
    last_number: Mapped[int] = mapped_column(
        Integer, default=0, info={**label("Last number", "最后号码"), "api": "read"}
    )

    def __str__(self) -> str:
        return self.prefix


class Receipt(InCommunity, Base):
    """A receipt (收据) for a payment. lines: what was paid, as it was on that day."""

    __tablename__ = "receipt"
    __table_args__ = (
        UniqueConstraint("community_id", "series_id", "number"),
        Index(
            "uq_receipt_payment_issued",
            "community_id",
            "payment_id",
            unique=True,
            postgresql_where=text("state = 'issued'"),
        ),
        {"info": {"grants": NEVER_DELETED}},
    )

    series_id: Mapped[UUID] = ref(
        "ledger.receipt_series", index=False, info=label("Series", "字轨")
    )
    number: Mapped[int] = mapped_column(Integer, info={**label("Number", "号码"), "api": "read"})
    code: Mapped[str] = mapped_column(String(40), info=label("Receipt no.", "收据号"))
    payment_id: Mapped[UUID] = ref("ledger.payment", info=label("Payment", "收款"))
    payment: Mapped[Payment] = to_one(payment_id, Payment)
    payer_name: Mapped[str] = mapped_column(
        String(120), info={**label("Received from", "交款人"), "personal": "name"}
    )
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    lines: Mapped[Any] = mapped_column(JSONB, info={**label("Lines", "明细"), "api": "read"})
    issued_on: Mapped[date] = mapped_column(info=label("Issued on", "开具日期"))
    state: Mapped[ReceiptState] = state(
        ReceiptState, default=ReceiptState.ISSUED, info=label("State", "状态")
    )
    void_reason: Mapped[str | None] = mapped_column(
        String(200), info=label("Void because", "作废原因")
    )

    def __str__(self) -> str:
        return self.code
