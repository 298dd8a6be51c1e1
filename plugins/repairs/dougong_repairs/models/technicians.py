"""Technicians, and what they are skilled in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Index,
    Integer,
    String,
    UniqueConstraint,
    literal_column,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, member_label, ref, state, to_one
from dougong.tenancy.models import Building
from dougong_repairs.domain.kinds import Category
from dougong_repairs.models.declaring import Base, read_only


class Technician(InCommunity, Base):
    """A technician (维修师傅) of the community; his first visit links the login."""

    __tablename__ = "technician"
    __table_args__ = (
        CheckConstraint("capacity between 1 and 20", name="capacity"),
        Index(
            "uq_technician_user_id",
            "community_id",
            "user_id",
            unique=True,
            postgresql_where=literal_column("user_id is not null"),
        ),
    )

    name: Mapped[str] = mapped_column(
        String(120), info={**label("Name", "姓名"), "personal": "name"}
    )
    user_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    is_on_shift: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("On shift", "当班")
    )
    capacity: Mapped[int] = mapped_column(
        Integer,
        default=4,
        server_default=literal_column("4"),
        info=label("Most open orders", "在手上限"),
    )
    last_building_id: Mapped[UUID | None] = ref(
        "dougong.building", info=read_only("Last known building", "最近楼栋")
    )
    last_building: Mapped[Building | None] = to_one(last_building_id, Building)
    had_turn_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Had his turn at", "上次轮到")
    )

    def __str__(self) -> str:
        return self.name


class TechnicianSkill(InCommunity, Base):
    """That a technician can do a kind of work: 1 helps, 2 does it, 3 is trained for it."""

    __tablename__ = "technician_skill"
    __named_by__ = ("technician",)
    __table_args__ = (
        UniqueConstraint("community_id", "technician_id", "category"),
        CheckConstraint("level between 1 and 3", name="level"),
    )

    technician_id: Mapped[UUID] = ref(
        "repairs.technician", ondelete="CASCADE", index=False, info=label("Technician", "师傅")
    )
    technician: Mapped[Technician] = to_one(technician_id, Technician)
    category: Mapped[Category] = state(Category, info=label("Category", "工种"))
    level: Mapped[int] = mapped_column(
        Integer, default=2, server_default=literal_column("2"), info=label("Level", "熟练度")
    )

    def __str__(self) -> str:
        return f"{self.technician} · {member_label(self.category)}"
