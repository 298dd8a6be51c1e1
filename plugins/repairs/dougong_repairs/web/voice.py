"""What is read to a technician: each order, and what to do at each step."""

from hashlib import sha256
from uuid import UUID

from flask import url_for
from werkzeug.wrappers import Response

from dougong.db import member_label
from dougong.errors import NotFound
from dougong.i18n import N_, bilingual, current_locale
from dougong_repairs import services
from dougong_repairs.domain.kinds import OrderState
from dougong_repairs.models import WorkOrder
from dougong_repairs.web.pages import Answer, blueprint
from dougong_repairs.web.technician import seen_order, worker_here

STEPS = {
    OrderState.DISPATCHED: bilingual("A new order. Accept it.", "新工单，请接单。"),
    OrderState.ACCEPTED: bilingual(
        "Accepted. When you are there, take a photo and tap Start.",
        "已接单。到达现场后，先拍维修前照片，再点开始处理。",
    ),
    OrderState.IN_PROGRESS: bilingual(
        "Begun. When it is repaired, take a photo and tap Done.",
        "已开始处理。修好后，拍维修后照片，再点完工。",
    ),
    OrderState.PAUSED: bilingual(
        "Paused, the clock stands still. Tap Go on when you can.",
        "已暂停，计时停走。可以继续时，点继续处理。",
    ),
    OrderState.DONE: bilingual(
        "Done. The owner is asked how it went. Open your next order.",
        "已完工，业主会收到评价邀请。请看下一单。",
    ),
    OrderState.RETURNED: bilingual(
        "Given back to the dispatcher. Open your next order.", "已退回调度。请看下一单。"
    ),
}


def order_said(order: WorkOrder) -> dict[str, str]:
    """Return what is read of an order, and where its sound is; no address where none is made."""
    text = _words(order)
    address = url_for(".order_voice", order=order.id, v=_digest(text))
    return {"said": text, "sound": address if services.can_speak() else ""}


def steps_said() -> dict[str, dict[str, str]]:
    """Return by state what to do next, and where its sound is."""
    return {
        state.value: {
            "text": str(words),
            "sound": url_for(".step_voice", state=state.value, v=_digest(str(words)))
            if services.can_speak()
            else "",
        }
        for state, words in STEPS.items()
    }


def _words(order: WorkOrder) -> str:
    said = [member_label(order.urgency), services.place_of(order), order.text]
    return "。".join(part for part in said if part)


def _digest(text: str) -> str:
    return sha256(f"{current_locale()} {text}".encode()).hexdigest()[:12]


@blueprint.get("/work/orders/<uuid:order>/voice.wav")
def order_voice(order: UUID) -> Answer:
    """Send what is read of an order as sound."""
    scope, technician = worker_here()
    return _sound(_words(seen_order(scope, technician, order)))


@blueprint.get("/work/voice/<state>.wav")
def step_voice(state: str) -> Answer:
    """Send what to do next as sound."""
    worker_here()
    words = {known.value: words for known, words in STEPS.items()}.get(state)
    if words is None:
        raise NotFound(N_("There is no such page."))
    return _sound(str(words))


def _sound(text: str) -> Response:
    made = services.spoken(text, current_locale())
    if made is None:
        raise NotFound(N_("There is no such page."))
    # The address changes with the words; only the one who is signed in may keep it.
    headers = {"Cache-Control": "private, max-age=86400, immutable"}
    return Response(made, content_type="audio/wav", headers=headers)
