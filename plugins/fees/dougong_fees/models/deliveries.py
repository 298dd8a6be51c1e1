"""Delivery of a new building (集中交房): a batch of rooms that go from the developer to buyers."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Integer, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, labels, ref, state, to_one
from dougong.tenancy.models import Building, Room
from dougong_fees.models.items import Base


class DeliveryState(StrEnum):
    """Where a batch stands."""

    OPEN = "open"
    CLOSED = "closed"

    __labels__ = labels(OPEN=("Under way", "办理中"), CLOSED=("Closed", "已结束"))


class RoomDeliveryState(StrEnum):
    """Where the delivery of one room stands."""

    EXPECTED = "expected"
    DELIVERED = "delivered"
    REFUSED = "refused"
    DEEMED = "deemed"

    __labels__ = labels(
        EXPECTED=("Expected", "待办理"),
        DELIVERED=("Delivered", "已交付"),
        REFUSED=("Refused for defects", "验收未通过"),
        DEEMED=("Deemed delivered", "视为交付"),
    )


class Delivery(InCommunity, Base):
    """A batch of rooms that a developer delivers (交房批次), within [from_on, until_on].

    deemed_on: the day from which who did not come owes the fees, by the notice and the contract;
    None where the contract says nothing of it.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint("until_on >= from_on", name="days"),
        CheckConstraint("deemed_on > until_on", name="deemed_on"),
    )
    __building_path__ = "building_id"

    name: Mapped[str] = mapped_column(String(80), info=label("Delivery", "交房批次"))
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    until_on: Mapped[date] = mapped_column(info=label("Last day", "截止日（含）"))
    deemed_on: Mapped[date | None] = mapped_column(info=label("Deemed delivered on", "视为交付日"))
    basis: Mapped[str | None] = mapped_column(
        String(200), info=label("Basis", "依据（交付通知与合同条款）")
    )
    state: Mapped[DeliveryState] = state(
        DeliveryState, default=DeliveryState.OPEN, info={**label("State", "状态"), "api": "read"}
    )

    def __str__(self) -> str:
        return self.name


class DeliveryRoom(InCommunity, Base):
    """A room of a batch: who takes it over, and what was handed to them.

    buyers: names as the developer lists them, 「张三、李四」. phone: of the first.
    readings: by serial, as they were read together. hand_over_id: the statement made by it.
    """

    __tablename__ = "delivery_room"
    __named_by__ = ("room",)
    __table_args__ = (
        UniqueConstraint("community_id", "delivery_id", "room_id"),
        CheckConstraint("keys >= 0", name="keys"),
    )
    __building_path__ = "room.building_id"

    delivery_id: Mapped[UUID] = ref(
        "fees.delivery", index=False, info=label("Delivery", "交房批次")
    )
    delivery: Mapped[Delivery] = to_one(delivery_id, Delivery)
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    buyers: Mapped[str] = mapped_column(
        String(200), info={**label("Buyers", "买受人"), "personal": "name"}
    )
    phone: Mapped[str | None] = encrypted(
        search="last4", mask="phone", info=label("Phone", "手机号")
    )
    state: Mapped[RoomDeliveryState] = state(
        RoomDeliveryState, default=RoomDeliveryState.EXPECTED, info=label("State", "状态")
    )
    taken_over_on: Mapped[date | None] = mapped_column(info=label("Taken over on", "交付日"))
    readings: Mapped[Any] = mapped_column(
        JSONB, default=dict, server_default=text("'{}'"), info=label("Readings", "交接读数")
    )
    keys: Mapped[int] = mapped_column(
        Integer, default=0, server_default=text("0"), info=label("Keys", "钥匙（把）")
    )
    defects: Mapped[str | None] = mapped_column(
        String(1000), info={**label("Defects", "验房问题"), "free_text": False}
    )
    done_by: Mapped[str | None] = mapped_column(
        String(120), info={**label("Done by", "经办人"), "personal": "name", "api": "read"}
    )
    done_at: Mapped[datetime | None] = mapped_column(
        info={**label("Done at", "办理时间"), "api": "read"}
    )
    hand_over_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})

    def __str__(self) -> str:
        return str(self.room)
