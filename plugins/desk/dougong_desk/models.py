"""Shifts with their drawer, what was taken, parked drafts, and requests to void a payment."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    Index,
    Integer,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, Money, label, labels, money, plugin_base, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_desk.domain import ReleaseState, ShiftState, VoidState
from dougong_ledger.models import Payment

Base = plugin_base("desk")
NOW, ZERO = text("now()"), text("0")
NEVER_DELETED = {
    "dougong_app": "select, insert, update",
    "dougong_platform": "select, insert, update",
}

ShiftState.__labels__ = labels(
    OPEN=("Open", "当班中"), CLOSED=("Closed", "已交班"), SIGNED_OFF=("Signed off", "已复核")
)
ReleaseState.__labels__ = labels(
    REQUESTED=("Asked for", "待审核"),
    ISSUED=("Issued", "已签发"),
    LEFT=("Left", "已放行"),
    REFUSED=("Refused", "已拒绝"),
    REVOKED=("Revoked", "已作废"),
)
VoidState.__labels__ = labels(
    ASKED=("Asked for", "待复核"),
    APPROVED=("Approved", "已同意"),
    REFUSED=("Refused", "已拒绝"),
    DONE=("Voided", "已作废"),
)


class Shift(InCommunity, Base):
    """A cashier's shift: a drawer of cash from its opening to its count.

    after_entry_id, upto_entry_id: the journal entries of this cashier that belong to it lie
    between them, so that what he posted anywhere is in exactly one of his shifts. pieces: notes and
    coins by denomination. takings: by means, frozen when it was closed. kept: what the next cashier
    finds.
    """

    __tablename__ = "shift"
    __table_args__ = (
        Index(
            "uq_shift_open",
            "community_id",
            "cashier_id",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        UniqueConstraint("community_id", "taken_from_id"),
        CheckConstraint("opening_float >= 0 and banked >= 0", name="amounts"),
        CheckConstraint(
            "state = 'open' or counted = expected or difference_reason is not null",
            name="difference_explained",
        ),
        CheckConstraint(
            "state = 'open' or pos_slips = pos_booked or pos_reason is not null",
            name="pos_explained",
        ),
        CheckConstraint("banked <= counted", name="banked"),
        Index("ix_shift_opened_at", "community_id", "opened_at"),
        {"info": {"grants": NEVER_DELETED}},
    )

    cashier_id: Mapped[UUID] = mapped_column(info={**label("Login", "登录"), "api": "read"})
    cashier_name: Mapped[str] = mapped_column(
        String(120), info={**label("Cashier", "收费员"), "personal": "name"}
    )
    state: Mapped[ShiftState] = state(
        ShiftState, default=ShiftState.OPEN, info=label("State", "状态")
    )
    opened_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Opened at", "接班时间")
    )
    closed_at: Mapped[datetime | None] = mapped_column(info=label("Closed at", "交班时间"))
    taken_from_id: Mapped[UUID | None] = ref(
        "desk.shift", index=False, info=label("Taken over from", "接自")
    )
    opening_float: Mapped[Decimal] = money(info=label("Float", "备用金"))
    float_reason: Mapped[str | None] = mapped_column(
        String(200), info=label("Float differs because", "备用金差异原因")
    )
    after_entry_id: Mapped[UUID] = mapped_column(info={"api": "hidden"})
    upto_entry_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    expected: Mapped[Decimal | None] = money(info=label("Cash by the books", "账面现金"))
    counted: Mapped[Decimal | None] = money(info=label("Cash counted", "实点现金"))
    difference: Mapped[Decimal | None] = mapped_column(
        Money,
        Computed("counted - expected", persisted=True),
        info={**label("Over or short", "长短款"), "api": "read"},
    )
    difference_reason: Mapped[str | None] = mapped_column(
        String(200), info=label("Differs because", "长短款原因")
    )
    pieces: Mapped[Any] = mapped_column(
        JSONB, nullable=True, info={**label("Notes and coins", "票面清点"), "api": "read"}
    )
    pos_booked: Mapped[Decimal | None] = money(info=label("Cards by the books", "账面刷卡"))
    pos_slips: Mapped[Decimal | None] = money(info=label("Card slips", "POS 结算单"))
    pos_reason: Mapped[str | None] = mapped_column(
        String(200), info=label("Slips differ because", "刷卡差异原因")
    )
    banked: Mapped[Decimal] = money(
        default=Decimal(0), server_default=ZERO, info=label("Paid into the bank", "解款金额")
    )
    bank_slip: Mapped[str | None] = mapped_column(
        String(80), info=label("Deposit slip", "缴款单号")
    )
    kept: Mapped[Decimal | None] = mapped_column(
        Money,
        Computed("counted - banked", persisted=True),
        info={**label("Handed over", "移交下一班"), "api": "read"},
    )
    takings: Mapped[Any] = mapped_column(
        JSONB, nullable=True, info={**label("Takings", "收款汇总"), "api": "read"}
    )
    signed_by: Mapped[UUID | None] = mapped_column(
        info={**label("Signed off by (login)", "复核人登录"), "api": "read"}
    )
    signed_name: Mapped[str | None] = mapped_column(
        String(120), info={**label("Signed off by", "复核人"), "personal": "name"}
    )

    def __str__(self) -> str:
        return f"{self.cashier_name} {self.local(self.opened_at)[:10]}"


class Taking(InCommunity, Base):
    """What was taken from one payer at the counter at once: one slip, one or more payments.

    received: what lay on the counter. change: what went back. Both in yuan.
    """

    __tablename__ = "taking"
    __table_args__ = (
        UniqueConstraint("community_id", "idempotency_key"),
        CheckConstraint("amount > 0 and received >= amount", name="amounts"),
        {"info": {"grants": {"dougong_app": "select, insert"}}},
    )
    __building_path__ = "room.building_id"

    shift_id: Mapped[UUID] = ref("desk.shift", info=label("Shift", "班次"))
    shift: Mapped[Shift] = to_one(shift_id, Shift)
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    received: Mapped[Decimal] = money(info=label("Received", "实收"))
    change: Mapped[Decimal] = mapped_column(
        Money,
        Computed("received - amount", persisted=True),
        info={**label("Change", "找零"), "api": "read"},
    )
    idempotency_key: Mapped[str] = mapped_column(String(80), info={"api": "hidden"})
    taken_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("At", "时间"))

    def __str__(self) -> str:
        return f"{self.amount} {self.local(self.taken_at)[:10]}"


class TakingPayment(InCommunity, Base):
    """A payment that a slip of the counter is about."""

    __tablename__ = "taking_payment"
    __named_by__ = ("payment",)
    __table_args__ = (
        UniqueConstraint("community_id", "payment_id"),
        {"info": {"grants": {"dougong_app": "select, insert"}}},
    )

    taking_id: Mapped[UUID] = ref("desk.taking", info=label("Slip", "小票"))
    taking: Mapped[Taking] = to_one(taking_id, Taking)
    payment_id: Mapped[UUID] = ref("ledger.payment", index=False, info=label("Payment", "收款"))
    payment: Mapped[Payment] = to_one(payment_id, Payment)

    def __str__(self) -> str:
        return str(self.payment)


class Draft(InCommunity, Base):
    """A payment that was begun and laid aside: rooms and the lines that were chosen."""

    __tablename__ = "draft"
    __named_by__ = ("room",)
    __table_args__ = (Index("ix_draft_cashier_id", "community_id", "cashier_id"),)
    __building_path__ = "room.building_id"

    cashier_id: Mapped[UUID] = mapped_column(info={**label("Login", "登录"), "api": "read"})
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    others: Mapped[Any] = mapped_column(
        JSONB, default=list, info={**label("Further rooms", "其他房屋"), "api": "read"}
    )
    chosen: Mapped[Any] = mapped_column(
        JSONB, default=list, info={**label("Chosen", "已选明细"), "api": "read"}
    )
    note: Mapped[str] = mapped_column(String(80), default="", info=label("Note", "备注"))
    parked_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Parked at", "挂单时间")
    )

    def __str__(self) -> str:
        return f"{self.room} {self.note}".strip()


class VoidRequest(InCommunity, Base):
    """That a cashier asks to void a payment on its own day; another person decides."""

    __tablename__ = "void_request"
    __table_args__ = (
        Index(
            "uq_void_request_payment",
            "community_id",
            "payment_id",
            unique=True,
            postgresql_where=text("state <> 'refused'"),
        ),
        {"info": {"grants": NEVER_DELETED}},
    )

    payment_id: Mapped[UUID] = ref("ledger.payment", index=False, info=label("Payment", "收款"))
    payment: Mapped[Payment] = to_one(payment_id, Payment)
    shift_id: Mapped[UUID] = ref("desk.shift", info=label("Shift", "班次"))
    shift: Mapped[Shift] = to_one(shift_id, Shift)
    reason: Mapped[str] = mapped_column(String(200), info=label("Reason", "原因"))
    state: Mapped[VoidState] = state(
        VoidState, default=VoidState.ASKED, info=label("State", "状态")
    )
    asked_on: Mapped[date] = mapped_column(info=label("Asked on", "申请日期"))
    asked_by: Mapped[UUID] = mapped_column(info={**label("Login", "登录"), "api": "read"})
    asked_name: Mapped[str] = mapped_column(
        String(120), info={**label("Asked by", "申请人"), "personal": "name"}
    )
    decided_by: Mapped[UUID | None] = mapped_column(
        info={**label("Decided by (login)", "复核人登录"), "api": "read"}
    )
    decided_name: Mapped[str | None] = mapped_column(
        String(120), info={**label("Decided by", "复核人"), "personal": "name"}
    )

    def __str__(self) -> str:
        return self.reason


class ReleasePass(InCommunity, Base):
    """That things may leave the community once (物品放行条), with a code that the gate checks.

    asked_by: the login that asked. person: in whose name. owner_word: how the owner agreed, where
    somebody else asks. code: what stands in the QR code, unguessable.
    """

    __tablename__ = "release_pass"
    __named_by__ = ("room",)
    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        UniqueConstraint("community_id", "code"),
        CheckConstraint("until_on >= from_on and until_on - from_on <= 30", name="days"),
        Index("ix_release_pass_state", "community_id", "state"),
        {"info": {"grants": NEVER_DELETED}},
    )
    __building_path__ = "room.building_id"

    number: Mapped[int] = mapped_column(Integer, info={**label("Number", "编号"), "api": "read"})
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    person_id: Mapped[UUID | None] = ref("dougong.person", info=label("Person", "申请人"))
    person: Mapped[Person | None] = to_one(person_id, Person)
    items: Mapped[str] = mapped_column(
        String(1000), info={**label("Things", "物品清单"), "free_text": False}
    )
    bearer: Mapped[str] = mapped_column(
        String(60), info={**label("Carried out by", "携出人"), "personal": "name"}
    )
    plate: Mapped[str | None] = mapped_column(String(12), info=label("Vehicle", "车牌"))
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    until_on: Mapped[date] = mapped_column(info=label("Last day", "截止日（含）"))
    owner_word: Mapped[str | None] = mapped_column(
        String(200), info=label("How the owner agreed", "业主同意方式")
    )
    state: Mapped[ReleaseState] = state(
        ReleaseState,
        default=ReleaseState.REQUESTED,
        info={**label("State", "状态"), "api": "read"},
    )
    code: Mapped[str] = mapped_column(String(40), info={"api": "hidden"})
    asked_by: Mapped[UUID | None] = mapped_column(
        info={**label("Asked by (login)", "申请人登录"), "api": "read"}
    )
    asked_name: Mapped[str] = mapped_column(
        String(120), info={**label("Asked by", "登记人"), "personal": "name", "api": "read"}
    )
    decided_name: Mapped[str | None] = mapped_column(
        String(120), info={**label("Decided by", "签发人"), "personal": "name", "api": "read"}
    )
    reason: Mapped[str | None] = mapped_column(
        String(200), info={**label("Reason", "原因"), "api": "read"}
    )
    left_at: Mapped[datetime | None] = mapped_column(
        info={**label("Left at", "放行时间"), "api": "read"}
    )
    guard_name: Mapped[str | None] = mapped_column(
        String(120), info={**label("Seen by", "放行岗"), "personal": "name", "api": "read"}
    )
    gate_note: Mapped[str | None] = mapped_column(
        String(200), info={**label("Seen at the gate", "门岗核对情况"), "api": "read"}
    )

    def __str__(self) -> str:
        return f"{self.number:06d} {self.room}"
