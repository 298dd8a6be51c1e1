"""People for tests: browsers in which a login is signed in."""

from flask import Flask
from flask.testing import FlaskClient

from dougong.access.models import User
from dougong.access.operations import start_session
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.testing.programs import make_login
from dougong.web.app import SESSION_COOKIE


def sign_in(app: Flask, installation: Installation, actor: Actor) -> FlaskClient:
    """Return a browser in which the login of ``actor`` is signed in."""
    with installation.access() as session:
        user = session.get(User, actor.user_id)
        if user is None:
            raise LookupError(f"{actor.name} has no login")
        token = start_session(session, user)
    browser = app.test_client()
    browser.set_cookie(SESSION_COOKIE, token)
    return browser


__all__ = ["make_login", "sign_in"]
