"""What was owed, billed, received and waived in a month, by fee item, from the journal's days.

A bill's payments and waivers belong to its items in proportion, cut so that the parts add up to the
fen: an item's part is what the running sum of items gets less what it got before that item.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import text

from dougong.db import Scope
from dougong.i18n import gettext
from dougong_ledger.domain import WAIVED, yuan
from dougong_ledger.hookspecs import MonthEndItem

FIGURES = text(
    """
    with named as (
        select l.bill_id, i.name, sum(l.amount) as amount
        from fees.bill_line l
        join fees.fee_item i on i.community_id = l.community_id and i.id = l.fee_item_id
        where l.community_id = :community
        group by l.bill_id, i.name
        union all
        select b.id, :late_fee, b.amount from fees.bill b
        where b.community_id = :community and b.kind = 'late_fee'
        union all
        select b.id, :single, b.amount from fees.bill b
        where b.community_id = :community and b.kind = 'single'
        union all
        select b.id, i.name, b.amount from fees.bill b
        join fees.apportionment a on a.community_id = b.community_id
            and a.id = cast(b.trace ->> 'apportionment' as uuid)
        join fees.fee_item i on i.community_id = a.community_id and i.id = a.fee_item_id
        where b.community_id = :community and b.kind = 'apportionment'
    ), entry as (
        select kind, source_id, posted_on from ledger.journal_entry
        where community_id = :community and kind like 'fees.%' and posted_on < :to_on
    ), billed as (
        select b.id, b.amount, coalesce(p.posted_on, f.posted_on, a.posted_on,
                s.posted_on) as billed_on,
            case when b.state = 'withdrawn' then coalesce(w.posted_on, r.posted_on) end as gone_on
        from fees.bill b
        left join entry p on p.kind = 'fees.bill_run.published' and p.source_id = b.run_id
        left join entry f on f.kind = 'fees.late_fee' and f.source_id = b.id
        left join entry s on s.kind = 'fees.single' and s.source_id = b.id
        left join entry a on a.kind = 'fees.apportionment'
            and a.source_id = cast(b.trace ->> 'apportionment' as uuid)
        left join entry w on w.kind = 'fees.bill.withdrawn' and w.source_id = b.id
        left join entry r on r.kind = 'fees.bill_run.rolled_back' and r.source_id = b.run_id
        where b.community_id = :community and b.amount > 0 and b.state <> 'draft'
    ), settled as (
        select bill_id, sum(paid) filter (where day < :from_on) as paid0, sum(paid) as paid1,
            sum(waived) filter (where day < :from_on) as waived0, sum(waived) as waived1
        from (
            select bill_id, cast(settled_at at time zone :zone as date) as day, amount as paid,
                0 as waived
            from fees.bill_payment where community_id = :community
            union all
            select w.bill_id, e.posted_on, 0, w.amount
            from fees.waiver w
            join entry e on e.kind = 'fees.waiver' and e.source_id = w.id
            where w.community_id = :community
            union all
            select w.bill_id, e.posted_on, 0, -w.amount
            from fees.waiver w
            join entry e on e.kind = 'fees.waiver.lapsed' and e.source_id = w.id
            where w.community_id = :community
            union all
            select e.source_id, e.posted_on, 0, -l.amount
            from ledger.journal_entry e
            join ledger.journal_line l on l.community_id = e.community_id and l.entry_id = e.id
            join ledger.account a on a.community_id = l.community_id and a.id = l.credit_id
            where e.community_id = :community and e.kind = 'fees.bill.reversed'
              and a.code = :waived_account
        ) s where day < :to_on
        group by bill_id
    ), part as (
        select n.name, n.amount, b.amount as whole, b.billed_on, b.gone_on,
            sum(n.amount) over (partition by b.id order by n.name) as upto,
            coalesce(s.paid0, 0) as paid0, coalesce(s.paid1, 0) as paid1,
            coalesce(s.waived0, 0) as waived0, coalesce(s.waived1, 0) as waived1
        from billed b
        join named n on n.bill_id = b.id
        left join settled s on s.bill_id = b.id
        where b.billed_on is not null
    ), shared as (
        select name, billed_on >= :from_on as is_new,
            amount * (cast(billed_on < :from_on as int)
                - coalesce(cast(gone_on < :from_on as int), 0)) as billed0,
            amount * (1 - cast(gone_on is not null as int)) as billed1,
            div(paid0 * upto, whole) - div(paid0 * (upto - amount), whole) as paid0,
            div(paid1 * upto, whole) - div(paid1 * (upto - amount), whole) as paid1,
            div(waived0 * upto, whole) - div(waived0 * (upto - amount), whole) as waived0,
            div(waived1 * upto, whole) - div(waived1 * (upto - amount), whole) as waived1
        from part
    )
    select name, sum(billed0 - paid0 - waived0) as opening, sum(billed1 - billed0) as billed,
        sum(paid1 - paid0) as received, sum(waived1 - waived0) as waived,
        sum(billed1 - paid1 - waived1) as closing,
        coalesce(sum(paid1 - paid0) filter (where is_new), 0) as received_current,
        coalesce(sum(paid1 - paid0) filter (where not is_new), 0) as received_old,
        coalesce(sum(waived1 - waived0) filter (where is_new), 0) as waived_current
    from shared group by name order by name
    """
)
NAMES = ("opening", "billed", "received", "waived", "closing")
SPLIT = ("received_current", "received_old", "waived_current")


def month_end_figures(scope: Scope, from_on: date, to_on: date) -> Sequence[MonthEndItem]:
    """Return a month's figures by fee item, late fees as an item of their own."""
    rows = scope.session.execute(
        FIGURES,
        {
            "community": scope.community_id,
            "from_on": from_on,
            "to_on": to_on,
            "zone": str(scope.zone),
            "late_fee": gettext("Late fee"),
            "single": gettext("Single demands"),
            "waived_account": WAIVED,
        },
    )
    return [
        MonthEndItem(row.name, **{name: yuan(getattr(row, name)) for name in NAMES + SPLIT})
        for row in rows
    ]
