"""Showing a personal value in clear: with a reason, recorded before it is shown, and limited."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from dougong.capabilities import needs
from dougong.db import Scope
from dougong.errors import Invalid, NotAllowed, NotFound
from dougong.i18n import N_, gettext
from dougong.privacy.models import Reveal, RevealReason
from dougong.privacy.subjects import model_of
from dougong.services import service

log = structlog.get_logger(__name__)

PER_HOUR = 30
# So many single looks need no fresh proof; what goes beyond is looking in bulk.
FREE_PER_HOUR = 5
ALARM_PER_DAY = 100
PERMISSION = "dougong.personal.reveal"


class TooManyReveals(NotAllowed):
    """A user looked at so many personal values that he has to wait."""

    status = 429
    code = "too_many_reveals"


@service("personal.reveal", title=("Show in clear", "查看明文"))
@needs("personal")
def reveal_field(
    scope: Scope, table: str, row_id: UUID, field: str, reason: RevealReason, note: str = ""
) -> str:
    """Return a personal value in clear; ``table`` is ``schema.table``. See ``reveal``."""
    model = model_of(table)
    if model is None:
        raise NotFound(N_("There is no such record here (%(kind)s)."), kind=table)
    return reveal(scope, scope.get(model, row_id), field, reason, note)


@needs("personal")
def reveal(
    scope: Scope, record: Any, field: str, reason: RevealReason | str, note: str = ""
) -> str:
    """Return ``record.field`` in clear, after the look is recorded for good.

    Raises NotAllowed without the permission, NotFound for a field that is not encrypted,
    StepUpRequired from the sixth look in an hour on without a fresh proof, and TooManyReveals
    after 30. The hundredth in a day is an alarm.
    """
    scope.require(PERMISSION)
    if field not in type(record).__encrypted__:
        raise NotFound(N_("There is no such field (%(field)s)."), field=field)
    record_look(scope, type(record).__encrypted__[field].table, record.id, field, reason, note)
    return getattr(record, field) or ""


def record_look(
    scope: Scope, table: str, row_id: UUID, field: str, reason: RevealReason | str, note: str
) -> None:
    """Write who looks at what, in a transaction of its own; raises TooManyReveals.

    It stays written when the request fails later: the value may have been seen.
    """
    user, why = scope.actor.user_id, reason_of(reason)
    with scope.installation.access(scope.actor) as session:
        session.execute(
            text(
                "select pg_advisory_xact_lock(hashtextextended(:u, 11)),"
                " set_config('dougong.verb', :v, true), set_config('dougong.reason', :r, true)"
            ),
            {"u": str(user), "v": PERMISSION, "r": why.value},
        )
        today = _looks(session, user, timedelta(days=1))
        recent = _looks(session, user, timedelta(hours=1)) if user is not None else 0
        if recent >= FREE_PER_HOUR:
            scope.actor.require_proof(PERMISSION)
        if recent >= PER_HOUR:
            raise TooManyReveals(
                N_("You have looked at %(count)s personal values in an hour; wait a little."),
                count=PER_HOUR,
            )
        session.add(
            Reveal(
                community_id=scope.community_id,
                group_id=scope.group_id,
                user_id=user,
                table=table,
                row_id=row_id,
                field=field,
                reason=why,
                note=note[:200],
                is_alarm=user is not None and today + 1 >= ALARM_PER_DAY,
            )
        )
    if user is not None and today + 1 >= ALARM_PER_DAY:
        log.warning("many personal values were looked at", user=str(user), count=today + 1)


def reason_of(reason: RevealReason | str) -> RevealReason:
    """Return the reason that someone gave; raises Invalid for one that is none."""
    try:
        return RevealReason(reason)
    except ValueError:
        raise Invalid(
            N_("Say why you need to see this."), fields={"reason": gettext("This is needed.")}
        ) from None


def _looks(session: Session, user: UUID | None, span: timedelta) -> int:
    since = datetime.now(UTC) - span
    query = select(func.count()).where(Reveal.user_id == user, Reveal.at > since)
    return session.scalar(query) or 0


def alarms(installation: Any, days: int = 7) -> list[Reveal]:
    """Return the looks that raised an alarm in the last days, newest first."""
    since = datetime.now(UTC) - timedelta(days=days)
    with installation.access() as session:
        return list(
            session.scalars(
                select(Reveal).where(Reveal.is_alarm, Reveal.at > since).order_by(Reveal.at.desc())
            )
        )
