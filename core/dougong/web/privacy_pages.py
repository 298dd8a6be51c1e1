"""Pages about personal data: the notice, what is to be answered, copies, and the keys."""

import io
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from flask import Blueprint, Flask, render_template, send_file, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.errors import NotAllowed
from dougong.i18n import N_, gettext
from dougong.installation import Installation
from dougong.privacy.keyring import PLATFORM
from dougong.privacy.models import KeyState, PrivacyRequest, RequestKind, RequestState
from dougong.privacy.purposes import NoticeEntry, notice
from dougong.privacy.requests import ANSWER_DAYS, REMIND_DAYS
from dougong.privacy.subjects import export_archive
from dougong.services import permission_of
from dougong.tenancy.models import Person
from dougong.web.admin.menu import ADMINISTRATION, menu_page
from dougong.web.app import current_installation, require_scope

KEYS = "dougong.keys.view"
COPY = "dougong.person.export"
# Retired keys can go once no backup from their time is kept.
KEEP_DAYS = 35
LISTED = 100
blueprint = Blueprint("privacy", __name__, url_prefix="/<scope:scope>/privacy")


def install(app: Flask, installation: Installation) -> None:
    """Add the pages and their places in the menu."""
    menu_page(
        "privacy.overview",
        ("Personal data", "个人信息保护"),
        permission_of(PrivacyRequest, "view"),
        section=ADMINISTRATION,
        icon="shield",
        order=63,
    )
    menu_page("privacy.keys", ("Keys", "密钥"), KEYS, section=ADMINISTRATION, icon="key", order=80)
    app.register_blueprint(blueprint)


@blueprint.get("/notice")
def read_notice() -> str:
    """Tell people what is kept of them here, made from what kernel and plugins declare."""
    scope = require_scope()
    is_resident = scope.community_id is not None and scope.community_id in scope.actor.persons
    if not (is_resident or scope.may(permission_of(PrivacyRequest, "view"))):
        raise NotAllowed(N_("This page is for people who own or live here."))
    return render_template(
        "portal/notice.html" if is_resident else "admin/notice.html",
        groups=_by_plugin(scope),
        days=ANSWER_DAYS,
        crumbs=_path(scope, gettext(N_("Privacy notice"))),
    )


def _by_plugin(scope: Scope) -> list[tuple[str, list[NoticeEntry]]]:
    """Return the notice in parts: the kernel's, then one per plugin that is on, by its title."""
    plugins = current_installation().plugins
    parts = groupby(notice(plugins, scope.enabled), key=lambda entry: entry.plugin)
    return [(_title(plugin), list(entries)) for plugin, entries in parts]


def _title(plugin: str) -> str:
    if plugin == "dougong":
        return gettext(N_("Living here"))
    manifest = current_installation().plugins.manifest(plugin)
    return str(manifest.name)


@blueprint.get("/")
def overview() -> str:
    """Show open requests, what is due first, and where the notice and the keys are."""
    scope = require_scope()
    scope.require(permission_of(PrivacyRequest, "view"))
    requests = scope.session.scalars(
        select(PrivacyRequest)
        .where(PrivacyRequest.state == RequestState.OPEN)
        .order_by(PrivacyRequest.due_on, PrivacyRequest.id)
        .limit(LISTED)
    ).all()
    lines = [_line(scope, request) for request in requests]
    return render_template(
        "admin/privacy.html",
        lines=lines,
        urgent=sum(line["tone"] != "plain" for line in lines),
        may_copy=scope.may(COPY),
        may_create=scope.community_id is not None
        and scope.may(permission_of(PrivacyRequest, "create")),
        kinds=len({entry.what for _title, part in _by_plugin(scope) for entry in part}),
        days=ANSWER_DAYS,
        crumbs=_path(scope, gettext(N_("Personal data"))),
    )


def _line(scope: Scope, request: PrivacyRequest) -> dict[str, Any]:
    left, soon = (request.due_on - scope.today).days, ANSWER_DAYS - REMIND_DAYS
    base = f"/c/{request.community_id}"
    return {
        "request": request,
        "person": str(request.person),
        "kind": member_label(request.kind),
        "left": left,
        "tone": "danger" if left < 0 else "warning" if left <= soon else "plain",
        "url": f"{base}/admin/dougong/privacy_request/{request.id}/",
        "copy_url": f"{base}/privacy/copy/{request.person_id}"
        if request.kind is RequestKind.COPY
        else "",
    }


@blueprint.post("/copy/<uuid:person>")
def copy(person: UUID) -> Response:
    """Hand out everything that is kept about a person, for the person; it is recorded."""
    scope = require_scope()
    scope.require(COPY)
    archive = export_archive(scope, scope.get(Person, person))
    return send_file(
        io.BytesIO(archive), "application/zip", as_attachment=True, download_name="personal.zip"
    )


@blueprint.get("/keys")
def keys() -> str:
    """Show the keys of this place, where each stands, and what to do; never a key itself."""
    scope = require_scope()
    scope.require(KEYS)
    names = _owners(scope)
    rows = [row for row in current_installation().keyring.rows() if row.scope_id in names]
    since = datetime.now(UTC) - timedelta(days=KEEP_DAYS)
    due = [r for r in rows if r.state is KeyState.RETIRED and r.retired_at and r.retired_at < since]
    return render_template(
        "admin/keys.html",
        rows=sorted(rows, key=lambda r: (names[r.scope_id], r.purpose, -r.number)),
        names=names,
        label=member_label,
        provider=current_installation().keyring.provider.name,
        due=len(due),
        rotating=any(r.state in (KeyState.COMING, KeyState.RETIRING) for r in rows),
        keep=KEEP_DAYS,
        crumbs=_path(scope, gettext(N_("Keys"))),
    )


def _owners(scope: Scope) -> dict[UUID, str]:
    """Return whose keys concern this place, with their names."""
    place = scope.place
    names = {PLATFORM: gettext(N_("Platform"))}
    if scope.community_id is not None:
        return {**names, scope.group_id: place.group_name, place.id: place.name}
    return {**names, place.id: place.name, **{c.id: c.name for c in place.communities}}


def _path(scope: Scope, title: str) -> list[tuple[str, str | None]]:
    return [(scope.place.name, url_for("admin.dashboard")), (title, None)]
