"""The second factor: codes of an authenticator app, and recovery codes for who has lost it.

Passkeys are one as well (`dougong.access.passkeys`). Who holds an administration or the whole
group must have a second factor after his first sign-in.
"""

import hashlib
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyotp
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from dougong.access.models import Passkey, RecoveryCode, SignInSession, User
from dougong.db.scope import Actor
from dougong.db.vault import Vault
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext

if TYPE_CHECKING:
    from uuid import UUID

    from dougong.installation import Installation

MIGHTY = ("system_administrator", "security_administrator", "audit_administrator", "group_manager")
RECOVERY_CODES = 10
# Without letters and digits that look alike; 10 of them are 49 bits.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
IS_MIGHTY = text(
    "select exists (select from dougong.role_grant t join dougong.role r on r.id = t.role_id"
    " where t.user_id = :user and (r.duty <> 'business' or r.key = 'group_manager' or"
    " (r.permissions ? '*' and t.community_id is null and t.region_id is null)))"
)


def must_have_factor(actor: Actor) -> bool:
    """Tell whether someone holds one of the three administrations, or everything in a group."""
    return any(
        grant.role in MIGHTY or ("*" in grant.permissions and grant.communities is None)
        for grant in actor.grants
    )


def has_passkey(session: Session, user_id: "UUID") -> bool:
    """Tell whether a login has a passkey."""
    return session.scalars(select(Passkey.id).where(Passkey.user_id == user_id)).first() is not None


def has_factor(session: Session, user: User) -> bool:
    """Tell whether a login has a second factor of any kind."""
    return user.is_totp_confirmed or has_passkey(session, user.id)


def passes(installation: "Installation", session: Session, user: User, code: str | None) -> bool:
    """Tell whether a code is what the login needs beside the password, and use it up."""
    if not has_factor(session, user):
        return True
    return is_right_code(installation, session, user, code)


def is_right_code(
    installation: "Installation", session: Session, user: User, code: str | None
) -> bool:
    """Tell whether it is the app's code or a recovery code, and use it up: each works once."""
    given = (code or "").strip().lower().replace("-", "").replace(" ", "")
    if not given:
        return False
    if not given.isdigit() or len(given) != 6:
        return _use_recovery_code(session, user, given)
    secret = _totp_secret(installation, user) if user.is_totp_confirmed else None
    if secret is None:
        return False
    step = int(time.time()) // 30
    for candidate in (step, step - 1):
        if pyotp.TOTP(secret).verify(given, for_time=candidate * 30, valid_window=0):
            if user.totp_step is not None and candidate <= user.totp_step:
                return False
            user.totp_step = candidate
            return True
    return False


def _totp_secret(installation: "Installation", user: User) -> str | None:
    sealed = user.totp_secret_sealed  # type: ignore[attr-defined]
    field = User.__encrypted__["totp_secret"]
    return Vault(installation.keyring).open(field, user, sealed) if sealed else None


# --- setting it up --------------------------------------------------------------------------------


def begin_totp(installation: "Installation", actor: Actor) -> str:
    """Return the ``otpauth://`` address of a new second factor; it counts once confirmed."""
    secret = pyotp.random_base32()
    with installation.access(actor) as session:
        user = session.get_one(User, actor.user_id)
        if user.is_totp_confirmed:
            raise Conflict(N_("The second factor is on already."))
        if has_factor(session, user):
            actor.require_proof("dougong.account.second_factor")
        field = User.__encrypted__["totp_secret"]
        Vault(installation.keyring).store(field, user, secret)
        return pyotp.TOTP(secret).provisioning_uri(name=user.login, issuer_name="Dougong")


def confirm_totp(installation: "Installation", actor: Actor, code: str) -> list[str]:
    """Switch the second factor on, with a code that proves the phone has it.

    Return recovery codes, shown only now. This session is proved by it; the user's other
    sessions are asked for the factor.
    """
    with installation.access(actor) as session:
        user = session.get_one(User, actor.user_id)
        if user.is_totp_confirmed:
            raise Conflict(N_("The second factor is on already."))
        if has_factor(session, user):
            actor.require_proof("dougong.account.second_factor")
        secret = _totp_secret(installation, user)
        if secret is None or not pyotp.TOTP(secret).verify(code.strip(), valid_window=1):
            raise Invalid(
                N_("Some fields are not right yet."),
                fields={"code": gettext(N_("The code does not fit. Try the next one."))},
            )
        user.is_totp_confirmed = True
        prove_session(session, actor)
        return _new_codes(session, user)


def end_totp(installation: "Installation", actor: Actor) -> None:
    """Switch the app's codes off, to set them up on another phone; recovery codes go too."""
    actor.require_proof("dougong.account.second_factor")
    with installation.access(actor) as session:
        user = session.get_one(User, actor.user_id)
        user.is_totp_confirmed, user.totp_step = False, None
        user.totp_secret_sealed = None  # type: ignore[attr-defined]
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))


def forget_factors(installation: "Installation", login: str) -> None:
    """Take every factor from who has lost them, and end his sessions: the operator's way.

    Raises NotFound for an unknown login.
    """
    with installation.access(Actor.system("console")) as session:
        user = session.scalars(select(User).where(User.login == login.strip().lower())).first()
        if user is None:
            raise NotFound(N_("There is no login %(login)s."), login=login)
        user.is_totp_confirmed, user.totp_step, user.is_grace_used = False, None, False
        user.totp_secret_sealed = None  # type: ignore[attr-defined]
        for model in (RecoveryCode, Passkey):
            session.execute(delete(model).where(model.user_id == user.id))
        session.execute(
            update(SignInSession)
            .where(SignInSession.user_id == user.id, SignInSession.revoked_at.is_(None))
            .values(revoked_at=datetime.now(UTC))
        )


def prove_session(session: Session, actor: Actor) -> None:
    """Write down that a second factor was shown in the actor's session just now."""
    found = session.get(SignInSession, actor.session_id) if actor.session_id else None
    if found is not None:
        found.stepped_up_at, found.is_second = datetime.now(UTC), True


# --- recovery codes -------------------------------------------------------------------------------


def new_recovery_codes(installation: "Installation", actor: Actor) -> list[str]:
    """Return ten new recovery codes, shown only now; older ones no longer work."""
    actor.require_proof("dougong.account.recovery_codes")
    with installation.access(actor) as session:
        user = session.get_one(User, actor.user_id)
        if not has_factor(session, user):
            raise Conflict(N_("Set up a passkey or a second factor first."))
        return _new_codes(session, user)


def recovery_codes_left(session: Session, user_id: "UUID") -> int:
    """Return how many of a login's recovery codes were not used."""
    query = select(func.count()).where(
        RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None)
    )
    return session.scalar(query) or 0


def _new_codes(session: Session, user: User) -> list[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(10)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(user_id=user.id, code_hash=_hash(user, c)) for c in codes)
    session.flush()
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _use_recovery_code(session: Session, user: User, code: str) -> bool:
    query = select(RecoveryCode).where(
        RecoveryCode.user_id == user.id,
        RecoveryCode.code_hash == _hash(user, code),
        RecoveryCode.used_at.is_(None),
    )
    found = session.scalars(query.with_for_update()).first()
    if found is not None:
        found.used_at = datetime.now(UTC)
    return found is not None


def _hash(user: User, code: str) -> bytes:
    return hashlib.sha256(f"{user.id}|{code}".encode()).digest()
