"""Applications, every step of theirs, and their papers."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, String, UniqueConstraint, literal_column
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, member_label, money, ref, to_one
from dougong.db import state as one_of
from dougong.tenancy.models import Person, Room
from dougong_renovation.domain.states import ApplicationState
from dougong_renovation.domain.works import DocumentKind, Work
from dougong_renovation.models.declaring import Base, read_only
from dougong_renovation.words import verb_words


class Application(InCommunity, Base):
    """A renovation of a room from its application to the deposit's return (装修申报)."""

    __tablename__ = "application"
    __named_by__ = ("room",)
    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        CheckConstraint("ends_on >= starts_on", name="days"),
        CheckConstraint("deposit_amount >= 0 and claimed >= 0 and given_back >= 0", name="amounts"),
        Index("ix_application_state", "community_id", "state"),
    )
    __building_path__ = "room.building_id"

    number: Mapped[int] = mapped_column(Integer, info=read_only("Number", "编号"))
    room_id: Mapped[UUID] = ref("dougong.room", info=read_only("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    person_id: Mapped[UUID] = ref("dougong.person", info=read_only("Applicant", "申请人"))
    person: Mapped[Person] = to_one(person_id, Person)
    # Values of Work; the words for them depend on the reader.
    works: Mapped[Any] = mapped_column(
        JSONB, default=list, server_default=literal_column("'[]'::jsonb"), info={"api": "hidden"}
    )
    text: Mapped[str] = mapped_column(
        String(1000), default="", server_default="", info=label("What will be done", "装修内容")
    )
    contractor: Mapped[str | None] = mapped_column(
        String(120), info=label("Firm that does the work", "施工单位")
    )
    contact_phone: Mapped[str | None] = encrypted(
        search="last4", mask="phone", info=label("Phone of who is responsible", "现场负责人电话")
    )
    starts_on: Mapped[date] = mapped_column(info=label("Begins on", "开工日期"))
    ends_on: Mapped[date] = mapped_column(info=label("Ends on", "预计完工"))
    state: Mapped[ApplicationState] = one_of(
        ApplicationState, default=ApplicationState.SUBMITTED, info=read_only("State", "状态")
    )
    submitted_at: Mapped[datetime] = mapped_column(info=read_only("Submitted at", "申报时间"))
    terms: Mapped[str | None] = mapped_column(
        String(1000), info=read_only("Special terms", "特别约定")
    )
    deposit_amount: Mapped[Decimal] = money(
        default=Decimal(0),
        server_default=literal_column("0"),
        info=read_only("Deposit (yuan)", "押金（元）"),
    )
    # The deposit in the ledger, which may be off or gone: no foreign key.
    deposit_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    signed_at: Mapped[datetime | None] = mapped_column(info=read_only("Signed at", "签约时间"))
    permit_number: Mapped[str | None] = mapped_column(
        String(40), info=read_only("Permit no.", "许可证号")
    )
    permitted_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Permitted at", "许可时间")
    )
    valid_until_on: Mapped[date | None] = mapped_column(info=read_only("Valid until", "有效期至"))
    neighbours_told: Mapped[int] = mapped_column(
        Integer,
        default=0,
        server_default=literal_column("0"),
        info=read_only("Neighbours told", "已告知邻居数"),
    )
    finished_at: Mapped[datetime | None] = mapped_column(info=read_only("Finished at", "报竣时间"))
    accepted_at: Mapped[datetime | None] = mapped_column(info=read_only("Accepted at", "验收时间"))
    refund_from_on: Mapped[date | None] = mapped_column(
        info=read_only("Deposit back from", "可退押日期")
    )
    claimed: Mapped[Decimal] = money(
        default=Decimal(0),
        server_default=literal_column("0"),
        info=read_only("Claimed for damage (yuan)", "损坏赔偿（元）"),
    )
    given_back: Mapped[Decimal] = money(
        default=Decimal(0),
        server_default=literal_column("0"),
        info=read_only("Given back (yuan)", "已退押金（元）"),
    )
    settled_at: Mapped[datetime | None] = mapped_column(info=read_only("Settled at", "结清时间"))

    @property
    def kinds(self) -> list[Work]:
        return [Work(value) for value in self.works]

    def __str__(self) -> str:
        return f"{self.number} {self.room.code if self.room_id else ''}".strip()


class ApplicationStep(InCommunity, Base):
    """One step of a renovation: who took it, when, to which state, and what he said."""

    __tablename__ = "application_step"

    application_id: Mapped[UUID] = ref(
        "renovation.application", ondelete="CASCADE", info=label("Renovation", "装修申报")
    )
    application: Mapped[Application] = to_one(application_id, Application)
    verb: Mapped[str] = mapped_column(String(40), info=label("Step", "步骤"))
    state: Mapped[ApplicationState] = one_of(ApplicationState, info=label("State", "状态"))
    taken_at: Mapped[datetime] = mapped_column(info=label("Taken at", "时间"))
    author: Mapped[str] = mapped_column(
        String(120), info={**label("By", "操作人"), "personal": "name"}
    )
    note: Mapped[str | None] = mapped_column(String(1000), info=label("Note", "说明"))

    def __str__(self) -> str:
        return f"{verb_words(self.verb)} {self.local(self.taken_at)}"


class Document(InCommunity, Base):
    """A paper of an application; the file lies beside it (申报资料)."""

    __tablename__ = "document"

    application_id: Mapped[UUID] = ref(
        "renovation.application", ondelete="CASCADE", info=read_only("Renovation", "装修申报")
    )
    application: Mapped[Application] = to_one(application_id, Application)
    kind: Mapped[DocumentKind] = one_of(DocumentKind, info=label("Kind", "类型"))
    handed_in_at: Mapped[datetime] = mapped_column(info=read_only("Handed in at", "提交时间"))

    def __str__(self) -> str:
        return member_label(self.kind)
