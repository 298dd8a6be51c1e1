"""Programs read and write records with a bearer token."""

import pytest

from dougong.access import issue_token
from dougong.access.operations import create_user, grant_role
from dougong.db.scope import Actor
from dougong.web.app import create_app

METER = {"serial": "W-001", "commodity": "water", "installed_on": "2026-01-01"}


@pytest.fixture(scope="module")
def app(installation):
    return create_app(installation)


class Program:
    """A client with a token."""

    def __init__(self, app, place, token):
        self.client, self.base = app.test_client(), f"/c/{place.community_id}/api"
        self.headers = {"Authorization": f"Bearer {token}"}

    def call(self, method, path, body=None, **headers):
        options = {} if body is None else {"json": body}
        return self.client.open(
            f"{self.base}{path}", method=method, headers={**self.headers, **headers}, **options
        )


def sign_up(installation, place, role, community=None):
    """Return an actor with a new login that holds a role in a community of the place."""
    from dougong.access.roles import ship_roles
    from dougong.db import uuid7

    community = community or place.community_id
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"u{uuid7().hex}", role)
        grant_role(
            session, Actor.system(), user.id, role, group_id=place.group_id, community_id=community
        )
        return Actor(user.id, user.name)


@pytest.fixture
def program(app, installation, place):
    actor = sign_up(installation, place, "community_manager")
    token, _ = issue_token(installation, actor, "test", ["*"])
    return Program(app, place, token)


def test_a_program_creates_and_lists_meters(program):
    made = program.call("POST", "/v1/meters/meter", METER)
    assert made.status_code == 201, made.text
    assert made.json["serial"] == "W-001"
    assert made.json["multiplier"] == "1.0000"
    assert made.headers["Location"].endswith(made.json["id"])
    listed = program.call("GET", "/v1/meters/meter?commodity=water&fields=serial")
    assert listed.json == {"items": [{"id": made.json["id"], "serial": "W-001"}], "next": None}
    read = program.call("GET", f"/v1/meters/meter/{made.json['id']}")
    assert read.json == made.json
    assert read.headers["ETag"] == made.headers["ETag"]
