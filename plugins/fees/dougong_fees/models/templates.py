"""A group's fee items (集团收费模板): dated versions that its communities inherit."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Numeric, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, InGroup, label, ref, state, to_one
from dougong_fees.domain.amounts import Rounding
from dougong_fees.domain.periods import PeriodMethod
from dougong_fees.models.bills import NOW
from dougong_fees.models.items import AreaKind, Base, ChargeMethod, Commodity, FeeItem, FeePrice


class FeeTemplate(InGroup, Base):
    """A version of a group's fee item: what it charges by, and its price from a day on.

    code: of the communities' fee item. may_differ: a community that set a price of its own keeps
    it; else the group's price replaces it from that day on.
    """

    __tablename__ = "fee_template"
    __table_args__ = (
        UniqueConstraint("group_id", "code", "from_on"),
        CheckConstraint("unit_price >= 0", name="unit_price"),
        CheckConstraint("method <> 'usage' or commodity is not null", name="commodity_of_usage"),
        CheckConstraint("method <> 'formula'", name="method"),
        CheckConstraint("late_fee_rate >= 0 and late_fee_rate < 0.01", name="late_fee_rate"),
    )

    code: Mapped[str] = mapped_column(String(20), info=label("Code", "编码"))
    name: Mapped[str] = mapped_column(String(60), info=label("Fee item", "费用项"))
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    unit_price: Mapped[Decimal] = mapped_column(Numeric(14, 6), info=label("Price", "单价"))
    may_differ: Mapped[bool] = mapped_column(
        Boolean,
        default=False,
        server_default=false(),
        info=label("Communities may differ", "允许小区自定价"),
    )
    method: Mapped[ChargeMethod] = state(ChargeMethod, info=label("Reckoned by", "计费方式"))
    area_kind: Mapped[AreaKind] = state(
        AreaKind, default=AreaKind.BUILT, info=label("Area", "面积口径")
    )
    commodity: Mapped[Commodity | None] = state(
        Commodity, nullable=True, info=label("Commodity", "能源类别")
    )
    period_method: Mapped[PeriodMethod] = state(
        PeriodMethod, default=PeriodMethod.CALENDAR_MONTH, info=label("Months by", "计月方式")
    )
    rounding: Mapped[Rounding] = state(
        Rounding, default=Rounding.FEN, info=label("Rounded to", "取整到")
    )
    late_fee_rate: Mapped[Decimal | None] = mapped_column(
        Numeric(9, 6), info=label("Late fee per day", "违约金日费率")
    )
    source: Mapped[str | None] = mapped_column(String(200), info=label("Source", "定价依据"))

    def __str__(self) -> str:
        return f"{self.name} ({self.from_on})"


class TemplateCopy(InCommunity, Base):
    """That a community's fee item follows a version of the group's, with the price it brought.

    made_item: the item came with it, so that undoing takes the item away as well.
    """

    __tablename__ = "template_copy"
    __table_args__ = (UniqueConstraint("community_id", "template_id"),)

    template_id: Mapped[UUID] = mapped_column(info={**label("Template", "模板"), "api": "read"})
    fee_item_id: Mapped[UUID] = ref("fees.fee_item", info=label("Fee item", "费用项"))
    fee_item: Mapped[FeeItem] = to_one(fee_item_id, FeeItem)
    price_id: Mapped[UUID] = ref("fees.fee_price", info=label("Price", "价格版本"))
    price: Mapped[FeePrice] = to_one(price_id, FeePrice)
    made_item: Mapped[bool] = mapped_column(Boolean, info=label("Made the item", "由模板新建"))
    made_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("At", "时间"))

    def __str__(self) -> str:
        return str(self.fee_item)
