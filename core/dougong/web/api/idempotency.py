"""Repeating a write safely: the same key gives the same answer, and does nothing again.

The key is claimed in the transaction of the write itself, so the answer is remembered exactly when
the write is. A second request with the key waits for the first; when the first fails, nothing is
remembered and the second does the work.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta

from flask import Request, Response
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from dougong.db.base import uuid7
from dougong.db.scope import NOBODY, Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.web.api.models import IdempotentAnswer

KEPT = timedelta(hours=24)
LONGEST_KEY = 255


class DifferentRequest(Conflict):
    """The key was used for another request."""

    code = "idempotency_key"


def once(scope: Scope, request: Request, work: Callable[[], Response]) -> Response:
    """Return the answer of ``work``, or what it answered before to the same key.

    Without the header Idempotency-Key the work is simply done. Raises DifferentRequest when the
    key came with another request, Invalid for a key that cannot be used.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return work()
    _check(scope, key)
    fingerprint = _fingerprint(scope, request)
    mine = _claim(scope, key, fingerprint)
    if mine is None:
        return _remembered(scope, key, fingerprint)
    answer = work()
    mine.status, mine.body = answer.status_code, answer.get_data(as_text=True)
    mine.location = answer.headers.get("Location")
    mine.tag = answer.headers.get("ETag")
    scope.session.flush()
    return answer


def _check(scope: Scope, key: str) -> None:
    reason = None
    if scope.community_id is None:
        reason = gettext(N_("Keys for repeating a request work inside a community only."))
    elif not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        reason = gettext(N_("Use 1 to %(count)s printable characters."), count=LONGEST_KEY)
    if reason:
        raise Invalid(N_("Some fields are not right yet."), fields={"Idempotency-Key": reason})


def _fingerprint(scope: Scope, request: Request) -> bytes:
    secret = scope.installation.databases.scope_key.secret
    head = f"{request.method} {request.path} {request.headers.get('If-Match', '')}\n"
    return hmac.new(secret, head.encode() + request.get_data(), hashlib.sha256).digest()


def _claim(scope: Scope, key: str, fingerprint: bytes) -> IdempotentAnswer | None:
    """Return the new row of the key, None when there is one already."""
    session, actor_id = scope.session, scope.actor.user_id or NOBODY
    session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.answered_at < scope.now - KEPT))
    identity = session.scalar(
        insert(IdempotentAnswer)
        .values(
            community_id=scope.community_id,
            id=uuid7(),
            actor_id=actor_id,
            key=key,
            request_hash=fingerprint,
            answered_at=scope.now,
            status=0,
        )
        .on_conflict_do_nothing()
        .returning(IdempotentAnswer.id)
    )
    return scope.get(IdempotentAnswer, identity) if identity else None


def _remembered(scope: Scope, key: str, fingerprint: bytes) -> Response:
    known = scope.session.scalars(
        select(IdempotentAnswer).where(
            IdempotentAnswer.actor_id == (scope.actor.user_id or NOBODY),
            IdempotentAnswer.key == key,
        )
    ).one()
    if not hmac.compare_digest(known.request_hash, fingerprint):
        raise DifferentRequest(N_("This key was used for another request."))
    answer = Response(known.body or "", known.status)
    if known.body:
        answer.content_type = "application/json"
    for name, value in (("Location", known.location), ("ETag", known.tag)):
        if value:
            answer.headers[name] = value
    answer.headers["Idempotent-Replayed"] = "true"
    return answer
