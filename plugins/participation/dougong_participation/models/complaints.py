"""Complaints with replies, feedback, and the improvements that follow."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    literal_column,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, member_label, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_participation.domain import ComplaintState
from dougong_participation.models.kinds import (
    Base,
    ComplaintKind,
    ComplaintSource,
    ImprovementState,
    Topic,
    read_only,
)


class Complaint(InCommunity, Base):
    """A complaint, suggestion or praise (投诉, 建议, 表扬) with its promise, answer and rating."""

    __tablename__ = "complaint"
    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        CheckConstraint("rating between 1 and 5", name="rating"),
        Index("ix_complaint_state", "community_id", "state"),
    )
    __building_path__ = "room.building_id"

    number: Mapped[int] = mapped_column(Integer, info=read_only("Number", "编号"))
    kind: Mapped[ComplaintKind] = state(
        ComplaintKind, default=ComplaintKind.COMPLAINT, info=label("Kind", "类型")
    )
    topic: Mapped[Topic] = state(Topic, default=Topic.OTHER, info=label("Topic", "分类"))
    title: Mapped[str] = mapped_column(String(120), info=label("Title", "标题"))
    text: Mapped[str] = mapped_column(Text, info={**label("Text", "内容"), "free_text": True})
    person_id: Mapped[UUID | None] = ref("dougong.person", info=label("Person", "人员"))
    person: Mapped[Person | None] = to_one(person_id, Person)
    room_id: Mapped[UUID | None] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room | None] = to_one(room_id, Room)
    source: Mapped[ComplaintSource] = state(
        ComplaintSource, default=ComplaintSource.DESK, info=label("Source", "来源")
    )
    state: Mapped[ComplaintState] = state(
        ComplaintState, default=ComplaintState.OPEN, info=read_only("State", "状态")
    )
    filed_at: Mapped[datetime] = mapped_column(info=read_only("Filed at", "提交时间"))
    due_at: Mapped[datetime] = mapped_column(info=read_only("Answer due", "答复时限"))
    handler: Mapped[str | None] = mapped_column(String(120), info=read_only("Handled by", "受理人"))
    answered_at: Mapped[datetime | None] = mapped_column(info=read_only("Answered at", "答复时间"))
    closed_at: Mapped[datetime | None] = mapped_column(info=read_only("Closed at", "办结时间"))
    times_reopened: Mapped[int] = mapped_column(
        Integer,
        default=0,
        server_default=literal_column("0"),
        info=read_only("Times reopened", "重开次数"),
    )
    rating: Mapped[int | None] = mapped_column(Integer, info=read_only("Rating", "评分"))
    rating_note: Mapped[str | None] = mapped_column(
        String(500), info={**read_only("Rating note", "评价"), "free_text": True}
    )

    def __str__(self) -> str:
        return f"{self.number} {self.title}"


class ComplaintReply(InCommunity, Base):
    """One turn of the talk about a complaint; replies of staff are seen by who complained."""

    __tablename__ = "complaint_reply"

    complaint_id: Mapped[UUID] = ref(
        "participation.complaint", ondelete="CASCADE", info=label("Complaint", "投诉")
    )
    complaint: Mapped[Complaint] = to_one(complaint_id, Complaint)
    replied_at: Mapped[datetime] = mapped_column(info=label("Replied at", "回复时间"))
    author: Mapped[str] = mapped_column(
        String(120), info={**label("Author", "回复人"), "personal": "name"}
    )
    is_staff: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("By staff", "物业回复")
    )
    text: Mapped[str] = mapped_column(Text, info={**label("Text", "内容"), "free_text": True})

    def __str__(self) -> str:
        return self.text[:40]


class Feedback(InCommunity, Base):
    """What someone wrote with the feedback button (意见反馈); it is read, not answered."""

    __tablename__ = "feedback"
    __table_args__ = (Index("ix_feedback_given_at", "community_id", "given_at"),)

    topic: Mapped[Topic] = state(Topic, default=Topic.OTHER, info=label("Topic", "分类"))
    text: Mapped[str] = mapped_column(Text, info={**label("Text", "内容"), "free_text": True})
    page: Mapped[str | None] = mapped_column(String(200), info=label("Page", "来自页面"))
    person_id: Mapped[UUID | None] = ref("dougong.person", info=label("Person", "人员"))
    person: Mapped[Person | None] = to_one(person_id, Person)
    given_at: Mapped[datetime] = mapped_column(info=read_only("Given at", "反馈时间"))
    acknowledged_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Acknowledged at", "已阅时间")
    )

    def __str__(self) -> str:
        return self.text[:40]


class Improvement(InCommunity, Base):
    """A frequent problem of a month that the community has set out to solve (改进清单)."""

    __tablename__ = "improvement"
    __table_args__ = (UniqueConstraint("community_id", "month_on", "topic"),)

    month_on: Mapped[date] = mapped_column(info=label("Month", "月份"))
    topic: Mapped[Topic] = state(Topic, info=label("Topic", "分类"))
    voices: Mapped[int] = mapped_column(Integer, default=0, info=label("Voices", "反映次数"))
    # Phrases that many said, and by which records: {"words", "complaints", "feedback"}; no texts.
    findings: Mapped[Any] = mapped_column(
        JSONB, default=list, server_default=literal_column("'[]'::jsonb"), info={"api": "hidden"}
    )
    measure: Mapped[str | None] = mapped_column(String(500), info=label("Measure", "改进措施"))
    due_on: Mapped[date | None] = mapped_column(info=label("Due on", "完成期限"))
    state: Mapped[ImprovementState] = state(
        ImprovementState, default=ImprovementState.OPEN, info=read_only("State", "状态")
    )
    done_on: Mapped[date | None] = mapped_column(info=read_only("Done on", "完成日期"))

    def __str__(self) -> str:
        return f"{self.month_on:%Y-%m} {member_label(self.topic)}"
