"""Who may do what: users, sign-in, sessions, roles within scopes."""

from dougong.access.actors import (
    actor_for_session,
    actor_for_token,
    resolve_actor,
    session_at,
)
from dougong.access.tokens import issue_token, revoke_token

__all__ = [
    "actor_for_session",
    "actor_for_token",
    "issue_token",
    "resolve_actor",
    "revoke_token",
    "session_at",
]
