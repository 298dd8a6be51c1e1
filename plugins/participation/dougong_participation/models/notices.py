"""Notices, for whom they are, and who has read them."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Boolean, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, ref, state, to_one
from dougong.tenancy.models import Building, Person
from dougong_participation.models.kinds import Audience, Base, NoticeKind, NoticeState, read_only


class Notice(InCommunity, Base):
    """A notice (通知公告) to everybody, or to the people of some buildings."""

    __tablename__ = "notice"
    __table_args__ = (Index("ix_notice_published", "community_id", "published_at"),)

    title: Mapped[str] = mapped_column(String(120), info=label("Title", "标题"))
    kind: Mapped[NoticeKind] = state(
        NoticeKind, default=NoticeKind.GENERAL, info=label("Kind", "类别")
    )
    body: Mapped[str] = mapped_column(Text, info=label("Text", "正文"))
    audience: Mapped[Audience] = state(
        Audience, default=Audience.EVERYBODY, info=read_only("Audience", "发布范围")
    )
    is_pinned: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info=label("Pinned", "置顶")
    )
    expires_on: Mapped[date | None] = mapped_column(info=label("Shown before", "展示截止日"))
    state: Mapped[NoticeState] = state(
        NoticeState, default=NoticeState.DRAFT, info=read_only("State", "状态")
    )
    published_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Published at", "发布时间")
    )
    publisher: Mapped[str | None] = mapped_column(
        String(120), info=read_only("Published by", "发布人")
    )

    def __str__(self) -> str:
        return self.title


class NoticeBuilding(InCommunity, Base):
    """A building whose people a notice is for."""

    __tablename__ = "notice_building"
    __named_by__ = ("building",)
    __table_args__ = (UniqueConstraint("community_id", "notice_id", "building_id"),)
    __building_path__ = "building_id"

    notice_id: Mapped[UUID] = ref(
        "participation.notice", ondelete="CASCADE", index=False, info=label("Notice", "通知")
    )
    notice: Mapped[Notice] = to_one(notice_id, Notice)
    building_id: Mapped[UUID] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building] = to_one(building_id, Building)

    def __str__(self) -> str:
        return str(self.building)


class NoticeRead(InCommunity, Base):
    """That a person has opened a notice."""

    __tablename__ = "notice_read"
    __table_args__ = (UniqueConstraint("community_id", "notice_id", "person_id"),)

    notice_id: Mapped[UUID] = ref(
        "participation.notice", ondelete="CASCADE", index=False, info=label("Notice", "通知")
    )
    notice: Mapped[Notice] = to_one(notice_id, Notice)
    person_id: Mapped[UUID] = ref("dougong.person", info=label("Person", "人员"))
    person: Mapped[Person] = to_one(person_id, Person)
    read_at: Mapped[datetime] = mapped_column(info=label("Read at", "阅读时间"))
