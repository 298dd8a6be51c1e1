"""Fee items and prices, charges, bill runs, bills, payments of bills, waivers."""

from dougong_fees.models.apportionments import (
    Apportionment,
    ApportionmentShare,
    ApportionmentState,
    ShareKey,
)
from dougong_fees.models.bills import Bill, BillKind, BillLine, BillPayment, BillRun, Waiver
from dougong_fees.models.discounts import Discount, DiscountKind
from dougong_fees.models.handovers import HandOver, HandOverState
from dougong_fees.models.items import (
    AreaKind,
    Base,
    Charge,
    ChargeMethod,
    Commodity,
    FeeItem,
    FeePrice,
    PriceTier,
    TierSpan,
)
from dougong_fees.models.templates import FeeTemplate, TemplateCopy

__all__ = [
    "FeeTemplate",
    "TemplateCopy",
    "Apportionment",
    "ApportionmentShare",
    "ApportionmentState",
    "AreaKind",
    "Base",
    "Bill",
    "BillKind",
    "BillLine",
    "BillPayment",
    "BillRun",
    "Charge",
    "ChargeMethod",
    "Commodity",
    "Discount",
    "DiscountKind",
    "FeeItem",
    "FeePrice",
    "HandOver",
    "HandOverState",
    "PriceTier",
    "ShareKey",
    "TierSpan",
    "Waiver",
]
