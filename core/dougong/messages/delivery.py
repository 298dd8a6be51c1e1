"""Sends what is due: once per message and channel, again after a hiccup, never after a refusal."""

from base64 import b64decode
from datetime import timedelta

from sqlalchemy import select

from dougong.db.scope import Scope
from dougong.i18n import gettext
from dougong.messages.channels import Attachment, Outcome, Outgoing, channels
from dougong.messages.domain import next_try
from dougong.messages.models import DeliveryState, MessageAttachment, MessageDelivery
from dougong.messages.sending import hand_over
from dougong.services import service

BATCH = 500


@service("message_delivery.deliver", title=("Send", "发送"), is_public=False)
def deliver(scope: Scope, delivery: MessageDelivery) -> MessageDelivery:
    """Try one delivery, unless it is done or not yet due; the same call twice sends once.

    A temporary failure makes it due again later, a permanent one starts the next channel. Should
    the process die between the other side's yes and our commit, the message goes out again under
    the same Message-ID.
    """
    scope.session.refresh(delivery, with_for_update=True)
    if delivery.state is not DeliveryState.WAITING or delivery.due_at > scope.now:
        return delivery
    channel = channels(scope.installation).get(delivery.channel)
    if channel is None:
        # The operator took the channel away; the message waits for him no longer than for others.
        outcome = Outcome(False, detail=gettext("This channel is not configured."))
    else:
        outcome = channel.send(_outgoing(scope, delivery))
    _record(scope, delivery, outcome)
    return delivery


@service(
    "message_delivery.deliver_due", title=("Send what is due", "发送到期消息"), is_public=False
)
def deliver_due(scope: Scope) -> int:
    """Hand what has become due to the workers; return how many. Runs every minute."""
    due = select(MessageDelivery).where(
        MessageDelivery.state == DeliveryState.WAITING, MessageDelivery.due_at <= scope.now
    )
    found = scope.session.scalars(due.order_by(MessageDelivery.due_at).limit(BATCH)).all()
    for delivery in found:
        hand_over(scope, delivery)
    return len(found)


def _outgoing(scope: Scope, delivery: MessageDelivery) -> Outgoing:
    message = delivery.message
    files = scope.session.scalars(
        select(MessageAttachment).filter_by(message_id=message.id).order_by(MessageAttachment.id)
    )
    return Outgoing(
        delivery_id=delivery.id,
        address=delivery.address or "",
        subject=message.subject,
        body=_with_link(scope, message.body, message.link),
        attachments=tuple(
            Attachment(f.filename, f.media_type, b64decode(f.content)) for f in files
        ),
    )


def _with_link(scope: Scope, body: str, link: str | None) -> str:
    if not link:
        return body
    return f"{body}\n\n{scope.installation.settings.url}/{scope.url_part}/{link.lstrip('/')}"


def _record(scope: Scope, delivery: MessageDelivery, outcome: Outcome) -> None:
    delivery.attempts += 1
    delivery.detail = outcome.detail
    again = next_try(scope.now, delivery.attempts, outcome.retry_after)
    if outcome.accepted:
        delivery.state = DeliveryState.SENT
        delivery.sent_at = scope.now
        delivery.provider_id = outcome.provider_id
    elif outcome.permanent or again is None:
        delivery.state = DeliveryState.FAILED
        _fall_back(scope, delivery)
    else:
        delivery.due_at = again
    scope.session.flush()


def _fall_back(scope: Scope, failed: MessageDelivery) -> None:
    """Start the next channel that stands by for the message, if there is one."""
    query = (
        select(MessageDelivery)
        .where(
            MessageDelivery.message_id == failed.message_id,
            MessageDelivery.state == DeliveryState.STANDBY,
        )
        .order_by(MessageDelivery.rank)
    )
    following = scope.session.scalars(query).first()
    if following is None:
        return
    following.state = DeliveryState.WAITING
    following.due_at = max(following.due_at, scope.now - timedelta(seconds=1))
    scope.session.flush()
    if following.due_at <= scope.now:
        hand_over(scope, following)
