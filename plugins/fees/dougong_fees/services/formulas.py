"""Formulas of fee items: checked when they are saved, tried on three rooms, ready for a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import event, select, text
from sqlalchemy.engine import Connection

from dougong.db import Scope
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong_fees.domain.amounts import round_amount
from dougong_fees.domain.formula import Formula, FormulaError, check, parse, reckon
from dougong_fees.models import ChargeMethod, FeeItem, FeePrice

REASONS = {
    "unexpected": N_("“%(word)s” does not belong here."),
    "missing": N_("“%(word)s” is missing here."),
    "too_long": N_("The formula is too long."),
    "too_deep": N_("The formula is nested too deeply."),
    "arguments": N_("%(word)s has the wrong number of values."),
    "unknown_unit": N_("There is no unit “%(word)s”."),
    "unknown_fact": N_("Nothing is known by the name “%(word)s”."),
    "unit_of_fact": N_("%(word)s has a unit already; only numbers and the price are given one."),
    "units_differ": N_("%(left)s and %(right)s cannot be put together."),
    "not_yuan": N_("The result is in %(found)s, not in yuan. Give prices a unit: 2.5[yuan/m2]"),
    "not_a_number": N_("A number is needed here."),
    "not_a_condition": N_("A condition is needed here, such as floor > 6."),
    "places": N_("The places to round to are a number from 0 to 6."),
    "no_value": N_("It has no value for any of the rooms that it was tried on."),
}
SAMPLES = text(
    """
    select r.code, r.built_area as area, r.inner_area, r.floor, r.room_kind as kind,
        (select count(distinct o.person_id) from dougong.occupancy o
         where o.community_id = r.community_id and o.room_id = r.id and o.from_on <= r.today
           and (o.to_on is null or o.to_on > r.today)) as persons
    from (
        select *, (select cast(now() at time zone c.zone as date) from dougong.community c
                   where c.id = :community) as today,
            row_number() over (order by built_area nulls last, sort_key) as place,
            count(*) over () as rooms
        from dougong.room
        where community_id = :community
    ) r
    where place in (1, (rooms + 1) / 2, rooms) order by place
    """
)
# What a sample room is taken to have used.
SAMPLE_USAGE = (Decimal(10), Decimal(100), Decimal(1000))


@dataclass(frozen=True)
class Sample:
    """What a formula comes to for one room, in yuan; None when it has no value there."""

    room: str
    facts: Mapping[str, Any]
    amount: Decimal | None


def reason(error: FormulaError) -> str:
    """Return in words what is wrong with a formula and where."""
    words = gettext(REASONS[error.code], **error.about)
    return gettext("At character %(at)s: %(words)s", at=error.at + 1, words=words)


def read_formula(item: FeeItem) -> Formula:
    """Return a fee item's formula with its units checked. Raises Invalid that says where."""
    try:
        formula = parse(item.formula or "")
        check(formula, item.commodity.value if item.commodity else None)
    except FormulaError as error:
        raise _invalid(reason(error)) from error
    return formula


def _invalid(words: str) -> Invalid:
    return Invalid(N_("Some fields are not right yet."), fields={"formula": words})


@event.listens_for(FeeItem, "before_insert")
@event.listens_for(FeeItem, "before_update")
def check_when_saved(mapper: Any, connection: Connection, item: FeeItem) -> None:
    """Refuse a formula that cannot be read, or has no value for three rooms of the community."""
    if item.method is not ChargeMethod.FORMULA:
        return
    formula = read_formula(item)
    tried = _samples(connection, item.community_id, formula, Decimal(1))
    if tried and all(sample.amount is None for sample in tried):
        raise _invalid(gettext(REASONS["no_value"]))


def try_formula(scope: Scope, item: FeeItem) -> list[Sample]:
    """Return what a fee item's formula comes to for three rooms, at the price in force."""
    today = scope.today
    price = scope.session.scalars(
        select(FeePrice.unit_price)
        .where(FeePrice.fee_item_id == item.id, FeePrice.from_on <= today)
        .order_by(FeePrice.from_on.desc())
        .limit(1)
    ).first()
    return _samples(scope.session.connection(), item.community_id, read_formula(item), price)


def _samples(
    connection: Connection, community_id: UUID, formula: Formula, price: Decimal | None
) -> list[Sample]:
    found = []
    rooms = connection.execute(SAMPLES, {"community": community_id}).mappings().all()
    for row, usage in zip(rooms, SAMPLE_USAGE, strict=False):
        facts = {**row, "usage": usage, "price": price}
        worth = reckon(formula, facts)
        used = {name: facts[name] for name in sorted(formula.names())}
        found.append(Sample(row["code"], used, None if worth is None else round_amount(worth)))
    return found


def formulas_of(scope: Scope) -> dict[UUID, Formula]:
    """Return the formulas of the community's active fee items by their ids."""
    query = select(FeeItem).where(FeeItem.method == ChargeMethod.FORMULA, FeeItem.is_active)
    return {item.id: read_formula(item) for item in scope.session.scalars(query)}


def counts_people(scope: Scope) -> bool:
    """Tell whether any price or formula looks at how many people live in a room."""
    by_price = select(FeePrice.id).where(FeePrice.head_count_from.is_not(None)).limit(1)
    if scope.session.scalars(by_price).first() is not None:
        return True
    return any("persons" in formula.names() for formula in formulas_of(scope).values())
