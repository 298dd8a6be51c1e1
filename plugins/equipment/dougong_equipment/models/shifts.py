"""Shifts: what happened while somebody was on duty, and who took over."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, ref, to_one
from dougong.db import state as one_of
from dougong_equipment.domain.kinds import ShiftState, Trade
from dougong_equipment.models.declaring import Base, read_only, words


class Shift(InCommunity, Base):
    """A shift of a post (值班): begun, handed over with what is open, taken over by the next.

    A post has one shift that is not handed over. open_words: what stood open at the hand-over, as
    the system saw it.
    """

    __tablename__ = "shift"
    __table_args__ = (
        Index(
            "uq_shift_on_duty",
            "community_id",
            "trade",
            "post",
            unique=True,
            postgresql_where=text("state = 'on_duty'"),
        ),
        CheckConstraint("ended_at >= begun_at", name="ended_at"),
    )

    trade: Mapped[Trade] = one_of(Trade, info=label("Trade", "专业"))
    post: Mapped[str] = words(60, "Post", "岗位")
    state: Mapped[ShiftState] = one_of(
        ShiftState, default=ShiftState.ON_DUTY, info=read_only("State", "状态")
    )
    begun_at: Mapped[datetime] = mapped_column(info=read_only("Begun at", "接班时间"))
    ended_at: Mapped[datetime | None] = mapped_column(info=read_only("Handed over at", "交班时间"))
    taken_at: Mapped[datetime | None] = mapped_column(info=read_only("Taken over at", "接收时间"))
    held_by: Mapped[str] = mapped_column(
        String(80), info={**read_only("On duty", "值班人"), "personal": "name"}
    )
    taken_by: Mapped[str | None] = mapped_column(
        String(80), info={**read_only("Taken over by", "接班人"), "personal": "name"}
    )
    hand_over: Mapped[str | None] = mapped_column(
        String(500), info={**read_only("Handed over", "交接事项"), "free_text": True}
    )
    open_words: Mapped[str | None] = mapped_column(
        String(500), info=read_only("Open then", "未完事项")
    )
    objection: Mapped[str | None] = mapped_column(
        String(500), info={**read_only("Objection", "接班异议"), "free_text": True}
    )

    def __str__(self) -> str:
        return f"{self.post} {self.local(self.begun_at)}"


class ShiftNote(InCommunity, Base):
    """A line of a shift's log (值班日志)."""

    __tablename__ = "shift_note"

    shift_id: Mapped[UUID] = ref("equipment.shift", ondelete="CASCADE", info=label("Shift", "班次"))
    shift: Mapped[Shift] = to_one(shift_id, Shift)
    noted_at: Mapped[datetime] = mapped_column(info=read_only("At", "时间"))
    noted_by: Mapped[str] = mapped_column(
        String(80), info={**read_only("By", "记录人"), "personal": "name"}
    )
    text: Mapped[str] = mapped_column(
        String(500), info={**read_only("Entry", "记录"), "free_text": True}
    )

    def __str__(self) -> str:
        return self.text[:40]
