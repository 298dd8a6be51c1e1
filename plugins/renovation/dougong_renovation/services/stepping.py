"""Taking a step of the state machine: checked, written down, stated, told."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select

from dougong.db import Scope, member_label
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.messages import notify
from dougong_renovation.domain import states
from dougong_renovation.domain.states import STEPS
from dougong_renovation.errors import NotYours, Objected, WrongState
from dougong_renovation.models import Application, ApplicationStep
from dougong_renovation.services.people import parts_of

# What the applicant does himself, or sees at the counter, is not told him by message.
UNTOLD = {"submit_again", "sign", "report_finished", "withdraw", "take_deposit"}


def check(scope: Scope, application: Application, verb: str) -> None:
    """Raise WrongState, NotYours or Objected when a step cannot be taken by the actor now."""
    if states.next_state(application.state, verb) is None:
        raise WrongState(
            N_("This cannot be done while the renovation is: %(state)s."),
            state=member_label(application.state),
        )
    if not states.may_take(verb, parts_of(scope, application)):
        raise NotYours(N_("This renovation is not yours to do this with."))
    for objection in scope.ask("renovation_objections", application=application, verb=verb):
        raise Objected(N_("%(reason)s"), reason=objection)


def take(scope: Scope, application: Application, verb: str, note: str | None = None) -> Application:
    """Take a step, write it down, state it as a fact, and tell the applicant.

    The application must be locked by the caller. Raises what `check` does.
    """
    check(scope, application, verb)
    application.state = states.next_state(application.state, verb)
    write_down(scope, application, verb, note)
    scope.emit(f"renovation.application_{STEPS[verb].fact}", application_id=application.id)
    if verb not in UNTOLD:
        tell_applicant(scope, application, note)
    return application


def write_down(scope: Scope, application: Application, verb: str, note: str | None = None) -> None:
    """Keep a step in the story of a renovation."""
    scope.session.flush()
    scope.session.add(
        ApplicationStep(
            application_id=application.id,
            verb=verb,
            state=application.state,
            taken_at=scope.now,
            author=scope.actor.name[:120],
            note=(note or "").strip()[:1000] or None,
        )
    )
    scope.session.flush()


def tell_applicant(scope: Scope, application: Application, note: str | None) -> None:
    """Send the applicant where his renovation stands, by whatever channel reaches him."""
    context = {
        "number": application.number,
        "room": application.room.code,
        "state": member_label(application.state),
        "note": (note or "").strip(),
    }
    _send(scope, application, "renovation:application_moved", context)


def tell(scope: Scope, application: Application, template: str, **more: Any) -> None:
    """Send the applicant another message about his renovation."""
    context = {"number": application.number, "room": application.room.code, **more}
    _send(scope, application, f"renovation:{template}", context)


def _send(scope: Scope, application: Application, template: str, context: Mapping) -> None:
    if application.person_id == scope.actor.persons.get(scope.community_id):
        return
    link = f"renovation/my/{application.id}"
    notify(scope, application.person, template, context, link=link)


def steps_of(scope: Scope, application: Application) -> Sequence[ApplicationStep]:
    """Return the story of a renovation, oldest first."""
    return scope.session.scalars(steps_query(application)).all()


def steps_query(application: Application) -> Select[ApplicationStep]:
    """Return the query of the story of a renovation, oldest first."""
    query = select(ApplicationStep).where(ApplicationStep.application_id == application.id)
    return query.order_by(ApplicationStep.taken_at, ApplicationStep.id)


def invalid(field: str, words: str) -> Invalid:
    """Return what says that one field is not right."""
    return Invalid(N_("Some fields are not right yet."), fields={field: words})


def need(**values: Any) -> None:
    """Raise Invalid naming the texts that are empty."""
    missing = {n: gettext("This is needed.") for n, v in values.items() if not str(v or "").strip()}
    if missing:
        raise Invalid(N_("Some fields are not right yet."), fields=missing)
