"""Fee items as a kind of community usually has them: looked at, changed, set up at once."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dougong.db import Scope
from dougong.documents import Document, render
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, bilingual, gettext
from dougong.services import service
from dougong.tenancy.models import RoomKind
from dougong_fees.domain.amounts import Rounding
from dougong_fees.domain.periods import PeriodMethod
from dougong_fees.models import (
    AreaKind,
    ChargeMethod,
    Commodity,
    FeeItem,
    FeePrice,
    FeeRule,
    PriceTier,
    RuleKind,
    TierSpan,
)
from dougong_fees.services.items import LARGEST, assign_charges

FOLDER = Path(__file__).parents[1] / "presets"
ENUMS = {
    "method": ChargeMethod,
    "commodity": Commodity,
    "tier_span": TierSpan,
    "period_method": PeriodMethod,
    "area_kind": AreaKind,
    "rounding": Rounding,
}
NUMBERS = ("vacancy_factor", "late_fee_rate", "late_fee_cap")
OF_ITEM = ("code", "name", "formula", "grace_days", *ENUMS, *NUMBERS)
MEASURES = {
    ChargeMethod.AREA: N_("yuan per m² and month"),
    ChargeMethod.FIXED: N_("yuan per room and month"),
    ChargeMethod.FORMULA: N_("by formula, per month"),
}
UNITS = {
    Commodity.WATER: N_("yuan per m³"),
    Commodity.GAS: N_("yuan per m³"),
    Commodity.ELECTRICITY: N_("yuan per kWh"),
    Commodity.HEAT: N_("yuan per GJ"),
}


@dataclass(frozen=True)
class PresetItem:
    """A fee item of a preset. unit_price: yuan. is_example: the contract decides the price.

    rooms: kinds that are charged it at once. from_on: since when a published tariff holds.
    """

    values: Mapping[str, Any]
    unit_price: Decimal
    source: str
    rooms: tuple[RoomKind, ...] = ()
    tiers: tuple[tuple[Decimal, Decimal | None, Decimal], ...] = ()
    head_count: Mapping[str, Any] | None = None
    from_on: date | None = None
    is_example: bool = False

    @property
    def code(self) -> str:
        return str(self.values["code"])

    @property
    def measure(self) -> str:
        """Return what the price is for, in words."""
        return measure_of(self.values["method"], self.values.get("commodity"))


@dataclass(frozen=True)
class Preset:
    """What a kind of community usually charges. rules: by the code of their item."""

    id: str
    title: Any
    about: Any
    items: tuple[PresetItem, ...]
    rules: tuple[tuple[str, Mapping[str, Any]], ...]


def measure_of(method: ChargeMethod, commodity: Commodity | None) -> str:
    """Return what a price is for, in the locale in force."""
    if method is ChargeMethod.USAGE and commodity is not None:
        return gettext(UNITS[commodity])
    return gettext(MEASURES.get(method, N_("yuan")))


@cache
def presets() -> Mapping[str, Preset]:
    """Return the presets that come with fees, by id."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.toml"))}


def preset_named(id: str) -> Preset:
    """Return a preset; raises NotFound."""
    if id not in presets():
        raise NotFound(N_("There is no such preset."))
    return presets()[id]


def _read(path: Path) -> Preset:
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    items = tuple(_item(each) for each in told["item"])
    rules = tuple((each.pop("item"), _rule(each)) for each in told.get("rule", ()))
    return Preset(path.stem, bilingual(*told["title"]), bilingual(*told["about"]), items, rules)


def _item(told: dict[str, Any]) -> PresetItem:
    values = {name: told[name] for name in OF_ITEM if name in told}
    values |= {name: ENUMS[name](values[name]) for name in ENUMS if name in values}
    values |= {name: Decimal(values[name]) for name in NUMBERS if name in values}
    count = told.get("head_count_from")
    return PresetItem(
        values,
        Decimal(told["unit_price"]),
        told["source"],
        tuple(RoomKind(kind) for kind in told.get("rooms", ())),
        tuple(
            (Decimal(a), Decimal(b) if b else None, Decimal(c)) for a, b, c in told.get("tiers", ())
        ),
        count
        and {
            "head_count_from": count,
            "head_count_extra": Decimal(told["head_count_extra"]),
            "is_extra_per_person": told.get("is_extra_per_person", True),
        },
        told.get("from_on"),
        told.get("is_example", False),
    )


def _rule(told: dict[str, Any]) -> dict[str, Any]:
    kind = {"kind": RuleKind(told["kind"])}
    share = {"share": Decimal(told["share"])} if "share" in told else {}
    return {**told, **kind, **share}


def codes_here(scope: Scope) -> set[str]:
    """Return the codes of the fee items that the community has."""
    return set(scope.session.scalars(select(FeeItem.code)))


