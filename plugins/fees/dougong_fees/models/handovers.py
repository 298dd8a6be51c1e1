"""Rooms that changed hands: from whom to whom, on which day, and what was settled."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_fees.models.items import Base


class HandOverState(StrEnum):
    """Whether a hand-over counts."""

    DONE = "done"
    UNDONE = "undone"

    __labels__ = labels(DONE=("Done", "已过户"), UNDONE=("Undone", "已撤销"))


class HandOver(InCommunity, Base):
    """A hand-over (过户) of a room. handed_over_on: the first day that the buyer pays for.

    statement: readings, bills before and after, prepaid money and deposits, as they were.
    """

    __tablename__ = "hand_over"
    __named_by__ = ("room",)
    __table_args__ = (CheckConstraint("seller_id <> buyer_id", name="two_people"),)
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    seller_id: Mapped[UUID] = ref("dougong.person", info=label("Former owner", "原业主"))
    seller: Mapped[Person] = to_one(seller_id, Person)
    buyer_id: Mapped[UUID] = ref("dougong.person", info=label("New owner", "新业主"))
    buyer: Mapped[Person] = to_one(buyer_id, Person)
    handed_over_on: Mapped[date] = mapped_column(info=label("Day", "过户日"))
    state: Mapped[HandOverState] = state(
        HandOverState, default=HandOverState.DONE, info=label("State", "状态")
    )
    statement: Mapped[Any] = mapped_column(
        JSONB, info={**label("Statement", "结清单"), "api": "read"}
    )
    made_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), info=label("Made at", "办理时间")
    )
    made_by: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.room} {self.handed_over_on}"
