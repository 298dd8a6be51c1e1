"""What people and programs do with subscriptions."""

import re
from typing import Any
from uuid import UUID

from dougong.db.base import uuid7
from dougong.db.scope import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.webhooks.addresses import check_url
from dougong.webhooks.delivery import put, wake
from dougong.webhooks.models import WebhookDelivery, WebhookState, WebhookSubscription, names_in

EVENT = re.compile(r"^(\*|[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*))$")
SHORTEST_SECRET = 16
PING = "dougong.ping"


@service("webhook_subscription.create", title=("Subscribe", "订阅"))
def subscribe(
    scope: Scope,
    name: str,
    url: str,
    secret: str,
    events: str = "*",
    is_active: bool = True,
    id: UUID | None = None,
) -> WebhookSubscription:
    """Have a system outside told of facts. Raises Invalid naming the wrong fields.

    secret: at least 16 characters; it is never shown again. events: ``fees.bill_paid``, ``fees.*``
    or ``*``, several between commas.
    """
    _check(scope, {"url": url, "secret": secret, "events": events})
    record = WebhookSubscription(
        id=id or uuid7(), name=name, url=url, secret=secret, events=events, is_active=is_active
    )
    scope.session.add(record)
    scope.session.flush()
    return record


@service("webhook_subscription.change", title=("Change the subscription", "修改订阅"))
def change_subscription(
    scope: Scope,
    record: WebhookSubscription,
    name: str | None = None,
    url: str | None = None,
    secret: str | None = None,
    events: str | None = None,
    is_active: bool | None = None,
) -> WebhookSubscription:
    """Change what is given. A subscription that is switched on again forgets that it failed."""
    given: dict[str, Any] = {
        "name": name,
        "url": url,
        "secret": secret,
        "events": events,
        "is_active": is_active,
    }
    given = {key: value for key, value in given.items() if value is not None}
    _check(scope, given)
    for key, value in given.items():
        setattr(record, key, value)
    if is_active:
        record.failing_since = None
        wake(scope)
    scope.session.flush()
    return record


@service("webhook_subscription.ping", title=("Send a test", "发送测试"))
def ping(scope: Scope, subscription: WebhookSubscription) -> WebhookDelivery:
    """Send the fact ``dougong.ping``, which is about nothing, to one subscriber."""
    delivery = put(scope, subscription, uuid7(), PING, {}, scope.now)
    wake(scope)
    scope.session.flush()
    return delivery


@service("webhook_delivery.retry", title=("Send again", "重新发送"))
def retry_delivery(scope: Scope, delivery: WebhookDelivery) -> WebhookDelivery:
    """Send something again that was given up. Raises Conflict in any other state."""
    if delivery.state is not WebhookState.FAILED:
        raise Conflict(N_("Only what was given up can be sent again."))
    delivery.state, delivery.attempts, delivery.due_at = WebhookState.WAITING, 0, scope.now
    wake(scope)
    return delivery


def _check(scope: Scope, given: dict[str, Any]) -> None:
    fields: dict[str, str] = {}
    if "url" in given:
        try:
            check_url(given["url"], scope.installation.settings.webhook_networks)
        except Invalid as error:
            fields |= error.fields
    if len(given.get("secret", "*" * SHORTEST_SECRET)) < SHORTEST_SECRET:
        fields["secret"] = gettext(N_("At least %(count)s characters."), count=SHORTEST_SECRET)
    events = names_in(given.get("events", "*"))
    if not events or not all(EVENT.match(e) for e in events):
        fields["events"] = gettext(N_("Name facts such as fees.bill_paid, fees.* or *."))
    if fields:
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
