"""What the one who is signed in has been told: the inbox and its read marks."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, update

from dougong.db.scope import Scope
from dougong.errors import NotFound
from dougong.events import tell_person
from dougong.i18n import N_
from dougong.messages.models import Message
from dougong.services import entered

# What open pages hear when the inbox of their reader has changed.
INBOX = "dougong.message"


def tell_reader(scope: Scope, message: Message) -> None:
    """Tell the open pages of a message's recipient that the inbox has changed."""
    to = message.user_id or message.person_id
    if to is not None:
        tell_person(scope, to, INBOX)


def unread_count(scope: Scope) -> int:
    """Return how many messages the actor has not read, in every community of the scope."""
    return scope.session.scalar(unread_query(scope)) or 0


def unread_query(scope: Scope) -> Select[int]:
    """Return the query of how many messages the actor has not read."""
    query = select(func.count()).select_from(Message)
    return query.where(_mine(scope), Message.read_at.is_(None))


def inbox(
    scope: Scope, *, limit: int = 20, before: UUID | None = None, only_unread: bool = False
) -> Sequence[Message]:
    """Return the actor's messages, newest first; before: the last one of the page above."""
    query = select(Message).where(_mine(scope)).order_by(Message.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Message.id < before)
    if only_unread:
        query = query.where(Message.read_at.is_(None))
    return scope.session.scalars(query).all()


def mark_read(scope: Scope, message_id: UUID) -> Message:
    """Mark one message of the actor's own as read and return it; raises NotFound."""
    with entered(scope, "dougong.message.read", None):
        query = select(Message).where(_mine(scope), Message.id == message_id)
        message = scope.session.scalars(query).first()
        if message is None:
            raise NotFound(N_("There is no such message in your inbox."))
        if message.read_at is None:
            message.read_at = scope.now
            tell_reader(scope, message)
    return message


def mark_all_read(scope: Scope) -> int:
    """Mark every message of the actor's own as read; return how many were new."""
    with entered(scope, "dougong.message.read", None):
        marked: Any = scope.session.execute(
            update(Message)
            .where(_mine(scope), Message.read_at.is_(None))
            .values(read_at=scope.now)
            .execution_options(synchronize_session=False)
        )
        if scope.community_id is not None and scope.actor.user_id is not None:
            tell_person(scope, scope.actor.user_id, INBOX)
    return marked.rowcount


def _mine(scope: Scope) -> ColumnElement[bool]:
    """Return the condition that a message is to the actor: as a login, or as a person there."""
    actor = scope.actor
    conditions: list[ColumnElement[bool]] = []
    if actor.user_id is not None:
        conditions.append(Message.user_id == actor.user_id)
    conditions += [
        and_(Message.community_id == community, Message.person_id == person)
        for community, person in actor.persons.items()
        if community in scope.readable
    ]
    return or_(*conditions) if conditions else false()
