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
