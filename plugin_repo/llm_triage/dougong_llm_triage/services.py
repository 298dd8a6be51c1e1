"""Asking the language model, and what becomes of its answer."""

import structlog
from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import DougongError
from dougong.plugins.outbound import Outbound
from dougong.services import service
from dougong_llm_triage.domain import Opinion, opinion, question
from dougong_llm_triage.models import Endpoint
from dougong_repairs.models import WorkOrder

OUTSIDE = Outbound("llm_triage")
TIMEOUT_S = 8
log = structlog.get_logger(__name__)


def judge_order(scope: Scope, order: WorkOrder) -> bool:
    """Ask for a second opinion on a report and suggest it; tell whether anything changed.

    Nothing happens without an endpoint, or without a usable answer in time.
    """
    query = select(Endpoint).where(Endpoint.is_active).order_by(Endpoint.id).limit(1)
    endpoint = scope.session.scalars(query).first()
    if endpoint is None or order.triage_confidence is None:
        return False
    found = ask(scope, endpoint, order.text)
    if found is None:
        return False
    return scope.call(
        "repairs.work_order.suggest",
        work_order=order,
        category=found.category,
        urgency=found.urgency,
        reason=found.reason,
    )


def ask(scope: Scope, endpoint: Endpoint, text: str) -> Opinion | None:
    """Return the model's opinion of a text, None when it cannot be had in time."""
    headers = {"content-type": "application/json"}
    if endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key}"
    try:
        answer = OUTSIDE.request(
            scope,
            "POST",
            f"{endpoint.url.rstrip('/')}/chat/completions",
            headers=headers,
            content=question(endpoint.model, text),
            deadline_s=float(scope.setting("llm_triage.timeout_s", TIMEOUT_S)),
        )
    except DougongError as error:
        log.warning("llm_triage.no_answer", code=error.code)
        return None
    return opinion(answer.body) if answer.status == 200 else None


@service("endpoint.judge", title=("Try a text", "试判一段文字"))
def try_endpoint(scope: Scope, endpoint: Endpoint, text: str) -> str:
    """Return what the model says of a text, to see that the endpoint works."""
    found = ask(scope, endpoint, text)
    return f"{found.category}/{found.urgency} {found.reason}" if found else "—"
