"""The inbox: what the one who is signed in has been told, in the portal and in the admin."""

from uuid import UUID

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dougong.installation import Installation
from dougong.messages import inbox, mark_all_read, mark_read, unread_count
from dougong.web.app import require_scope

PAGE = 30
blueprint = Blueprint("inbox", __name__, url_prefix="/<scope:scope>/inbox")


def install(app: Flask, installation: Installation) -> None:
    """Add the inbox to the application."""
    app.register_blueprint(blueprint)


@blueprint.get("/")
def messages() -> str:
    """Show the newest messages; ``before`` is the last one of the page above."""
    scope = require_scope()
    found = inbox(scope, limit=PAGE + 1, before=request.args.get("before", type=UUID))
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return render_template(
        "inbox/messages.html", messages=found[:PAGE], more=more, unread=unread_count(scope)
    )


@blueprint.get("/badge")
def badge() -> str:
    """Return the bell of the admin's frame, with the number of unread messages."""
    return render_template("inbox/badge.html", unread=unread_count(require_scope()))


@blueprint.get("/<uuid:message>")
def message(message: UUID) -> str:
    """Show one message of the actor's own and remember that it was read."""
    return render_template("inbox/message.html", message=mark_read(require_scope(), message))


@blueprint.post("/read")
def read_all() -> Response:
    """Mark every message as read."""
    mark_all_read(require_scope())
    return redirect(url_for(".messages"), 303)
