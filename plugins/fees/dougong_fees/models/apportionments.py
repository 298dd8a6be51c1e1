"""Apportionments (公摊): a shared cost, the key it is divided by, and each room's share."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Numeric, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, money, ref, state, to_one
from dougong.tenancy.models import Building, Person, Room
from dougong_fees.models.bills import Bill
from dougong_fees.models.items import Base, FeeItem


class ShareKey(StrEnum):
    """What a shared cost is divided by."""

    AREA = "area"
    HOUSEHOLD = "household"
    PERSONS = "persons"
    FLOOR = "floor"
    CUSTOM = "custom"

    __labels__ = labels(
        AREA=("Area", "建筑面积"),
        HOUSEHOLD=("Households alike", "按户均摊"),
        PERSONS=("People", "居住人数"),
        FLOOR=("Floor", "楼层权重"),
        CUSTOM=("Own ratio", "自定比例"),
    )


class ApportionmentState(StrEnum):
    """Where an apportionment stands."""

    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"

    __labels__ = labels(
        DRAFT=("Draft", "草稿"),
        PUBLISHED=("Published", "已发布"),
        WITHDRAWN=("Withdrawn", "已撤回"),
    )


class Apportionment(InCommunity, Base):
    """A shared cost of a period, of a building or the whole community.

    main_quantity, deducted_quantity, unit_price: what the main meter counted, what the meters below
    it did, and the supplier's price; or an invoice's pool_amount alone. legal_basis, resolution:
    why owners pay this on top of the service fee. corrects: the one that it replaces.
    """

    __tablename__ = "apportionment"
    __table_args__ = (
        CheckConstraint("to_on > from_on", name="period"),
        CheckConstraint("pool_amount >= 0", name="pool_amount"),
        CheckConstraint("main_quantity >= deducted_quantity", name="quantities"),
    )

    name: Mapped[str] = mapped_column(String(80), info=label("Name", "名称"))
    fee_item_id: Mapped[UUID] = ref("fees.fee_item", info=label("Fee item", "费用项"))
    fee_item: Mapped[FeeItem] = to_one(fee_item_id, FeeItem)
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date] = mapped_column(info=label("Until (not included)", "截止日（不含）"))
    due_on: Mapped[date] = mapped_column(info=label("Due on", "缴费截止日"))
    key: Mapped[ShareKey] = state(ShareKey, info=label("Divided by", "分摊依据"))
    main_quantity: Mapped[Decimal | None] = mapped_column(
        Numeric(18, 6), info=label("Main meter", "总表用量")
    )
    deducted_quantity: Mapped[Decimal | None] = mapped_column(
        Numeric(18, 6), info=label("Meters below it", "分表用量合计")
    )
    unit_price: Mapped[Decimal | None] = mapped_column(
        Numeric(14, 6), info=label("Supplier's price", "供应单价")
    )
    pool_amount: Mapped[Decimal] = money(info=label("Cost to share", "分摊总额"))
    legal_basis: Mapped[str] = mapped_column(String(200), info=label("Legal basis", "依据条款"))
    resolution: Mapped[str] = mapped_column(
        String(200), info=label("Owners' resolution", "业主共同决定")
    )
    state: Mapped[ApportionmentState] = state(
        ApportionmentState,
        default=ApportionmentState.DRAFT,
        info={**label("State", "状态"), "api": "read"},
    )
    corrects_id: Mapped[UUID | None] = ref(
        "fees.apportionment", info={**label("Corrects", "更正自"), "api": "read"}
    )

    def __str__(self) -> str:
        return self.name


class ApportionmentShare(InCommunity, Base):
    """A room's share. One that is excluded has a reason, and a payer who bears it instead."""

    __tablename__ = "apportionment_share"
    __named_by__ = ("room",)
    __table_args__ = (
        UniqueConstraint("community_id", "apportionment_id", "room_id"),
        CheckConstraint("ratio >= 0 and amount >= 0", name="ratio"),
        CheckConstraint(
            "not is_excluded or (reason is not null and payer_id is not null)", name="excluded"
        ),
    )
    __building_path__ = "room.building_id"

    apportionment_id: Mapped[UUID] = ref(
        "fees.apportionment", ondelete="CASCADE", info=label("Apportionment", "公摊")
    )
    apportionment: Mapped[Apportionment] = to_one(apportionment_id, Apportionment)
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    ratio: Mapped[Decimal] = mapped_column(Numeric(18, 6), info=label("Ratio", "分摊系数"))
    is_excluded: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info=label("Excluded", "不参与")
    )
    reason: Mapped[str | None] = mapped_column(String(200), info=label("Reason", "原因"))
    payer_id: Mapped[UUID | None] = ref("dougong.person", info=label("Borne by", "承担人"))
    payer: Mapped[Person | None] = to_one(payer_id, Person)
    amount: Mapped[Decimal] = money(
        default=Decimal(0), info={**label("Amount", "金额"), "api": "read"}
    )
    bill_id: Mapped[UUID | None] = ref("fees.bill", info={**label("Bill", "账单"), "api": "read"})
    bill: Mapped[Bill | None] = to_one(bill_id, Bill)

    def __str__(self) -> str:
        return f"{self.room} {self.amount}"
