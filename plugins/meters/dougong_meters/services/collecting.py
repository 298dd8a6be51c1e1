"""Counters that come from the wire, stored in bulk."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from dougong.db import Scope, uuid7
from dougong.i18n import gettext
from dougong_meters.services.counters import forget_after
from dougong_meters.services.readings import REASONS, Verdict

# What an interval already holds is looked up for each reading: as an anti-join it would be merged
# with every reading that the community ever had.
COLLECT = text(
    """
    with incoming as (
        select * from unnest(:ids ::uuid[], :meters ::uuid[], :values ::numeric[],
                             :instants ::timestamptz[]) as t(id, meter_id, value, read_at)
    ), timed as (
        select i.*, date_bin(cast(:every as interval), read_at, 'epoch') as span from incoming i
    ), known as (
        select distinct on (i.meter_id, i.span) i.*, m.last_value,
               coalesce(i.value < m.last_value, false) as fell,
               coalesce(m.last_value >= 0.9 * 10::numeric ^ m.digits
                        and i.value <= 0.1 * 10::numeric ^ m.digits, false) as rolled
        from timed i
        join meters.meter m on m.community_id = :community and m.id = i.meter_id
        left join lateral (
            select true as is_there from meters.reading r
            where r.community_id = :community and r.meter_id = i.meter_id
              and r.source = 'collector' and r.read_at >= i.span
              and r.read_at < i.span + cast(:every as interval) limit 1) k on true
        where m.state = 'installed' and k.is_there is null
        order by i.meter_id, i.span, i.read_at
    )
    insert into meters.reading
        (community_id, id, meter_id, read_at, value, kind, source, state, reason)
    select :community, id, meter_id, read_at, value,
           case when fell and rolled then 'rollover' else 'normal' end, 'collector',
           case when fell and not rolled then 'suspect' else 'accepted' end,
           case when fell and not rolled then :backwards end
    from known
    on conflict on constraint uq_reading_meter_read_at do nothing
    returning meter_id, read_at, value, state
    """
)
REMEMBER = text(
    """
    update meters.meter m set last_value = n.value, last_read_at = n.read_at
    from (select distinct on (meter_id) * from unnest(:meters ::uuid[], :values ::numeric[],
          :instants ::timestamptz[]) as t(meter_id, value, read_at)
          order by meter_id, read_at desc) n
    where m.community_id = :community and m.id = n.meter_id
      and (m.last_read_at is null or m.last_read_at < n.read_at)
    """
)


def collect(scope: Scope, readings: Sequence[tuple[UUID, Decimal, datetime]]) -> int:
    """Store counters that came from the wire, in bulk; return how many were new.

    readings: (meter id, counter, instant). Of the readings of a meter within one interval of
    ``meters.collect_minutes`` (on the clock) the first is kept; what the meter shows this minute is
    the device's latest value. A counter that fell from its last tenth into its first has started
    again; any other that fell is stored as suspect and does not count until someone accepts it.
    """
    if not readings:
        return 0
    rows = scope.session.execute(
        COLLECT,
        {
            "community": scope.community_id,
            "every": timedelta(minutes=int(scope.setting("meters.collect_minutes", 60))),
            "ids": [uuid7(at) for _, _, at in readings],
            "meters": [meter for meter, _, _ in readings],
            "values": [value for _, value, _ in readings],
            "instants": [at for _, _, at in readings],
            "backwards": gettext(REASONS[Verdict.BACKWARDS]),
        },
    ).all()
    good = [row for row in rows if row.state == "accepted"]
    forget_after(scope.session, scope.community_id, [(row.meter_id, row.read_at) for row in good])
    if good:
        scope.session.execute(
            REMEMBER,
            {
                "community": scope.community_id,
                "meters": [row.meter_id for row in good],
                "values": [row.value for row in good],
                "instants": [row.read_at for row in good],
            },
        )
    return len(rows)
