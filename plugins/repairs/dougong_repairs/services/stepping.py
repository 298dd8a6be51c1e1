"""Taking a step of the state machine: checked, written down, told."""

from typing import Any

from sqlalchemy import select

from dougong.db import Scope, member_label
from dougong.errors import Invalid
from dougong.events import tell_person
from dougong.i18n import N_, gettext
from dougong.messages import notify
from dougong_repairs.domain import states
from dougong_repairs.domain.states import STEPS
from dougong_repairs.errors import NotYours, Objected, WrongState
from dougong_repairs.models import Quotation, QuotationState, WorkOrder, WorkOrderStep
from dougong_repairs.services import deadlines
from dougong_repairs.services.people import DISPATCH, parts_of, technician_of

PAST = {
    "report": "reported",
    "dispatch": "dispatched",
    "grab": "accepted",
    "accept": "accepted",
    "start": "started",
    "pause": "paused",
    "resume": "resumed",
    "finish": "finished",
    "give_back": "returned",
    "transfer": "dispatched",
    "hand_over": "handed_over",
    "urge": "urged",
    "rate": "rated",
    "close": "closed",
    "reopen": "reopened",
    "cancel": "cancelled",
    "drop": "cancelled",
    "quote": "quoted",
    "accept_quote": "quotation_accepted",
    "decline_quote": "quotation_declined",
    "appoint": "appointed",
    "add_helper": "helped",
    "help": "help_wanted",
    "answer_help": "help_answered",
}
# What the owner is told of by message as well; the rest he sees on the page.
TOLD = {"dispatch", "grab", "pause", "finish", "close", "cancel", "drop", "hand_over"} | {
    "quote",
    "appoint",
}


def take(
    scope: Scope, order: WorkOrder, verb: str, note: str | None = None, *, is_public: bool = True
) -> WorkOrder:
    """Take a step: raises WrongState, NotYours, or Objected when another plugin speaks against it.

    The order must be locked by the caller. Every step is written down, stated as a fact, and told
    to the owner's open pages.
    """
    step = STEPS[verb]
    following = states.next_state(order.state, verb)
    if following is None:
        raise WrongState(
            N_("This cannot be done while the order is: %(state)s."),
            state=member_label(order.state),
        )
    if not states.may_take(verb, parts_of(scope, order)):
        raise NotYours(N_("This order is not yours to do this with."))
    if verb in ("start", "resume", "finish") and _waits_for_owner(scope, order):
        raise WrongState(N_("The owner has not accepted the quotation yet."))
    for objection in scope.ask("work_order_objections", work_order=order, verb=verb):
        raise Objected(N_("%(reason)s"), reason=objection)
    order.state = following
    deadlines.apply(scope, order, step.effects)
    write_down(scope, order, verb, note, is_public=is_public)
    return order


def _waits_for_owner(scope: Scope, order: WorkOrder) -> bool:
    query = select(Quotation.id).where(
        Quotation.work_order_id == order.id, Quotation.state == QuotationState.OFFERED
    )
    return scope.session.scalars(query.limit(1)).first() is not None


def must_be_his(scope: Scope, order: WorkOrder) -> None:
    """Raise NotYours unless the actor dispatches, or the order is in his hands."""
    if not scope.may(DISPATCH) and order.technician_id != technician_of(scope).id:
        raise NotYours(N_("This order is not yours to do this with."))


def write_down(
    scope: Scope, order: WorkOrder, verb: str, note: str | None = None, *, is_public: bool = True
) -> None:
    """Keep a step in the order's story, state the fact, and tell who waits for it."""
    scope.session.flush()
    scope.session.add(
        WorkOrderStep(
            work_order_id=order.id,
            verb=verb,
            state=order.state,
            taken_at=scope.now,
            author="" if scope.actor.kind == "system" else scope.actor.name[:120],
            note=(note or "").strip()[:1000] or None,
            is_public=is_public,
        )
    )
    scope.session.flush()
    scope.emit(f"repairs.work_order_{PAST[verb]}", work_order_id=order.id)
    if order.person_id is not None:
        tell_person(scope, order.person_id, f"repairs.work_order_{PAST[verb]}")
    if verb in TOLD:
        tell_owner(scope, order, note if is_public else None)


def tell_owner(scope: Scope, order: WorkOrder, note: str | None) -> None:
    """Send the owner where his repair stands, by whatever channel reaches him."""
    if order.person is None or order.person_id == scope.actor.persons.get(scope.community_id):
        return
    notify(
        scope,
        order.person,
        "repairs:work_order_moved",
        {
            "number": order.number,
            "text": order.text[:60],
            "state": member_label(order.state),
            "technician": order.technician.name if order.technician_id else "",
            "note": note or "",
        },
        link=f"repairs/my/{order.id}",
    )


def need(**values: Any) -> None:
    """Raise Invalid naming the texts that are empty."""
    missing = {
        name: gettext("This is needed.") for name, v in values.items() if not str(v or "").strip()
    }
    if missing:
        raise Invalid(N_("Some fields are not right yet."), fields=missing)
