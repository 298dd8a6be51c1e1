"""Rules of prepaid energy: what is charged, and when a supply may be cut. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

from dougong.i18n import bilingual

ZERO, FEN = Decimal(0), Decimal("0.01")
ENERGY_LIABILITY, ENERGY_INCOME = "2203.energy", "6001.energy"


class Protection(StrEnum):
    """Why a room's supply is never cut for its balance or a house rule."""

    NONE = "none"
    MEDICAL = "medical"
    MINIMUM = "minimum"

    __labels__ = {
        "NONE": bilingual("None", "无"),
        "MEDICAL": bilingual("Lives by a medical device", "医疗设备用电"),
        "MINIMUM": bilingual("Minimum supply", "最低保障用电"),
    }


class Supply(StrEnum):
    """Whether a room's supply is on, as the last command left it."""

    ON = "on"
    CUTTING = "cutting"
    OFF = "off"
    RESTORING = "restoring"

    __labels__ = {
        "ON": bilingual("On", "供电中"),
        "CUTTING": bilingual("Being cut", "正在断开"),
        "OFF": bilingual("Off", "已断开"),
        "RESTORING": bilingual("Being restored", "正在恢复"),
    }


class CutReason(StrEnum):
    """Why a supply was cut."""

    EMPTY = "empty"
    OVERLOAD = "overload"
    MALICIOUS = "malicious"

    __labels__ = {
        "EMPTY": bilingual("Balance used up", "余额用尽"),
        "OVERLOAD": bilingual("Too much power", "超功率"),
        "MALICIOUS": bilingual("Forbidden appliance", "恶性负载"),
    }


class MovementKind(StrEnum):
    """What changed a balance."""

    TOP_UP = "top_up"
    USAGE = "usage"
    REFUND = "refund"
    PAY_BACK = "pay_back"

    __labels__ = {
        "TOP_UP": bilingual("Top-up", "充值"),
        "USAGE": bilingual("Used", "用电"),
        "REFUND": bilingual("Refunded", "退款"),
        "PAY_BACK": bilingual("Paid back", "退回余额"),
    }


class PeriodKind(StrEnum):
    """What is different between two days."""

    EXAM = "exam"
    VACATION = "vacation"

    __labels__ = {
        "EXAM": bilingual("Exams", "考试周"),
        "VACATION": bilingual("Vacation", "假期"),
    }


class Objection(StrEnum):
    """Why a supply may not be cut now."""

    NOT_EMPTY = "not_empty"
    PROTECTED = "protected"
    UNKNOWN = "unknown"
    STALE = "stale"
    NOT_WARNED = "not_warned"
    GRACE = "grace"
    QUIET = "quiet"
    EXAM = "exam"


@dataclass(frozen=True)
class Rules:
    """What a community has decided about running empty.

    cut_from, cut_to: hours of the day in which a supply may be cut, [from, to). policy: the
    written rule by which the system may cut without a second person; empty for none.
    """

    warn_below: Decimal
    grace: timedelta
    cut_from: int
    cut_to: int
    fresh: timedelta
    policy: str


@dataclass(frozen=True)
class Situation:
    """How a room stands. balance: yuan. read_at: of the reading that the balance is reckoned from.

    is_known: the counter could be followed without a gap. local: now, in the community's zone.
    """

    balance: Decimal
    is_known: bool
    read_at: datetime | None
    warned_at: datetime | None
    empty_at: datetime | None
    protection: Protection
    is_exam: bool
    local: datetime


def charge(carried: Decimal, quantity: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
    """Return what is charged now in whole fen, and the rest of a fen that is carried on.

    carried: the rest from before, below one fen. So the sum of the charges is the exact amount,
    rounded down, however often it is reckoned. quantity: kWh. price: yuan per kWh.
    """
    exact = carried + quantity * price
    charged = exact.quantize(FEN, ROUND_FLOOR)
    return charged, exact - charged


def share_free(quantity: Decimal, quota: Decimal, used: Decimal) -> tuple[Decimal, Decimal]:
    """Return which part of a quantity is free and which is charged.

    quota: what the room has free in the month. used: what it has had of it.
    """
    free = min(quantity, max(quota - used, ZERO))
    return free, quantity - free


def why_not_cut(now: Situation, rules: Rules) -> Objection | None:
    """Return why an empty balance does not cut the supply at this moment, None when it does.

    Who is protected is never cut; nobody is on a stale reading or an unknown balance, before he
    was warned, before the grace is over, outside the hours of the day, or in an exam week.
    """
    checks = (
        (now.protection is not Protection.NONE, Objection.PROTECTED),
        (not now.is_known or now.read_at is None, Objection.UNKNOWN),
        (now.read_at is not None and now.local - now.read_at > rules.fresh, Objection.STALE),
        (now.balance > 0, Objection.NOT_EMPTY),
        (now.warned_at is None, Objection.NOT_WARNED),
        (now.empty_at is None or now.local - now.empty_at < rules.grace, Objection.GRACE),
        (not rules.cut_from <= now.local.hour < rules.cut_to, Objection.QUIET),
        (now.is_exam, Objection.EXAM),
    )
    return next((objection for is_so, objection in checks if is_so), None)


def too_much(
    before: Decimal | None, now: Decimal, limit_kw: Decimal, step_kw: Decimal
) -> CutReason | None:
    """Return what a power reading shows beside the one before it, None when all is well.

    limit_kw: twice above it in a row is too much: a motor that starts is not. step_kw: a jump of so
    much at once is an appliance that heats; 0 looks for none.
    """
    if step_kw > 0 and before is not None and now - before >= step_kw:
        return CutReason.MALICIOUS
    if before is not None and min(before, now) > limit_kw:
        return CutReason.OVERLOAD
    return None


def equal_parts(amount: Decimal, count: int) -> list[Decimal]:
    """Return an amount in ``count`` parts of whole fen that add up to it, larger ones first."""
    fen = int(amount / FEN)
    return [FEN * (fen // count + (n < fen % count)) for n in range(count)]
