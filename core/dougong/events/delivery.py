"""Delivers what waits in the outbox; run by the worker."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from sqlalchemy import select, text, update

from dougong.db.scope import Actor, Scope
from dougong.events import DELIVER
from dougong.events.models import EventDelivery, EventState, OutboxEvent
from dougong.events.queue import defer
from dougong.hookspecs import Event
from dougong.limits import DELIVERY_S, Overrun, limited

if TYPE_CHECKING:
    from dougong.installation import Installation

log = structlog.get_logger(__name__)

ACTOR = Actor.system("events")
MOST_ATTEMPTS = 12
LONGEST_PAUSE_S = 3600
KEPT = timedelta(days=30)
WAIT_FOR_REPAIR = timedelta(minutes=1)


def deliver(installation: "Installation", community_id: UUID) -> int:
    """Deliver every fact that is due in a community, oldest first; return how many arrived.

    One that fails is due again later and does not hold up the others.
    """
    delivered = 0
    with installation.scope(ACTOR, community=community_id) as scope:
        due = scope.session.scalars(
            select(EventDelivery.id)
            .where(EventDelivery.state == EventState.WAITING, EventDelivery.due_at <= scope.now)
            .order_by(EventDelivery.event_id, EventDelivery.id)
        ).all()
    for delivery_id in due:

        def stuck(error: Overrun, delivery_id: UUID = delivery_id) -> None:
            _postpone(installation, community_id, delivery_id, error)

        try:
            delivered += _deliver_one(installation, community_id, delivery_id, stuck)
        except Exception as error:  # noqa: BLE001 - the plugin boundary; counted by the hook caller
            _postpone(installation, community_id, delivery_id, error)
    return delivered


def _deliver_one(
    installation: "Installation",
    community_id: UUID,
    delivery_id: UUID,
    stuck: Callable[[Overrun], None],
) -> bool:
    """Tell one plugin one fact; the mark and what the plugin writes commit together."""
    with installation.scope(ACTOR, community=community_id) as scope:
        row = scope.session.execute(
            select(EventDelivery, OutboxEvent)
            .join(EventDelivery.event)
            .where(EventDelivery.id == delivery_id, EventDelivery.state == EventState.WAITING)
            .with_for_update(of=EventDelivery, skip_locked=True)
        ).first()
        if row is None:
            return False
        delivery, event = row
        if delivery.plugin not in scope.enabled:
            _leave_out(scope, delivery)
            return False
        fact = Event(event.id, event.name, event.ids)
        with limited(f"{event.name} for {delivery.plugin}", DELIVERY_S, stuck) as limit:
            limit.of(scope)
            installation.plugins.hooks.tell(scope, delivery.plugin, "event_happened", event=fact)
        delivery.state, delivery.error = EventState.DELIVERED, None
        delivery.attempts += 1
        return True


def _leave_out(scope: Scope, delivery: EventDelivery) -> None:
    """Wait for a plugin that is broken or in quarantine; forget one that was switched off."""
    with scope.installation.access() as session:
        is_on = session.execute(
            text(
                "select 1 from dougong.plugin_enablement e join dougong.plugin p using (plugin)"
                " where e.plugin = :plugin and e.community_id = :community"
                " and p.state in ('quarantined', 'error', 'needs_upgrade', 'installed')"
            ),
            {"plugin": delivery.plugin, "community": scope.community_id},
        ).first()
    if is_on is None:
        delivery.state = EventState.SKIPPED
    else:
        delivery.due_at = scope.now + WAIT_FOR_REPAIR
        wake(scope, at_in=WAIT_FOR_REPAIR)


def _postpone(
    installation: "Installation", community_id: UUID, delivery_id: UUID, error: Exception
) -> None:
    with installation.scope(ACTOR, community=community_id) as scope:
        delivery = scope.get(EventDelivery, delivery_id, lock=True)
        delivery.attempts += 1
        delivery.error = f"{type(error).__name__}: {error}"[:500]
        if delivery.attempts >= MOST_ATTEMPTS:
            delivery.state = EventState.FAILED
            log.error("event given up", plugin=delivery.plugin, delivery=str(delivery_id))
            return
        pause = timedelta(seconds=min(2**delivery.attempts, LONGEST_PAUSE_S))
        delivery.due_at = scope.now + pause
        wake(scope, at_in=pause)


def wake(scope: Scope, at_in: timedelta = timedelta()) -> None:
    """Enqueue a round of deliveries for the scope's community."""
    community = str(scope.community_id)
    defer(
        scope,
        DELIVER,
        {"community": community},
        lock=f"events:{community}",
        queue="events",
        at=scope.now + at_in,
    )


def retry(scope: Scope, delivery_id: UUID) -> None:
    """Make a delivery that was given up due again."""
    scope.session.execute(
        update(EventDelivery)
        .where(EventDelivery.id == delivery_id, EventDelivery.state == EventState.FAILED)
        .values(state=EventState.WAITING, attempts=0, due_at=scope.now)
    )
    wake(scope)


def forget_old(installation: "Installation") -> int:
    """Delete facts older than ``KEPT`` that nobody waits for; return how many."""
    with installation.platform() as session:
        done = session.execute(
            text(
                "delete from dougong.outbox_event e where e.at < now() - :kept"
                " and not exists (select from dougong.event_delivery d"
                " where d.community_id = e.community_id and d.event_id = e.id"
                " and d.state = 'waiting')"
            ),
            {"kept": KEPT},
        )
        return done.rowcount  # type: ignore[attr-defined]
