"""Static files: bundled, compressed once, named by their content so that they never go stale."""

import gzip
import hashlib
import mimetypes
import re
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request
from markupsafe import Markup

from dougong.installation import Installation

STATIC = Path(__file__).with_name("static")
BUNDLES = {
    "admin.css": ("vendor/bootstrap@5.3.9/bootstrap.min.css", "admin.css"),
    "admin.js": ("vendor/htmx.org@2.0.11/htmx.min.js", "admin.js", "live.js"),
    "form.css": ("vendor/tom-select@2.6.2/tom-select.min.css",),
    "form.js": ("vendor/tom-select@2.6.2/tom-select.base.min.js", "form.js"),
    "passkey.js": ("passkey.js",),
    "portal.css": ("portal.css",),
    "portal.js": ("portal.js",),
}
TEXTS = ("text/", "application/javascript", "image/svg", "application/json")
SMALLEST, MOST_READ = 1000, 256 * 1024
# Parts of Bootstrap that are not served: those that need its script, for pages use <dialog> and
# <details>, and those that the theme has of its own (menu, path, pages, choices).
UNSERVED = re.compile(
    r"\.(?:accordion|bs-popover|bs-tooltip|carousel|modal|offcanvas|popover|toast|tooltip"
    r"|breadcrumb|btn-check|btn-close|btn-group|btn-toolbar|dropdown|dropup|dropend|dropstart"
    r"|form-floating|form-range|list-group|nav|navbar|page-item|page-link|pagination|placeholder"
    r"|[a-z-]+-xxl(?:-[a-z0-9]+)?|ratio|spinner-border|spinner-grow|tab-content|tab-pane)\b"
)
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
SYMBOL = re.compile(r'<symbol id="([^"]+)" viewBox="([^"]+)">(.*?)</symbol>', re.DOTALL)
blueprint = Blueprint("assets", __name__)


def install(app: Flask, installation: Installation) -> None:
    """Serve ``/static/<hash>/<name>`` and compress what goes out."""
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(asset=asset, icon=icon, picture=icon, drawing=drawing)
    app.after_request(_compress)


@lru_cache(maxsize=64)
def content(name: str) -> tuple[bytes, bytes, str]:
    """Return a bundle's bytes, the same compressed, and the hash that names it."""
    if name in BUNDLES:
        glue = b";\n" if name.endswith(".js") else b"\n"
        data = glue.join(_part(part) for part in BUNDLES[name])
    else:
        path = (STATIC / name).resolve()
        if not path.is_relative_to(STATIC) or not path.is_file():
            raise FileNotFoundError(name)
        data = path.read_bytes()
    return data, gzip.compress(data, 9, mtime=0), hashlib.sha256(data).hexdigest()[:12]


def _part(name: str) -> bytes:
    data = (STATIC / name).read_bytes()
    return served_part(data.decode()).encode() if "bootstrap" in name else data


def served_part(css: str) -> str:
    """Return a style sheet without the rules of components that are not served."""

    def kept(rule: re.Match[str]) -> str:
        selectors = rule[1].split(",")
        return "" if all(UNSERVED.search(each) for each in selectors) else rule[0]

    return RULE.sub(kept, css)


def asset(name: str) -> str:
    """Return the address of a static file; it changes when the file does."""
    return f"/static/{content(name)[2]}/{name}"


@lru_cache(maxsize=256)
def icon(name: str) -> Markup:
    """Return a picture of the sprite; it says nothing to who cannot see it."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
        asset("icons.svg"), name
    )


@lru_cache(maxsize=1)
def _symbols() -> dict[str, tuple[str, str]]:
    """Return viewBox and lines of every picture of the sprite, by its name."""
    return {
        found[1]: (found[2], found[3])
        for found in SYMBOL.finditer(content("icons.svg")[0].decode())
    }


@lru_cache(maxsize=256)
def drawing(name: str, css_class: str = "icon") -> Markup:
    """Return a picture of the sprite drawn into the page, for pages that show few of them.

    The sprite holds all pictures; a phone that sees eight does not load ninety. Raises KeyError
    for a picture that is not in it.
    """
    box, lines = _symbols()[name]
    return Markup('<svg class="{}" viewBox="{}" aria-hidden="true">{}</svg>').format(
        css_class, box, Markup(lines)
    )


@blueprint.get("/static/<digest>/<path:name>")
def serve(digest: str, name: str) -> Response:
    """Send a file; browsers may keep it for ever."""
    try:
        data, packed, _ = content(name)
    except (FileNotFoundError, ValueError):
        abort(404)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    answer = Response(data, content_type=kind)
    if kind.startswith(TEXTS) and "gzip" in request.headers.get("Accept-Encoding", ""):
        answer = Response(packed, content_type=kind)
        answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    answer.headers["Vary"] = "Accept-Encoding"
    return answer


def _is_small_file(response: Response) -> bool:
    length = response.content_length
    return response.status_code == 200 and length is not None and length <= MOST_READ


def _compress(response: Response) -> Response:
    wants = "gzip" in request.headers.get("Accept-Encoding", "")
    kind = response.content_type or ""
    if not wants or "Content-Encoding" in response.headers or not kind.startswith(TEXTS):
        return response
    if response.direct_passthrough and _is_small_file(response):
        # A plugin's script or style: read, so that a phone is not sent what could be smaller.
        response.direct_passthrough = False
        response.make_sequence()
    if response.direct_passthrough or response.is_streamed:
        return response
    data = response.get_data()
    if len(data) >= SMALLEST:
        response.set_data(gzip.compress(data, 5))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.add("Vary", "Accept-Encoding")
    return response
