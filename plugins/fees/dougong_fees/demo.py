"""The demonstration's fees: items with prices, charges, months of bills, payments, arrears."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from dougong.db import Scope, insert_rows
from dougong.tenancy.models import CommunityKind, Person, PersonKind, Room, RoomKind
from dougong_fees import demo_delivery, demo_rules, services
from dougong_fees.domain.periods import add_months
from dougong_fees.models import (
    Bill,
    BillPayment,
    BillRun,
    Charge,
    ChargeMethod,
    Commodity,
    FeeItem,
    FeePrice,
    PriceTier,
)
from dougong_fees.services.runs import publish_on
from dougong_ledger import services as ledger
from dougong_ledger.domain import PaymentChannel
from dougong_ledger.models import Wallet

SINCE = date(2024, 1, 1)
# Of the bills of three, two and one months ago so many are paid.
PAID_SHARES = (0.96, 0.9, 0.72)
CHANNELS = (
    PaymentChannel.WALLET,
    PaymentChannel.WALLET,
    PaymentChannel.CASH,
    PaymentChannel.POS,
    PaymentChannel.BANK_TRANSFER,
)
LATE = Decimal("0.0005")
SETTLE = text(
    """
    update fees.bill set paid = amount, state = 'paid'
    where community_id = :community and id = any (cast(:bills as uuid[]))
    """
)


def load(scope: Scope, chance: Random) -> None:
    """Write fee items and charges by the kind of community, then bill and pay three months."""
    kind = CommunityKind(scope.place.kind)
    months = _last_months(scope.today, len(PAID_SHARES))
    {
        CommunityKind.ESTATE: _estate,
        CommunityKind.OLD_COMMUNITY: _old_community,
        CommunityKind.CAMPUS: _campus,
    }.get(kind, _estate)(scope, months[0])
    for number, (first, share) in enumerate(zip(months, PAID_SHARES, strict=True)):
        run = _run(scope, first)
        # Seen from today the run was published on the second of the month after.
        publish_on(scope, run, run.to_on + timedelta(days=1))
        run.published_at = datetime.combine(run.to_on + timedelta(days=1), time(9), scope.zone)
        scope.session.flush()
        _pay(scope, run, share, chance, number)
    _run(scope, add_months(months[-1], 1))
    if kind is CommunityKind.ESTATE:
        demo_rules.load(scope)
        demo_delivery.load(scope)


def _last_months(today: date, count: int) -> list[date]:
    first = today.replace(day=1)
    return [add_months(first, -number) for number in range(count, 0, -1)]


def _run(scope: Scope, first: date) -> BillRun:
    end = add_months(first, 1)
    return services.create_run(
        scope, f"{first.year}年{first.month}月", first, end, end.replace(day=20)
    )


# --- what each kind of community charges ----------------------------------------------------------


def _estate(scope: Scope, first: date) -> None:
    flats, shops = _rooms(scope, RoomKind.FLAT), _rooms(scope, RoomKind.SHOP)
    _item(scope, "property", "物业服务费", "2.80", flats, vacancy_factor=Decimal("0.7"))
    _item(scope, "shop", "商铺物业费", "6.50", shops)
    _item(scope, "waste", "生活垃圾清运费", "8.00", flats, method=ChargeMethod.FIXED, late=False)
    _item(
        scope,
        "lift",
        "电梯运行费",
        "0.12",
        flats,
        method=ChargeMethod.FORMULA,
        formula="如果 楼层 <= 2 则 3 否则 min(建筑面积 * 单价[元/㎡], 20)",
        late=False,
        source="物业服务合同附件二：一、二层每月3元，其余按面积，最高20元",
    )
    water = _item(
        scope,
        "water",
        "水费",
        "5.00",
        _metered(scope, "water", first),
        method=ChargeMethod.USAGE,
        commodity=Commodity.WATER,
        late=False,
        source="居民阶梯水价（一户一表，按年累计）",
    )
    steps = ((Decimal(0), Decimal(180), "5.00"), (Decimal(180), Decimal(260), "7.00"))
    _tiers(scope, water, (*steps, (Decimal(260), None, "9.00")))


def _old_community(scope: Scope, first: date) -> None:
    rooms = scope.session.scalars(select(Room).order_by(Room.sort_key)).all()
    measured = [r.id for r in rooms if r.built_area is not None]
    # The last ones were never measured and got the wrong item: the run lists them.
    unmeasured = [r.id for r in rooms if r.built_area is None]
    _item(scope, "property", "物业服务费", "0.60", measured + unmeasured[-6:])
    _item(
        scope,
        "household",
        "准物业服务费（按户）",
        "30.00",
        unmeasured[:-6],
        method=ChargeMethod.FIXED,
    )
    every = [r.id for r in rooms]
    _item(scope, "waste", "生活垃圾清运费", "6.00", every, method=ChargeMethod.FIXED, late=False)


def _campus(scope: Scope, first: date) -> None:
    university = Person(kind=PersonKind.COMPANY, name="江州大学后勤管理处", sort_key="江州大学")
    scope.session.add(university)
    scope.session.flush()
    rooms = _rooms(scope, RoomKind.DORMITORY)
    payer = university.id
    _item(
        scope, "dormitory", "公寓管理费", "45.00", rooms, method=ChargeMethod.FIXED, payer_id=payer
    )
    _item(
        scope,
        "electricity",
        "电费",
        "0.5583",
        _metered(scope, "electricity", first),
        method=ChargeMethod.USAGE,
        commodity=Commodity.ELECTRICITY,
        late=False,
        payer_id=payer,
        source="学校执行居民用电合表价格",
    )


def _rooms(scope: Scope, kind: RoomKind) -> list[UUID]:
    query = select(Room.id).where(Room.room_kind == kind).order_by(Room.sort_key)
    return list(scope.session.scalars(query))


def _metered(scope: Scope, commodity: str, first: date) -> list[UUID]:
    """Return the rooms that have a meter, by asking whoever knows."""
    rooms = list(scope.session.scalars(select(Room.id)))
    answers = scope.ask(
        "usage_for_period",
        room_ids=rooms,
        from_on=first,
        to_on=add_months(first, 1),
        commodity=commodity,
    )
    return list(dict.fromkeys(usage.room_id for answer in answers for usage in answer))


def _item(
    scope: Scope,
    code: str,
    name: str,
    price: str,
    rooms: list[UUID],
    *,
    method: ChargeMethod = ChargeMethod.AREA,
    late: bool = True,
    source: str | None = None,
    payer_id: UUID | None = None,
    **values: Any,
) -> FeeItem:
    item = FeeItem(
        code=code,
        name=name,
        method=method,
        account_code=f"6001.{code}",
        late_fee_rate=LATE if late else None,
        **values,
    )
    scope.session.add(item)
    scope.session.flush()
    _prices(scope, item, Decimal(price), source)
    if rooms:
        count = len(rooms)
        insert_rows(
            scope,
            Charge,
            {
                "room_id": rooms,
                "fee_item_id": [item.id] * count,
                "from_on": [SINCE] * count,
                "payer_id": [payer_id] * count,
            },
        )
    return item


def _prices(scope: Scope, item: FeeItem, unit_price: Decimal, source: str | None) -> None:
    """Write an item's price; the higher property fees were raised once, by a resolution."""
    begun = SINCE
    if item.code == "property" and unit_price > 1:
        begun, before = date(2026, 1, 1), unit_price - Decimal("0.30")
        scope.session.add(
            FeePrice(fee_item_id=item.id, from_on=SINCE, to_on=begun, unit_price=before)
        )
        source = "2025年第四次业主大会决议，物业服务合同第八条"
    scope.session.add(
        FeePrice(fee_item_id=item.id, from_on=begun, unit_price=unit_price, source=source)
    )
    scope.session.flush()


