"""Apportionments: what is shared, by which key, who pays; the shares add up to the fen."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from dougong.db import Scope, insert_rows, uuid7
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_fees.domain.amounts import apportion, round_amount
from dougong_fees.domain.states import SEEN, BillState
from dougong_fees.models import (
    Apportionment,
    ApportionmentShare,
    ApportionmentState,
    Bill,
    BillKind,
    FeeItem,
    ShareKey,
)
from dougong_fees.services.bills import reverse_bill
from dougong_ledger import services as ledger
from dougong_ledger.domain import RECEIVABLE, AccountKind, Posting, is_amount
from dougong_ledger.services.journal import community_of

ROOMS = text(
    """
    select r.id, r.built_area as area, greatest(coalesce(r.floor, 0), 0) as floor,
        (select count(distinct o.person_id) from dougong.occupancy o
         where o.community_id = r.community_id and o.room_id = r.id and o.from_on < :to_on
           and (o.to_on is null or o.to_on >= :to_on)) as persons
    from dougong.room r
    where r.community_id = :community
      and (cast(:building as uuid) is null or r.building_id = :building)
    order by r.sort_key, r.id
    """
)
PAYERS = text(
    """
    select distinct on (o.room_id) o.room_id, o.person_id
    from dougong.ownership o
    where o.community_id = :community and o.from_on < :to_on
      and (o.to_on is null or o.to_on >= :to_on)
    order by o.room_id, o.share desc, o.from_on, o.person_id
    """
)


@service("apportionment.start", title=("New apportionment", "新建公摊"))
def start_apportionment(
    scope: Scope,
    fee_item: FeeItem,
    name: str,
    from_on: date,
    to_on: date,
    due_on: date,
    key: ShareKey,
    legal_basis: str,
    resolution: str,
    main_quantity: Decimal | None = None,
    deducted_quantity: Decimal | None = None,
    unit_price: Decimal | None = None,
    pool_amount: Decimal | None = None,
    building_id: UUID | None = None,
) -> Apportionment:
    """Draft the shares of a cost: a main meter's rest × price, or an invoice's amount.

    Off unless the setting ``fees.apportionment_allowed`` is on. Raises Conflict where it is off,
    Invalid without a pool, a legal basis or the owners' resolution, or when no room has the key.
    """
    if not scope.setting("fees.apportionment_allowed", False):
        raise Conflict(N_("Apportionment is switched off here; owners must have agreed to it."))
    if not legal_basis.strip() or not resolution.strip():
        raise _invalid("legal_basis", gettext("Name the clause and the owners' resolution."))
    if from_on >= to_on:
        raise _invalid("to_on", gettext("The period ends after it begins, within a year."))
    made = Apportionment(
        name=name[:80],
        fee_item_id=fee_item.id,
        building_id=building_id,
        from_on=from_on,
        to_on=to_on,
        due_on=due_on,
        key=key,
        main_quantity=main_quantity,
        deducted_quantity=deducted_quantity,
        unit_price=unit_price,
        pool_amount=_pool(main_quantity, deducted_quantity, unit_price, pool_amount),
        legal_basis=legal_basis[:200],
        resolution=resolution[:200],
    )
    scope.session.add(made)
    scope.session.flush()
    _add_shares(scope, made)
    return share_out(scope, made)


def _pool(
    main: Decimal | None, deducted: Decimal | None, price: Decimal | None, amount: Decimal | None
) -> Decimal:
    if main is not None and price is not None:
        rest = main - (deducted or Decimal(0))
        amount = round_amount(Fraction(rest) * Fraction(price)) if rest > 0 else None
    if amount is None or not is_amount(amount):
        raise _invalid(
            "pool_amount", gettext("An amount, or what the main meter has left and a price.")
        )
    return amount


def _invalid(field: str, words: str) -> Invalid:
    return Invalid(N_("Some fields are not right yet."), fields={field: words})


def _add_shares(scope: Scope, made: Apportionment) -> None:
    keys = {
        "community": community_of(scope),
        "building": made.building_id,
        "to_on": made.to_on,
    }
    rooms = scope.session.execute(ROOMS, keys).all()
    ratio = {
        ShareKey.AREA: lambda room: room.area or Decimal(0),
        ShareKey.PERSONS: lambda room: Decimal(room.persons),
        ShareKey.FLOOR: lambda room: Decimal(room.floor),
    }.get(made.key, lambda room: Decimal(1))
    columns = {
        "apportionment_id": [made.id] * len(rooms),
        "room_id": [room.id for room in rooms],
        "ratio": [ratio(room) for room in rooms],
        "amount": [Decimal(0)] * len(rooms),
    }
    insert_rows(scope, ApportionmentShare, columns)


@service("apportionment.share_out", title=("Reckon again", "重新计算"))
def share_out(scope: Scope, apportionment: Apportionment) -> Apportionment:
    """Divide the cost by the ratios as they are now, the largest remainders taking the last fen.

    Raises Conflict after publishing, Invalid when every ratio is zero.
    """
    apportionment = _draft(scope, apportionment)
    shares = shares_of(scope, apportionment)
    if not any(share.ratio for share in shares):
        raise _invalid("key", gettext("No room has anything to divide by."))
    amounts = apportion(apportionment.pool_amount, [share.ratio for share in shares])
    for share, amount in zip(shares, amounts, strict=True):
        share.amount = amount
    scope.session.flush()
    return apportionment


def _draft(scope: Scope, apportionment: Apportionment) -> Apportionment:
    found = scope.get(Apportionment, apportionment.id, lock=True)
    if found.state is not ApportionmentState.DRAFT:
        raise Conflict(N_("This apportionment was published; correct it instead."))
    return found


def shares_of(scope: Scope, apportionment: Apportionment) -> Sequence[ApportionmentShare]:
    """Return the shares of an apportionment in a steady order."""
    query = select(ApportionmentShare).where(
        ApportionmentShare.apportionment_id == apportionment.id
    )
    return scope.session.scalars(query.order_by(ApportionmentShare.id)).all()


@service("apportionment.publish", title=("Publish", "发布"))
def publish_apportionment(scope: Scope, apportionment: Apportionment) -> Apportionment:
    """Bill every share above zero and post the sum; the worksheet is open to owners from then on.

    A room's owner pays, or who bears an excluded one. Raises Invalid naming rooms without a payer.
    """
    found = share_out(scope, apportionment)
    shares = [share for share in shares_of(scope, found) if share.amount]
    payers = _payers(scope, found, shares)
    ids = [uuid7() for _ in shares]
    item = found.fee_item
    trace = _trace(found)
    count = len(shares)
    insert_rows(
        scope,
        Bill,
        {
            "id": ids,
            "kind": [BillKind.APPORTIONMENT] * count,
            "title": [found.name] * count,
            "room_id": [share.room_id for share in shares],
            "payer_id": payers,
            "from_on": [found.from_on] * count,
            "to_on": [found.to_on] * count,
            "due_on": [found.due_on] * count,
            "amount": [share.amount for share in shares],
            "state": [BillState.OPEN] * count,
            "trace": [{**trace, "ratio": str(s.ratio), "amount": str(s.amount)} for s in shares],
        },
    )
    for share, bill_id in zip(shares, ids, strict=True):
        share.bill_id = bill_id
    found.state = ApportionmentState.PUBLISHED
    ledger.ensure_account(scope, item.account_code, AccountKind.INCOME, item.name)
    posting = Posting(RECEIVABLE, item.account_code, found.pool_amount, found.name)
    ledger.post(scope, "fees.apportionment", found.id, found.name, [posting])
    scope.session.flush()
    scope.emit("fees.bill_published", apportionment_id=found.id)
    return found


def _payers(scope: Scope, found: Apportionment, shares: Sequence[ApportionmentShare]) -> list[UUID]:
    keys = {"community": community_of(scope), "to_on": found.to_on}
    owners = {row.room_id: row.person_id for row in scope.session.execute(PAYERS, keys)}
    payers = [s.payer_id if s.is_excluded else owners.get(s.room_id) for s in shares]
    missing = [str(s.room) for s, payer in zip(shares, payers, strict=True) if payer is None]
    if missing:
        rooms = ", ".join(missing[:10])
        raise _invalid("key", gettext("Nobody pays for %(rooms)s: exclude them.", rooms=rooms))
    return [payer for payer in payers if payer is not None]


def _trace(found: Apportionment) -> dict[str, Any]:
    facts = {
        "apportionment": found.id,
        "account": found.fee_item.account_code,
        "key": found.key.value,
        "pool": found.pool_amount,
        "main": found.main_quantity,
        "deducted": found.deducted_quantity,
        "price": found.unit_price,
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


@service("apportionment.correct", title=("Correct", "更正"))
def correct_apportionment(
    scope: Scope, apportionment: Apportionment, pool_amount: Decimal, reason: str
) -> Apportionment:
    """Reverse every bill of a published apportionment and return a draft with the right cost.

    What was paid becomes prepaid balance of who paid it. The draft keeps ratios and exclusions.
    Raises Conflict when it is not published.
    """
    old = scope.get(Apportionment, apportionment.id, lock=True)
    if old.state is not ApportionmentState.PUBLISHED:
        raise Conflict(N_("Only a published apportionment is corrected."))
    shares = shares_of(scope, old)
    for share in shares:
        if share.bill is not None and share.bill.state in SEEN:
            reverse_bill(scope, share.bill, reason)
    old.state = ApportionmentState.WITHDRAWN
    names = ("name", "fee_item_id", "building_id", "from_on", "to_on", "due_on", "key")
    names += ("legal_basis", "resolution")
    values = {name: getattr(old, name) for name in names}
    made = Apportionment(**values, pool_amount=_pool(None, None, None, pool_amount))
    made.corrects_id = old.id
    scope.session.add(made)
    scope.session.flush()
    kept = ("room_id", "ratio", "is_excluded", "reason", "payer_id")
    columns: dict[str, list[Any]] = {name: [getattr(s, name) for s in shares] for name in kept}
    columns["apportionment_id"] = [made.id] * len(shares)
    columns["amount"] = [Decimal(0)] * len(shares)
    insert_rows(scope, ApportionmentShare, columns)
    return share_out(scope, made)
