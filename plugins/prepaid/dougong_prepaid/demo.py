"""The demonstration's dormitories: accounts with months of use, some low, one empty, one cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from secrets import token_hex
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from dougong.db import Scope, insert_rows, uuid7
from dougong.devices.models import DevicePoint
from dougong.tenancy.models import CommunityKind, Occupancy, OccupancyKind
from dougong_ledger import services as ledger
from dougong_ledger.domain import CHANNEL, Posting
from dougong_meters.models import Meter, MeterRole, MeterState
from dougong_prepaid.domain import ENERGY_INCOME, ENERGY_LIABILITY, share_free
from dougong_prepaid.models import (
    CalendarPeriod,
    CardWrite,
    EnergyAccount,
    MeterCard,
    Movement,
    Student,
    SupplierBill,
    Tariff,
)
from dougong_prepaid.services.residents import heads_in
from dougong_prepaid.services.settling import ensure_accounts

PRICE, FREE = Decimal("0.5683"), Decimal(5)
DAYS = 30
POWER_POINTS = ("power", "is_cut")
# Of the rooms, by number: low, used up, used up with somebody who needs his supply; nearly through
# its free quota; allowed less than its simulated meter takes, so that its supply trips by itself.
LOW, EMPTY, MEDICAL = range(3, 300, 29), (7, 40), 12
NEAR_QUOTA, LEFT_FREE = 0, Decimal("4.5")
STRICT, STRICT_KW = 9, Decimal(1)
# Their meters are not on a line and take cards; on the last of them a top-up still waits.
CARDS = (24, 25, 26, 27)


def load(scope: Scope, chance: Random) -> None:
    """Open accounts for the dormitory rooms that have a meter of their own."""
    if scope.place.kind != CommunityKind.CAMPUS:
        return
    query = select(Meter).where(
        Meter.commodity == "electricity",
        Meter.state == MeterState.INSTALLED,
        Meter.role == MeterRole.OWN,
        Meter.room_id.is_not(None),
        Meter.last_value.is_not(None),
    )
    meters = scope.session.scalars(query.order_by(Meter.serial)).all()
    if meters:
        dormitories(scope, chance, meters)
    _students(scope)


def _students(scope: Scope) -> None:
    """Give everybody with a bed the number that stands on the campus card."""
    query = select(Occupancy.person_id).where(
        Occupancy.kind == OccupancyKind.BED, Occupancy.to_on.is_(None)
    )
    people = sorted(set(scope.session.scalars(query)))
    numbers = [f"20251{number:05d}" for number in range(1, len(people) + 1)]
    insert_rows(scope, Student, {"person_id": people, "number": numbers})


def dormitories(scope: Scope, chance: Random, meters: Sequence[Meter]) -> None:
    """Open an account for the room of each meter, with prices, a past and books that balance."""
    _rules(scope)
    _accounts(scope, chance, meters)
    _bind(scope, [meter.id for meter in meters])


def _rules(scope: Scope) -> None:
    today = scope.today
    scope.session.add(
        Tariff(
            commodity="electricity", from_on=date(today.year - 1, 1, 1), price=PRICE,
            grid_price=PRICE, free_per_person=FREE,
            source="湖北省发改委 居民合表电价（学校教学和学生生活用电），不满 1 千伏",
        )
    )  # fmt: skip
    scope.session.add_all(
        [
            CalendarPeriod(kind="exam", name="期末考试周", from_on=date(today.year + 1, 1, 4),
                           to_on=date(today.year + 1, 1, 17)),
            CalendarPeriod(kind="vacation", name="寒假", from_on=date(today.year + 1, 1, 17),
                           to_on=date(today.year + 1, 2, 22)),
        ]
    )  # fmt: skip
    scope.session.flush()


def _accounts(scope: Scope, chance: Random, meters: Sequence[Meter]) -> None:
    """Write accounts, a top-up and daily usage each, and the journal of both."""
    rows: dict[str, list[Any]] = {name: [] for name in ACCOUNT}
    moves: dict[str, list[Any]] = {name: [] for name in MOVEMENT}
    bought, used = [], []
    heads = heads_in(scope, [meter.room_id for meter in meters if meter.room_id])
    for number, meter in enumerate(meters):
        account_id = uuid7()
        quota = FREE * heads.get(meter.room_id, 0) if meter.room_id else Decimal(0)
        days = _days(scope.today, chance, quota, is_near=number == NEAR_QUOTA)
        spent = sum((day.amount for day in days), Decimal(0))
        left = _left(chance, number)
        bought.append((meter.room_id, spent + left))
        used.append((meter.room_id, spent))
        _account(scope, rows, account_id, meter, left, number, days)
        start = scope.today - timedelta(days=DAYS + 1)
        _move(moves, account_id, "top_up", start, spent + left, source_id=uuid7())
        counter = (meter.last_value or Decimal(0)) - sum(day.quantity for day in days)
        for day in days:
            counter += day.quantity
            _move(moves, account_id, "usage", day.on, -day.amount, day.quantity, counter, day.free)
    entry = _journal(scope, bought, used)
    moves["entry_id"] = [entry] * len(moves["id"])
    insert_rows(scope, EnergyAccount, rows)
    insert_rows(scope, Movement, moves)
    _cards(scope, moves)
    _supplier(scope)


def _cards(scope: Scope, moves: dict[str, list[Any]]) -> None:
    """Give some rooms cards that carried what was bought for them."""
    bought = [n for n, kind in enumerate(moves["kind"]) if kind == "top_up"]
    for number in CARDS:
        if number >= len(bought):
            return
        account_id, amount, payment_id = (
            moves[name][bought[number]] for name in ("account_id", "amount", "source_id")
        )
        serial, key = f"8604270000{number:06d}", token_hex(16).upper()
        card = MeterCard(id=uuid7(), account_id=account_id, serial=serial, key=key)
        scope.session.add(card)
        scope.session.flush()
        is_done = number != CARDS[-1]
        scope.session.add(
            CardWrite(
                account_id=account_id, card_id=card.id, sequence=1, amount=amount,
                payment_id=payment_id, state="written" if is_done else "waiting",
                tries=1 if is_done else 0, written_at=scope.now - timedelta(days=DAYS)
                if is_done else None,
            )
        )  # fmt: skip
    scope.session.flush()


@dataclass(frozen=True)
class Day:
    """What a room used on a day: kWh, how much of it free, yuan of the rest."""

    on: date
    quantity: Decimal
    free: Decimal
    amount: Decimal


def _days(today: date, chance: Random, quota: Decimal, *, is_near: bool) -> list[Day]:
    """Return the past days of a room: in each month the free quota first, then the price."""
    past = [today - timedelta(days=DAYS - back) for back in range(DAYS)]
    quantities = [Decimal(chance.randrange(12, 38)) / 10 for _ in past]
    this_month = [on for on in past if on.month == today.month]
    if is_near and this_month and quota > LEFT_FREE:
        each = ((quota - LEFT_FREE) / len(this_month)).quantize(Decimal("0.01"))
        quantities = [
            each if on in this_month else q for on, q in zip(past, quantities, strict=True)
        ]
    had: dict[int, Decimal] = {}
    found = []
    for on, quantity in zip(past, quantities, strict=True):
        free, billed = share_free(quantity, quota, had.get(on.month, Decimal(0)))
        had[on.month] = had.get(on.month, Decimal(0)) + free
        found.append(Day(on, quantity, free, (billed * PRICE).quantize(Decimal("0.01"))))
    return found


ACCOUNT = (
    "id", "room_id", "commodity", "protection", "protection_note", "opened_on", "balance",
    "carried", "meter_id", "counted", "counted_at", "month_on", "month_used", "month_free",
    "supply", "trips", "limit_kw",
)  # fmt: skip
MOVEMENT = (
    "id", "account_id", "kind", "booked_on", "amount", "quantity", "free", "counter", "price",
    "source_id",
)  # fmt: skip


def _left(chance: Random, number: int) -> Decimal:
    if number in EMPTY or number == MEDICAL:
        return Decimal("-0.85")
    low = chance.randrange(150, 900) if number in LOW else chance.randrange(1200, 9000)
    return Decimal(low) / 100


def _account(
    scope: Scope, rows: dict[str, list[Any]], account_id: UUID, meter: Meter, left: Decimal,
    number: int, days: Sequence[Day],
) -> None:  # fmt: skip
    month = [day for day in days if day.on.month == scope.today.month]
    is_medical = number == MEDICAL
    values = (
        account_id, meter.room_id, "electricity", "medical" if is_medical else "none",
        "夜间使用呼吸机，校医院证明 2026-031" if is_medical else None,
        scope.today - timedelta(days=DAYS + 1), left, Decimal(0), meter.id, meter.last_value,
        meter.last_read_at, scope.today.replace(day=1),
        sum((day.quantity for day in month), Decimal(0)),
        sum((day.free for day in month), Decimal(0)), "on", 0,
        STRICT_KW if number == STRICT else None,
    )  # fmt: skip
    for name, value in zip(ACCOUNT, values, strict=True):
        rows[name].append(value)


def _move(
    moves: dict[str, list[Any]], account_id: UUID, kind: str, on: date, amount: Decimal,
    quantity: Decimal = Decimal(0), counter: Decimal | None = None, free: Decimal = Decimal(0),
    source_id: UUID | None = None,
) -> None:  # fmt: skip
    at = datetime.combine(on, time(23, 50)).astimezone()
    values = (uuid7(at), account_id, kind, on, amount, quantity, free, counter,
              PRICE if kind == "usage" else None, source_id)  # fmt: skip
    for name, value in zip(MOVEMENT, values, strict=True):
        moves[name].append(value)


def _journal(
    scope: Scope, bought: list[tuple[UUID, Decimal]], used: list[tuple[UUID, Decimal]]
) -> UUID:
    ensure_accounts(scope)
    postings = [Posting(CHANNEL, ENERGY_LIABILITY, amount, "", room) for room, amount in bought]
    postings += [
        Posting(ENERGY_LIABILITY, ENERGY_INCOME, amount, "", room)
        for room, amount in used
        if amount
    ]
    return ledger.post(scope, "prepaid.demo", uuid7(), "演示：预付电费", postings).id


SUPPLIER = text(
    """
    select date_trunc('month', booked_on)::date as from_on, sum(quantity) as quantity,
           -sum(amount) as fen
    from prepaid.movement where community_id = :community and kind = 'usage' group by 1 order by 1
    """
)


def _supplier(scope: Scope) -> None:
    """Enter what the supplier charged: a little more was bought than resold."""
    for row in scope.session.execute(SUPPLIER, {"community": scope.community_id}).all():
        quantity = (row.quantity * Decimal("1.04")).quantize(Decimal(1))
        scope.session.add(
            SupplierBill(
                commodity="electricity", from_on=row.from_on,
                to_on=(row.from_on + timedelta(days=32)).replace(day=1), quantity=quantity,
                amount=(quantity * PRICE).quantize(Decimal("0.01")),
                number=f"4201-{row.from_on:%Y%m}",
            )
        )  # fmt: skip
    scope.session.flush()


def _bind(scope: Scope, meter_ids: Sequence[UUID]) -> None:
    """Bind the power and the relay of collected meters, so that loads are looked at."""
    query = select(DevicePoint.device_id, DevicePoint.subject_id).where(
        DevicePoint.subject_kind == "meters.meter", DevicePoint.subject_id.in_(meter_ids)
    )
    pairs = scope.session.execute(query).all()
    columns: dict[str, list[Any]] = {"device_id": [], "point": [], "subject_kind": [],
                                     "subject_id": []}  # fmt: skip
    for device_id, meter_id in pairs:
        for point in POWER_POINTS:
            columns["device_id"].append(device_id)
            columns["point"].append(point)
            columns["subject_kind"].append("meters.meter")
            columns["subject_id"].append(meter_id)
    insert_rows(scope, DevicePoint, columns, on_conflict="do nothing")
