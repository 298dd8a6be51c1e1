"""What the plugin keeps."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, labels, plugin_base, ref, state, to_one
from dougong.tenancy.models import Building, Person

Base = plugin_base("lost_property")


class ItemState(StrEnum):
    """Where an item is."""

    KEPT = "kept"
    RETURNED = "returned"

    __labels__ = labels(KEPT=("Kept", "保管中"), RETURNED=("Returned", "已领取"))


class Item(InCommunity, Base):
    """An item (物品) that somebody found and handed in."""

    __tablename__ = "item"
    __building_path__ = "building_id"

    name: Mapped[str] = mapped_column(String(80), info=label("Item", "物品"))
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    found_on: Mapped[date] = mapped_column(info=label("Found on", "拾到日期"))
    state: Mapped[ItemState] = state(ItemState, default=ItemState.KEPT, info=label("State", "状态"))
    finder_phone: Mapped[str | None] = encrypted(
        search="last4", mask="phone", info=label("Finder's phone", "拾到人电话")
    )
    receiver: Mapped[str | None] = mapped_column(String(80), info=label("Fetched by", "领取人"))

    def __str__(self) -> str:
        return self.name


class EnquiryState(StrEnum):
    """Where an enquiry is."""

    OPEN = "open"
    MATCHED = "matched"
    CLOSED = "closed"

    __labels__ = labels(
        OPEN=("Open", "寻找中"), MATCHED=("Matched", "已匹配"), CLOSED=("Closed", "已结束")
    )


class Enquiry(InCommunity, Base):
    """Somebody's question after a thing that he lost (寻物登记)."""

    __tablename__ = "enquiry"

    what: Mapped[str] = mapped_column(String(80), info=label("Lost", "丢失物品"))
    person_id: Mapped[UUID] = ref("dougong.person", info=label("Person", "登记人"))
    person: Mapped[Person] = to_one(person_id, Person)
    lost_on: Mapped[date] = mapped_column(info=label("Lost on", "丢失日期"))
    state: Mapped[EnquiryState] = state(
        EnquiryState, default=EnquiryState.OPEN, info=label("State", "状态")
    )
    item_id: Mapped[UUID | None] = ref("lost_property.item", info=label("Item", "物品"))
    item: Mapped[Item | None] = to_one(item_id, Item)

    def __str__(self) -> str:
        return self.what
