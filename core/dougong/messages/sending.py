"""Writes a message and decides by which channels it goes out, and when."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.capabilities import needs
from dougong.db.scope import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import DEFAULT_LOCALE, N_
from dougong.messages.channels import IN_APP, Attachment, channels
from dougong.messages.domain import quiet_until
from dougong.messages.inbox import tell_reader
from dougong.messages.models import (
    ContactPoint,
    DeliveryState,
    Message,
    MessageAttachment,
    MessageDelivery,
)
from dougong.messages.wording import wording
from dougong.tenancy.models import Person

Recipient = Person | UUID
QUIET_HOURS = "22:00-07:00"
LARGEST = 5 * 1024 * 1024


@needs("mail")
def notify(
    scope: Scope,
    to: Recipient,
    template: str,
    context: Mapping[str, Any],
    channels: Sequence[str] | None = None,
    *,
    is_urgent: bool = False,
    key: str | None = None,
    link: str | None = None,
    attachments: Sequence[Attachment] = (),
) -> Message:
    """Write a message to a person, or to a login by its id, and have it delivered.

    It always lies in the inbox. Outside of Dougong the channels are tried in order, one after the
    other fails; an urgent message goes by all of them at once and does not wait for the end of
    quiet hours. channels: the order; by default the setting ``messages.channels``.
    key: a second call with the same key returns the first message and sends nothing.
    link: where it leads, relative to the community. Joins the caller's transaction.
    Raises NotFound for an unknown template, Invalid when its text needs more than ``context``.
    """
    if scope.community_id is None:
        raise Conflict(N_("Choose a community first; a group page writes no rows."))
    if key is not None and (known := _written(scope, key)):
        return known
    points = _points(scope, to)
    locale = next(iter(points.values())).locale if points else _community_locale(scope)
    subject, body = wording(scope, template, context, locale)
    message = Message(
        person_id=to.id if isinstance(to, Person) else None,
        user_id=to if isinstance(to, UUID) else None,
        template=template,
        key=key,
        locale=locale,
        link=link,
        is_urgent=is_urgent,
        created_at=scope.now,
    )
    message.subject, message.body = subject, body
    scope.session.add(message)
    scope.session.flush()
    _attach(scope, message, attachments)
    _plan(scope, message, points, channels)
    tell_reader(scope, message)
    return message


def _written(scope: Scope, key: str) -> Message | None:
    return scope.session.scalars(select(Message).where(Message.key == key)).first()


def _points(scope: Scope, to: Recipient) -> dict[str, ContactPoint]:
    """Return where the recipient can be reached, one contact point per channel."""
    is_theirs = (
        ContactPoint.person_id == to.id if isinstance(to, Person) else ContactPoint.user_id == to
    )
    query = select(ContactPoint).where(is_theirs, ContactPoint.is_active).order_by(ContactPoint.id)
    found: dict[str, ContactPoint] = {}
    for point in scope.session.scalars(query):
        found.setdefault(point.channel, point)
    return found


def _community_locale(scope: Scope) -> str:
    return scope.setting("messages.locale", DEFAULT_LOCALE)


def _attach(scope: Scope, message: Message, attachments: Sequence[Attachment]) -> None:
    if sum(len(a.content) for a in attachments) > LARGEST:
        raise Invalid(N_("The attachments are larger than %(limit)s MB together."), limit=5)
    for attachment in attachments:
        row = MessageAttachment(
            message_id=message.id,
            filename=attachment.filename,
            media_type=attachment.media_type,
        )
        row.content = b64encode(attachment.content).decode()
        scope.session.add(row)


def _plan(
    scope: Scope,
    message: Message,
    points: Mapping[str, ContactPoint],
    wanted: Sequence[str] | None,
) -> None:
    """Write the deliveries: the inbox at once, the first channel now, the others on standby."""
    order = wanted or scope.setting("messages.channels", [IN_APP, "email"])
    usable = [c for c in order if c in points and c in channels(scope.installation)]
    due_at = _due_at(scope, message)
    inbox = MessageDelivery(
        message_id=message.id,
        channel=IN_APP,
        state=DeliveryState.SENT,
        due_at=message.created_at,
        sent_at=message.created_at,
    )
    scope.session.add(inbox)
    for rank, channel in enumerate(usable, 1):
        is_first = rank == 1 or message.is_urgent
        delivery = MessageDelivery(
            message_id=message.id,
            channel=channel,
            rank=rank,
            state=DeliveryState.WAITING if is_first else DeliveryState.STANDBY,
            due_at=due_at,
        )
        delivery.address = points[channel].address
        scope.session.add(delivery)
        scope.session.flush()
        if is_first and due_at <= scope.now:
            hand_over(scope, delivery)
    scope.session.flush()


def _due_at(scope: Scope, message: Message) -> datetime:
    if message.is_urgent:
        return message.created_at
    hours = scope.setting("messages.quiet_hours", QUIET_HOURS)
    return quiet_until(message.created_at, scope.zone, hours) or message.created_at


def hand_over(scope: Scope, delivery: MessageDelivery) -> None:
    """Have a worker send the delivery as soon as this transaction has committed."""
    scope.enqueue("dougong.message_delivery.deliver", delivery=delivery.id)
