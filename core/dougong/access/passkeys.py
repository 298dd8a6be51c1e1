"""Passkeys (WebAuthn): registering one, signing in with it, alone or after the password.

A passkey proves possession and, by the device's PIN or finger, the person: it is both factors.
A site is known by its name; browsers refuse passkeys for addresses such as 127.0.0.1.
"""

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dougong.access.factors import has_factor, prove_session
from dougong.access.models import Passkey, PasskeyChallenge, User
from dougong.access.operations import (
    BY_PASSKEY,
    WrongSignIn,
    note_attempt,
    refuse_guessing,
    start_session,
)
from dougong.db.base import uuid7
from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.later import Later

if TYPE_CHECKING:
    import webauthn
    from webauthn.helpers import structs

    from dougong.installation import Installation
else:
    webauthn, structs = Later("webauthn"), Later("webauthn.helpers.structs")

PATIENCE = timedelta(minutes=5)
MOST_PASSKEYS = 10
REGISTER, SIGN_IN = "register", "sign_in"


@dataclass(frozen=True)
class Site:
    """What a passkey is bound to: the site's name and its origin, port included."""

    name: str
    origin: str


def site_of(installation: "Installation", origin: str) -> Site | None:
    """Return the site of a request, None where passkeys do not work.

    origin: as the browser names it. It counts only when it is the configured address; an
    installation on a loopback address answers to ``localhost`` as well.
    """
    ours, asked = urlsplit(installation.settings.url), urlsplit(origin)
    name = asked.hostname or ""
    is_local = name == "localhost" and (ours.hostname == "localhost" or _is_loopback(ours.hostname))
    if _is_address(name) or not (is_local or asked.netloc == ours.netloc):
        return None
    return Site(name, f"{asked.scheme}://{asked.netloc}")


def _is_address(name: str | None) -> bool:
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        return False
    return True


def _is_loopback(name: str | None) -> bool:
    return _is_address(name) and ipaddress.ip_address(name or "").is_loopback


# --- registering ----------------------------------------------------------------------------------


def begin_registration(installation: "Installation", actor: Actor, site: Site) -> str:
    """Return what the browser needs to make a passkey for the actor's login, as JSON."""
    with installation.access(actor) as session:
        user = session.get_one(User, actor.user_id)
        if has_factor(session, user):
            actor.require_proof("dougong.account.passkeys")
        known = _passkeys(session, user.id)
        if len(known) >= MOST_PASSKEYS:
            raise Conflict(N_("A login has ten passkeys at most. Remove one first."))
        options = webauthn.generate_registration_options(
            rp_id=site.name,
            rp_name="Dougong",
            user_name=user.login,
            user_id=user.id.bytes,
            user_display_name=user.name,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                structs.PublicKeyCredentialDescriptor(k.credential_id) for k in known
            ],
        )
        asked = _remember(session, REGISTER, options.challenge, user.id)
    return _told(asked, options)


def register(
    installation: "Installation", actor: Actor, site: Site, asked: str, answer: str, name: str
) -> None:
    """Keep the passkey that the browser has made. Raises Invalid when it does not prove itself."""
    with installation.access(actor) as session:
        challenge = _recall(session, asked, REGISTER)
        if challenge is None or challenge.user_id != actor.user_id:
            raise _unproven()
        try:
            made = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=challenge.challenge,
                expected_rp_id=site.name,
                expected_origin=site.origin,
                require_user_verification=True,
            )
        except (
            webauthn.helpers.exceptions.WebAuthnException,
            ValueError,
            KeyError,
            TypeError,
        ) as error:
            raise _unproven() from error
        session.add(
            Passkey(
                user_id=challenge.user_id,
                name=name.replace("\0", "").strip()[:80] or gettext(N_("Passkey")),
                credential_id=made.credential_id,
                public_key=made.credential_public_key,
                sign_count=made.sign_count,
                made_at=_now(),
            )
        )
        prove_session(session, actor)


def passkeys_of(installation: "Installation", user_id: UUID) -> Sequence[Passkey]:
    """Return a login's passkeys, the oldest first."""
    with installation.access() as session:
        found = _passkeys(session, user_id)
        session.expunge_all()
        return found


def remove_passkey(installation: "Installation", actor: Actor, passkey_id: UUID) -> None:
    """Forget one of the actor's passkeys; raises NotFound for one that is not his."""
    actor.require_proof("dougong.account.passkeys")
    with installation.access(actor) as session:
        found = session.get(Passkey, passkey_id)
        if found is None or found.user_id != actor.user_id:
            raise NotFound(N_("There is no such passkey."))
        session.delete(found)


