"""Prepayments (预缴): months that are paid ahead, a liability until each of them has passed."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, money, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_fees.models.bills import NOW, Bill
from dougong_fees.models.items import Base, FeeItem
from dougong_fees.models.rules import FeeRule

ZERO = text("0")


class PrepaymentState(StrEnum):
    """Where a prepayment stands; whether it was paid says its bill."""

    RUNNING = "running"
    ENDED = "ended"

    __labels__ = labels(RUNNING=("Running", "有效"), ENDED=("Ended", "已终止"))


class Prepayment(InCommunity, Base):
    """A prepayment of one fee of one room for [from_on, to_on), by a rule, demanded by a bill.

    recognised: yuan of it that are income by now. ended_on: from when on the room is billed again.
    """

    __tablename__ = "prepayment"
    __named_by__ = ("fee_item", "room")
    __table_args__ = (
        UniqueConstraint("community_id", "bill_id"),
        CheckConstraint("to_on > from_on", name="period"),
        CheckConstraint("recognised between 0 and amount", name="recognised"),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    fee_item_id: Mapped[UUID] = ref("fees.fee_item", index=False, info=label("Fee item", "费用项"))
    fee_item: Mapped[FeeItem] = to_one(fee_item_id, FeeItem)
    rule_id: Mapped[UUID] = ref("fees.fee_rule", index=False, info=label("Rule", "优惠规则"))
    rule: Mapped[FeeRule] = to_one(rule_id, FeeRule)
    bill_id: Mapped[UUID] = ref("fees.bill", index=False, info=label("Bill", "账单"))
    bill: Mapped[Bill] = to_one(bill_id, Bill)
    payer_id: Mapped[UUID] = ref("dougong.person", index=False, info=label("Payer", "付款人"))
    payer: Mapped[Person] = to_one(payer_id, Person)
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date] = mapped_column(info=label("Until (not included)", "终止日（不含）"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    recognised: Mapped[Decimal] = money(
        default=Decimal(0), server_default=ZERO, info=label("Income so far", "已确认收入")
    )
    state: Mapped[PrepaymentState] = state(
        PrepaymentState, default=PrepaymentState.RUNNING, info=label("State", "状态")
    )
    ended_on: Mapped[date | None] = mapped_column(info=label("Ended on", "终止于"))
    reason: Mapped[str | None] = mapped_column(String(200), info=label("Reason", "原因"))

    def __str__(self) -> str:
        return f"{self.room} {self.fee_item}"


class PrepaymentMonth(InCommunity, Base):
    """What a prepayment became income by in one month, with its journal entry. Never edited."""

    __tablename__ = "prepayment_month"
    __table_args__ = (
        UniqueConstraint("community_id", "prepayment_id", "month_on"),
        CheckConstraint("amount > 0", name="amount"),
        {
            "info": {
                "grants": {"dougong_app": "select, insert", "dougong_platform": "select, insert"}
            }
        },
    )
    __building_path__ = "prepayment.room.building_id"

    prepayment_id: Mapped[UUID] = ref(
        "fees.prepayment", index=False, info=label("Prepayment", "预缴")
    )
    prepayment: Mapped[Prepayment] = to_one(prepayment_id, Prepayment)
    month_on: Mapped[date] = mapped_column(info=label("Month", "会计月份"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    entry_id: Mapped[UUID] = ref("ledger.journal_entry", index=False, info=label("Entry", "凭证"))
    made_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("At", "时间"))

    def __str__(self) -> str:
        return f"{self.month_on:%Y-%m} {self.amount}"
