"""Instalment agreements: which bills they cover, when how much is paid."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, money, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_arrears.domain import AgreementState
from dougong_arrears.models.reminders import Base
from dougong_fees.models import Bill

AgreementState.__labels__ = labels(
    ACTIVE=("In force", "履行中"),
    KEPT=("Kept", "已履行完毕"),
    DEFAULTED=("Broken", "已违约"),
    CANCELLED=("Cancelled", "已解除"),
)


class Agreement(InCommunity, Base):
    """An instalment agreement (分期缴费协议): late fees rest from its day until it ends."""

    __tablename__ = "agreement"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    payer_id: Mapped[UUID] = ref("dougong.person", info=label("Payer", "付款人"))
    payer: Mapped[Person] = to_one(payer_id, Person)
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    signed_on: Mapped[date] = mapped_column(info=label("Signed on", "签订日期"))
    ended_on: Mapped[date | None] = mapped_column(info=label("Ended on", "结束日期"))
    state: Mapped[AgreementState] = state(
        AgreementState, default=AgreementState.ACTIVE, info=label("State", "状态")
    )

    def __str__(self) -> str:
        return f"{self.signed_on} {self.amount}"


class AgreementBill(InCommunity, Base):
    """A bill that an agreement covers, and what was owed of it when it was signed."""

    __tablename__ = "agreement_bill"
    __named_by__ = ("bill",)
    __table_args__ = (UniqueConstraint("community_id", "agreement_id", "bill_id"),)
    __building_path__ = "bill.room.building_id"

    agreement_id: Mapped[UUID] = ref(
        "arrears.agreement", index=False, info=label("Agreement", "协议")
    )
    agreement: Mapped[Agreement] = to_one(agreement_id, Agreement)
    bill_id: Mapped[UUID] = ref("fees.bill", info=label("Bill", "账单"))
    bill: Mapped[Bill] = to_one(bill_id, Bill)
    owed: Mapped[Decimal] = money(info=label("Owed when signed", "签订时欠费"))

    def __str__(self) -> str:
        return f"{self.bill}"


class Instalment(InCommunity, Base):
    """One instalment (分期)."""

    __tablename__ = "instalment"
    __table_args__ = (
        UniqueConstraint("community_id", "agreement_id", "number"),
        CheckConstraint("amount > 0", name="amount"),
    )
    __building_path__ = "agreement.room.building_id"

    agreement_id: Mapped[UUID] = ref(
        "arrears.agreement", index=False, info=label("Agreement", "协议")
    )
    agreement: Mapped[Agreement] = to_one(agreement_id, Agreement)
    number: Mapped[int] = mapped_column(Integer, info=label("Number", "期数"))
    due_on: Mapped[date] = mapped_column(info=label("Due on", "应缴日期"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))

    def __str__(self) -> str:
        return f"{self.number}"
