"""The statements of a bill run. One of them writes every bill and line of a community.

A charge is cut where price or payer changes inside the period, except that usage, which is one
figure, is split by days at a change of price and belongs to who pays on the last day. What months
a segment has is reckoned by ``dougong_fees.domain.periods`` for the few distinct segments there
are, and joined in: the law of periods stands in one place.

Ids are version 7 as everywhere, but numbered on from one for each statement, as RFC 9562 allows: a
fresh one per row takes as long as reckoning the row.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import TextClause, text

from dougong_fees.domain.formula import Formula, to_sql

IN_CHUNK = "r.id > :after and r.id <= :upto"
CHUNK = text(
    """
    select count(*) as rooms, max(id::text) as last from (
        select id from dougong.room
        where community_id = :community and id > :after
          and (cast(:building as uuid) is null or building_id = :building)
        order by id limit :most) r
    """
)
ANCHORED = "i.period_method in ('anchor_month', 'whole_months')"
ANCHOR = f"""case when {ANCHORED}
    then coalesce(c.anchor_day, extract(day from c.from_on)::int) else 1 end"""
IN_PERIOD = "c.from_on < :to_on and (c.to_on is null or c.to_on > :from_on)"
METERED = "(i.method = 'usage' or i.method = 'formula' and i.commodity is not null)"
CHOSEN = """i.community_id = :community and i.is_active
    and (cast(:item as uuid) is null or i.id = :item)"""

METHODS = text(
    f"""
    select i.period_method as method, 1 as anchor_day from fees.fee_item i
    where {CHOSEN} and not {METERED} and not {ANCHORED}
    union
    select i.period_method, {ANCHOR}
    from fees.charge c
    join fees.fee_item i on i.community_id = c.community_id and i.id = c.fee_item_id
    where c.community_id = :community and {IN_PERIOD} and {CHOSEN} and not {METERED}
        and {ANCHORED}
    """
)
CUT_DAYS = text(
    """
    select d from (
        select from_on from fees.fee_price where community_id = :community
        union select c.from_on from fees.charge c where c.community_id = :community
        union select c.to_on from fees.charge c where c.community_id = :community
        union select from_on from dougong.ownership where community_id = :community
        union select to_on from dougong.ownership where community_id = :community
        union select from_on from dougong.occupancy where community_id = :community and pays_fees
        union select to_on from dougong.occupancy where community_id = :community and pays_fees
    ) as cut (d) where d > :from_on and d < :to_on
    """
)
METERED_ROOMS = text(
    f"""
    select i.commodity, array_agg(distinct c.room_id) as rooms
    from fees.charge c
    join fees.fee_item i on i.community_id = c.community_id and i.id = c.fee_item_id
    join dougong.room r on r.community_id = c.community_id and r.id = c.room_id
    where c.community_id = :community and {IN_PERIOD} and {CHOSEN} and {METERED}
      and (cast(:building as uuid) is null or r.building_id = :building) and {IN_CHUNK}
    group by i.commodity
    """
)

PRICED = f"""
with wanted as materialized (
    select c.id as charge_id, c.room_id, c.fee_item_id, c.payer_id as agreed_payer_id,
        i.method, i.commodity, i.period_method, i.tier_span, {METERED} as is_metered,
        case i.rounding when 'fen' then 2 when 'jiao' then 1 else 0 end as places,
        {ANCHOR} as anchor_day,
        c.factor * case when r.state = 'vacant' then i.vacancy_factor else 1 end as factor,
        case i.method when 'fixed' then coalesce(c.quantity, 1)
            when 'area' then coalesce(c.quantity, case i.area_kind
                when 'inner' then r.inner_area else r.built_area end)
            when 'formula' then 1 end as quantity,
        r.built_area, r.inner_area, r.floor, r.room_kind,
        greatest(c.from_on, :from_on) as from_on,
        least(coalesce(c.to_on, :to_on), :to_on) as to_on
    from fees.charge c
    join fees.fee_item i on i.community_id = c.community_id and i.id = c.fee_item_id
    join dougong.room r on r.community_id = c.community_id and r.id = c.room_id
    where c.community_id = :community and {IN_PERIOD} and {CHOSEN}
      and (cast(:building as uuid) is null or r.building_id = :building) and {IN_CHUNK}
      and not exists (
        select from fees.bill_line l
        where l.community_id = :community and l.charge_id = c.id and not l.is_withdrawn
          and l.from_on < :to_on and l.to_on > :from_on)
), changed as (
    select room_id, from_on as day from dougong.ownership
    where community_id = :community and from_on > :from_on and from_on < :to_on
    union
    select room_id, to_on from dougong.ownership
    where community_id = :community and to_on > :from_on and to_on < :to_on
    union
    select room_id, from_on from dougong.occupancy
    where community_id = :community and pays_fees and from_on > :from_on and from_on < :to_on
    union
    select room_id, to_on from dougong.occupancy
    where community_id = :community and pays_fees and to_on > :from_on and to_on < :to_on
), cut as materialized (
    select w.charge_id, p.from_on as day from fees.fee_price p
    join wanted w on w.fee_item_id = p.fee_item_id
    where p.community_id = :community and p.from_on > :from_on and p.from_on < :to_on
      and p.from_on > w.from_on and p.from_on < w.to_on
    union
    select w.charge_id, n.day from changed n join wanted w on w.room_id = n.room_id
    where not w.is_metered and w.agreed_payer_id is null
      and n.day > w.from_on and n.day < w.to_on
), piece as (
    select w.*, w.from_on as start_on, w.to_on as end_on from wanted w
    where w.charge_id not in (select charge_id from cut)
    union all
    select w.*, k.day, lead(k.day, 1, w.to_on) over (partition by w.charge_id order by k.day)
    from wanted w join (
        select charge_id, day from cut
        union
        select w.charge_id, w.from_on from wanted w join cut on cut.charge_id = w.charge_id
    ) k on k.charge_id = w.charge_id
), segment as not materialized (
    select p.*, case when p.is_metered then p.end_on - 1 else p.start_on end as pays_on
    from piece p
), payer as materialized (
    select distinct on (a.room_id, a.pays_on) a.room_id, a.pays_on, o.person_id
    from (select distinct room_id, pays_on from segment where agreed_payer_id is null) a
    join (
        select room_id, person_id, from_on, to_on, share, 1 as place from dougong.ownership
        where community_id = :community
        union all
        select room_id, person_id, from_on, to_on, 1, 0 from dougong.occupancy
        where community_id = :community and pays_fees
    ) o on o.room_id = a.room_id and o.from_on <= a.pays_on
        and (o.to_on is null or o.to_on > a.pays_on)
    order by a.room_id, a.pays_on, o.place, o.share desc, o.from_on, o.person_id
), metered as (
    select * from unnest(
        cast(:rooms as uuid[]), cast(:commodities as text[]), cast(:meters as int[]),
        cast(:quantities as numeric[]), cast(:evidences as text[]), cast(:problems as text[])
    ) as u (room_id, commodity, meter, quantity, evidence, problem)
), period as (
    select * from unnest(
        cast(:methods as text[]), cast(:anchor_days as int[]), cast(:starts as date[]),
        cast(:ends as date[]), cast(:numerators as bigint[]), cast(:denominators as bigint[])
    ) as m (period_method, anchor_day, start_on, end_on, numerator, denominator)
), prior as (
    select l.charge_id, sum(l.quantity) as quantity
    from fees.bill_line l
    where l.community_id = :community and not l.is_withdrawn
      and l.from_on >= :year_on and l.to_on <= :from_on
      and l.fee_item_id in (
        select id from fees.fee_item
        where community_id = :community and method = 'usage'
          and (tier_span = 'year' or tier_span = 'month' and l.from_on >= :month_on))
    group by l.charge_id
), people as (
    select room_id, count(distinct person_id) as persons
    from dougong.occupancy
    where community_id = :community and :counts_people
      and from_on < :to_on and (to_on is null or to_on >= :to_on)
    group by room_id
), priced as (
    select s.charge_id, s.room_id, s.fee_item_id, s.method, s.is_metered, s.tier_span, s.factor,
        s.places, s.start_on, s.end_on, p.id as price_id, p.unit_price, p.addition,
        coalesce(s.agreed_payer_id, who.person_id) as payer_id,
        case when s.is_metered then 1 else m.numerator end as numerator,
        case when s.is_metered then 1 else m.denominator end as denominator,
        case when not s.is_metered then s.quantity
            else round(u.quantity * (s.end_on - s.from_on) / (s.to_on - s.from_on), 6)
               - round(u.quantity * (s.start_on - s.from_on) / (s.to_on - s.from_on), 6)
            end as quantity,
        coalesce(u.meter, 0) as meter, cast(u.evidence as jsonb) as evidence,
        s.built_area, s.inner_area, s.floor, s.room_kind,
        case when p.id is null then 'no_price'
            when s.is_metered and u.room_id is null then 'no_meter'
            when s.is_metered and u.quantity is null then u.problem
            when s.method = 'area' and s.quantity is null then 'no_area' end as problem,
        case when s.tier_span = 'bill' then 0 else coalesce(before.quantity, 0) end as before,
        coalesce(h.persons, 0) as persons,
        case when coalesce(h.persons, 0) < p.head_count_from then 0
            when p.is_extra_per_person
            then p.head_count_extra * (coalesce(h.persons, 0) - p.head_count_from + 1)
            else p.head_count_extra end as extra
    from segment s
    left join payer who on who.room_id = s.room_id and who.pays_on = s.pays_on
    left join fees.fee_price p on p.community_id = :community and p.fee_item_id = s.fee_item_id
        and p.from_on <= s.start_on and (p.to_on is null or p.to_on > s.start_on)
    left join period m on m.period_method = s.period_method and m.anchor_day = s.anchor_day
        and m.start_on = s.start_on and m.end_on = s.end_on
    left join metered u on s.is_metered and u.room_id = s.room_id
        and u.commodity = s.commodity
    left join prior before on before.charge_id = s.charge_id
    left join people h on h.room_id = s.room_id
)"""

# What formulas call the facts of a segment.
FACTS = {
    "area": "p.built_area",
    "inner_area": "p.inner_area",
    "floor": "cast(p.floor as numeric)",
    "persons": "cast(p.persons as numeric)",
    "kind": "p.room_kind",
    "usage": "p.quantity",
    "price": "p.unit_price",
}
FORMULA_PROOF = """case when p.method <> 'formula' then p.evidence
    else coalesce(p.evidence, '{{}}') || {} || jsonb_build_object('facts', jsonb_strip_nulls(
        jsonb_build_object('area', p.built_area, 'inner_area', p.inner_area, 'floor', p.floor,
            'persons', p.persons, 'kind', p.room_kind,
            'usage', case when p.is_metered then p.quantity end, 'price', p.unit_price))) end"""
CHECKED = """, gap as (
    select price_id from (
        select price_id, up_to, above, lag(up_to, 1, 0) over (
            partition by price_id order by above) as before, count(*) filter (where up_to is null)
            over (partition by price_id) as open_ended
        from fees.price_tier where community_id = :community) t
    where above <> before or open_ended = 0
), valued as (
    select p.*, {worth} as worth, {proof} as proven from priced p
), checked as materialized (
    select charge_id, room_id, fee_item_id, method, is_metered, tier_span, factor, places,
        start_on, end_on, price_id, unit_price, addition, payer_id, numerator, denominator,
        quantity, meter, before, persons, extra, worth, proven as evidence,
        case when problem is not null then problem
            when price_id in (select price_id from gap) then 'tier_gap'
            when method <> 'formula' then null
            when worth is null then 'no_value' when worth < 0 then 'negative' end as problem
    from valued"""
WRITE = """
), good as not materialized (
    select * from checked where problem is null and payer_id is not null
), flat as (
    select g.*, 32 * g.meter as part, g.quantity as share, g.unit_price as price,
        cast(null as numeric) as used_before
    from good g where g.method <> 'usage'
), used as (
    select g.*, g.before + coalesce(sum(g.quantity) over (
        partition by g.charge_id order by g.start_on, g.meter
        rows between unbounded preceding and 1 preceding), 0) as used_before
    from good g where g.method = 'usage'
), tier as (
    select price_id, above, up_to, unit_price,
        row_number() over (partition by price_id order by above) - 1 as step
    from fees.price_tier where community_id = :community
), fitted as (
    select u.*, t.step, t.unit_price as tier_price, case when u.tier_span = 'month' then :spans
            else 1 end as spans, t.price_id as tier_of,
        t.above + case when t.above > 0 then coalesce(u.extra, 0) else 0 end as above,
        t.up_to + coalesce(u.extra, 0) as up_to
    from used u left join tier t on t.price_id = u.price_id
), stepped as (
    select f.*, coalesce(f.step, 0) + 32 * f.meter as part,
        case when f.tier_of is null then f.quantity
            else least(f.used_before + f.quantity, f.up_to * f.spans)
                - greatest(f.used_before, f.above * f.spans) end as share,
        coalesce(f.tier_price, f.unit_price) as price,
        case when f.tier_of is null then f.evidence else coalesce(f.evidence, '{}')
            || jsonb_strip_nulls(jsonb_build_object('tier', f.step + 1, 'above', f.above * f.spans,
                'up_to', f.up_to * f.spans, 'persons', case when f.extra > 0 then f.persons end,
                'extra', nullif(f.extra, 0))) end as proof
    from fitted f
), line as materialized (
    select room_id, payer_id, charge_id, fee_item_id, price_id, start_on, end_on, part, share,
        price, addition, factor, numerator, denominator, used_before, evidence,
        cast(round(case when method = 'formula'
            then (worth + addition * 0.01) * numerator * factor / denominator
            when numerator = denominator and factor = 1 and addition = 0 then share * price
            when numerator = denominator then (share * price + addition * 0.01) * factor
            else (share * price + addition * 0.01) * numerator * factor / denominator end, places)
            * 100 as bigint) as amount
    from flat
    union all
    select room_id, payer_id, charge_id, fee_item_id, price_id, start_on, end_on, part, share,
        price, 0, factor, 1, 1, used_before, proof,
        cast(round(share * price * factor, places) * 100 as bigint)
    from stepped where share > 0
), head as materialized (
    select left(replace(cast(uuidv7() as text), '-', ''), 24) as bill,
        left(replace(cast(uuidv7() as text), '-', ''), 24) as line
), new_bill as (
    insert into fees.bill
        (community_id, id, run_id, kind, title, room_id, payer_id, from_on, to_on, due_on, amount,
         state)
    select :community,
        cast((select bill from head) || lpad(to_hex(row_number() over ()), 8, '0') as uuid),
        :run, 'fees', :title, room_id, payer_id, min(start_on), max(end_on),
        :due_on, sum(amount), 'draft'
    from line group by room_id, payer_id
    returning id, room_id, payer_id, amount
), new_line as (
    insert into fees.bill_line
        (community_id, id, bill_id, charge_id, fee_item_id, price_id, from_on, to_on, part,
         quantity, unit_price, addition, factor, months_numerator, months_denominator,
         used_before, amount, evidence)
    select :community,
        cast((select line from head) || lpad(to_hex(row_number() over ()), 8, '0') as uuid),
        b.id, l.charge_id, l.fee_item_id, l.price_id, l.start_on, l.end_on, l.part,
        l.share, l.price, l.addition, l.factor, l.numerator, l.denominator, l.used_before,
        l.amount, l.evidence
    from line l left join new_bill b on b.room_id = l.room_id and b.payer_id = l.payer_id
)
select (select count(*) from new_bill) as bills, (select count(*) from line) as lines,
    (select coalesce(sum(amount), 0) from new_bill) as amount,
    (select coalesce(jsonb_agg(jsonb_build_object('room', code, 'item', name, 'problem', problem)),
        '[]')
     from (select r.code, i.name, coalesce(p.problem, 'no_payer') as problem
           from checked p
           join dougong.room r on r.community_id = :community and r.id = p.room_id
           join fees.fee_item i on i.community_id = :community and i.id = p.fee_item_id
           where p.problem is not null or p.payer_id is null
           order by r.sort_key, i.code limit 500) found) as problems
