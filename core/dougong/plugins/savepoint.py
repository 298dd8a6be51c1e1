"""A savepoint that costs nothing until the guarded code talks to the database.

Hooks run inside somebody else's transaction. One that fails must leave that transaction as it was,
but most never send a statement: so the savepoint is made just before the first one.
"""

from contextvars import ContextVar
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

_active: ContextVar["LazySavepoint | None"] = ContextVar("lazy_savepoint", default=None)


class LazySavepoint:
    """Guards one session while foreign code runs; used again for each piece of code in turn.

    The session must have been flushed before, so that only the foreign code's writes are undone.
    """

    __slots__ = ("_known", "_outer", "_token", "is_open", "name", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.is_open = False

    def __enter__(self) -> "LazySavepoint":
        self._outer = _active.get()
        self._token = _active.set(self)
        return self

    def __exit__(self, *failure: Any) -> None:
        _active.reset(self._token)

    def keep(self) -> None:
        """Flush and keep what the code wrote."""
        self.session.flush()
        if self.is_open:
            self._send("RELEASE SAVEPOINT")

    def undo(self) -> None:
        """Undo what the code wrote, in the database and in the session."""
        for record in list(self.session.new):
            self.session.expunge(record)
        if not self.is_open:
            return
        self._send("ROLLBACK TO SAVEPOINT")
        for key in set(self.session.identity_map.keys()) - self._known:
            if (record := self.session.identity_map.get(key)) is not None:
                self.session.expunge(record)
        self.session.expire_all()

    def open(self, cursor: Any) -> None:
        """Make the savepoint (and those of the callers around) before the first statement."""
        if self.is_open:
            return
        if self._outer is not None and self._outer.session is self.session:
            self._outer.open(cursor)
        self.name = f"hook_{id(self):x}"
        self._known = set(self.session.identity_map.keys())
        cursor.execute(f"SAVEPOINT {self.name}")
        self.is_open = True

    def _send(self, command: str) -> None:
        self.is_open = False
        raw: Any = self.session.connection().connection.driver_connection
        raw.execute(f"{command} {self.name}")


@event.listens_for(Engine, "before_cursor_execute")
def _before_first_statement(connection: Any, cursor: Any, *_rest: Any) -> None:
    active = _active.get()
    if active is not None and not active.is_open:
        bound = active.session.get_bind()
        if getattr(bound, "connection", None) is connection.connection:
            active.open(cursor)
