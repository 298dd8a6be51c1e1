"""Showing one personal value in clear, after a reason is given."""

from typing import Any
from uuid import UUID

from flask import render_template, request

from dougong.db.columns import member_label
from dougong.errors import DougongError, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.privacy.models import RevealReason
from dougong.privacy.reveals import PERMISSION, reveal
from dougong.web.admin.pages import blueprint, crumbs, find_view, record_url
from dougong.web.app import require_scope


@blueprint.route("/<plugin>/<model>/<uuid:id>/reveal/<key>", methods=["GET", "POST"])
def reveal_value(plugin: str, model: str, id: UUID, key: str) -> Any:
    """Ask for the reason, record it, then show the value."""
    scope = require_scope()
    view = find_view(plugin, model)
    scope.require(PERMISSION)
    record = scope.get(view.model, id)
    column = view.seen_columns(scope).get(key)
    if column is None or column.encrypted is None:
        raise NotFound(N_("There is no such page."))
    value, message, status = "", "", 200
    if request.method == "POST":
        try:
            value = reveal(
                scope, record, key, request.form.get("reason", ""), request.form.get("note", "")
            )
        except DougongError as error:
            message, status = translate_error(error), error.status
    page = render_template(
        "admin/reveal.html",
        view=view,
        record=record,
        column=column,
        value=value,
        message=message,
        reasons=[(r.value, member_label(r)) for r in RevealReason],
        crumbs=crumbs(
            view, (str(record), record_url(view, record)), (gettext(N_("Show in clear")), None)
        ),
    )
    return page, status
