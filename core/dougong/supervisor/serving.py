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
from dougong.pulse import keep_beating
from dougong.settings import Settings
from dougong.web.app import create_app
from dougong.web.live import Live

THREADS = 12
GRACE_S = 10
HEALTH = "/healthz"


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
        tasks: list[asyncio.Task[None]] = []
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                tasks = [
                    asyncio.create_task(self.live.listen()),
                    asyncio.create_task(keep_beating(self.is_well)),
                ]
                self.ready()
                await send({"type": "lifespan.startup.complete"})
            else:
                for task in tasks:
                    task.cancel()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def is_well(self) -> bool:
        """Tell whether a cheap request comes back through Flask's threads; waits until it does."""
        answered = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal answered
            answered = message.get("status", answered)

        await self.pages(_request(HEALTH), receive, send)
        return answered == 200


def _request(path: str) -> dict[str, Any]:
    """Return the ASGI scope of a request that we ask ourselves."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }
