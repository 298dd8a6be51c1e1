"""Downloading a list: at once when it is short, prepared by a worker when it is long.

Needs the permission ``<plugin>.<model>.export``. Personal values are masked; in clear they come
only for roles that show them, with a reason. Every export is in the audit log.
"""

import tempfile
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from flask import Response, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.errors import Invalid, NotAllowed, NotFound
from dougong.exchange import ExportFile, FileState, read_parts
from dougong.i18n import N_, gettext, translate_error
from dougong.privacy.models import RevealReason
from dougong.privacy.reveals import reason_of
from dougong.web.admin import export_jobs, exporting, listing
from dougong.web.admin.exporting import Asked
from dougong.web.admin.imports import url_of
from dougong.web.admin.pages import blueprint, crumbs, find_view, go
from dougong.web.admin.progress import progress_of
from dougong.web.admin.views import RecordView
from dougong.web.admin.workbooks import CSV, XLSX, send
from dougong.web.app import require_scope

AT_ONCE = 10_000
KINDS = {"xlsx": XLSX, "csv": CSV}
NOT_FILTERS = ("kind", "after", "before", "done", "record", "size")


@blueprint.get("/<plugin>/<model>/export.xlsx")
def export_xlsx(plugin: str, model: str) -> Response:
    """Download the list as an Excel workbook."""
    return _now(plugin, model, "xlsx")


@blueprint.get("/<plugin>/<model>/export.csv")
def export_csv(plugin: str, model: str) -> Response:
    """Download the list as CSV."""
    return _now(plugin, model, "csv")


def _view(plugin: str, model: str) -> type[RecordView]:
    find_view(plugin, model, "export")
    return find_view(plugin, model)


def _now(plugin: str, model: str, kind: str) -> Response:
    """Send a masked export; a long one is asked for on the export's page."""
    view, scope = _view(plugin, model), require_scope()
    asked = Asked(kind, listing.Wish.read(request.args))
    number = exporting.count(scope, view, asked.wish)
    if number > AT_ONCE:
        query = f"{request.query_string.decode()}&kind={kind}".lstrip("&")
        return go(f"{url_of(view, 'export_records')}?{query}")
    return _sent(scope, view, asked, number)


def _sent(scope: Scope, view: type[RecordView], asked: Asked, number: int) -> Response:
    exporting.record_export(scope, view, asked, number)
    file = exporting.write(scope, view, asked)
    return send(file, KINDS[asked.kind], exporting.name_of(scope, view, asked.kind))


# --- the page of an export ------------------------------------------------------------------------


@blueprint.route("/<plugin>/<model>/export", methods=["GET", "POST"])
def export_records(plugin: str, model: str) -> Any:
    """Offer format and, to those who may, values in clear; then send or prepare the file."""
    view, scope = _view(plugin, model), require_scope()
    if request.method == "GET":
        return _page(view, _query(request.args.items(multi=True)))
    query = _query(parse_qsl(request.form.get("query", "")[:2000]))
    wish = listing.Wish.read(MultiDict(query))
    try:
        asked = _asked(scope, view, wish)
        number = exporting.count(scope, view, wish)
        if number <= AT_ONCE:
            return _sent(scope, view, asked, number)
        exporting.record_export(scope, view, asked, number)
    except Invalid as error:
        return _page(view, query, error), error.status
    place, id = export_jobs.ask(scope, view, asked, urlencode(query), number)
    return go(url_for("admin.export_file", scope=f"c/{place}", file=id))


def _query(pairs: Any) -> list[tuple[str, str]]:
    return [(key, value) for key, value in pairs if key not in NOT_FILTERS and value]


def _asked(scope: Scope, view: type[RecordView], wish: listing.Wish) -> Asked:
    """Return what the form asks for; raises Invalid without a reason, NotAllowed for what is
    not shown to the actor's roles."""
    kind = request.form.get("kind", "")
    is_clear = request.form.get("clear") == "true"
    if is_clear and not exporting.may_be_clear(scope, view, wish):
        raise NotAllowed(N_("Your roles do not show these values in clear."))
    return Asked(
        kind if kind in KINDS else "xlsx",
        wish,
        is_clear,
        reason_of(request.form.get("reason", "")) if is_clear else None,
        request.form.get("note", "").strip() if is_clear else "",
    )


def _page(
    view: type[RecordView], query: list[tuple[str, str]], error: Invalid | None = None
) -> str:
    scope = require_scope()
    wish = listing.Wish.read(MultiDict(query))
    number = exporting.count(scope, view, wish)
    return render_template(
        "admin/export.html",
        view=view,
        to=partial(url_of, view),
        query=urlencode(query),
        number=number,
        is_long=number > AT_ONCE,
        columns=[str(c.label) for c in view.shown(scope, wish.columns)],
        personal=[str(c.label) for c in exporting.personal_of(scope, view, wish)],
        may_be_clear=exporting.may_be_clear(scope, view, wish),
        reasons=[(r.value, member_label(r)) for r in RevealReason],
        given=request.form,
        kind=request.values.get("kind", "xlsx"),
        message=translate_error(error) if error else "",
        crumbs=crumbs(view, (gettext(N_("Export")), None)),
    )


# --- a prepared file ------------------------------------------------------------------------------


def _file(id: UUID) -> ExportFile:
    """Return a prepared file of the actor's own; it is there for nobody else."""
    scope = require_scope()
    file = scope.get(ExportFile, id)
    if file.user_id is None or file.user_id != scope.actor.user_id:
        raise NotFound(N_("There is no such page."))
    return file


@blueprint.get("/exports/<uuid:file>/")
def export_file(file: UUID) -> str:
    """Show how far a file is, and offer it once it is ready."""
    return render_template("admin/export_file.html", **_file_page(_file(file)))


@blueprint.get("/exports/<uuid:file>/progress")
def export_progress(file: UUID) -> str:
    """Return the part of the page that changes."""
    return render_template("admin/export_file_body.html", **_file_page(_file(file)))


def _file_page(file: ExportFile) -> dict[str, Any]:
    scope = require_scope()
    is_gone = file.expires_at is not None and file.expires_at <= scope.now
    return {
        "file": file,
        "is_gone": is_gone or file.state is FileState.EXPIRED,
        "progress": progress_of(scope, file.job_id),
        "crumbs": [
            (scope.place.name, url_for("admin.dashboard")),
            (gettext(N_("Export")), None),
        ],
    }


@blueprint.get("/exports/<uuid:file>/download")
def download_export(file: UUID) -> Response:
    """Send a prepared file to the one who asked for it."""
    scope, found = require_scope(), _file(file)
    is_gone = found.expires_at is None or found.expires_at <= scope.now
    if found.state is not FileState.READY or is_gone:
        raise NotFound(N_("This file is no longer there. Export the list again."))
    content: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is sent
    for piece in read_parts(scope, found.id, export_jobs.CONTENT):
        content.write(piece)
    return send(content, KINDS[found.kind], found.name)
