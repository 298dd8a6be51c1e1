"""Fresh proof (step-up): before something dangerous, someone shows again that it is he.

Services declare it once, with ``@service(…, step_up=True)``; what has no service calls
``actor.require_proof``. A proof holds for five minutes (`dougong.db.scope.PROOF_LENGTH`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from dougong.access import factors, passkeys
from dougong.access.models import SignInSession, User
from dougong.access.operations import (
    BY_CONSOLE,
    WrongSignIn,
    matches,
    note_attempt,
    refuse_guessing,
)
from dougong.db.scope import Actor
from dougong.i18n import N_

if TYPE_CHECKING:
    from dougong.installation import Installation


@dataclass(frozen=True)
class Means:
    """How someone can prove that it is he. console: only by having opened the machine's link."""

    password: bool = False
    code: bool = False
    passkey: bool = False
    console: bool = False


@dataclass(frozen=True)
class Proof:
    """What someone gave as proof; empty where he gave nothing of the kind."""

    password: str = ""
    code: str = ""
    asked: str = ""
    answer: str = ""
    console: bool = False


def means_of(installation: "Installation", actor: Actor) -> Means:
    """Return how an actor can prove himself: a second factor where he has one, else a password."""
    with installation.access() as session:
        return _means(session, session.get_one(User, actor.user_id), actor)


def _means(session: Session, user: User, actor: Actor) -> Means:
    has_passkey = factors.has_passkey(session, user.id)
    has_codes = factors.recovery_codes_left(session, user.id) > 0
    if user.is_totp_confirmed or has_passkey:
        return Means(code=user.is_totp_confirmed or has_codes, passkey=has_passkey)
    if user.password_hash:
        return Means(password=True)
    started = session.get(SignInSession, actor.session_id) if actor.session_id else None
    return Means(console=started is not None and started.begun_by == BY_CONSOLE)


def prove(
    installation: "Installation",
    actor: Actor,
    given: Proof,
    site: passkeys.Site | None = None,
    address: str = "",
) -> None:
    """Write down a fresh proof in the actor's session.

    Raises WrongSignIn for a wrong one, TooManyTries after five of them in a quarter of an hour.
    """
    with installation.access(actor) as session:
        user = session.get_one(User, actor.user_id)
        refuse_guessing(session, user.login, address)
        means = _means(session, user, actor)
        is_right = _is_right(installation, session, user, means, given, site)
        note_attempt(session, user.login, address, is_success=is_right)
        if is_right and (means.code or means.passkey):
            factors.prove_session(session, actor)
        elif is_right:
            session.get_one(SignInSession, actor.session_id).stepped_up_at = datetime.now(UTC)
    if not is_right:
        raise WrongSignIn(N_("That does not prove it. Try again."))


def _is_right(
    installation: "Installation",
    session: Session,
    user: User,
    means: Means,
    given: Proof,
    site: passkeys.Site | None,
) -> bool:
    if means.passkey and given.answer and site is not None:
        return passkeys.is_answered_by(session, site, user, given.asked, given.answer)
    if means.code:
        return factors.is_right_code(installation, session, user, given.code)
    if means.password:
        return matches(user.password_hash, given.password)
    return means.console and given.console
