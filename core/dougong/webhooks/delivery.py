"""From a fact to a delivery, and from a delivery to its end: told, or given up.

A delivery is written in the transaction of its fact. The worker claims what is due, sends it with
no transaction open, and writes down what became of it; a worker that dies in between leaves a claim
that runs out, so a receiver may see the same delivery twice (``Dougong-Delivery`` tells).
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import delete, select

from dougong.db.scope import Actor, Scope
from dougong.webhooks.models import WebhookDelivery, WebhookState, WebhookSubscription
from dougong.webhooks.sending import Outcome, Parcel, send_all

if TYPE_CHECKING:
    from dougong.events.models import OutboxEvent
    from dougong.installation import Installation

log = structlog.get_logger(__name__)

TASK = "dougong.webhooks"
ACTOR = Actor.system("webhooks")
CLAIM = timedelta(seconds=60)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10, 6 * 3600
MOST_ATTEMPTS = 12
AT_ONCE = 40
KEPT = timedelta(days=30)
GONE = 410


def note(scope: Scope, events: "Iterable[OutboxEvent]") -> None:
    """Write a delivery for every subscriber of facts that were just written to the outbox."""
    subscriptions = _subscriptions(scope)
    written = 0
    for event in events if subscriptions else ():
        for subscription in subscriptions:
            if subscription.wants(event.name):
                put(scope, subscription, event.id, event.name, event.ids, scope.now)
                written += 1
    if written:
        wake(scope)


def _subscriptions(scope: Scope) -> Sequence[WebhookSubscription]:
    """Return who listens in this community; read once per transaction."""
    known = scope.session.info.get("webhook_subscriptions")
    if known is None:
        with scope.session.no_autoflush:
            known = scope.session.scalars(
                select(WebhookSubscription).where(WebhookSubscription.is_active)
            ).all()
        scope.session.info["webhook_subscriptions"] = known
    return known


def put(
    scope: Scope,
    subscription: WebhookSubscription,
    event_id: UUID,
    event: str,
    ids: Mapping[str, Any],
    at: datetime,
) -> WebhookDelivery:
    """Write one delivery, due now."""
    made = WebhookDelivery(
        subscription_id=subscription.id,
        event_id=event_id,
        event=event,
        ids=dict(ids),
        happened_at=at,
        due_at=at,
    )
    scope.session.add(made)
    return made


def wake(scope: Scope, after: timedelta = timedelta()) -> None:
    """Have the worker look at this community's deliveries, once per transaction and pause."""
    from dougong.events.queue import defer

    woken = scope.session.info.setdefault("webhooks_woken", set())
    if after in woken:
        return
    woken.add(after)
    community = str(scope.community_id)
    at = scope.now + after if after else None
    defer(scope, TASK, {"community": community}, lock=f"webhooks:{community}", at=at)


# --- the worker's part ----------------------------------------------------------------------------


def deliver(installation: "Installation", community_id: UUID) -> int:
    """Send everything that is due in a community; return how many arrived.

    What fails is due again after a growing pause, and given up after twelve attempts (two days).
    """
    arrived = 0
    while True:
        with installation.scope(ACTOR, community=community_id) as scope:
            parcels = _claim(scope)
        if not parcels:
            return arrived
        outcomes = send_all(parcels, installation.settings.webhook_networks)
        with installation.scope(ACTOR, community=community_id) as scope:
            arrived += sum(_settle(scope, outcome) for outcome in outcomes)
            scope.session.execute(
                delete(WebhookDelivery).where(
                    WebhookDelivery.state != WebhookState.WAITING,
                    WebhookDelivery.happened_at < scope.now - KEPT,
                )
            )


def _claim(scope: Scope) -> list[Parcel]:
    """Return what is due, oldest first, and hold it back from other workers for a minute."""
    due = scope.session.execute(
        select(WebhookDelivery, WebhookSubscription)
        .join(WebhookDelivery.subscription)
        .where(
            WebhookDelivery.state == WebhookState.WAITING,
            WebhookDelivery.due_at <= scope.now,
            WebhookSubscription.is_active,
        )
        .order_by(WebhookDelivery.id)
        .limit(AT_ONCE)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    ).all()
    parcels = []
    for delivery, subscription in due:
        delivery.attempts += 1
        delivery.due_at = scope.now + CLAIM
        parcels.append(
            Parcel(
                delivery.id, delivery.event, subscription.url, subscription.secret, _body(delivery)
            )
        )
    if parcels:
        wake(scope, CLAIM)
    return parcels


def _body(delivery: WebhookDelivery) -> bytes:
    """Return what is sent: the fact and ids; the receiver asks the API for the rest."""
    said = {
        "id": str(delivery.event_id),
        "event": delivery.event,
        "at": delivery.happened_at.isoformat(),
        "community_id": str(delivery.community_id),
        "ids": delivery.ids,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _settle(scope: Scope, outcome: Outcome) -> bool:
    """Write down what became of a delivery; return whether it arrived."""
    delivery = scope.session.scalars(
        select(WebhookDelivery).where(WebhookDelivery.id == outcome.delivery_id).with_for_update()
    ).first()
    if delivery is None:
        return outcome.is_delivered
    delivery.status, delivery.error = outcome.status, outcome.error
    subscription = scope.get(WebhookSubscription, delivery.subscription_id)
    if outcome.is_delivered:
        delivery.state, subscription.failing_since = WebhookState.DELIVERED, None
        return True
    subscription.failing_since = subscription.failing_since or scope.now
    if outcome.status == GONE:
        subscription.is_active = False
    if delivery.attempts >= MOST_ATTEMPTS or outcome.status == GONE:
        delivery.state = WebhookState.FAILED
        log.warning("webhook given up", delivery=str(delivery.id), error=delivery.error)
        return False
    after = pause(delivery.attempts)
    delivery.due_at = scope.now + after
    wake(scope, after)
    return False


def pause(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: doubling, with a tenth of chance."""
    seconds = min(FIRST_PAUSE_S * 3 ** (attempts - 1), LONGEST_PAUSE_S)
    return timedelta(seconds=seconds * random.uniform(0.9, 1.1))
