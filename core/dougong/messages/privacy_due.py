"""Reminding those who answer requests about personal data, before the law's time is over."""

from datetime import date, timedelta

from sqlalchemy import select

from dougong.access.users import who_may
from dougong.db.scope import Scope
from dougong.messages.sending import notify
from dougong.privacy.models import PrivacyRequest, RequestState
from dougong.privacy.requests import ANSWER_DAYS, REMIND_DAYS
from dougong.services import service

MOST_TOLD = 500
ANSWER = "dougong.privacy_request.answer"


@service(
    "privacy_request.remind", title=("Remind of requests", "催办个人信息请求"), is_public=False
)
def remind(scope: Scope) -> int:
    """Write to those who may answer, about requests that wait for twenty days or are late.

    Each request is told of twice at most. Return how many were told of.
    """
    soon = scope.today + timedelta(days=ANSWER_DAYS - REMIND_DAYS)
    query = (
        select(PrivacyRequest)
        .where(PrivacyRequest.state == RequestState.OPEN, PrivacyRequest.due_on <= soon)
        .order_by(PrivacyRequest.due_on, PrivacyRequest.id)
        .limit(MOST_TOLD)
        .with_for_update()
    )
    waiting = [r for r in scope.session.scalars(query) if _is_untold(r, scope.today)]
    if not waiting:
        return 0
    first = waiting[0].due_on
    left = (first - scope.today).days
    values = {
        "number": len(waiting),
        "due": str(first),
        "left": max(left, 0),
        "late": max(-left, 0),
    }
    for user in who_may(scope, ANSWER):
        key = f"privacy|{scope.today}|{user}"
        notify(scope, user, "dougong:privacy_due", values, link="privacy/", key=key)
    for request in waiting:
        request.reminded_on = scope.today
    scope.session.flush()
    return len(waiting)


def _is_untold(request: PrivacyRequest, today: date) -> bool:
    told = request.reminded_on
    return told is None or (request.due_on < today and told <= request.due_on)
