"""What all pages of the plugin share: the blueprints, static files, who stands before a code."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Blueprint, make_response, render_template, url_for
from werkzeug.wrappers import Response

from dougong.db import Actor, Grant, Scope, member_label
from dougong.errors import NotFound
from dougong.i18n import N_, gettext
from dougong.web.app import POLICY, csp_nonce, current_installation, plugin_blueprint, require_scope

Answer = str | Response | tuple[str, int]
STATIC = Path(__file__).parents[1] / "static"
ZXING = "vendor/zxing-wasm@3.1.4/"
# He may report by a code, and nothing else: no page, list or API answers to him.
PASSER_BY = frozenset({"equipment.equipment.use_code"})

blueprint = plugin_blueprint("equipment", "dougong_equipment")
blueprint.add_app_template_filter(member_label, "equipment_member")
open_blueprint = Blueprint(
    "equipment_open",
    "dougong_equipment",
    url_prefix="/equipment",
    template_folder="templates",
    static_folder="static",
)


@lru_cache(maxsize=64)
def _digest(name: str) -> str:
    return sha256((STATIC / name).read_bytes()).hexdigest()[:12]


@blueprint.app_template_global("equipment_asset")
def asset(name: str) -> str:
    """Return the address of one of the plugin's static files; it changes when the file does."""
    return url_for("equipment_open.static", filename=name, v=_digest(name))


def page(template: str, **values: Any) -> str:
    """Return a page of the plugin."""
    return render_template(f"equipment/{template}.html", **values)


def scanning_page(template: str, **values: Any) -> Response:
    """Return a page that reads codes: the reader is WebAssembly, which its policy must allow."""
    answer = make_response(page(template, scan_words=scan_words(), **values))
    policy = POLICY.format(nonce=csp_nonce())
    allowed = policy.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
    answer.headers["Content-Security-Policy"] = allowed
    return answer


def in_community() -> Scope:
    """Return the scope of a page of one community; raises NotFound on a group's page."""
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("There is no such page."))
    return scope


@contextmanager
def passer_by(community_id: UUID) -> Iterator[Scope]:
    """Open the community for somebody without a login; raises NotFound where the plugin is off."""
    grant = Grant(PASSER_BY, communities=frozenset({community_id}), role="passer_by")
    actor = Actor(None, "扫码报障", kind="visitor", grants=(grant,))
    with current_installation().scope(actor, community=community_id) as scope:
        if "equipment" not in scope.enabled:
            raise NotFound(N_("There is no such page."))
        yield scope


def address_of(community_id: UUID, code: str) -> str:
    """Return the address that stands in the code of equipment, below the installation's own."""
    return url_for("equipment_open.scanned", community=community_id, code=code)


def scan_words() -> dict[str, str]:
    """Return what the scanner says when there is no picture, and what to do about it."""
    return {
        "insecure": gettext(
            "The camera works on secure pages only. Open this page by https, take a photo of the"
            " code, or type the number on the label."
        ),
        "denied": gettext(
            "The browser does not let this page use the camera. Allow it in the settings beside the"
            " address, take a photo of the code, or type the number on the label."
        ),
        "blocked": gettext(
            "This page may not use the camera here. Open it in the browser itself, take a photo of"
            " the code, or type the number on the label."
        ),
        "none": gettext(
            "There is no camera here. Choose a photo of the code, or type the number on the label."
        ),
        "busy": gettext(
            "Another program uses the camera. Close it and try again, take a photo of the code, or"
            " type the number on the label."
        ),
        "tag_insecure": gettext("NFC works on secure pages only. Open this page by https."),
        "tag_unknown": gettext(
            "This browser cannot read NFC tags; Chrome on Android can. Scan the QR code instead."
        ),
        "tag_denied": gettext(
            "The browser does not let this page use NFC. Allow it in the settings beside the"
            " address, or scan the QR code."
        ),
        "tag_off": gettext(
            "NFC is switched off on this phone, or it has none. Switch it on in the phone's"
            " settings, or scan the QR code."
        ),
        "tag_ready": gettext("Hold the back of the phone to the tag."),
        "tag_unread": gettext("The tag could not be read. Hold the phone still on it."),
        "tag_foreign": gettext("Nothing of this system is on this tag. Its number:"),
        "unread": gettext("No code was found in the photo. Come nearer, with more light."),
        "foreign": gettext("This is no code of this system."),
        "other": gettext("This is the code of another point."),
    }