"""


def bill_statement(formulas: Mapping[UUID, Formula]) -> TextClause:
    """Return the statement that writes a run's bills. formulas: of the fee items that have one.

    A formula sees the room as it is, and the usage and price of the segment. It has no value when
    something is missing; such a line, and one below zero, is a problem and not billed.
    """
    worth = "".join(
        f" when cast('{item}' as uuid) then {to_sql(formula, FACTS)}"
        for item, formula in formulas.items()
    )
    worth = f"case p.fee_item_id{worth} end" if worth else "cast(null as numeric)"
    texts = "".join(
        f" when cast('{item}' as uuid) then jsonb_build_object('formula', cast(:f{n} as text))"
        for n, item in enumerate(formulas)
    )
    proof = FORMULA_PROOF.format(f"case p.fee_item_id{texts} end") if texts else "p.evidence"
    return text(f"{PRICED}{CHECKED.format(worth=worth, proof=proof)}{WRITE}")


PUBLISH = text(
    """
    update fees.bill set state = case when amount = 0 then 'paid' else 'open' end
    where community_id = :community and run_id = :run and state = 'draft'
    """
)
# How many calendar months lie before a day, as `PeriodMethod.CALENDAR_MONTH` counts them.
_MONTHS = (
    "(extract(year from {day}) * 12 + extract(month from {day}) + (extract(day from {day}) - 1)"
    " / extract(day from date_trunc('month', {day}) + interval '1 month - 1 day'))"
)
_BEGIN, _END, _DAY = (
    _MONTHS.format(day=day) for day in ("l.from_on", "l.to_on", "cast({day} as date)")
)
# What of a line's fen is income by a day; all of it where the day is null.
_EARNED = f"""case when {{day}} is null or {{day}} >= l.to_on then l.amount
    when {{day}} <= l.from_on then 0
    else cast(round(l.amount * ({_DAY} - {_BEGIN}) / ({_END} - {_BEGIN})) as bigint) end"""
EARNED = _EARNED.format(day="cast(:earned_to as date)")
# Lines are looked up bill by bill, whatever the planner thinks of loops (`offset 0`): joined they
# would be read with all the years before them.
INCOME = text(
    f"""
    select i.account_code as code, i.name, sum(t.amount) as amount, sum(t.earned) as earned
    from (
        select l.fee_item_id, sum(l.amount) as amount, sum({EARNED}) as earned
        from fees.bill b cross join lateral (
            select fee_item_id, amount, from_on, to_on from fees.bill_line
            where community_id = b.community_id and bill_id = b.id offset 0) l
        where b.community_id = :community and b.run_id = :run group by l.fee_item_id
    ) t join fees.fee_item i on i.community_id = :community and i.id = t.fee_item_id
    group by i.account_code, i.name having sum(t.amount) > 0 order by 1, 2
    """
)
INCOME_OF_BILL = text(
    f"""
    select i.account_code as code, i.name, sum(l.amount) as amount, sum({EARNED}) as earned
    from fees.bill_line l
    join fees.fee_item i on i.community_id = l.community_id and i.id = l.fee_item_id
    where l.community_id = :community and l.bill_id = :bill
    group by i.account_code, i.name having sum(l.amount) > 0 order by 1, 2
    """
)
# What runs of several months earned since they were looked at, until a day.
TO_EARN = text(
    f"""
    select i.account_code as code, i.name,
        sum({_EARNED.format(day="cast(:until as date)")}
            - {_EARNED.format(day="r.earned_to_on")}) as amount
    from fees.bill_run r
    join fees.bill b on b.community_id = r.community_id and b.run_id = r.id
    cross join lateral (
        select community_id, fee_item_id, amount, from_on, to_on from fees.bill_line
        where community_id = b.community_id and bill_id = b.id and not is_withdrawn offset 0) l
    join fees.fee_item i on i.community_id = l.community_id and i.id = l.fee_item_id
    where r.community_id = :community and r.id = any (:runs)
    group by i.account_code, i.name order by 1, 2
    """
)
DROP_DRAFT = (
    text(
        """
        delete from fees.bill_line l using fees.bill b
        where b.community_id = :community and b.run_id = :run and b.state = 'draft'
          and l.community_id = b.community_id and l.bill_id = b.id
        """
    ),
    text(
        "delete from fees.bill where community_id = :community and run_id = :run"
        " and state = 'draft'"
    ),
)
WITHDRAW = text(
    f"""
    with untouched as (
        select b.id from fees.bill b
        where b.community_id = :community and b.run_id = :run
          and b.state in ('open', 'paid') and b.paid = 0 and b.waived = 0
          and not exists (select from fees.bill f where f.community_id = b.community_id
            and f.parent_id = b.id and f.state <> 'withdrawn')
        for update
    ), gone as (
        update fees.bill b set state = 'withdrawn' from untouched u
        where b.community_id = :community and b.id = u.id
    ), lines as (
        update fees.bill_line l set is_withdrawn = true from untouched u
        where l.community_id = :community and l.bill_id = u.id
        returning l.fee_item_id, l.amount, l.from_on, l.to_on
    )
    select i.account_code as code, i.name, sum(l.amount) as amount, sum({EARNED}) as earned
    from lines l
    join fees.fee_item i on i.community_id = :community and i.id = l.fee_item_id
    group by i.account_code, i.name having sum(l.amount) > 0 order by 1, 2
    """
)
KEPT = text(
    """
    select r.code, b.amount from fees.bill b
    join dougong.room r on r.community_id = b.community_id and r.id = b.room_id
    where b.community_id = :community and b.run_id = :run
      and b.state not in ('withdrawn', 'draft')
    order by r.sort_key limit 500
    """
)
