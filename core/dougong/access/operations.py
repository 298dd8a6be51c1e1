"""Signing in and out, links that work once, users and their roles."""

import secrets
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dougong.access import factors
from dougong.access.actors import hash_of
from dougong.access.models import (
    Duty,
    OneTimeLink,
    Role,
    RoleGrant,
    SignInAttempt,
    SignInSession,
    User,
    UserPerson,
)
from dougong.db.scope import Actor
from dougong.errors import Conflict, DougongError, Invalid, NotAllowed, NotFound
from dougong.i18n import N_, gettext

if TYPE_CHECKING:
    from dougong.installation import Installation

BY_PASSWORD, BY_PASSKEY, BY_LINK = "password", "passkey", "link"
BY_CONSOLE, BY_GRACE = "console", "grace"
SESSION_LENGTH = timedelta(hours=12)
LINK_LENGTH = timedelta(minutes=30)
WINDOW = timedelta(minutes=15)
FAILURES_PER_LOGIN, TRIES_PER_ADDRESS = 5, 20
SHORTEST_PASSWORD = 12
COMMON = ("password", "123456", "qwerty", "woaini", "admin", "dougong", "letmein", "111111")

# OWASP's minimum; two hashes at once at most, so that guessing cannot exhaust the machine.
_hasher = PasswordHasher(memory_cost=19456, time_cost=2, parallelism=1)
_hashing = threading.BoundedSemaphore(2)
_NOBODY = _hasher.hash(secrets.token_hex(16))


class TooManyTries(DougongError):
    """Signing in is locked for a while, for this login or this address."""

    status = 429
    code = "too_many_tries"


class WrongSignIn(DougongError):
    """Login, password or code is wrong; which of them is not said."""

    status = 401
    code = "wrong_sign_in"


class PasskeyNeeded(DougongError):
    """The password is right; one of the user's passkeys is to follow."""

    status = 401
    code = "passkey_needed"

    def __init__(self, user_id: UUID) -> None:
        super().__init__(N_("Confirm with your passkey."))
        self.user_id = user_id


# --- passwords ----------------------------------------------------------------------------------


