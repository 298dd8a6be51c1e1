"""The web process: one ASGI server with live streams, and Flask behind it."""

import os
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from a2wsgi import WSGIMiddleware

from dougong.installation import Installation
from dougong.settings import Settings
from dougong.web.app import create_app

THREADS = 12
GRACE_S = 10


def main(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM; requests that run are finished before the process goes."""
    installation = Installation.open(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            application(installation, ready),
            host=settings.host,
            port=settings.port,
            interface="asgi3",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=15,
        )
    )
    descriptor = os.environ.get("DOUGONG_LISTEN_FD")
    sockets = [socket.socket(fileno=int(descriptor))] if descriptor else None
    try:
        server.run(sockets=sockets)
    finally:
        installation.close()


def application(installation: Installation, ready: Callable[[], None]) -> Any:
    """Return the ASGI application: ``…/live`` natively, everything else by Flask's threads."""
    pages: Any = WSGIMiddleware(create_app(installation), workers=THREADS)  # type: ignore[arg-type]

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send, ready)
        elif scope["type"] == "http":
            await pages(scope, receive, send)

    return serve


async def _live(receive: Any, send: Any, ready: Callable[[], None]) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            ready()
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
