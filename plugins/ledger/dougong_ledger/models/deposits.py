"""Deposits (押金): money of others that we keep for a purpose and give back."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, String, text
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, Money, label, labels, money, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_ledger.domain import MovementKind, PaymentChannel
from dougong_ledger.models.books import APPEND_ONLY, NEVER_DELETED, NOW, Base

ZERO = text("0")
MovementKind.__labels__ = labels(
    TAKEN=("Taken", "收取"), GIVEN_BACK=("Given back", "退还"), DEDUCTED=("Deducted", "扣款")
)


class Deposit(InCommunity, Base):
    """A deposit: a liability until it has gone back or was deducted from. Photos lie beside it."""

    __tablename__ = "deposit"
    __table_args__ = (
        CheckConstraint("amount > 0 and given_back >= 0 and deducted >= 0", name="amounts"),
        CheckConstraint("given_back + deducted <= amount", name="held"),
        {"info": {"grants": NEVER_DELETED}},
    )
    __building_path__ = "room.building_id"

    title: Mapped[str] = mapped_column(String(80), info=label("For", "用途"))
    person_id: Mapped[UUID] = ref("dougong.person", info=label("Person", "交款人"))
    person: Mapped[Person] = to_one(person_id, Person)
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    channel: Mapped[PaymentChannel] = state(PaymentChannel, info=label("Channel", "渠道"))
    given_back: Mapped[Decimal] = money(
        default=Decimal(0),
        server_default=ZERO,
        info={**label("Given back", "已退还"), "api": "read"},
    )
    deducted: Mapped[Decimal] = money(
        default=Decimal(0), server_default=ZERO, info={**label("Deducted", "已扣款"), "api": "read"}
    )
    held: Mapped[Decimal] = mapped_column(
        Money,
        Computed("amount - given_back - deducted", persisted=True),
        info={**label("Held", "在押余额"), "api": "read"},
    )

    def __str__(self) -> str:
        return f"{self.title} {self.amount}"


class DepositMovement(InCommunity, Base):
    """What happened to a deposit, once, with the journal entry that it stands in."""

    __tablename__ = "deposit_movement"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        {"info": {"grants": APPEND_ONLY}},
    )
    __building_path__ = "deposit.room.building_id"

    deposit_id: Mapped[UUID] = ref("ledger.deposit", info=label("Deposit", "押金"))
    deposit: Mapped[Deposit] = to_one(deposit_id, Deposit)
    entry_id: Mapped[UUID] = ref("ledger.journal_entry", index=False, info=label("Entry", "凭证"))
    kind: Mapped[MovementKind] = state(MovementKind, info=label("Kind", "类型"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    reason: Mapped[str] = mapped_column(String(200), info=label("Reason", "原因"))
    moved_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("At", "时间"))

    def __str__(self) -> str:
        return f"{self.amount} {self.reason}"