def hash_password(password: str) -> str:
    """Return the argon2id hash of a good password; raises Invalid for a weak one."""
    reason = None
    if len(password) < SHORTEST_PASSWORD:
        reason = gettext(N_("At least %(count)s characters."), count=SHORTEST_PASSWORD)
    elif any(word in password.lower() for word in COMMON) or len(set(password)) < 5:
        reason = gettext(N_("This password is easy to guess."))
    if reason:
        raise Invalid(N_("Some fields are not right yet."), fields={"password": reason})
    with _hashing:
        return _hasher.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Tell whether the password fits; takes the same time for a user who does not exist."""
    with _hashing:
        try:
            return _hasher.verify(stored or _NOBODY, password) and stored is not None
        except (VerifyMismatchError, InvalidHashError):
            return False


# --- signing in ---------------------------------------------------------------------------------


def sign_in(
    installation: "Installation",
    login: str,
    password: str,
    code: str | None = None,
    *,
    address: str = "",
    device: str = "",
) -> tuple[str, User]:
    """Return a new session's token and the user.

    code: the six digits of the second factor, needed when the user has one. Raises PasskeyNeeded
    when a passkey is to follow the password, WrongSignIn
    (the same for an unknown login) and TooManyTries after five failures in a quarter of an hour
    for one login, or twenty tries from one address.
    """
    login = login.replace("\0", "").strip().lower()[:80]
    with installation.access() as session:
        refuse_guessing(session, login, address)
        user = session.scalars(select(User).where(User.login == login, User.is_active)).first()
        is_right = matches(user.password_hash if user else None, password)
        waits = bool(is_right and user and not code and factors.has_passkey(session, user.id))
        is_right = (
            is_right and user is not None and factors.passes(installation, session, user, code)
        )
        note_attempt(session, login, address, is_success=is_right or waits)
        token = None
        if user is not None and is_right:
            is_second = factors.has_factor(session, user)
            token = start_session(
                session, user, address, device, begun_by=BY_PASSWORD, is_second=is_second
            )
    if waits and user is not None:
        raise PasskeyNeeded(user.id)
    if token is None or user is None:
        raise WrongSignIn(N_("Login, password or code is wrong."))
    return token, user


def note_attempt(session: Session, login: str, address: str, *, is_success: bool) -> None:
    """Write down one try to sign in."""
    session.add(SignInAttempt(login=login, address=address, at=_now(), is_success=is_success))


def refuse_guessing(session: Session, login: str, address: str) -> None:
    """Raise TooManyTries after too many failures of a login, or tries of an address."""
    since = _now() - WINDOW
    failed, tried = session.execute(
        text(
            "select count(*) filter (where login = :login and not is_success),"
            " count(*) filter (where address = :address and at > :minute)"
            " from dougong.sign_in_attempt where at > :since"
            " and (login = :login or address = :address)"
        ),
        {
            "login": login,
            "address": address,
            "since": since,
            "minute": _now() - timedelta(minutes=1),
        },
    ).one()
    if failed >= FAILURES_PER_LOGIN or tried >= TRIES_PER_ADDRESS:
        raise TooManyTries(N_("Too many tries. Wait a quarter of an hour, or ask for a link."))


def start_session(
    session: Session,
    user: User,
    address: str = "",
    device: str = "",
    *,
    begun_by: str = BY_CONSOLE,
    is_second: bool = False,
) -> str:
    """Start a session of ``user`` and return its token, which is kept nowhere.

    begun_by: how he signed in. is_second: with a second factor. The first sign-in of somebody who
    must have a second factor and has none is a grace: it leads to where he sets one up.
    """
    if begun_by in (BY_PASSWORD, BY_LINK) and not is_second:
        begun_by = _graced(session, user) or begun_by
    token = secrets.token_urlsafe(32)
    now = _now()
    session.add(
        SignInSession(
            user_id=user.id,
            token_hash=hash_of(token),
            started_at=now,
            seen_at=now,
            ends_at=now + SESSION_LENGTH,
            stepped_up_at=now,
            begun_by=begun_by,
            is_second=is_second,
            device=device[:200],
            address=address[:60],
        )
    )
    session.flush()
    return token


def _graced(session: Session, user: User) -> str:
    """Return that this is the one sign-in without a factor that a mighty user has, or nothing."""
    if user.is_grace_used or factors.has_factor(session, user):
        return ""
    if not session.execute(factors.IS_MIGHTY, {"user": user.id}).scalar():
        return ""
    user.is_grace_used = True
    return BY_GRACE


def is_grace(installation: "Installation", token: str) -> bool:
    """Tell whether a session is the one sign-in without a second factor that its user has."""
    query = select(SignInSession.begun_by).where(SignInSession.token_hash == hash_of(token))
    with installation.access() as session:
        return session.scalar(query) == BY_GRACE


def sign_out(installation: "Installation", actor: Actor, *, everywhere: bool = False) -> None:
    """End the actor's session, or all of his sessions."""
    with installation.access(actor) as session:
        condition = (
            SignInSession.user_id == actor.user_id
            if everywhere
            else SignInSession.id == actor.session_id
        )
        session.execute(
            update(SignInSession)
            .where(condition, SignInSession.revoked_at.is_(None))
            .values(revoked_at=_now())
        )


def sessions_of(installation: "Installation", user_id: UUID) -> Sequence[SignInSession]:
    """Return the user's sessions that still work, the newest first."""
    with installation.access() as session:
        return session.scalars(
            select(SignInSession)
            .where(
                SignInSession.user_id == user_id,
                SignInSession.revoked_at.is_(None),
                SignInSession.ends_at > _now(),
            )
            .order_by(SignInSession.seen_at.desc())
        ).all()


def revoke_session(installation: "Installation", actor: Actor, session_id: UUID) -> None:
    """End one session: one's own, or for who may revoke sessions one of his group's."""
    with installation.access(actor) as session:
        found = session.get(SignInSession, session_id)
        is_own = found is not None and found.user_id == actor.user_id
        if found is None or not (is_own or may_end(session, actor, found.user_id)):
            raise NotFound(N_("There is no such session."))
        found.revoked_at = _now()


def may_end(session: Session, actor: Actor, user_id: UUID) -> bool:
    """Tell whether an actor may end sessions and tokens of a user: in every group of the user."""
    query = select(RoleGrant.group_id).where(RoleGrant.user_id == user_id).distinct()
    groups = session.scalars(query).all()
    if not groups:
        return actor.may("dougong.session.revoke")
    return all(actor.may("dougong.session.revoke", group) for group in groups)