def _tiers(scope: Scope, item: FeeItem, steps: tuple) -> None:
    price = scope.session.scalars(select(FeePrice).where(FeePrice.fee_item_id == item.id)).one()
    scope.session.add_all(
        PriceTier(price_id=price.id, above=above, up_to=up_to, unit_price=Decimal(unit_price))
        for above, up_to, unit_price in steps
    )
    scope.session.flush()


# --- payments -------------------------------------------------------------------------------------


def _pay(scope: Scope, run: BillRun, share: float, chance: Random, number: int) -> None:
    """Pay a share of a run's bills through all channels; some rooms never pay."""
    payments = sorted(_received(scope, run, share, chance, number), key=lambda p: p.paid_at)
    ledger.record_many(scope, "fees", "fees.bill", f"{run.name}收款", payments)
    bills = [p.subject_id for p in payments]
    scope.session.execute(SETTLE, {"community": scope.community_id, "bills": bills})
    insert_rows(
        scope,
        BillPayment,
        {
            "bill_id": bills,
            "payment_id": [p.id for p in payments],
            "amount": [p.amount for p in payments],
            "settled_at": [p.paid_at for p in payments],
        },
    )


def _bills_of(scope: Scope, run: BillRun) -> Sequence[Any]:
    columns = (Bill.id, Bill.amount, Bill.title, Bill.room_id, Bill.payer_id, Room.code)
    return scope.session.execute(
        select(*columns, Person.name)
        .join(Room, Room.id == Bill.room_id)
        .join(Person, Person.id == Bill.payer_id)
        .where(Bill.run_id == run.id, Bill.amount > 0)
        .order_by(Room.sort_key, Bill.id)
    ).all()


def _received(
    scope: Scope, run: BillRun, share: float, chance: Random, number: int
) -> Iterator[ledger.ReceivedPayment]:
    """Yield payments of a share of the bills; a wallet pays while it has enough."""
    balances = scope.session.execute(select(Wallet.person_id, Wallet.balance))
    wallets = defaultdict(Decimal, {w.person_id: w.balance for w in balances})
    first = datetime.combine(run.to_on + timedelta(days=1), time(9), scope.zone)
    until = max(min(scope.now - timedelta(hours=1), first + timedelta(days=25)), first)
    span_s = (until - first).total_seconds()
    for position, row in enumerate(_bills_of(scope, run)):
        never_pays = position % 41 == 7
        if never_pays or chance.random() > share:
            continue
        channel = chance.choice(CHANNELS)
        if channel is PaymentChannel.WALLET:
            if wallets[row.payer_id] < row.amount:
                channel = PaymentChannel.CASH
            else:
                wallets[row.payer_id] -= row.amount
        yield ledger.ReceivedPayment(
            subject_id=row.id,
            title=f"{row.code} {row.title}",
            payer_id=row.payer_id,
            payer_name=row.name,
            room_id=row.room_id,
            amount=row.amount,
            channel=channel,
            paid_at=first + timedelta(seconds=span_s * chance.random()),
            reference=f"demo-{number}-{row.id}",
        )
