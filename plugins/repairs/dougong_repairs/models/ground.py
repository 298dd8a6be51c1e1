"""Places and days: where buildings stand, codes to report by, the calendar, who is told."""

from datetime import date
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Integer, String, UniqueConstraint, true
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, ref, state, to_one
from dougong.tenancy.models import Building
from dougong_repairs.domain.kinds import Category
from dougong_repairs.models.declaring import Base, read_only


class BuildingPosition(InCommunity, Base):
    """Where a building stands on the community's map: metres east and south of its corner."""

    __tablename__ = "building_position"
    __named_by__ = ("building",)
    __table_args__ = (UniqueConstraint("community_id", "building_id"),)
    __building_path__ = "building_id"

    building_id: Mapped[UUID] = ref("dougong.building", index=False, info=label("Building", "楼栋"))
    building: Mapped[Building] = to_one(building_id, Building)
    east_m: Mapped[int] = mapped_column(Integer, info=label("East (m)", "向东（米）"))
    south_m: Mapped[int] = mapped_column(Integer, info=label("South (m)", "向南（米）"))

    def __str__(self) -> str:
        return str(self.building)


class ReportPoint(InCommunity, Base):
    """A place with a QR code (报修码), by which anybody reports without signing in."""

    __tablename__ = "report_point"
    __table_args__ = (UniqueConstraint("community_id", "code"),)
    __building_path__ = "building_id"

    name: Mapped[str] = mapped_column(String(120), info=label("Place", "位置"))
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    category: Mapped[Category] = state(
        Category, default=Category.PUBLIC_AREA, info=label("Category", "类别")
    )
    code: Mapped[str] = mapped_column(String(40), info=read_only("Code", "报修码"))
    is_active: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("In use", "启用")
    )

    def __str__(self) -> str:
        return self.name


class CalendarDay(InCommunity, Base):
    """A day that is worked or free here, other than its weekday or the State Council say."""

    __tablename__ = "calendar_day"
    __table_args__ = (UniqueConstraint("community_id", "day_on"),)

    day_on: Mapped[date] = mapped_column(info=label("Day", "日期"))
    is_working: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("Working day", "上班")
    )
    note: Mapped[str | None] = mapped_column(String(120), info=label("Note", "备注"))

    def __str__(self) -> str:
        return str(self.day_on)


class DutyContact(InCommunity, Base):
    """Somebody who is told of late orders: at the warning (1), when late (2), much later (3)."""

    __tablename__ = "duty_contact"
    __table_args__ = (
        UniqueConstraint("community_id", "user_id"),
        CheckConstraint("level between 1 and 3", name="level"),
    )

    name: Mapped[str] = mapped_column(
        String(120), info={**label("Name", "姓名"), "personal": "name"}
    )
    user_id: Mapped[UUID] = mapped_column(info={"api": "hidden"})
    level: Mapped[int] = mapped_column(Integer, default=1, info=label("From level", "通知级别"))

    def __str__(self) -> str:
        return self.name
