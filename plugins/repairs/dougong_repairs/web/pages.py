"""What all pages of the plugin share: the blueprint, forms that come back, files, words."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from werkzeug.wrappers import Response

from dougong import files
from dougong.db import Scope, member_label
from dougong.errors import DougongError, Invalid, NotFound
from dougong.i18n import N_, translate_error
from dougong.web.app import plugin_blueprint, require_scope
from dougong_repairs import cards, services
from dougong_repairs.models import WorkOrder
from dougong_repairs.words import verb_words

Answer = str | Response | tuple[str, int]
STATIC = Path(__file__).parents[1] / "static"
MOST_PHOTOS = 6
ICONS = {
    "plumbing": "droplet",
    "electrical": "zap",
    "doors_windows": "key",
    "elevator": "layers",
    "fire_safety": "shield",
    "access_parking": "truck",
    "public_area": "sun",
    "other": "more-horizontal",
}

blueprint = plugin_blueprint("repairs", "dougong_repairs")
blueprint.add_app_template_filter(member_label, "member")
blueprint.add_app_template_filter(verb_words, "repair_verb")
blueprint.add_app_template_filter(services.place_of, "repair_place")


@blueprint.app_template_global("repairs_asset")
def asset(name: str) -> str:
    """Return the address of one of the plugin's static files; it changes when the file does."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return url_for("repairs_open.static", filename=name, v=digest)


def page(template: str, **values: Any) -> str:
    """Return a page of the plugin."""
    return render_template(f"repairs/{template}.html", **values)


def form(template: str, send: Callable[[], Response], **values: Any) -> Answer:
    """Return the answer to a form: where ``send`` leads, or the form again with its faults."""
    try:
        return send()
    except Invalid as error:
        values |= {"fault": translate_error(error), "faults": error.fields, "given": request.form}
        return page(template, **values), 422


def asker() -> Scope:
    """Return the scope of an owner or resident; raises NotYours for a login without a person."""
    scope = require_scope()
    services.me(scope)
    return scope


def attach_photos(scope: Scope, order: WorkOrder, prefix: str = "") -> None:
    """Attach the request's photos to an order; at most six at once."""
    for upload in request.files.getlist("photos")[:MOST_PHOTOS]:
        if upload.filename:
            services.add_photo(scope, order, f"{prefix}{upload.filename}", upload.stream)


def photo(scope: Scope, order: WorkOrder, attachment_id: UUID) -> Response:
    """Return a photo of an order that the caller has checked; raises NotFound."""
    for attachment in files.attachments_of(scope, order):
        if attachment.id == attachment_id:
            opened = files.read_attachment(scope, attachment)
            return Response(opened.content, headers=opened.headers)
    raise NotFound(N_("There is no such record here (%(kind)s)."), kind="attachment")


def clock(scope: Scope, order: WorkOrder) -> dict[str, str]:
    """Return how long an order still has, in words and as a colour."""
    return {
        "words": cards.clock_words(order, scope.now),
        "tone": cards.clock_tone(order, scope.now),
    }


def problem(error: DougongError) -> str:
    """Return what was wrong, with the fields that were."""
    fields = getattr(error, "fields", {}) or {}
    return " ".join([translate_error(error), *fields.values()])
