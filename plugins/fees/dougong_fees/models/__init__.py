"""Fee items and prices, charges, bill runs, bills, payments of bills, waivers."""

from dougong_fees.models.apportionments import (
    Apportionment,
    ApportionmentShare,
    ApportionmentState,
    ShareKey,
)
from dougong_fees.models.bills import Bill, BillKind, BillLine, BillPayment, BillRun, Waiver
from dougong_fees.models.deliveries import (
    Delivery,
    DeliveryRoom,
    DeliveryState,
    RoomDeliveryState,
)
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
from dougong_fees.models.prepayments import Prepayment, PrepaymentMonth, PrepaymentState
from dougong_fees.models.rules import (
    FeeRule,
    FeeTemplateRule,
    FeeTemplateTier,
    RuleKind,
    Vacancy,
)
from dougong_fees.models.templates import FeeTemplate, TemplateCopy

__all__ = [
    "FeeRule",
    "FeeTemplate",
    "FeeTemplateRule",
    "FeeTemplateTier",
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
    "Delivery",
    "DeliveryRoom",
    "DeliveryState",
    "RoomDeliveryState",
    "Discount",
    "DiscountKind",
    "FeeItem",
    "FeePrice",
    "HandOver",
    "HandOverState",
    "Prepayment",
    "PrepaymentMonth",
    "PrepaymentState",
    "PriceTier",
    "RuleKind",
    "ShareKey",
    "TierSpan",
    "Vacancy",
    "Waiver",
]