def _passkeys(session: Session, user_id: UUID) -> Sequence[Passkey]:
    query = select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)
    return session.scalars(query).all()


# --- signing in -----------------------------------------------------------------------------------


def begin_sign_in(
    installation: "Installation", site: Site, user_id: UUID | None = None, address: str = ""
) -> str:
    """Return what the browser needs to sign in, as JSON.

    user_id: whose passkeys count, after the password; None when the passkey says who it is.
    Raises TooManyTries for an address that asks too often.
    """
    with installation.access() as session:
        refuse_guessing(session, f"passkey {address}", address)
        if user_id is None:
            note_attempt(session, "", address, is_success=True)
        known = _passkeys(session, user_id) if user_id else ()
        options = webauthn.generate_authentication_options(
            rp_id=site.name,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
            allow_credentials=[
                structs.PublicKeyCredentialDescriptor(k.credential_id) for k in known
            ],
        )
        asked = _remember(session, SIGN_IN, options.challenge, user_id)
    return _told(asked, options)


def sign_in_with_passkey(
    installation: "Installation",
    site: Site,
    asked: str,
    answer: str,
    *,
    address: str = "",
    device: str = "",
) -> tuple[str, User]:
    """Return a new session's token and the user whose passkey has answered.

    Raises WrongSignIn, the same whatever is wrong, and TooManyTries.
    """
    with installation.access() as session:
        refuse_guessing(session, f"passkey {address}", address)
        challenge = _recall(session, asked, SIGN_IN)
        user = _proven(session, site, challenge, answer) if challenge is not None else None
        login = user.login if user else f"passkey {address}"
        note_attempt(session, login, address, is_success=user is not None)
        token = None
        if user is not None:
            token = start_session(
                session, user, address, device, begun_by=BY_PASSKEY, is_second=True
            )
    if token is None or user is None:
        raise WrongSignIn(N_("This passkey is not known here, or it took too long. Try again."))
    return token, user


def is_answered_by(session: Session, site: Site, user: User, asked: str, answer: str) -> bool:
    """Tell whether a passkey of this very user has signed what it was asked to."""
    challenge = _recall(session, asked, SIGN_IN)
    if challenge is None or challenge.user_id != user.id:
        return False
    proven = _proven(session, site, challenge, answer)
    return proven is not None and proven.id == user.id


def _proven(session: Session, site: Site, challenge: PasskeyChallenge, answer: str) -> User | None:
    try:
        raw = webauthn.helpers.base64url_to_bytes(json.loads(answer)["rawId"])
        query = select(Passkey).where(Passkey.credential_id == raw).with_for_update()
        key = session.scalars(query).first()
        if key is None or challenge.user_id not in (None, key.user_id):
            return None
        proof = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge.challenge,
            expected_rp_id=site.name,
            expected_origin=site.origin,
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    except (webauthn.helpers.exceptions.WebAuthnException, ValueError, KeyError, TypeError):
        return None
    key.sign_count, key.last_used_at = proof.new_sign_count, _now()
    user = session.get(User, key.user_id)
    return user if user is not None and user.is_active else None


# --- challenges -----------------------------------------------------------------------------------


def _remember(session: Session, purpose: str, challenge: bytes, user_id: UUID | None) -> UUID:
    session.execute(delete(PasskeyChallenge).where(PasskeyChallenge.ends_at < _now()))
    asked = uuid7()
    session.add(
        PasskeyChallenge(
            id=asked,
            purpose=purpose,
            challenge=challenge,
            user_id=user_id,
            ends_at=_now() + PATIENCE,
        )
    )
    return asked


def _recall(session: Session, asked: str, purpose: str) -> PasskeyChallenge | None:
    """Return a challenge and use it up."""
    try:
        identity = UUID(asked)
    except ValueError:
        return None
    query = select(PasskeyChallenge).where(PasskeyChallenge.id == identity).with_for_update()
    found = session.scalars(query).first()
    if found is None or found.purpose != purpose or found.ends_at < _now():
        return None
    session.delete(found)
    return found


def _told(asked: UUID, options: Any) -> str:
    told = json.loads(webauthn.options_to_json(options))
    return json.dumps({"asked": str(asked), "options": told})


def _unproven() -> Invalid:
    return Invalid(N_("The passkey could not be set up. Try again."))


def _now() -> datetime:
    return datetime.now(UTC)