@service("fee_item.set_up", title=("Set up from a preset", "按预设方案初始化"), is_public=False)
def set_up(
    scope: Scope,
    preset: str,
    from_on: date,
    prices: Mapping[str, Decimal],
    charges_rooms: bool = False,
) -> list[FeeItem]:
    """Make those fee items of a preset that are named in ``prices`` and not here yet.

    prices: yuan by code, above those of the preset; tiers of a published tariff stay as they are.
    from_on: since when they hold, a tariff since it was published. charges_rooms: charge the rooms
    of the kinds that the preset names. A code that is here already is left alone, so that setting
    up twice changes nothing. Raises NotFound for an unknown preset, Invalid for a wrong price.
    """
    chosen, known = preset_named(preset), codes_here(scope)
    wrong = {code: gettext("A price is zero or more, and below ten million yuan.")
             for code, price in prices.items() if not 0 <= price < LARGEST}  # fmt: skip
    if wrong:
        raise Invalid(N_("Some fields are not right yet."), fields=wrong)
    made = []
    for each in chosen.items:
        if each.code in prices and each.code not in known:
            item = _make(scope, each, prices[each.code], from_on)
            _add_rules(scope, item, chosen, from_on)
            for kind in each.rooms if charges_rooms else ():
                assign_charges(scope, item, from_on, kind)
            made.append(item)
    scope.session.flush()
    return made


def _make(scope: Scope, preset: PresetItem, unit_price: Decimal, from_on: date) -> FeeItem:
    item = FeeItem(account_code=f"6001.{preset.code}", **preset.values)
    scope.session.add(item)
    scope.session.flush()
    price = FeePrice(
        fee_item_id=item.id,
        from_on=min(preset.from_on or from_on, from_on),
        unit_price=unit_price,
        source=preset.source[:200],
        **(preset.head_count or {}),
    )
    scope.session.add(price)
    scope.session.flush()
    scope.session.add_all(
        PriceTier(price_id=price.id, above=above, up_to=up_to, unit_price=each)
        for above, up_to, each in preset.tiers
    )
    return item


def _add_rules(scope: Scope, item: FeeItem, preset: Preset, from_on: date) -> None:
    scope.session.add_all(
        FeeRule(fee_item_id=item.id, from_on=from_on, **values)
        for code, values in preset.rules
        if code == item.code
    )


# --- the fee sheet ----------------------------------------------------------------------------


@dataclass(frozen=True)
class SheetLine:
    """A fee item on the sheet that hangs on the wall. price: None without one in force."""

    item: FeeItem
    price: FeePrice | None
    tiers: Sequence[PriceTier]
    rules: Sequence[FeeRule]

    @property
    def measure(self) -> str:
        return measure_of(self.item.method, self.item.commodity)


def fee_sheet(scope: Scope, on: date) -> list[SheetLine]:
    """Return the fee items in use with what is in force on a day. One statement."""
    priced = select(FeePrice.id).where(*_in_force(FeePrice, on))
    items, prices, steps, ruled = scope.together(
        select(FeeItem).where(FeeItem.is_active).order_by(FeeItem.code),
        select(FeePrice).where(*_in_force(FeePrice, on)),
        select(PriceTier).where(PriceTier.price_id.in_(priced)).order_by(PriceTier.above),
        select(FeeRule).where(*_in_force(FeeRule, on)),
    )
    price_of = {price.fee_item_id: price for price in prices.scalars()}
    tiers: dict[Any, list[PriceTier]] = {}
    for tier in steps.scalars():
        tiers.setdefault(tier.price_id, []).append(tier)
    rules: dict[Any, list[FeeRule]] = {}
    for rule in ruled.scalars():
        rules.setdefault(rule.fee_item_id, []).append(rule)
    found = []
    for item in items.scalars():
        price = price_of.get(item.id)
        steps_of = tiers.get(price.id, []) if price else []
        found.append(SheetLine(item, price, steps_of, rules.get(item.id, [])))
    return found


def _in_force(model: Any, on: date) -> tuple[Any, ...]:
    return (model.from_on <= on, (model.to_on.is_(None)) | (model.to_on > on))


@service("fee_item.print_sheet", title=("Fee sheet", "收费公示表"), is_public=False)
def print_fee_sheet(scope: Scope, on: date | None = None) -> Document:
    """Return what is charged by fee item as PDF, to be put up: price, measure, basis, reductions.

    Source: 物业服务收费明码标价规定（发改价检〔2004〕1428号）, article 6.
    """
    day = on or scope.today
    name = f"{gettext('Fee sheet')}-{day}.pdf"
    facts = {"lines": fee_sheet(scope, day), "on": day}
    return render(scope, "fees:fee_sheet", facts, filename=name)
