"""How many statements a page sent, told in the ``Server-Timing`` header outside of production.

What begins and ends a transaction or a part of it is not counted.
"""

from typing import Any

from flask import Flask, Response, g, has_request_context
from sqlalchemy import Engine, event

from dougong.installation import Installation

FRAMES = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO")


def install(app: Flask, installation: Installation) -> None:
    """Count statements and tell them, unless strangers are served."""
    if installation.settings.production:
        return
    if not event.contains(Engine, "before_cursor_execute", _count):
        event.listen(Engine, "before_cursor_execute", _count)
    app.after_request(_tell)


def _count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
    if has_request_context() and not statement.startswith(FRAMES):
        g.statements = g.get("statements", 0) + 1


def _tell(response: Response) -> Response:
    response.headers["Server-Timing"] = f'sql;desc="{g.get("statements", 0)}"'
    return response
