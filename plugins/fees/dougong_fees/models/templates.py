"""A group's fee items (集团收费模板): dated versions that its communities inherit."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Integer,
    Numeric,
    String,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, InGroup, label, money, ref, state, to_one
from dougong_fees.domain.amounts import Rounding
from dougong_fees.domain.periods import PeriodMethod
from dougong_fees.models.bills import NOW
from dougong_fees.models.items import (
    AreaKind,
    Base,
    ChargeMethod,
    Commodity,
    FeeItem,
    FeePrice,
    TierSpan,
)

ZERO, ONE = text("0"), text("1")


class FeeTemplate(InGroup, Base):
    """A version of a group's fee item: what it charges by, and its price from a day on.

    code: of the communities' fee item. may_differ: a community that set a price of its own keeps
    it; else the group's price replaces it from that day on. Steps of a tiered price and rules stand
    in tables of their own and come with the version.
    """

    __tablename__ = "fee_template"
    __table_args__ = (
        UniqueConstraint("group_id", "code", "from_on"),
        CheckConstraint("unit_price >= 0", name="unit_price"),
        CheckConstraint("method <> 'usage' or commodity is not null", name="commodity_of_usage"),
        CheckConstraint("method <> 'formula' or formula is not null", name="formula"),
        CheckConstraint("late_fee_cap >= 0 and grace_days >= 0", name="late_fee_cap"),
        CheckConstraint("vacancy_factor between 0 and 1", name="vacancy_factor"),
        CheckConstraint(
            "head_count_from > 0 and head_count_extra >= 0"
            " and (head_count_from is null) = (head_count_extra is null)",
            name="head_count",
        ),
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
    formula: Mapped[str | None] = mapped_column(
        String(500), info={**label("Formula", "计算公式"), "free_text": False}
    )
    addition: Mapped[Decimal] = money(
        default=Decimal(0), server_default=ZERO, info=label("Addition per month", "每月附加额")
    )
    tier_span: Mapped[TierSpan] = state(
        TierSpan,
        default=TierSpan.YEAR,
        server_default="year",
        info=label("Tiers add up over", "阶梯累计周期"),
    )
    head_count_from: Mapped[int | None] = mapped_column(
        Integer, info=label("Tiers grow from people", "阶梯增量起始人数")
    )
    head_count_extra: Mapped[Decimal | None] = mapped_column(
        Numeric(18, 6), info=label("Tiers grow by", "阶梯增量")
    )
    is_extra_per_person: Mapped[bool] = mapped_column(
        Boolean,
        default=True,
        server_default=true(),
        info=label("For each person", "按每增一人计"),
    )
    vacancy_factor: Mapped[Decimal] = mapped_column(
        Numeric(7, 6),
        default=Decimal(1),
        server_default=ONE,
        info=label("Share for vacant rooms", "空置房收取比例"),
    )
    grace_days: Mapped[int] = mapped_column(
        Integer, default=0, server_default=ZERO, info=label("Grace days", "宽限天数")
    )
    late_fee_cap: Mapped[Decimal] = mapped_column(
        Numeric(7, 4),
        default=Decimal(1),
        server_default=ONE,
        info=label("Late fee at most (share)", "违约金上限比例"),
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
    __named_by__ = ("fee_item",)
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
