"""Files on a record's page: attached, opened and taken off again."""

from typing import IO, Any, cast
from uuid import UUID

from flask import Response, render_template, request

from dougong import files
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.web.admin.pages import blueprint, find_view, go, record_url
from dougong.web.app import require_scope


@blueprint.get("/<plugin>/<model>/<uuid:id>/files")
def file_list(plugin: str, model: str, id: UUID) -> str:
    """Return the record's files, and the form to attach one."""
    scope = require_scope()
    view = find_view(plugin, model)
    record = scope.get(view.model, id)
    return render_template(
        "admin/attachments.html",
        attachments=files.attachments_of(scope, record),
        may_attach=view.may(scope, "attach"),
        may_remove=view.may(scope, "change"),
        accepted=files.ACCEPTED,
    )


@blueprint.post("/<plugin>/<model>/<uuid:id>/files")
def attach_files(plugin: str, model: str, id: UUID) -> Any:
    """Attach files; their bytes are on the disk before the rows that name them commit."""
    scope = require_scope()
    view = find_view(plugin, model, "attach")
    record = scope.get(view.model, id)
    given = [file for file in request.files.getlist("files") if file.filename]
    if not given:
        raise Invalid(
            N_("Some fields are not right yet."), fields={"files": gettext(N_("Choose a file."))}
        )
    for file in given:
        name, stream = file.filename or "", cast("IO[bytes]", file.stream)
        files.attach(scope, record, name, stream, right=view.attach_with)
    return go(f"{record_url(view, record)}?done=changed")


@blueprint.get("/<plugin>/<model>/<uuid:id>/files/<uuid:file_id>")
def open_file(plugin: str, model: str, id: UUID, file_id: UUID) -> Response:
    """Send a file in clear, as a download that no browser runs."""
    find_view(plugin, model)
    opened = files.open_attachment(require_scope(), file_id)
    return Response(opened.content, headers=opened.headers)


@blueprint.post("/<plugin>/<model>/<uuid:id>/files/<uuid:file_id>/remove")
def remove_file(plugin: str, model: str, id: UUID, file_id: UUID) -> Any:
    """Take a file off its record."""
    scope = require_scope()
    view = find_view(plugin, model, "change")
    files.remove_attachment(scope, file_id)
    return go(f"{record_url(view, scope.get(view.model, id))}?done=changed")
