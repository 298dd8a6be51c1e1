"""Who is signed in and which programs hold tokens, for the security administrator."""

from typing import Any
from uuid import UUID

from flask import render_template, url_for

from dougong.access import operations, tokens, users
from dougong.db.scope import Scope
from dougong.errors import NotFound
from dougong.i18n import N_, gettext
from dougong.web.admin.menu import ADMINISTRATION, menu_page
from dougong.web.admin.pages import blueprint, go
from dougong.web.app import current_installation, require_scope
from dougong.web.signin.account import device_name

menu_page(
    "admin.session_list",
    ("Sessions and tokens", "登录与令牌"),
    "dougong.session.view",
    section=ADMINISTRATION,
    icon="lock",
    order=54,
    only_in="group",
)


@blueprint.get("/sessions")
def session_list() -> str:
    """Show the open sessions and the access tokens of this group's users."""
    scope = _group_scope("view")
    return render_template(
        "admin/sessions.html",
        sessions=users.sessions_here(scope),
        tokens=users.tokens_here(scope),
        device_name=device_name,
        crumbs=[
            (scope.place.name, url_for("admin.dashboard")),
            (gettext(N_("Sessions and tokens")), None),
        ],
    )


@blueprint.post("/sessions/<any(session, token):kind>/<uuid:id>/revoke")
def end_access(kind: str, id: UUID) -> Any:
    """End a session or a token at once."""
    scope = _group_scope("revoke")
    end = operations.revoke_session if kind == "session" else tokens.revoke_token
    end(current_installation(), scope.actor, id)
    return go(url_for("admin.session_list", done="revoked"))


def _group_scope(verb: str) -> Scope:
    scope = require_scope()
    if scope.community_id is not None:
        raise NotFound(N_("Users are looked after on the group's pages."))
    scope.require(f"dougong.session.{verb}")
    return scope
