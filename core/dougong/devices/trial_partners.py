"""The partners of a demonstration, such as payment gateways: plugins' WSGI applications.

They answer at ``Settings.trial_host`` as long as the simulators run, never in production.
"""

import logging
import threading
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from dougong.installation import Installation

log = logging.getLogger(__name__)


class _Quiet(WSGIRequestHandler):
    """Writes no line per request: addresses hold numbers of orders."""

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        return


def play_partners(installation: "Installation") -> BaseWSGIServer | None:
    """Serve what the plugins play, in a thread; return the server, None without partners."""
    settings = installation.settings
    if settings.trial_host is None or settings.trial_port is None:
        return None
    found: dict[str, Any] = {}
    hooks = installation.plugins.hooks
    for _plugin, answer in hooks.collect("trial_partners", installation=installation):
        found |= answer
    if not found:
        return None
    application = DispatcherMiddleware(NotFound(), found)
    try:
        server = make_server(
            settings.host, settings.trial_port, application, threaded=True, request_handler=_Quiet
        )
    except (OSError, SystemExit) as error:
        log.warning("the partners of the demonstration are not played: %s", error)
        return None
    threading.Thread(target=server.serve_forever, name="trial partners", daemon=True).start()
    return server
