"""Programs for tests: logins with roles, and clients that call the API with their tokens."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Flask
from werkzeug.test import TestResponse

from dougong.access.operations import create_user, grant_role
from dougong.access.roles import ship_roles
from dougong.access.tokens import issue_token
from dougong.db.base import uuid7
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.testing.factories import Place


def make_login(
    installation: Installation, place: Place, role: str, community: UUID | None = None
) -> Actor:
    """Return a new login that holds a shipped role in a community, the place's first by default."""
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"u{uuid7().hex}", role)
        grant_role(
            session,
            Actor.system("test"),
            user.id,
            role,
            group_id=place.group_id,
            community_id=community or place.community_id,
        )
        return Actor(user.id, user.name)


class Program:
    """A client of the API in one place, signed in with a token."""

    def __init__(self, app: Flask, scope: str, token: str) -> None:
        self.app, self.token, self.base = app, token, f"/{scope}/api"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Return the answer to one request; a body is sent as JSON.

        headers: ``If_Match="…"`` for the header If-Match.
        """
        sent = {"Authorization": f"Bearer {self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        options = {} if body is None else {"json": body}
        client = self.app.test_client(use_cookies=False)
        return client.open(f"{self.base}{path}", method=method, headers=sent, **options)


def make_program(
    app: Flask,
    installation: Installation,
    place: Place,
    role: str = "community_manager",
    permissions: Sequence[str] = ("*",),
    community: UUID | None = None,
) -> Program:
    """Return a program with a token of a new login that holds a role."""
    actor = make_login(installation, place, role, community)
    token, _ = issue_token(installation, actor, role, permissions)
    return Program(app, f"c/{community or place.community_id}", token)
