"""A web product that is killed on purpose, again and again, and is back within a moment.

A process imports everything once and forks a child that serves; the listening socket stays open
while one child is dead and the next is not there yet, as under the supervisor. Used by gates::

    with Nursery(settings) as nursery:
        nursery.start()
        nursery.kill()
"""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from dougong.paths import Paths
from dougong.settings import Settings

BACKLOG = 128
APPLICATION = "dougong.web.app:create_app"
LOADED = ("hooks", "services", "admin", "web")


class Nursery:
    """Starts and kills web processes. application: ``module:function`` that makes the WSGI app."""

    def __init__(self, settings: Settings, application: str = APPLICATION) -> None:
        self.settings, self.application = settings, application
        self.child: int | None = None
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(BACKLOG)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __enter__(self) -> "Nursery":
        told = asdict(self.settings) | {
            "paths": [str(self.settings.paths.home), str(self.settings.paths.keys)],
            "plugin_paths": [str(path) for path in self.settings.plugin_paths],
            "disabled_plugins": sorted(self.settings.disabled_plugins),
            "url": self.url,
        }
        descriptor = self.socket.fileno()
        command = [sys.executable, "-m", "dougong.testing.nursery", str(descriptor)]
        self.process = subprocess.Popen(
            [*command, self.application, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(descriptor,),
        )
        return self

    def start(self) -> None:
        """Start a web process and wait until it serves. Raises RuntimeError when it does not."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("start\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().strip()
        if not line.isdecimal():
            raise RuntimeError(f"the web process did not start: {line}")
        self.child = int(line)

    def kill(self) -> None:
        """Kill the web process with SIGKILL."""
        if self.child is not None:
            os.kill(self.child, signal.SIGKILL)
            self.child = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
        self.socket.close()


# --- the process ----------------------------------------------------------------------------------


def main(descriptor: int, application: str, told: dict[str, Any]) -> None:
    """Fork a child for every line that comes in; say its number once it serves."""
    home, keys = told.pop("paths")
    settings = Settings(
        **told
        | {
            "paths": Paths(Path(home), Path(keys)),
            "plugin_paths": tuple(Path(p) for p in told["plugin_paths"]),
            "disabled_plugins": frozenset(told["disabled_plugins"]),
            "webhook_networks": tuple(told["webhook_networks"]),
        }
    )
    _import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        ready, tell = os.pipe()
        if os.fork() == 0:
            os.close(ready)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _serve(settings, application, descriptor, tell)
        os.close(tell)
        with os.fdopen(ready) as answer:
            print(answer.read() or "it died", flush=True)


def _import_everything() -> None:
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    import_module("dougong.web.app")
    for entry in entry_points(group="dougong.plugins"):
        for module in LOADED:
            if find_spec(f"{entry.value}.{module}") is not None:
                import_module(f"{entry.value}.{module}")


def _serve(settings: Settings, application: str, descriptor: int, tell: int) -> None:
    from werkzeug.serving import make_server

    from dougong.installation import Installation
    from dougong.testing.gateways.trades import QuietHandler

    module, _, name = application.partition(":")
    installation = Installation.open(settings)
    app = getattr(import_module(module), name)(installation)
    server = make_server(
        "127.0.0.1", 0, app, threaded=True, fd=descriptor, request_handler=QuietHandler
    )
    with os.fdopen(tell, "w") as out:
        out.write(str(os.getpid()))
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
