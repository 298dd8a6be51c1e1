"""The audit log of a place and its check, and the record page of a job."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from sqlalchemy import text

from dougong.audit.checkpoints import read_witness, signing_key, witness_files
from dougong.audit.timeline import model_of
from dougong.audit.verification import snapshot, verify
from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.exchange import Export
from dougong.i18n import N_, gettext
from dougong.jobs import cancel_job, retry_job
from dougong.jobs.models import Job
from dougong.privacy.models import RevealReason
from dougong.web.admin import registry
from dougong.web.admin.menu import ADMINISTRATION, list_url, menu_page
from dougong.web.admin.pages import blueprint, verb_label
from dougong.web.admin.views import RecordView, action
from dougong.web.app import current_installation, require_scope

PAGE = 50
ENTRIES = text(
    """
    select e.id, e.at, e.verb, e.operation, e.schema_name, e.table_name, e.row_id, e.chain_id,
           e.body, u.name as actor, u.login
    from dougong.audit_event e left join dougong."user" u on u.id = e.actor_id
    where e.chain_id = any(:chains)
      and (cast(:before as uuid) is null or e.id < :before)
      and (cast(:since as timestamptz) is null or e.at >= :since)
      and (:verb = '' or (e.verb >= :verb and e.verb < :verb || chr(1114111)))
      and (:login = '' or u.login = :login)
    order by e.id desc limit :limit
    """
)
menu_page(
    "admin.audit_log",
    ("Audit log", "审计日志"),
    "dougong.audit.view",
    section=ADMINISTRATION,
    icon="shield",
    order=60,
)


class JobView(RecordView, model=Job):
    title = ("Jobs", "后台任务")
    section, icon = ADMINISTRATION, "cpu"
    columns = ("service", "state", "done", "total", "message", "attempts", "asked_at", "ended_at")
    filters = ("state", "asked_at")
    actions = (
        action(retry_job, states=("failed", "cancelled")),
        action(cancel_job, confirm=True, states=("waiting", "running")),
    )
    can_create = can_change = can_delete = can_import = in_menu = False


@blueprint.get("/audit")
def audit_log() -> str:
    """Show who did what here, newest first."""
    scope = require_scope()
    scope.require("dougong.audit.view")
    wanted = {k: request.args.get(k, "").replace("\0", "").strip()[:80] for k in ("verb", "login")}
    rows = _entries(scope, wanted)
    return render_template(
        "admin/audit.html",
        rows=[_shown(row) for row in rows[:PAGE]],
        next=rows[PAGE - 1].id if len(rows) > PAGE else None,
        wanted=wanted,
        day=request.args.get("since", ""),
        crumbs=_path(scope),
    )


@blueprint.get("/audit/check")
def check_log() -> str:
    """Check this place's chain against the witness and say what was found."""
    scope = require_scope()
    scope.require("dougong.audit.view")
    installation = current_installation()
    paths = installation.settings.paths
    witness = next((w for w in witness_files(paths) if w.exists()), None)
    lines = read_witness(witness) if witness else []
    public = signing_key(paths).public
    with snapshot(installation) as connection:
        report = verify(connection, lines, public, only=scope.community_id or scope.group_id)
    newest = report.newest_checkpoint
    return render_template(
        "admin/audit_check.html",
        report=report,
        newest=datetime.fromisoformat(newest) if newest else None,
        crumbs=_path(scope),
    )


def _path(scope: Scope) -> list[tuple[str, str | None]]:
    return [(scope.place.name, url_for("admin.dashboard")), (gettext(N_("Audit log")), None)]


def _entries(scope: Scope, wanted: dict[str, str]) -> list[Any]:
    try:
        before = UUID(request.args["before"]) if request.args.get("before") else None
        since = datetime.fromisoformat(request.args["since"]) if request.args.get("since") else None
    except ValueError:
        before = since = None
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=scope.zone)
    chains = [scope.community_id] if scope.community_id else [scope.group_id, *scope.readable]
    with current_installation().platform() as session:
        return list(
            session.execute(
                ENTRIES,
                {**wanted, "chains": chains, "before": before, "since": since, "limit": PAGE + 1},
            ).all()
        )


def _shown(row: Any) -> dict[str, Any]:
    """Return a row of the log with the record's name for people and its address."""
    model = model_of(f"{row.schema_name}.{row.table_name}")
    view = registry.view_of(model) if model else None
    body = json.loads(row.body)
    if model is Export and body.get("new"):
        return _shown_export(row, body["new"])
    url = ""
    if view is not None and row.row_id:
        url = f"{list_url(view, scope=_place(row, view))}{row.row_id}/"
    return {
        "at": row.at,
        "who": row.actor or "",
        "what": verb_label(row.verb, row.operation),
        "kind": view.label() if view else row.table_name,
        "reason": body.get("reason", ""),
        "many": body.get("rows") if row.row_id is None else None,
        "url": url,
    }


def _shown_export(row: Any, taken: dict[str, Any]) -> dict[str, Any]:
    """Return who took which list out, how many rows, with which personal columns and why."""
    view = registry.view_named(taken["view"])
    columns = view.all_columns() if view is not None else {}
    personal = [str(columns[key].label) for key in taken["personal"] if key in columns]
    how = gettext(N_("in clear")) if taken["is_clear"] else gettext(N_("masked"))
    why = member_label(RevealReason(taken["reason"])) if taken["reason"] else ""
    facts = [f"{'、'.join(personal)} ({how})" if personal else "", why, taken["note"]]
    return {
        "at": row.at,
        "who": row.actor or "",
        "what": verb_label(row.verb, row.operation),
        "kind": view.label() if view is not None else taken["view"],
        "reason": " · ".join(fact for fact in facts if fact),
        "many": taken["rows"],
        "url": "",
    }


def _place(row: Any, view: type[RecordView]) -> Any:
    return f"c/{row.chain_id}" if view.model.__kind__ == "community" else require_scope()
