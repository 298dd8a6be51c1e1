"""Spare parts: what lies on the shelf, how little may, and every movement."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, money, ref, to_one
from dougong.db import state as one_of
from dougong_equipment.domain.kinds import MoveKind
from dougong_equipment.models.declaring import Base, flag, read_only, words
from dougong_equipment.models.ledger import Equipment

QUANTITY = Numeric(14, 3)


class SparePart(InCommunity, Base):
    """A part on the shelf (备件). The database itself refuses less than nothing."""

    __tablename__ = "spare_part"
    __table_args__ = (
        UniqueConstraint("community_id", "name", "model"),
        CheckConstraint("stock >= 0", name="stock"),
        CheckConstraint("minimum >= 0", name="minimum"),
    )

    name: Mapped[str] = words(80, "Part", "备件名称")
    model: Mapped[str] = words(80, "Model", "型号规格", default="", server_default="")
    uom: Mapped[str] = words(20, "Measure", "单位", default="件", server_default="件")
    shelf: Mapped[str | None] = words(60, "Shelf", "货位")
    stock: Mapped[Decimal] = mapped_column(
        QUANTITY, default=Decimal(0), server_default="0", info=read_only("Stock", "库存")
    )
    minimum: Mapped[Decimal] = mapped_column(
        QUANTITY, default=Decimal(0), server_default="0", info=label("Minimum", "最低库存")
    )
    unit_price: Mapped[Decimal] = money(
        default=Decimal(0), server_default="0", info=label("Unit price", "单价")
    )
    is_low: Mapped[bool] = flag(False, "Below the minimum", "低于下限")

    def __str__(self) -> str:
        return f"{self.name} {self.model}".strip()


class StockMove(InCommunity, Base):
    """One movement (出入库). quantity: signed; balance: what lay there afterwards."""

    __tablename__ = "stock_move"
    __table_args__ = (
        UniqueConstraint("community_id", "client_id"),
        CheckConstraint("quantity <> 0", name="quantity"),
        CheckConstraint("balance >= 0", name="balance"),
    )

    part_id: Mapped[UUID] = ref("equipment.spare_part", info=label("Part", "备件"))
    part: Mapped[SparePart] = to_one(part_id, SparePart)
    kind: Mapped[MoveKind] = one_of(MoveKind, info=read_only("Why", "类型"))
    quantity: Mapped[Decimal] = mapped_column(QUANTITY, info=read_only("Quantity", "数量"))
    balance: Mapped[Decimal] = mapped_column(QUANTITY, info=read_only("Balance", "结存"))
    equipment_id: Mapped[UUID | None] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment | None] = to_one(equipment_id, Equipment)
    moved_at: Mapped[datetime] = mapped_column(info=read_only("At", "时间"))
    moved_by: Mapped[str] = mapped_column(
        String(80), info={**read_only("By", "经手人"), "personal": "name"}
    )
    note: Mapped[str | None] = mapped_column(
        String(200), info={**read_only("Note", "说明"), "free_text": True}
    )
    client_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.quantity:f}"
