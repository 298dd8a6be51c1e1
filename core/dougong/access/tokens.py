"""Bearer tokens: how programs act in someone's name, with a part of his permissions."""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from dougong.access.actors import hash_of
from dougong.access.models import ApiToken, ApiTokenUse
from dougong.access.operations import may_end
from dougong.db.scope import Actor
from dougong.errors import Invalid, NotAllowed, NotFound
from dougong.i18n import N_, gettext

if TYPE_CHECKING:
    from dougong.installation import Installation

PREFIX = "dougong_"
LONGEST = timedelta(days=366)
WORD = "[a-z][a-z0-9_]*"
PERMISSION = re.compile(rf"^(\*|{WORD}(\.{WORD})*\.\*|(\*|{WORD})(\.{WORD})+)$")


def issue_token(
    installation: "Installation",
    actor: Actor,
    name: str,
    permissions: Sequence[str],
    *,
    communities: Sequence[UUID] | None = None,
    lifetime: timedelta = timedelta(days=90),
) -> tuple[str, ApiToken]:
    """Return a new bearer token of the actor's login, and its row; the token is shown only now.

    permissions: what it asks for (``meters.*``, ``meters.meter.view``, ``*.view``); it never gets
    more than its owner has at the time of use. What asks people for a fresh proof
    (``@service(…, step_up=True)``) must be named in full, for a program cannot give one.
    communities: where it may be used, None for wherever the owner may. lifetime: a year at most.
    Raises Invalid naming the wrong fields, NotAllowed for an actor that is itself a token.
    """
    if actor.kind == "token" or actor.user_id is None:
        raise NotAllowed(N_("Only someone who signed in himself may issue a token."))
    _check(name, permissions, lifetime)
    actor.require_proof("dougong.account.tokens")
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        user_id=actor.user_id,
        name=name.strip(),
        token_hash=hash_of(token),
        permissions=sorted(set(permissions)),
        community_ids=None if communities is None else sorted(map(str, set(communities))),
        ends_at=datetime.now(UTC) + lifetime,
    )
    with installation.access(actor) as session:
        session.add(row)
    return token, row


def _check(name: str, permissions: Sequence[str], lifetime: timedelta) -> None:
    wrong = [p for p in permissions if not PERMISSION.match(p)]
    fields = {}
    if not 0 < len(name.strip()) <= 120:
        fields["name"] = gettext(N_("Give it a name of at most 120 characters."))
    if wrong or not permissions:
        fields["permissions"] = gettext(
            N_("Name permissions such as meters.meter.view or meters.* (not: %(wrong)s)."),
            wrong=", ".join(wrong) or "–",
        )
    if not timedelta() < lifetime <= LONGEST:
        fields["lifetime"] = gettext(N_("A token lives for a year at most."))
    if fields:
        raise Invalid(N_("Some fields are not right yet."), fields=fields)


def last_uses(installation: "Installation", user_id: UUID) -> dict[UUID, datetime]:
    """Return when each of a login's tokens was last used."""
    query = select(ApiTokenUse.id, ApiTokenUse.at).where(
        ApiTokenUse.id.in_(select(ApiToken.id).where(ApiToken.user_id == user_id))
    )
    with installation.access() as session:
        return {row[0]: row[1] for row in session.execute(query)}


def tokens_of(installation: "Installation", user_id: UUID) -> Sequence[ApiToken]:
    """Return the tokens of a login that still work, newest first."""
    with installation.access() as session:
        return session.scalars(
            select(ApiToken)
            .where(
                ApiToken.user_id == user_id,
                ApiToken.revoked_at.is_(None),
                ApiToken.ends_at > datetime.now(UTC),
            )
            .order_by(ApiToken.id.desc())
        ).all()


def revoke_token(installation: "Installation", actor: Actor, token_id: UUID) -> None:
    """End a token at once: the actor's own, or with ``dougong.session.revoke`` his group's.

    Raises NotFound for a token that is not there or not the actor's to end.
    """
    with installation.access(actor) as session:
        row = session.get(ApiToken, token_id)
        is_own = row is not None and row.user_id == actor.user_id
        if row is None or not (is_own or may_end(session, actor, row.user_id)):
            raise NotFound(N_("There is no such token."))
        row.revoked_at = row.revoked_at or datetime.now(UTC)
