"""Votes of the owners, who may vote in them, and by whom they let themselves be represented."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Index,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, labels, money, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_participation.domain.voting import Matter
from dougong_participation.models.kinds import Base, read_only


class VoteState(StrEnum):
    """Where a vote stands."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"

    __labels__ = labels(
        DRAFT=("Draft", "草稿"),
        OPEN=("Open", "投票中"),
        CLOSED=("Counted", "已计票"),
        CANCELLED=("Cancelled", "已取消"),
    )


class BallotWay(StrEnum):
    """How a ballot came in."""

    ONLINE = "online"
    PROXY = "proxy"
    PAPER = "paper"

    __labels__ = labels(
        ONLINE=("Online", "线上"), PROXY=("By proxy", "委托"), PAPER=("Paper", "纸质票")
    )


class RevenueKind(StrEnum):
    """Whether public revenue came in or went out."""

    INCOME = "income"
    EXPENSE = "expense"

    __labels__ = labels(INCOME=("Income", "收入"), EXPENSE=("Expense", "支出"))


class Vote(InCommunity, Base):
    """A matter on which the owners vote (业主表决).

    result: the count, frozen when the vote is closed. is_secret: nobody is shown who said what.
    counts_silence: what local rules may say and the Civil Code does not.
    """

    __tablename__ = "vote"
    __table_args__ = (Index("ix_vote_state", "community_id", "state"),)

    title: Mapped[str] = mapped_column(String(120), info=label("Matter", "表决事项"))
    text: Mapped[str] = mapped_column(Text, info=label("Text", "内容"))
    matter: Mapped[Matter] = state(Matter, default=Matter.ORDINARY, info=label("Kind", "类型"))
    is_secret: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info=label("Secret", "无记名")
    )
    counts_silence: Mapped[bool] = mapped_column(
        Boolean,
        default=False,
        server_default=false(),
        info=label(
            "Who is silent follows the majority (only where a local rule says so)",
            "未表态视同多数意见（须有地方规定）",
        ),
    )
    state: Mapped[VoteState] = state(
        VoteState, default=VoteState.DRAFT, info=read_only("State", "状态")
    )
    opened_at: Mapped[datetime | None] = mapped_column(info=read_only("Opened at", "开始时间"))
    closes_on: Mapped[date] = mapped_column(info=label("Last day", "截止日"))
    closed_at: Mapped[datetime | None] = mapped_column(info=read_only("Counted at", "计票时间"))
    result: Mapped[Any] = mapped_column(
        JSONB, nullable=True, info={**read_only("Result", "结果"), "api": "hidden"}
    )

    def __str__(self) -> str:
        return self.title


class VoteRight(InCommunity, Base):
    """The right of an owner to vote for his share of a room; frozen when the vote opens.

    person: none for what the developer has not sold. choice lies sealed, also in an open vote.
    """

    __tablename__ = "vote_right"
    __named_by__ = ("room",)
    __table_args__ = (
        UniqueConstraint(
            "community_id", "vote_id", "room_id", "person_id", postgresql_nulls_not_distinct=True
        ),
        Index("ix_vote_right_person_id", "community_id", "person_id"),
        CheckConstraint("area >= 0", name="area"),
    )
    __building_path__ = "room.building_id"

    vote_id: Mapped[UUID] = ref("participation.vote", index=False, info=label("Vote", "表决"))
    vote: Mapped[Vote] = to_one(vote_id, Vote)
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    person_id: Mapped[UUID | None] = ref("dougong.person", index=False, info=label("Owner", "业主"))
    person: Mapped[Person | None] = to_one(person_id, Person)
    area: Mapped[Decimal] = mapped_column(Numeric(18, 8), info=label("Area (m²)", "面积（㎡）"))
    choice: Mapped[str | None] = encrypted(mask="all", info=label("Choice", "意见"))
    cast_at: Mapped[datetime | None] = mapped_column(info=read_only("Voted at", "投票时间"))
    way: Mapped[BallotWay | None] = state(BallotWay, info=read_only("How", "方式"))

    def __str__(self) -> str:
        return str(self.room)


class VoteProxy(InCommunity, Base):
    """Who votes in an owner's stead in one vote (委托); the owner may take it back until then."""

    __tablename__ = "vote_proxy"
    __named_by__ = ("owner", "proxy")
    __table_args__ = (
        UniqueConstraint("community_id", "vote_id", "owner_id"),
        CheckConstraint("owner_id <> proxy_id", name="another"),
    )

    vote_id: Mapped[UUID] = ref("participation.vote", index=False, info=label("Vote", "表决"))
    vote: Mapped[Vote] = to_one(vote_id, Vote)
    owner_id: Mapped[UUID] = ref("dougong.person", info=label("Owner", "业主"))
    proxy_id: Mapped[UUID] = ref("dougong.person", info=label("Proxy", "受托人"))
    owner: Mapped[Person] = to_one(owner_id, Person)
    proxy: Mapped[Person] = to_one(proxy_id, Person)

    def __str__(self) -> str:
        return f"{self.owner} → {self.proxy}"


class PublicRevenue(InCommunity, Base):
    """An entry of what common parts earned, and what it was spent on (公共收益).

    It belongs to the owners: disclosed entries stand on their page and are not changed any more.
    """

    __tablename__ = "public_revenue"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_public_revenue_booked_on", "community_id", "booked_on"),
    )

    kind: Mapped[RevenueKind] = state(RevenueKind, info=label("Kind", "收支"))
    title: Mapped[str] = mapped_column(String(120), info=label("What", "项目"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    booked_on: Mapped[date] = mapped_column(info=label("Day", "日期"))
    note: Mapped[str | None] = mapped_column(String(300), info=label("Note", "说明"))
    vote_id: Mapped[UUID | None] = ref(
        "participation.vote", info=label("Decided by the vote", "所依据的表决")
    )
    vote: Mapped[Vote | None] = to_one(vote_id, Vote)
    disclosed_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Disclosed at", "公示时间")
    )

    def __str__(self) -> str:
        return self.title
