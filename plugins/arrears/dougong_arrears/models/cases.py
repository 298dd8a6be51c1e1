"""A collector's work: whose arrears are whose, what was said, promised and disputed."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Index, String, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, labels, money, ref, state, to_one
from dougong.tenancy.models import Building, Person, Room
from dougong_arrears.domain import (
    ContactKind,
    DisputeState,
    Interruption,
    NextStep,
    Outcome,
    PromiseState,
)
from dougong_arrears.models.reminders import NOW, Base
from dougong_fees.models import Bill

ContactKind.__labels__ = labels(
    CALL=("Call", "电话"),
    VISIT=("Visit", "上门"),
    MESSAGE=("Message", "短信/微信"),
    LETTER=("Letter", "催费函"),
    COURT=("Court", "诉讼/仲裁"),
)
Outcome.__labels__ = labels(
    REACHED=("Reached", "已联系上"),
    NOT_REACHED=("Not reached", "未联系上"),
    PROMISED=("Promised to pay", "承诺缴费"),
    REFUSED=("Refused", "拒缴"),
)
Interruption.__labels__ = labels(
    DEMAND=("Demand that arrived", "催告已送达"),
    ACKNOWLEDGEMENT=("The debt was acknowledged", "同意履行"),
    LAWSUIT=("Suit or arbitration", "起诉或仲裁"),
)
NextStep.__labels__ = labels(
    CALL=("Call", "电话联系"),
    VISIT=("Visit", "上门"),
    LETTER=("Send a demand", "发催费函"),
    INSTALMENTS=("Agree on instalments", "协商分期"),
    LAWYER=("Lawyer's letter", "律师函"),
    COURT=("Sue", "起诉"),
    WAIT=("Wait", "等待"),
)
PromiseState.__labels__ = labels(
    OPEN=("Open", "待履行"), KEPT=("Kept", "已履行"), BROKEN=("Broken", "已违约")
)
DisputeState.__labels__ = labels(OPEN=("Disputed", "争议中"), SETTLED=("Settled", "已解决"))


class Collector(InCommunity, Base):
    """Someone who collects arrears (催收员)."""

    __tablename__ = "collector"
    __table_args__ = (UniqueConstraint("community_id", "user_id"),)

    name: Mapped[str] = mapped_column(
        String(120), info={**label("Name", "姓名"), "personal": "name"}
    )
    user_id: Mapped[UUID | None] = mapped_column(info={**label("Login", "账号"), "api": "read"})
    is_active: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("In use", "启用")
    )

    def __str__(self) -> str:
        return self.name


class CollectorBuilding(InCommunity, Base):
    """A building of a collector's portfolio; each building belongs to one."""

    __tablename__ = "collector_building"
    __named_by__ = ("building",)
    __table_args__ = (UniqueConstraint("community_id", "building_id"),)
    __building_path__ = "building_id"

    collector_id: Mapped[UUID] = ref("arrears.collector", info=label("Collector", "催收员"))
    collector: Mapped[Collector] = to_one(collector_id, Collector)
    building_id: Mapped[UUID] = ref("dougong.building", index=False, info=label("Building", "楼栋"))
    building: Mapped[Building] = to_one(building_id, Building)

    def __str__(self) -> str:
        return f"{self.building}"


class CollectionCase(InCommunity, Base):
    """What is planned about a payer's arrears for a room. collector: instead of the building's."""

    __tablename__ = "collection_case"
    __named_by__ = ("room",)
    __table_args__ = (UniqueConstraint("community_id", "room_id", "payer_id"),)
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", index=False, info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    payer_id: Mapped[UUID] = ref("dougong.person", info=label("Payer", "付款人"))
    payer: Mapped[Person] = to_one(payer_id, Person)
    collector_id: Mapped[UUID | None] = ref("arrears.collector", info=label("Collector", "催收员"))
    collector: Mapped[Collector | None] = to_one(collector_id, Collector)
    next_step: Mapped[NextStep] = state(
        NextStep, default=NextStep.CALL, info=label("Next step", "下一步")
    )
    next_on: Mapped[date | None] = mapped_column(info=label("On", "计划日期"))

    def __str__(self) -> str:
        return f"{self.room}"


class Contact(InCommunity, Base):
    """That someone was spoken to about his arrears (催缴记录), with evidence as files.

    interrupts: why the limitation period began anew on that day; nothing when it did not.
    """

    __tablename__ = "contact"
    __table_args__ = (
        Index("ix_contact_about", "community_id", "room_id", "payer_id", "happened_on"),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", index=False, info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    payer_id: Mapped[UUID] = ref("dougong.person", info=label("Payer", "付款人"))
    payer: Mapped[Person] = to_one(payer_id, Person)
    kind: Mapped[ContactKind] = state(ContactKind, info=label("How", "方式"))
    outcome: Mapped[Outcome] = state(Outcome, info=label("Outcome", "结果"))
    interrupts: Mapped[Interruption | None] = state(
        Interruption, nullable=True, info=label("Interrupts the limitation by", "时效中断事由")
    )
    happened_on: Mapped[date] = mapped_column(info=label("On", "日期"))
    note: Mapped[str | None] = encrypted(info=label("Note", "记录"))
    user_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.happened_on}"


class PaymentPromise(InCommunity, Base):
    """A promise to pay (承诺缴费): kept when so much was paid for the room by the day."""

    __tablename__ = "payment_promise"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_payment_promise_about", "community_id", "room_id", "payer_id", "by_on"),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", index=False, info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    payer_id: Mapped[UUID] = ref("dougong.person", info=label("Payer", "付款人"))
    payer: Mapped[Person] = to_one(payer_id, Person)
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    by_on: Mapped[date] = mapped_column(info=label("By", "承诺日期"))
    state: Mapped[PromiseState] = state(
        PromiseState, default=PromiseState.OPEN, info=label("State", "状态")
    )
    made_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("Made at", "登记时间"))

    def __str__(self) -> str:
        return f"{self.amount} {self.by_on}"


class Dispute(InCommunity, Base):
    """That a payer disputes a bill: while it is open he is not reminded of it."""

    __tablename__ = "dispute"
    __named_by__ = ("bill",)
    __table_args__ = (
        Index(
            "uq_dispute_bill_open",
            "community_id",
            "bill_id",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
    )
    __building_path__ = "bill.room.building_id"

    bill_id: Mapped[UUID] = ref("fees.bill", info=label("Bill", "账单"))
    bill: Mapped[Bill] = to_one(bill_id, Bill)
    reason: Mapped[str] = mapped_column(
        String(500), info={**label("Reason", "争议原因"), "free_text": True}
    )
    state: Mapped[DisputeState] = state(
        DisputeState, default=DisputeState.OPEN, info=label("State", "状态")
    )
    outcome: Mapped[str | None] = mapped_column(
        String(200), info={**label("Settled how", "处理结果"), "free_text": True}
    )
    opened_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("Since", "提出时间"))
    settled_at: Mapped[datetime | None] = mapped_column(info=label("Settled at", "解决时间"))

    def __str__(self) -> str:
        return f"{self.bill}"
