"""The maintenance fund (维修资金): a mirror of its keeper's accounts, and applications to use it.

The money lies with the authority or the owners' committee. Nothing here is posted into the books of
the company, and nothing here is a balance that it holds.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, money, ref, state, to_one
from dougong.tenancy.models import Building, Room
from dougong_participation.models.kinds import Base, read_only
from dougong_participation.models.votes import Vote


class FundState(StrEnum):
    """Where an application to use the fund stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    RETURNED = "returned"
    SETTLED = "settled"

    __labels__ = labels(
        DRAFT=("Being prepared", "准备中"),
        SUBMITTED=("Submitted", "已申报"),
        APPROVED=("Approved", "已核准"),
        RETURNED=("Returned", "已退回"),
        SETTLED=("Settled", "已决算"),
    )


class FundAccount(InCommunity, Base):
    """A room's account of the maintenance fund (分户账), as the authority showed it on a day.

    source: whose extract this is. It is imported and compared, never reckoned here.
    """

    __tablename__ = "fund_account"
    __named_by__ = ("room",)
    __table_args__ = (
        UniqueConstraint("community_id", "room_id"),
        CheckConstraint("paid_in >= 0 and used >= 0", name="amounts"),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", index=False, info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    paid_in: Mapped[Decimal] = money(info=label("Paid in", "累计交存"))
    interest: Mapped[Decimal] = money(default=Decimal(0), info=label("Interest", "累计增值"))
    used: Mapped[Decimal] = money(default=Decimal(0), info=label("Used", "累计使用"))
    balance: Mapped[Decimal] = money(info=label("Balance there", "账户余额（主管部门）"))
    as_of_on: Mapped[date] = mapped_column(info=label("As of", "截至日"))
    source: Mapped[str] = mapped_column(String(200), info=label("Source", "数据来源"))

    def __str__(self) -> str:
        return str(self.room)


class FundApplication(InCommunity, Base):
    """An application to pay a work out of the fund (维修资金使用申请).

    building: whose common part it is; None for the whole community. vote: by which the owners
    decided. is_urgent: danger that the law lets be met first; emergency says which. approved,
    settled: yuan, as the authority wrote. paid: by the fund to the firm, never through the company.
    """

    __tablename__ = "fund_application"
    __table_args__ = (
        CheckConstraint("budget > 0", name="budget"),
        CheckConstraint("approved > 0 and approved <= budget", name="approved"),
        CheckConstraint("paid >= 0 and paid <= coalesce(approved, 0)", name="paid"),
        CheckConstraint("settled >= paid and settled <= approved", name="settled"),
        CheckConstraint("not is_urgent or emergency is not null", name="emergency"),
    )
    __building_path__ = "building_id"

    title: Mapped[str] = mapped_column(String(120), info=label("Work", "维修项目"))
    text: Mapped[str] = mapped_column(Text, info=label("Text", "方案与预算说明"))
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    budget: Mapped[Decimal] = money(info=label("Budget", "预算金额"))
    contractor: Mapped[str | None] = mapped_column(
        String(120), info=label("Firm that does the work", "施工单位")
    )
    vote_id: Mapped[UUID | None] = ref(
        "participation.vote", info=label("Decided by the vote", "所依据的表决")
    )
    vote: Mapped[Vote | None] = to_one(vote_id, Vote)
    is_urgent: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info=label("Emergency", "应急使用")
    )
    emergency: Mapped[str | None] = mapped_column(
        String(300), info=label("Danger and who confirmed it", "危及安全的情形与核实单位")
    )
    state: Mapped[FundState] = state(
        FundState, default=FundState.DRAFT, info=read_only("State", "状态")
    )
    submitted_on: Mapped[date | None] = mapped_column(info=read_only("Submitted on", "申报日"))
    authority: Mapped[str | None] = mapped_column(
        String(120), info=read_only("Submitted to", "受理部门")
    )
    answer: Mapped[str | None] = mapped_column(
        String(300), info=read_only("What the authority answered", "批复意见")
    )
    approved: Mapped[Decimal | None] = money(info=read_only("Approved", "核准金额"))
    paid: Mapped[Decimal] = money(
        default=Decimal(0), info=read_only("Paid by the fund to the firm", "专户已拨付施工单位")
    )
    settled: Mapped[Decimal | None] = money(info=read_only("Final cost", "决算金额"))
    disclosed_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Disclosed at", "公示时间")
    )

    def __str__(self) -> str:
        return self.title


class FundShare(InCommunity, Base):
    """A room's share of a work's cost (分摊), by built area; shares add up to the fen."""

    __tablename__ = "fund_share"
    __named_by__ = ("room",)
    __table_args__ = (
        UniqueConstraint("community_id", "fund_application_id", "room_id"),
        CheckConstraint("amount >= 0", name="amount"),
    )
    __building_path__ = "room.building_id"

    fund_application_id: Mapped[UUID] = ref(
        "participation.fund_application",
        ondelete="CASCADE",
        index=False,
        info=label("Application", "使用申请"),
    )
    fund_application: Mapped[FundApplication] = to_one(fund_application_id, FundApplication)
    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    amount: Mapped[Decimal] = money(info=label("Share", "分摊金额"))

    def __str__(self) -> str:
        return f"{self.room} {self.amount}"
