"""What happens where the work is: passes, inspections, violations."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Index, String, UniqueConstraint, true
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, member_label, money, ref, to_one
from dougong.db import state as one_of
from dougong_renovation.models.applications import Application
from dougong_renovation.models.declaring import (
    Base,
    InspectionKind,
    ViolationKind,
    ViolationState,
    read_only,
)


class WorkerPass(InCommunity, Base):
    """A worker's pass (施工出入证): valid while the work is permitted and it is not revoked."""

    __tablename__ = "worker_pass"
    __table_args__ = (UniqueConstraint("community_id", "code"),)
    __building_path__ = "application.room.building_id"

    application_id: Mapped[UUID] = ref(
        "renovation.application", info=label("Renovation", "装修申报")
    )
    application: Mapped[Application] = to_one(application_id, Application)
    name: Mapped[str] = mapped_column(
        String(60), info={**label("Name", "姓名"), "personal": "name"}
    )
    trade: Mapped[str] = mapped_column(
        String(40), default="", server_default="", info=label("Trade", "工种")
    )
    id_number: Mapped[str] = encrypted(
        search="last4", mask="id_number", info=label("Identity number", "身份证号")
    )
    phone: Mapped[str | None] = encrypted(search="last4", mask="phone", info=label("Phone", "电话"))
    code: Mapped[str] = mapped_column(String(40), info={"api": "hidden"})
    issued_at: Mapped[datetime] = mapped_column(info=read_only("Issued at", "发证时间"))
    revoked_at: Mapped[datetime | None] = mapped_column(info=read_only("Revoked at", "吊销时间"))

    def __str__(self) -> str:
        return f"{self.name} {self.trade}".strip()


class Inspection(InCommunity, Base):
    """An inspection of the work, with photos beside it (装修巡查)."""

    __tablename__ = "inspection"
    __building_path__ = "application.room.building_id"

    application_id: Mapped[UUID] = ref(
        "renovation.application", info=label("Renovation", "装修申报")
    )
    application: Mapped[Application] = to_one(application_id, Application)
    kind: Mapped[InspectionKind] = one_of(
        InspectionKind, default=InspectionKind.ROUTINE, info=label("Kind", "类型")
    )
    inspected_at: Mapped[datetime] = mapped_column(info=read_only("Inspected at", "巡查时间"))
    inspector: Mapped[str] = mapped_column(
        String(120), info={**read_only("Inspector", "巡查人"), "personal": "name"}
    )
    is_passed: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("All right", "合格")
    )
    note: Mapped[str | None] = mapped_column(String(1000), info=label("Findings", "情况记录"))

    def __str__(self) -> str:
        return f"{member_label(self.kind)} {self.inspected_at:%Y-%m-%d}"


class Violation(InCommunity, Base):
    """Something that was not agreed: to be rectified by a day, perhaps with a claim (违规记录)."""

    __tablename__ = "violation"
    __table_args__ = (
        CheckConstraint("claim >= 0", name="claim"),
        Index("ix_violation_state", "community_id", "state"),
    )
    __building_path__ = "application.room.building_id"

    application_id: Mapped[UUID] = ref(
        "renovation.application", info=label("Renovation", "装修申报")
    )
    application: Mapped[Application] = to_one(application_id, Application)
    kind: Mapped[ViolationKind] = one_of(ViolationKind, info=label("Kind", "类型"))
    text: Mapped[str] = mapped_column(
        String(1000), info={**label("What happened", "情况"), "free_text": True}
    )
    state: Mapped[ViolationState] = one_of(
        ViolationState, default=ViolationState.OPEN, info=read_only("State", "状态")
    )
    found_at: Mapped[datetime] = mapped_column(info=read_only("Found at", "发现时间"))
    is_quiet_time: Mapped[bool] = mapped_column(
        Boolean, info=read_only("In quiet hours", "静音时段")
    )
    due_on: Mapped[date | None] = mapped_column(info=label("Rectify until", "整改期限"))
    rectified_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Rectified at", "整改完成")
    )
    claim: Mapped[Decimal] = money(
        default=Decimal(0), info=read_only("Claim (yuan)", "赔偿金额（元）")
    )
    reported_to: Mapped[str | None] = mapped_column(
        String(120), info=read_only("Reported to", "已上报部门")
    )
    reported_at: Mapped[datetime | None] = mapped_column(info=read_only("Reported at", "上报时间"))

    def __str__(self) -> str:
        return f"{member_label(self.kind)} {self.text[:30]}"
