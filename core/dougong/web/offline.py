"""Pages that also work without network: their service worker, and how they sit on a home screen.

The page loads ``outbox.js`` and keeps what was done in an ``Outbox``; the server takes it with
``dougong.services.offline.perform_once``.
"""

import json

from flask import Response, send_file

from dougong.web.assets import STATIC


def worker_script() -> Response:
    """Send the service worker; give it an address below the page that it serves."""
    made = send_file(STATIC / "page_worker.js", mimetype="text/javascript")
    made.headers["Cache-Control"] = "no-cache"
    return made


def web_manifest(name: str, address: str, icon: str) -> Response:
    """Describe a page as an app. name: for the home screen. icon: the address of an SVG."""
    body = {
        "name": name,
        "short_name": name,
        "start_url": address,
        "scope": address,
        "display": "standalone",
        "background_color": "#f1f4f7",
        "theme_color": "#0b5cad",
        "icons": [{"src": icon, "sizes": "any", "type": "image/svg+xml"}],
    }
    return Response(json.dumps(body), content_type="application/manifest+json")
