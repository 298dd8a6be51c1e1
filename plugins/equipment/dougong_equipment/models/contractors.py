"""Contractors: who maintains equipment under which contract, and may do so until when."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, ref, to_one
from dougong_equipment.models.declaring import Base, read_only, whole, words


class Contractor(InCommunity, Base):
    """A company that maintains equipment (维保单位); contract and licence are its files.

    ends_on, licensed_until_on: the last day of contract and of qualification; both are warned of.
    """

    __tablename__ = "contractor"
    __table_args__ = (
        UniqueConstraint("community_id", "name"),
        CheckConstraint("starts_on <= ends_on", name="contract"),
    )

    name: Mapped[str] = words(120, "Contractor", "维保单位")
    credit_code: Mapped[str | None] = words(18, "Unified credit code", "统一社会信用代码")
    contact: Mapped[str | None] = mapped_column(
        String(80), info={**label("Contact", "联系人"), "personal": "name"}
    )
    phone: Mapped[str | None] = encrypted(
        search="last4", mask="phone", info=label("Phone", "联系电话")
    )
    contract_no: Mapped[str | None] = words(60, "Contract no.", "合同编号")
    starts_on: Mapped[date | None] = mapped_column(info=label("Contract from", "合同开始"))
    ends_on: Mapped[date | None] = mapped_column(info=label("Contract until", "合同到期"))
    licence: Mapped[str | None] = words(80, "Qualification", "资质证书")
    licensed_until_on: Mapped[date | None] = mapped_column(
        info=label("Qualified until", "资质有效期至")
    )
    note: Mapped[str | None] = words(200, "Note", "说明")

    def __str__(self) -> str:
        return self.name


class ContractorWarning(InCommunity, Base):
    """That somebody was warned of a contractor's last day (到期提醒): each day and level once.

    what: ``contract`` or ``licence``. level: 1 at 30 days, 2 at 7, 3 at 1, 4 when it is over.
    """

    __tablename__ = "contractor_warning"
    __table_args__ = (
        UniqueConstraint("community_id", "contractor_id", "what", "until_on"),
        CheckConstraint("what in ('contract', 'licence')", name="what"),
    )
    __sample__ = {"what": "contract"}

    contractor_id: Mapped[UUID] = ref(
        "equipment.contractor",
        ondelete="CASCADE",
        index=False,
        info=label("Contractor", "维保单位"),
    )
    contractor: Mapped[Contractor] = to_one(contractor_id, Contractor)
    what: Mapped[str] = mapped_column(String(10), info=read_only("What ends", "到期事项"))
    until_on: Mapped[date] = mapped_column(info=read_only("Last day", "到期日"))
    level: Mapped[int] = whole(0, "Warned at level", "已预警级别")

    def __str__(self) -> str:
        return f"{self.what} {self.until_on}"
