"""Discounts (优惠): a share of a fee that is left off for a time, asked for and approved."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, ref, state, to_one
from dougong.tenancy.models import Room
from dougong_fees.domain.states import WaiverState
from dougong_fees.models.bills import NOW
from dougong_fees.models.items import Base, FeeItem


class DiscountKind(StrEnum):
    """Why less is charged."""

    STAFF = "staff"
    HARDSHIP = "hardship"
    VACANCY = "vacancy"
    AGREED = "agreed"

    __labels__ = labels(
        STAFF=("Staff", "员工优惠"),
        HARDSHIP=("Hardship", "困难减免"),
        VACANCY=("Vacant room", "空置房优惠"),
        AGREED=("Agreed", "协议优惠"),
    )


class Discount(InCommunity, Base):
    """A discount on one fee of one room: from a day on, until a day, from when it is approved.

    share: of the fee that is left off, so 0.3 charges 70 %. basis: the local rule, the owners'
    resolution or the contract that allows it.
    """

    __tablename__ = "discount"
    __named_by__ = ("fee_item",)
    __table_args__ = (
        CheckConstraint("share > 0 and share <= 1", name="share"),
        CheckConstraint("to_on is null or to_on > from_on", name="period"),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    fee_item_id: Mapped[UUID] = ref("fees.fee_item", info=label("Fee item", "费用项"))
    fee_item: Mapped[FeeItem] = to_one(fee_item_id, FeeItem)
    kind: Mapped[DiscountKind] = state(DiscountKind, info=label("Kind", "类型"))
    share: Mapped[Decimal] = mapped_column(Numeric(7, 6), info=label("Share left off", "优惠比例"))
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date | None] = mapped_column(info=label("Until (not included)", "终止日（不含）"))
    basis: Mapped[str] = mapped_column(String(200), info=label("Basis", "依据"))
    state: Mapped[WaiverState] = state(
        WaiverState,
        default=WaiverState.REQUESTED,
        info={**label("State", "状态"), "api": "read"},
    )
    requested_by: Mapped[UUID | None] = mapped_column(
        info={**label("Requested by", "申请人"), "api": "read"}
    )
    approved_by: Mapped[UUID | None] = mapped_column(
        info={**label("Approved by", "审核人"), "api": "read"}
    )
    vacancy_id: Mapped[UUID | None] = ref(
        "fees.vacancy", index=False, info={**label("Vacancy", "空置申报"), "api": "read"}
    )
    made_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("At", "时间"))

    def __str__(self) -> str:
        return f"{self.fee_item} −{self.share * 100:g}%"