# --- links ----------------------------------------------------------------------------------------


def one_time_link(
    installation: "Installation", user: User | UUID, *, is_console: bool = False
) -> str:
    """Return an address that signs ``user`` in once, within half an hour.

    is_console: printed on the machine itself, to its operator. Such a link does not wait for a
    second factor to be set up; one that is there is asked for all the same.
    """
    user_id = user if isinstance(user, UUID) else user.id
    token = secrets.token_urlsafe(32)
    with installation.access() as session:
        session.add(
            OneTimeLink(
                user_id=user_id,
                token_hash=hash_of(token),
                ends_at=_now() + LINK_LENGTH,
                is_console=is_console,
            )
        )
    return f"{installation.settings.url}/sign-in/link/{token}"


def use_link(
    installation: "Installation", token: str, *, address: str = "", device: str = ""
) -> tuple[str, User]:
    """Return a session's token for a link that was not used; raises WrongSignIn."""
    with installation.access() as session:
        link = session.scalars(
            select(OneTimeLink)
            .where(OneTimeLink.token_hash == hash_of(token), OneTimeLink.used_at.is_(None))
            .with_for_update()
        ).first()
        user = session.get(User, link.user_id) if link and link.ends_at > _now() else None
        if link is None or user is None or not user.is_active:
            raise WrongSignIn(N_("This link was used or is too old. Ask for a new one."))
        link.used_at = _now()
        begun_by = BY_CONSOLE if link.is_console else BY_LINK
        return start_session(session, user, address, device, begun_by=begun_by), user


# --- users and roles --------------------------------------------------------------------------


def create_user(
    session: Session, login: str, name: str, password: str | None = None, **more: Any
) -> User:
    """Create a login; raises Conflict when it is taken. Without a password only links work."""
    login = login.strip().lower()
    if session.scalars(select(User.id).where(User.login == login)).first():
        raise Conflict(N_("The login %(login)s is taken."), login=login)
    user = User(
        login=login,
        name=name,
        password_hash=hash_password(password) if password else None,
        **more,
    )
    session.add(user)
    session.flush()
    return user


def grant_role(
    session: Session,
    actor: Actor,
    user_id: UUID,
    role_key: str,
    *,
    group_id: UUID | None = None,
    region_id: UUID | None = None,
    community_id: UUID | None = None,
    building_ids: Sequence[UUID] | None = None,
) -> RoleGrant:
    """Give a user a role within a part of the organisation.

    Raises Conflict when it would put two of system, security and audit administration in one
    hand, and NotAllowed when the actor gives a role to himself.
    """
    if actor.user_id == user_id:
        raise NotAllowed(N_("Nobody gives a role to himself."))
    role = session.scalars(
        select(Role)
        .where(Role.key == role_key, (Role.group_id == group_id) | Role.group_id.is_(None))
        .order_by(Role.group_id.nulls_last())
    ).first()
    if role is None:
        raise NotFound(N_("There is no role %(role)s."), role=role_key)
    if role.duty is not Duty.BUSINESS:
        actor.require_proof("dougong.role.grant")
    grant = RoleGrant(
        user_id=user_id,
        role_id=role.id,
        duty=role.duty.value,
        group_id=group_id,
        region_id=region_id,
        community_id=community_id,
        building_ids=None if building_ids is None else [str(b) for b in building_ids],
    )
    session.add(grant)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            N_("System, security and audit administration must be three different people.")
        ) from error
    return grant


def set_password(installation: "Installation", actor: Actor, password: str) -> None:
    """Give the actor's login a password; raises Invalid for a weak one."""
    actor.require_proof("dougong.account.password")
    hashed = hash_password(password)
    with installation.access(actor) as session:
        session.get_one(User, actor.user_id).password_hash = hashed


def link_person(session: Session, user_id: UUID, community_id: UUID, person_id: UUID) -> None:
    """Say that a login is this person in this community."""
    session.add(UserPerson(user_id=user_id, community_id=community_id, person_id=person_id))
    session.flush()


def _now() -> datetime:
    return datetime.now(UTC)
