"""The price rules: fee items, dated prices with tiers, and the charges that apply them to rooms."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Integer,
    Numeric,
    String,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, money, plugin_base, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_fees.domain.amounts import Rounding
from dougong_fees.domain.periods import PeriodMethod

Base = plugin_base("fees")
ONE = text("1")


class ChargeMethod(StrEnum):
    """What a fee is reckoned by."""

    FIXED = "fixed"
    AREA = "area"
    USAGE = "usage"
    FORMULA = "formula"

    __labels__ = labels(
        FIXED=("Fixed amount", "固定金额"),
        AREA=("Area × price", "面积×单价"),
        USAGE=("Usage × price", "用量×单价"),
        FORMULA=("Free formula", "自定义公式"),
    )


class AreaKind(StrEnum):
    """Which area counts."""

    BUILT = "built"
    INNER = "inner"

    __labels__ = labels(BUILT=("Built area", "建筑面积"), INNER=("Inner area", "套内面积"))


class Commodity(StrEnum):
    """Whose usage is charged; the words of the hook ``usage_for_period``."""

    WATER = "water"
    ELECTRICITY = "electricity"
    GAS = "gas"
    HEAT = "heat"

    __labels__ = labels(
        WATER=("Water", "水"),
        ELECTRICITY=("Electricity", "电"),
        GAS=("Gas", "燃气"),
        HEAT=("Heat", "热"),
    )


class TierSpan(StrEnum):
    """Over which time usage is added up for tiers.

    month: the sizes of the tiers are for one calendar month and grow with the months of a bill.
    """

    BILL = "bill"
    MONTH = "month"
    YEAR = "year"

    __labels__ = labels(
        BILL=("Each bill", "按账期"),
        MONTH=("Calendar month", "按自然月"),
        YEAR=("Calendar year", "按自然年累计"),
    )


PeriodMethod.__labels__ = labels(
    ANCHOR_MONTH=("Anchor month", "对月"),
    CALENDAR_MONTH=("Calendar month", "按自然月天数"),
    DAYS_30=("30 days", "每月按30天"),
    DAYS_365=("365 days", "每年按365天"),
    WHOLE_MONTHS=("Whole months only", "只计整月"),
)
Rounding.__labels__ = labels(FEN=("Fen", "分"), JIAO=("Jiao", "角"), YUAN=("Yuan", "元"))


class FeeItem(InCommunity, Base):
    """A fee item (费用项): what is charged, by what measure, and how late payment is treated.

    account_code: the income account that its bills are posted to. formula: yuan per month, or for
    the period's usage when a commodity is named; checked when it is saved. vacancy_factor: the
    share that a vacant room pays. late_fee_rate: share per day, None without such a clause.
    """

    __tablename__ = "fee_item"
    __table_args__ = (
        UniqueConstraint("community_id", "code"),
        CheckConstraint("method <> 'usage' or commodity is not null", name="commodity_of_usage"),
        CheckConstraint("method <> 'formula' or formula is not null", name="formula"),
        CheckConstraint("late_fee_rate >= 0 and late_fee_rate < 0.01", name="late_fee_rate"),
        CheckConstraint("late_fee_cap >= 0 and grace_days >= 0", name="late_fee_cap"),
        CheckConstraint("vacancy_factor between 0 and 1", name="vacancy_factor"),
    )

    code: Mapped[str] = mapped_column(String(20), info=label("Code", "编码"))
    name: Mapped[str] = mapped_column(String(60), info=label("Fee item", "费用项"))
    method: Mapped[ChargeMethod] = state(ChargeMethod, info=label("Reckoned by", "计费方式"))
    formula: Mapped[str | None] = mapped_column(
        String(500), info={**label("Formula", "计算公式"), "free_text": False}
    )
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
    tier_span: Mapped[TierSpan] = state(
        TierSpan, default=TierSpan.YEAR, info=label("Tiers add up over", "阶梯累计周期")
    )
    vacancy_factor: Mapped[Decimal] = mapped_column(
        Numeric(7, 6), default=Decimal(1), info=label("Share for vacant rooms", "空置房收取比例")
    )
    account_code: Mapped[str] = mapped_column(
        String(20), default="6001", info=label("Income account", "收入科目")
    )
    grace_days: Mapped[int] = mapped_column(
        Integer, default=0, info=label("Grace days", "宽限天数")
    )
    late_fee_rate: Mapped[Decimal | None] = mapped_column(
        Numeric(9, 6), info=label("Late fee per day", "违约金日费率")
    )
    late_fee_cap: Mapped[Decimal] = mapped_column(
        Numeric(7, 4), default=Decimal(1), info=label("Late fee at most (share)", "违约金上限比例")
    )
    is_active: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("In use", "启用")
    )

    def __str__(self) -> str:
        return self.name


class FeePrice(InCommunity, Base):
    """A dated price of a fee item: yuan per measure and month (per unit of usage).

    Tiers grow for large households: from head_count_from people on by head_count_extra units, for
    each of them when it is per person, else once. For yearly tiers a year's units.
    """

    __tablename__ = "fee_price"
    __table_args__ = (
        CheckConstraint("to_on is null or to_on > from_on", name="period"),
        CheckConstraint("unit_price >= 0 and addition >= 0", name="unit_price"),
        CheckConstraint(
            "head_count_from > 0 and head_count_extra >= 0"
            " and (head_count_from is null) = (head_count_extra is null)",
            name="head_count",
        ),
        ExcludeConstraint(
            ("community_id", "="),
            ("fee_item_id", "="),
            (text("daterange(from_on, to_on)"), "&&"),
            name="ex_fee_price_period",
        ),
    )

    fee_item_id: Mapped[UUID] = ref("fees.fee_item", info=label("Fee item", "费用项"))
    fee_item: Mapped[FeeItem] = to_one(fee_item_id, FeeItem)
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date | None] = mapped_column(info=label("Until", "终止日"))
    unit_price: Mapped[Decimal] = mapped_column(Numeric(14, 6), info=label("Price", "单价"))
    addition: Mapped[Decimal] = money(
        default=Decimal(0), info=label("Addition per month", "每月附加额")
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
    source: Mapped[str | None] = mapped_column(String(200), info=label("Source", "定价依据"))

    def __str__(self) -> str:
        return f"{self.unit_price.normalize():f} ({self.from_on})"


class PriceTier(InCommunity, Base):
    """A step of a tiered price, from above a usage up to another; None for ever."""

    __tablename__ = "price_tier"
    __table_args__ = (
        UniqueConstraint("community_id", "price_id", "above"),
        CheckConstraint("above >= 0 and (up_to is null or up_to > above)", name="above"),
        ExcludeConstraint(
            ("community_id", "="),
            ("price_id", "="),
            (text("numrange(above, up_to)"), "&&"),
            name="ex_price_tier_span",
        ),
    )

    price_id: Mapped[UUID] = ref("fees.fee_price", info=label("Price", "价格版本"))
    price: Mapped[FeePrice] = to_one(price_id, FeePrice)
    above: Mapped[Decimal] = mapped_column(Numeric(18, 6), info=label("Above", "超过"))
    up_to: Mapped[Decimal | None] = mapped_column(Numeric(18, 6), info=label("Up to", "至"))
    unit_price: Mapped[Decimal] = mapped_column(Numeric(14, 6), info=label("Price", "单价"))

    def __str__(self) -> str:
        return f"> {self.above.normalize():f}: {self.unit_price.normalize():f}"


class Charge(InCommunity, Base):
    """A charge (费用): a fee item applied to a room from a day on, until a day.

    quantity: overrides area or count. factor: share that is charged, after a discount. payer: who
    agreed to pay instead of the owner, such as the developer or the university. discount: that cut
    it, for the explanation.
    """

    __tablename__ = "charge"
    __named_by__ = ("fee_item", "room")
    __table_args__ = (
        CheckConstraint("to_on is null or to_on > from_on", name="period"),
        CheckConstraint("factor between 0 and 1", name="factor"),
        CheckConstraint("anchor_day between 1 and 31", name="anchor_day"),
        ExcludeConstraint(
            ("community_id", "="),
            ("room_id", "="),
            ("fee_item_id", "="),
            (text("daterange(from_on, to_on)"), "&&"),
            name="ex_charge_period",
        ),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    fee_item_id: Mapped[UUID] = ref("fees.fee_item", info=label("Fee item", "费用项"))
    fee_item: Mapped[FeeItem] = to_one(fee_item_id, FeeItem)
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date | None] = mapped_column(info=label("Until", "终止日"))
    quantity: Mapped[Decimal | None] = mapped_column(
        Numeric(18, 6), info=label("Quantity instead", "自定数量")
    )
    factor: Mapped[Decimal] = mapped_column(
        Numeric(7, 6),
        default=Decimal(1),
        server_default=ONE,
        info=label("Share charged", "收取比例"),
    )
    anchor_day: Mapped[int | None] = mapped_column(Integer, info=label("Anchor day", "对月日"))
    payer_id: Mapped[UUID | None] = ref(
        "dougong.person", index=False, info=label("Agreed payer", "约定付款人")
    )
    payer: Mapped[Person | None] = to_one(payer_id, Person)
    discount_id: Mapped[UUID | None] = ref(
        "fees.discount", index=False, info={**label("Discount", "优惠"), "api": "read"}
    )
    factor_before: Mapped[Decimal | None] = mapped_column(
        Numeric(7, 6), info={**label("Share before the discount", "优惠前收取比例"), "api": "read"}
    )

    def __str__(self) -> str:
        return f"{self.room} {self.fee_item}"
