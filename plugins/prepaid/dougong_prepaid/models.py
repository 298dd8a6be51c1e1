"""Prepaid energy: prices, accounts of rooms, what moved them, cards of meters."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Numeric, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, labels, money, plugin_base, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_meters.models import Commodity
from dougong_prepaid.domain import CutReason, MovementKind, PeriodKind, Protection, Supply

Base = plugin_base("prepaid")


class Tariff(InCommunity, Base):
    """What prepaid energy costs from a day on, until the next one (预付费电价).

    price, grid_price: yuan per kWh or m³; what the room pays, and what the supplier takes: energy
    is resold without a markup. free_per_person: free of charge per person and month.
    Source: 发改价格〔2018〕787 号 and 国办函〔2020〕129 号: no markup on resold electricity.
    """

    __tablename__ = "tariff"
    __table_args__ = (
        UniqueConstraint("community_id", "commodity", "from_on"),
        CheckConstraint("price >= 0 and price <= grid_price", name="no_markup"),
        CheckConstraint("free_per_person >= 0", name="free"),
    )

    commodity: Mapped[Commodity] = state(Commodity, info=label("Commodity", "类别"))
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 6), info=label("Price", "单价"))
    grid_price: Mapped[Decimal] = mapped_column(
        Numeric(10, 6), info=label("Supplier's price", "购电（进）单价")
    )
    free_per_person: Mapped[Decimal] = mapped_column(
        Numeric(10, 2),
        default=Decimal(0),
        info=label("Free per person and month", "每人每月免费额度"),
    )
    source: Mapped[str] = mapped_column(
        String(200), default="", info=label("Source of the price", "价格依据")
    )

    def __str__(self) -> str:
        return f"{self.price.normalize():f} · {self.from_on}"


class EnergyAccount(InCommunity, Base):
    """A room's prepaid energy (预付费账户): what it holds, and how far its meter was followed.

    balance: yuan, below zero for what was used after it ran empty. carried: of a fen, charged next
    time. counted, counted_at: the counter of ``meter_id`` up to which usage is charged; None until
    the first reading. problem: why the counter could not be followed; the supply is not cut then.
    limit_kw: instead of the community's. command_id: the last command to its device.
    """

    __tablename__ = "energy_account"
    __named_by__ = ("room",)
    __table_args__ = (
        Index(
            "uq_energy_account_open",
            "community_id",
            "room_id",
            "commodity",
            unique=True,
            postgresql_where=text("closed_on is null"),
        ),
        CheckConstraint("limit_kw > 0", name="limit_kw"),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    commodity: Mapped[Commodity] = state(
        Commodity, default=Commodity.ELECTRICITY, info=label("Commodity", "类别")
    )
    protection: Mapped[Protection] = state(
        Protection, default=Protection.NONE, info=label("Never cut because", "禁止断供原因")
    )
    protection_note: Mapped[str | None] = encrypted(
        info={**label("About the protection", "保障说明"), "api": "hidden"}
    )
    limit_kw: Mapped[Decimal | None] = mapped_column(
        Numeric(8, 3), info=label("Power allowed (kW)", "限定功率（千瓦）")
    )
    opened_on: Mapped[date] = mapped_column(info=label("Since", "开户日"))
    closed_on: Mapped[date | None] = mapped_column(
        info={**label("Closed on", "销户日"), "api": "read"}
    )
    balance: Mapped[Decimal] = money(info={**label("Balance", "余额"), "api": "read"})
    carried: Mapped[Decimal] = mapped_column(
        Numeric(18, 12), default=Decimal(0), info={"api": "hidden"}
    )
    meter_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    counted: Mapped[Decimal | None] = mapped_column(
        Numeric(18, 4), info={**label("Charged up to", "已结算读数"), "api": "read"}
    )
    counted_at: Mapped[datetime | None] = mapped_column(
        info={**label("Read at", "读数时间"), "api": "read"}
    )
    problem: Mapped[str | None] = mapped_column(
        String(200), info={**label("Problem", "异常"), "api": "read"}
    )
    month_on: Mapped[date | None] = mapped_column(info={"api": "hidden"})
    month_used: Mapped[Decimal] = mapped_column(
        Numeric(18, 4),
        default=Decimal(0),
        info={**label("Used this month", "本月用量"), "api": "read"},
    )
    month_free: Mapped[Decimal] = mapped_column(
        Numeric(18, 4),
        default=Decimal(0),
        info={**label("Of it free", "其中免费"), "api": "read"},
    )
    warned_at: Mapped[datetime | None] = mapped_column(
        info={**label("Warned at", "提醒时间"), "api": "read"}
    )
    empty_at: Mapped[datetime | None] = mapped_column(
        info={**label("Empty since", "欠费起"), "api": "read"}
    )
    supply: Mapped[Supply] = state(
        Supply, default=Supply.ON, info={**label("Supply", "供应"), "api": "read"}
    )
    cut_reason: Mapped[CutReason | None] = state(
        CutReason, nullable=True, info={**label("Cut because", "断开原因"), "api": "read"}
    )
    cut_at: Mapped[datetime | None] = mapped_column(
        info={**label("Cut at", "断开时间"), "api": "read"}
    )
    restore_at: Mapped[datetime | None] = mapped_column(
        info={**label("Restored by itself at", "自动恢复时间"), "api": "read"}
    )
    back_at: Mapped[datetime | None] = mapped_column(
        info={**label("Supply came back at", "恢复供应时间"), "api": "read"}
    )
    trips_on: Mapped[date | None] = mapped_column(info={"api": "hidden"})
    trips: Mapped[int] = mapped_column(
        Integer, default=0, info={**label("Trips that day", "当日跳闸次数"), "api": "read"}
    )
    command_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.room.code}"


class Movement(InCommunity, Base):
    """What changed an account's balance (收支明细); usage has one row per day.

    amount: yuan, below zero for what was used. quantity, free: in the meter's unit; free is a part
    of quantity. source_id: the payment or refund, once. entry_id: of the journal; usage is posted
    on the next day.
    """

    __tablename__ = "movement"
    __table_args__ = (
        Index(
            "uq_movement_usage",
            "community_id",
            "account_id",
            "booked_on",
            unique=True,
            postgresql_where=text("kind = 'usage'"),
        ),
        Index(
            "uq_movement_source",
            "community_id",
            "account_id",
            "source_id",
            unique=True,
            postgresql_where=text("source_id is not null"),
        ),
        Index(
            "ix_movement_to_post",
            "community_id",
            "booked_on",
            postgresql_where=text("entry_id is null"),
        ),
    )
    __building_path__ = "account.room.building_id"

    account_id: Mapped[UUID] = ref("prepaid.energy_account", info=label("Account", "账户"))
    account: Mapped[EnergyAccount] = to_one(account_id, EnergyAccount)
    kind: Mapped[MovementKind] = state(MovementKind, info=label("Kind", "类型"))
    booked_on: Mapped[date] = mapped_column(info=label("Day", "日期"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    quantity: Mapped[Decimal] = mapped_column(
        Numeric(18, 4), default=Decimal(0), info=label("Quantity", "用量")
    )
    free: Mapped[Decimal] = mapped_column(
        Numeric(18, 4), default=Decimal(0), info=label("Of it free", "其中免费")
    )
    counter: Mapped[Decimal | None] = mapped_column(
        Numeric(18, 4), info=label("Counter then", "当时读数")
    )
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 6), info=label("Price", "单价"))
    source_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    entry_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.booked_on} {self.amount}"


class CalendarPeriod(InCommunity, Base):
    """Days on which other rules hold (考试周、假期): in exams nobody's supply is cut for an empty
    balance; in a vacation there is no free quota."""

    __tablename__ = "calendar_period"
    __table_args__ = (CheckConstraint("to_on > from_on", name="period"),)

    kind: Mapped[PeriodKind] = state(PeriodKind, info=label("Kind", "类型"))
    name: Mapped[str] = mapped_column(String(80), info=label("Name", "名称"))
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date] = mapped_column(info=label("Until (not included)", "截止日（不含）"))

    def __str__(self) -> str:
        return self.name


class SupplierBill(InCommunity, Base):
    """What the supplier charged for energy that is resold (供电公司账单), for [from_on, to_on)."""

    __tablename__ = "supplier_bill"
    __table_args__ = (
        UniqueConstraint("community_id", "commodity", "from_on"),
        CheckConstraint("to_on > from_on", name="period"),
    )

    commodity: Mapped[Commodity] = state(Commodity, info=label("Commodity", "类别"))
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date] = mapped_column(info=label("Until (not included)", "截止日（不含）"))
    quantity: Mapped[Decimal] = mapped_column(Numeric(18, 4), info=label("Quantity", "用量"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    number: Mapped[str] = mapped_column(String(60), default="", info=label("Bill no.", "账单号"))

    def __str__(self) -> str:
        return f"{self.from_on} {self.amount}"


class CardState(StrEnum):
    """Whether a meter card is in use."""

    ACTIVE = "active"
    LOST = "lost"

    __labels__ = labels(ACTIVE=("In use", "在用"), LOST=("Lost", "已挂失"))


class WriteState(StrEnum):
    """How far a top-up has come onto the card."""

    WAITING = "waiting"
    WRITTEN = "written"

    __labels__ = labels(
        WAITING=("Waits for the card", "待写卡"), WRITTEN=("Read back", "已回读确认")
    )


class MeterCard(InCommunity, Base):
    """A card that carries top-ups to a room's meter (购电卡).

    serial: what the card says it is, in hex. key: that its maker gave it, 16 bytes in hex; the desk
    never sees it.
    """

    __tablename__ = "meter_card"
    __table_args__ = (
        UniqueConstraint("community_id", "serial"),
        Index(
            "uq_meter_card_active",
            "community_id",
            "account_id",
            unique=True,
            postgresql_where=text("state = 'active'"),
        ),
    )
    __building_path__ = "account.room.building_id"

    account_id: Mapped[UUID] = ref("prepaid.energy_account", info=label("Account", "账户"))
    account: Mapped[EnergyAccount] = to_one(account_id, EnergyAccount)
    serial: Mapped[str] = mapped_column(String(40), info=label("Card number", "卡号"))
    key: Mapped[str] = encrypted(info={**label("Key", "密钥"), "api": "hidden"})
    state: Mapped[CardState] = state(
        CardState, default=CardState.ACTIVE, info={**label("State", "状态"), "api": "read"}
    )
    lost_because: Mapped[str | None] = mapped_column(
        String(200), info={**label("Reported because", "挂失说明"), "api": "read"}
    )

    def __str__(self) -> str:
        return self.serial


class CardWrite(InCommunity, Base):
    """One top-up that goes onto a card, at most once. sequence: the how-manieth of the account.

    tries: how often the card was asked to keep it. content: of the card when it was read back.
    """

    __tablename__ = "card_write"
    __table_args__ = (
        UniqueConstraint("community_id", "account_id", "sequence"),
        UniqueConstraint("community_id", "payment_id"),
        CheckConstraint("amount > 0", name="amount"),
    )
    __building_path__ = "account.room.building_id"

    account_id: Mapped[UUID] = ref(
        "prepaid.energy_account", index=False, info=label("Account", "账户")
    )
    account: Mapped[EnergyAccount] = to_one(account_id, EnergyAccount)
    card_id: Mapped[UUID] = ref("prepaid.meter_card", index=False, info=label("Card", "购电卡"))
    card: Mapped[MeterCard] = to_one(card_id, MeterCard)
    sequence: Mapped[int] = mapped_column(Integer, info=label("Number", "次序"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    payment_id: Mapped[UUID] = mapped_column(info={"api": "hidden"})
    state: Mapped[WriteState] = state(
        WriteState, default=WriteState.WAITING, info=label("State", "状态")
    )
    tries: Mapped[int] = mapped_column(Integer, default=0, info=label("Tries", "写卡次数"))
    content: Mapped[str | None] = mapped_column(String(200), info={"api": "hidden"})
    written_at: Mapped[datetime | None] = mapped_column(info=label("Written at", "写卡时间"))

    def __str__(self) -> str:
        return f"{self.sequence}"


class Student(InCommunity, Base):
    """A student by the number that stands on the campus card (学号); beds are dated occupancies."""

    __tablename__ = "student"
    __named_by__ = ("person",)
    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        UniqueConstraint("community_id", "person_id"),
    )

    person_id: Mapped[UUID] = ref("dougong.person", index=False, info=label("Person", "人员"))
    person: Mapped[Person] = to_one(person_id, Person)
    number: Mapped[str] = mapped_column(String(30), info=label("Student no.", "学号"))

    def __str__(self) -> str:
        return f"{self.number} {self.person}"
