"""Reminders by message and on paper: the schedule, what was sent to whom, what was printed."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Boolean, Integer, String, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, money, plugin_base, ref, state, to_one
from dougong.tenancy.models import Building, Person, Room
from dougong_arrears.domain import NoticeKind, NoticeState, Wording
from dougong_fees.models import Bill

Base = plugin_base("arrears")
NOW, ZERO = text("now()"), text("0")
APPEND_ONLY = {"dougong_app": "select, insert", "dougong_platform": "select, insert"}

Wording.__labels__ = labels(
    DUE_SOON=("Due soon", "到期提醒"),
    OVERDUE=("Overdue", "逾期提醒"),
    OVERDUE_AGAIN=("Overdue, second time", "二次催缴"),
    FINAL_DEMAND=("Last demand", "最后催缴"),
)
NoticeKind.__labels__ = labels(
    DEMANDS=("Demand to each payer", "催费函"), PUBLIC=("Notice for the board", "欠费公示")
)
NoticeState.__labels__ = labels(WAITING=("Being printed", "生成中"), READY=("Ready", "已生成"))


class ReminderLevel(InCommunity, Base):
    """A level of reminders (提醒级别). days: after the due day; less than zero: before it."""

    __tablename__ = "reminder_level"
    __table_args__ = (UniqueConstraint("community_id", "days"),)

    name: Mapped[str] = mapped_column(String(60), info=label("Level", "级别"))
    days: Mapped[int] = mapped_column(
        Integer, info=label("Days after the due day (before: −)", "到期日后天数（提前填负数）")
    )
    wording: Mapped[Wording] = state(Wording, info=label("Wording", "文案"))
    is_active: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("In use", "启用")
    )

    def __str__(self) -> str:
        return self.name


class Reminder(InCommunity, Base):
    """That a payer was reminded of a bill by a level: at most once. amount: owed on that day."""

    __tablename__ = "reminder"
    __table_args__ = (
        UniqueConstraint("community_id", "bill_id", "level_id"),
        {"info": {"grants": APPEND_ONLY}},
    )
    __building_path__ = "room.building_id"

    level_id: Mapped[UUID] = ref("arrears.reminder_level", index=False, info=label("Level", "级别"))
    level: Mapped[ReminderLevel] = to_one(level_id, ReminderLevel)
    bill_id: Mapped[UUID] = ref("fees.bill", index=False, info=label("Bill", "账单"))
    bill: Mapped[Bill] = to_one(bill_id, Bill)
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    payer_id: Mapped[UUID] = ref("dougong.person", info=label("Payer", "付款人"))
    payer: Mapped[Person] = to_one(payer_id, Person)
    amount: Mapped[Decimal] = money(info=label("Owed", "欠缴金额"))
    message_id: Mapped[UUID] = ref("dougong.message", index=False, info={"api": "hidden"})
    sent_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("Sent at", "发送时间"))

    def __str__(self) -> str:
        return f"{self.amount} {self.local(self.sent_at)[:10]}"


class ReminderChoice(InCommunity, Base):
    """What a payer chose: whether he wants to be told before something is due."""

    __tablename__ = "reminder_choice"
    __table_args__ = (UniqueConstraint("community_id", "person_id"),)

    person_id: Mapped[UUID] = ref("dougong.person", index=False, info=label("Person", "人员"))
    person: Mapped[Person] = to_one(person_id, Person)
    wants_due_soon: Mapped[bool] = mapped_column(
        Boolean,
        default=True,
        server_default=true(),
        info=label("Wants early reminders", "接收到期前提醒"),
    )


class NoticeRun(InCommunity, Base):
    """A print run (批量打印): demands as one archive, or the notice for the board.

    least: yuan; who owes less gets none. count: how many were printed; size: bytes of the file.
    """

    __tablename__ = "notice_run"

    kind: Mapped[NoticeKind] = state(NoticeKind, info=label("Kind", "类型"))
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    least: Mapped[Decimal] = money(default=Decimal(0), info=label("Owing at least", "最低欠费金额"))
    pay_by_on: Mapped[date] = mapped_column(info=label("To be paid by", "限缴日期"))
    state: Mapped[NoticeState] = state(
        NoticeState, default=NoticeState.WAITING, info=label("State", "状态")
    )
    count: Mapped[int] = mapped_column(
        Integer, default=0, server_default=ZERO, info=label("Printed", "份数")
    )
    size: Mapped[int] = mapped_column(
        Integer, default=0, server_default=ZERO, info=label("Bytes", "字节数")
    )
    job_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    user_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    made_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("Made at", "创建时间"))
    expires_at: Mapped[datetime | None] = mapped_column(info=label("Kept until", "保留至"))

    def __str__(self) -> str:
        return self.local(self.made_at)


class Letter(InCommunity, Base):
    """A printed demand (催费函): its number, what it demands, and when it was handed over."""

    __tablename__ = "letter"
    __table_args__ = (UniqueConstraint("community_id", "number"),)
    __building_path__ = "room.building_id"

    run_id: Mapped[UUID] = ref("arrears.notice_run", info=label("Print run", "打印批次"))
    run: Mapped[NoticeRun] = to_one(run_id, NoticeRun)
    number: Mapped[str] = mapped_column(String(40), info=label("No.", "编号"))
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    payer_id: Mapped[UUID] = ref("dougong.person", info=label("Payer", "付款人"))
    payer: Mapped[Person] = to_one(payer_id, Person)
    amount: Mapped[Decimal] = money(info=label("Demanded", "催缴金额"))
    delivered_on: Mapped[date | None] = mapped_column(info=label("Handed over on", "送达日期"))

    def __str__(self) -> str:
        return self.number
