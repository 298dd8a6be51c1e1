"""Fee items in use: a new price from a day on, charges for many rooms at once."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select, text

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import RoomKind
from dougong_fees.domain.amounts import step_up_prices
from dougong_fees.domain.periods import add_months
from dougong_fees.models import FeeItem, FeePrice
from dougong_ledger.domain import is_amount
from dougong_ledger.services.journal import community_of

LARGEST = Decimal(10) ** 7
ASSIGN = text(
    """
    insert into fees.charge (community_id, room_id, fee_item_id, from_on, payer_id)
    select r.community_id, r.id, :item, :from_on, cast(:payer as uuid)
    from dougong.room r
    where r.community_id = :community
      and (cast(:kind as text) is null or r.room_kind = :kind)
      and (cast(:building as uuid) is null or r.building_id = :building)
      and not exists (
        select from fees.charge c
        where c.community_id = r.community_id and c.room_id = r.id and c.fee_item_id = :item
          and (c.to_on is null or c.to_on > :from_on))
    """
)


@service("fee_price.add", title=("New price", "调整单价"))
def add_price(
    scope: Scope,
    fee_item: FeeItem,
    unit_price: Decimal,
    from_on: date,
    addition: Decimal = Decimal(0),
    source: str | None = None,
) -> FeePrice:
    """Let a fee item cost another price from a day on; the price before ends there.

    unit_price: yuan per measure and month, or per unit of usage. Bills that exist are not touched.
    Raises Conflict when a price from that day or a later one is there already.
    """
    if not 0 <= unit_price < LARGEST or (addition and not is_amount(addition)):
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"unit_price": gettext("A price is zero or more, and below ten million yuan.")},
        )
    last = scope.session.scalars(
        select(FeePrice)
        .where(FeePrice.fee_item_id == fee_item.id)
        .order_by(FeePrice.from_on.desc())
        .limit(1)
        .with_for_update(of=FeePrice)
    ).first()
    if last is not None and last.from_on >= from_on:
        raise Conflict(N_("There is a price from this day or a later one already."))
    if last is not None and (last.to_on is None or last.to_on > from_on):
        last.to_on = from_on
        scope.session.flush()
    price = FeePrice(
        fee_item_id=fee_item.id,
        unit_price=unit_price,
        from_on=from_on,
        addition=addition,
        source=source and source[:200],
    )
    scope.session.add(price)
    scope.session.flush()
    return price


@service("fee_price.step_up", title=("Step up the rent", "租金递增"))
def step_up_price(
    scope: Scope, fee_item: FeeItem, percent: Decimal, every_months: int, count: int
) -> int:
    """Add dated prices that grow from the last one on, as a lease says; return how many.

    percent: of the price before each step, every so many months after the last price began.
    Raises Conflict without a price to begin with, Invalid for steps that make no sense.
    """
    last = scope.session.scalars(
        select(FeePrice)
        .where(FeePrice.fee_item_id == fee_item.id)
        .order_by(FeePrice.from_on.desc())
        .limit(1)
    ).first()
    if last is None:
        raise Conflict(N_("Give the fee item a first price."))
    if not 1 <= every_months <= 120 or not 1 <= count <= 50 or not 0 < percent <= 100:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"percent": gettext("Up to 100 percent, 50 times, ten years apart.")},
        )
    words = {"percent": percent, "months": every_months}
    source = gettext("Lease: %(percent)s%% every %(months)s months", **words)
    for months, price in step_up_prices(last.unit_price, percent, every_months, count):
        add_price(scope, fee_item, price, add_months(last.from_on, months), last.addition, source)
    return count


@service("charge.assign", title=("Charge rooms", "批量绑定房屋"))
def assign_charges(
    scope: Scope,
    fee_item: FeeItem,
    from_on: date,
    room_kind: RoomKind | None = None,
    building_id: UUID | None = None,
    payer_id: UUID | None = None,
) -> int:
    """Charge every room that is not charged this item from a day on; return how many.

    room_kind, building_id: only these rooms. payer_id: who agreed to pay instead of the owners.
    """
    return scope.session.execute(
        ASSIGN,
        {
            "community": community_of(scope),
            "item": fee_item.id,
            "from_on": from_on,
            "kind": room_kind.value if room_kind else None,
            "building": building_id,
            "payer": payer_id,
        },
    ).rowcount
