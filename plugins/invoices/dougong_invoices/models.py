"""Invoices, the tax rules of fee items, and what the offline provider keeps."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Numeric, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import (
    InCommunity,
    encrypted,
    label,
    labels,
    money,
    plugin_base,
    ref,
    state,
    to_one,
)
from dougong_fees.models import FeeItem
from dougong_invoices.domain import InvoiceState
from dougong_ledger.models import Payment

Base = plugin_base("invoices")
NOW, ZERO = text("now()"), text("0")
NEVER_DELETED = {
    "dougong_app": "select, insert, update",
    "dougong_platform": "select, insert, update",
}
InvoiceState.__labels__ = labels(
    REQUESTED=("Requested", "待开具"),
    ISSUING=("Being issued", "开具中"),
    ISSUED=("Issued", "已开具"),
    UNKNOWN=("Unknown, being asked", "结果未知（查询中）"),
    FAILED=("Failed", "开具失败"),
    RED=("Credited in red", "已红冲"),
)


class TaxRule(InCommunity, Base):
    """How a fee item is taxed from a day on (税收编码). Without a fee item: all the others."""

    __tablename__ = "tax_rule"
    __table_args__ = (
        UniqueConstraint(
            "community_id", "fee_item_id", "from_on", postgresql_nulls_not_distinct=True
        ),
        CheckConstraint("rate >= 0 and rate < 1", name="rate"),
    )

    fee_item_id: Mapped[UUID | None] = ref(
        "fees.fee_item", index=False, info=label("Fee item", "费用项")
    )
    fee_item: Mapped[FeeItem | None] = to_one(fee_item_id, FeeItem)
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    tax_code: Mapped[str] = mapped_column(String(19), info=label("Tax code", "税收分类编码"))
    short_name: Mapped[str] = mapped_column(String(40), info=label("Short name", "分类简称"))
    rate: Mapped[Decimal] = mapped_column(Numeric(6, 4), info=label("Rate", "税率"))
    source: Mapped[str | None] = mapped_column(String(200), info=label("Source", "依据"))

    def __str__(self) -> str:
        return f"{self.short_name} {self.rate}"


class Invoice(InCommunity, Base):
    """An e-invoice (发票) for a payment. credits: the one that a red-letter invoice takes back.

    id is the request's id at the vendor, so that it is issued once whatever is repeated. lines:
    name, tax code, rate, net and tax of each.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        Index(
            "uq_invoice_payment",
            "community_id",
            "payment_id",
            unique=True,
            postgresql_where=text("credits_id is null and state not in ('failed', 'red')"),
        ),
        Index(
            "uq_invoice_credits",
            "community_id",
            "credits_id",
            unique=True,
            postgresql_where=text("credits_id is not null"),
        ),
        Index("ix_invoice_number", "community_id", "number"),
        {"info": {"grants": NEVER_DELETED}},
    )

    payment_id: Mapped[UUID] = ref("ledger.payment", info=label("Payment", "收款"))
    payment: Mapped[Payment] = to_one(payment_id, Payment)
    credits_id: Mapped[UUID | None] = ref(
        "invoices.invoice", index=False, info=label("Credits", "红冲的发票")
    )
    state: Mapped[InvoiceState] = state(
        InvoiceState, default=InvoiceState.REQUESTED, info=label("State", "状态")
    )
    number: Mapped[str | None] = mapped_column(String(20), info=label("Invoice no.", "发票号码"))
    buyer_name: Mapped[str] = mapped_column(
        String(120), info={**label("Buyer", "购买方"), "personal": "name"}
    )
    buyer_tax_number: Mapped[str | None] = encrypted(
        search="exact", info=label("Buyer's tax number", "购买方税号")
    )
    net: Mapped[Decimal] = money(info=label("Net", "不含税金额"))
    tax: Mapped[Decimal] = money(info=label("Tax", "税额"))
    amount: Mapped[Decimal] = money(info=label("Amount", "价税合计"))
    lines: Mapped[Any] = mapped_column(JSONB, info={**label("Lines", "明细"), "api": "read"})
    provider: Mapped[str] = mapped_column(String(40), info=label("Issued by", "服务商"))
    attempts: Mapped[int] = mapped_column(
        Integer, default=0, server_default=ZERO, info={**label("Attempts", "次数"), "api": "read"}
    )
    reason: Mapped[str | None] = mapped_column(String(200), info=label("Reason", "原因"))
    requested_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Requested at", "申请时间")
    )
    issued_at: Mapped[datetime | None] = mapped_column(info=label("Issued at", "开具时间"))

    def __str__(self) -> str:
        return self.number or f"{self.amount}"


class OfflineIssue(InCommunity, Base):
    """What the offline provider has issued: the request's id, the number, the structured file."""

    __tablename__ = "offline_issue"
    __table_args__ = (
        UniqueConstraint("community_id", "request_id"),
        {"info": {"grants": NEVER_DELETED}},
    )

    request_id: Mapped[UUID] = mapped_column(info=label("Request", "请求编号"))
    number: Mapped[str] = mapped_column(String(20), info=label("Invoice no.", "发票号码"))
    issued_at: Mapped[datetime] = mapped_column(info=label("Issued at", "开具时间"))

    def __str__(self) -> str:
        return self.number


class SigningKey(InCommunity, Base):
    """Key and certificate of the offline provider, as sealed PKCS #12 in base64."""

    __tablename__ = "signing_key"

    secret: Mapped[str] = encrypted(info={**label("Key", "密钥"), "api": "hidden"})
    made_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("Made at", "生成时间"))
