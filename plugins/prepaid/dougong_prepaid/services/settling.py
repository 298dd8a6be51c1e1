"""Usage off the balances: counters followed, free quota first, one row per room and day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.db import Scope, uuid7
from dougong.i18n import N_, gettext
from dougong_ledger import services as ledger
from dougong_ledger.domain import AccountKind, Posting
from dougong_meters.domain import looks_like_rollover
from dougong_meters.models import Commodity
from dougong_prepaid.domain import (
    ENERGY_INCOME,
    ENERGY_LIABILITY,
    ZERO,
    PeriodKind,
    charge,
    share_free,
)
from dougong_prepaid.models import Tariff
from dougong_prepaid.services.rules import periods, tariffs

NO_METER = N_("No meter hangs in the room.")
FELL = N_("The counter is lower than what was charged.")

# Accounts whose meter was read since, with the meter that was followed before it was replaced.
TO_SETTLE = text(
    """
    select a.id, a.commodity, a.carried, a.meter_id, a.counted, a.problem,
           a.month_on, a.month_used, a.month_free,
           m.id as now_id, m.last_value, m.last_read_at, m.install_value, m.multiplier, m.digits,
           b.removal_value, b.multiplier as old_multiplier, m.replaces_id,
           (select count(distinct o.person_id) from dougong.occupancy o
            where o.community_id = a.community_id and o.room_id = a.room_id
              and o.from_on <= :today and (o.to_on is null or o.to_on > :today)) as persons
    from prepaid.energy_account a
    left join lateral (
        select * from meters.meter
        where community_id = a.community_id and room_id = a.room_id and commodity = a.commodity
          and state = 'installed' and role = 'own'
        order by installed_on desc, id limit 1
    ) m on true
    left join meters.meter b on b.community_id = a.community_id and b.id = a.meter_id
         and b.id <> m.id
    where a.community_id = :community and a.closed_on is null
      and (m.id is null and a.problem is null
           or m.last_read_at > coalesce(a.counted_at, '-infinity'))
    order by a.id
    for update of a
    """
)
FOLLOW = text(
    """
    update prepaid.energy_account a set
        balance = a.balance - n.fen, carried = n.carried, meter_id = n.meter_id,
        counted = n.counted, counted_at = n.counted_at, month_on = :month,
        month_used = n.month_used, month_free = n.month_free, problem = null
    from unnest(cast(:ids as uuid[]), cast(:fens as bigint[]), cast(:carrieds as numeric[]),
                cast(:meters as uuid[]), cast(:counteds as numeric[]),
                cast(:instants as timestamptz[]), cast(:useds as numeric[]),
                cast(:frees as numeric[]))
         as n(id, fen, carried, meter_id, counted, counted_at, month_used, month_free)
    where a.community_id = :community and a.id = n.id
    """
)
BOOK = text(
    """
    insert into prepaid.movement as u
        (community_id, id, account_id, kind, booked_on, amount, quantity, free, counter, price)
    select :community, n.id, n.account_id, 'usage', :on, -n.fen, n.quantity, n.free, n.counter,
           n.price
    from unnest(cast(:rows as uuid[]), cast(:ids as uuid[]), cast(:fens as bigint[]),
                cast(:quantities as numeric[]), cast(:free_parts as numeric[]),
                cast(:counteds as numeric[]), cast(:prices as numeric[]))
         as n(id, account_id, fen, quantity, free, counter, price)
    on conflict (community_id, account_id, booked_on) where kind = 'usage' do update set
        amount = u.amount + excluded.amount, quantity = u.quantity + excluded.quantity,
        free = u.free + excluded.free, counter = excluded.counter, price = excluded.price
    """
)
MARK = text(
    """
    update prepaid.energy_account a set problem = n.problem
    from unnest(cast(:ids as uuid[]), cast(:problems as text[])) as n(id, problem)
    where a.community_id = :community and a.id = n.id and a.problem is distinct from n.problem
    """
)
TO_POST = text(
    """
    select m.id, m.account_id, -m.amount as fen, a.room_id
    from prepaid.movement m
    join prepaid.energy_account a on a.community_id = m.community_id and a.id = m.account_id
    where m.community_id = :community and m.entry_id is null and m.kind = 'usage'
      and m.booked_on < :today
    order by m.id for update of m
    """
)
POSTED = text(
    """
    update prepaid.movement set entry_id = :entry
    where community_id = :community and id = any (:ids)
    """
)


@dataclass(frozen=True)
class Used:
    """What one account used since it was looked at."""

    account_id: UUID
    meter_id: UUID
    counted: Decimal
    counted_at: datetime
    quantity: Decimal
    free: Decimal
    charged: Decimal
    carried: Decimal
    price: Decimal
    month_used: Decimal
    month_free: Decimal


def settle_usage(scope: Scope) -> int:
    """Charge what was used since the last time; return how many accounts were followed.

    A few statements for all rooms of the community. Accounts whose counter cannot be followed, or
    whose energy has no price, say why and stay as they are.
    """
    prices, vacation = tariffs(scope), PeriodKind.VACATION in periods(scope, scope.today)
    given = {"community": scope.community_id, "today": scope.today}
    done: list[Used] = []
    wrong: dict[UUID, str] = {}
    for row in scope.session.execute(TO_SETTLE, given).all():
        price = prices.get(Commodity(row.commodity))
        problem = _problem(row, price)
        if problem is not None or price is None:
            wrong[row.id] = problem or ""
        else:
            done.append(_used(scope, row, price, is_free=not vacation))
    if wrong:
        columns = {"ids": list(wrong), "problems": [gettext(p) for p in wrong.values()]}
        scope.session.execute(MARK, {"community": scope.community_id, **columns})
    if done:
        _write(scope, done)
    scope.session.expire_all()
    return len(done)


def _problem(row: Any, price: Tariff | None) -> str | None:
    if row.now_id is None:
        return NO_METER
    if price is None:
        return N_("The energy has no price yet.")
    return FELL if _moved(row) < 0 else None


def _moved(row: Any) -> Decimal:
    """Return what the counter moved, over a replacement of the meter, times the multiplier."""
    if row.meter_id is None or row.counted is None:
        return ZERO
    if row.meter_id != row.now_id:
        if row.replaces_id != row.meter_id or row.removal_value is None:
            return Decimal(-1)
        return (row.removal_value - row.counted) * row.old_multiplier + (
            row.last_value - row.install_value
        ) * row.multiplier
    moved = row.last_value - row.counted
    if looks_like_rollover(row.counted, row.last_value, row.digits):
        moved += Decimal(10) ** row.digits
    return moved * row.multiplier


def _used(scope: Scope, row: Any, price: Tariff, *, is_free: bool) -> Used:
    quantity = _moved(row)
    is_same = row.month_on == scope.today.replace(day=1)
    used, free_before = (row.month_used, row.month_free) if is_same else (ZERO, ZERO)
    quota = price.free_per_person * row.persons if is_free else ZERO
    free, billed = share_free(quantity, quota, free_before)
    charged, carried = charge(row.carried, billed, price.price)
    return Used(
        account_id=row.id,
        meter_id=row.now_id,
        counted=row.last_value,
        counted_at=row.last_read_at,
        quantity=quantity,
        free=free,
        charged=charged,
        carried=carried,
        price=price.price,
        month_used=used + quantity,
        month_free=free_before + free,
    )


def _write(scope: Scope, done: Sequence[Used]) -> None:
    moved = [each for each in done if each.quantity > 0]
    shared = {"community": scope.community_id}
    scope.session.execute(
        FOLLOW,
        {
            **shared,
            "month": scope.today.replace(day=1),
            "ids": [u.account_id for u in done],
            "fens": [int(u.charged * 100) for u in done],
            "carrieds": [u.carried for u in done],
            "meters": [u.meter_id for u in done],
            "counteds": [u.counted for u in done],
            "instants": [u.counted_at for u in done],
            "useds": [u.month_used for u in done],
            "frees": [u.month_free for u in done],
        },
    )
    if moved:
        scope.session.execute(
            BOOK,
            {
                **shared,
                "on": scope.today,
                "rows": [uuid7() for _ in moved],
                "ids": [u.account_id for u in moved],
                "fens": [int(u.charged * 100) for u in moved],
                "quantities": [u.quantity for u in moved],
                "free_parts": [u.free for u in moved],
                "counteds": [u.counted for u in moved],
                "prices": [u.price for u in moved],
            },
        )


def post_usage(scope: Scope) -> int:
    """Post the usage of past days to the journal, as one entry; return how many rows it has.

    Balances below zero make the liability's balance smaller; accountants show them as receivable.
    """
    rows = scope.session.execute(
        TO_POST, {"community": scope.community_id, "today": scope.today}
    ).all()
    if not rows:
        return 0
    ensure_accounts(scope)
    title = gettext("Prepaid energy used")
    postings = [
        Posting(ENERGY_LIABILITY, ENERGY_INCOME, Decimal(row.fen) / 100, room_id=row.room_id)
        for row in rows
        if row.fen > 0
    ]
    entry = ledger.post(scope, "prepaid.usage", rows[0].id, title, postings)
    scope.session.execute(
        POSTED,
        {"community": scope.community_id, "entry": entry.id, "ids": [row.id for row in rows]},
    )
    scope.session.expire_all()
    return len(rows)


def ensure_accounts(scope: Scope) -> None:
    """Give the books the accounts of prepaid energy."""
    ledger.ensure_account(scope, ENERGY_LIABILITY, AccountKind.LIABILITY, "预收账款—预付费能源")
    ledger.ensure_account(scope, ENERGY_INCOME, AccountKind.INCOME, "能源转供收入")
