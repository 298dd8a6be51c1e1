"""The web process: one ASGI server with live streams, and Flask behind it."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from a2wsgi import WSGIMiddleware

from dougong.installation import Installation
from dougong.settings import Settings
from dougong.web.app import create_app
from dougong.web.live import Live

THREADS = 12
GRACE_S = 10


def main(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM; requests that run are finished before the process goes."""
    installation = Installation.open(settings)
    application = Application(installation, ready)
    application.server = server = uvicorn.Server(
        uvicorn.Config(
            application,
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
    stop = threading.Event()
    threading.Thread(target=installation.plugins.watch, args=(stop,), daemon=True).start()
    sockets = [socket.socket(fileno=int(descriptor))] if descriptor else None
    try:
        server.run(sockets=sockets)
    finally:
        stop.set()
        installation.close()


class Application:
    """The ASGI application: ``…/live`` natively, everything else by Flask's threads."""

    server: uvicorn.Server | None = None

    def __init__(
        self, installation: Installation, ready: Callable[[], None] = lambda: None
    ) -> None:
        flask: Any = create_app(installation)
        self.pages: Any = WSGIMiddleware(flask, workers=THREADS)
        self.live = Live(installation, self.is_stopping)
        self.ready = ready

    def is_stopping(self) -> bool:
        return self.server is not None and self.server.should_exit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            handler = self.live.serve if self.live.wants(scope["path"]) else self.pages
            await handler(scope, receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        listener: asyncio.Task[None] | None = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                listener = asyncio.create_task(self.live.listen())
                self.ready()
                await send({"type": "lifespan.startup.complete"})
            else:
                if listener is not None:
                    listener.cancel()
                await send({"type": "lifespan.shutdown.complete"})
                return
