"""A savepoint that costs nothing until the guarded code talks to the database.

Hooks run inside somebody else's transaction. One that fails must leave that transaction as it was,
but most never send a statement: so the savepoint is made just before the first one. With it comes
a ``statement_timeout`` of what is left until the code's deadline.
"""

from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from dougong.plugins.usage import Call, Usage, current_call

OPEN = (
    "select current_setting('statement_timeout'); savepoint {name};"
    " select set_config('statement_timeout', case current_setting('statement_timeout')"
    " when '0' then '{left_ms}' else current_setting('statement_timeout') end, true)"
)
LONGEST_S = 86_400.0


class LazySavepoint(Call):
    """Guards one session while foreign code runs; used again for each piece of code in turn.

    The session must have been flushed before, so that only the foreign code's writes are undone.
    """

    __slots__ = ("_known", "_timeout", "is_open", "name", "session")

    def __init__(self, session: Session, usage: Usage) -> None:
        super().__init__(usage)
        self.session = session
        self.is_open = False

    def keep(self) -> None:
        """Flush and keep what the code wrote."""
        self.session.flush()
        if self.is_open:
            self._send(
                f"RELEASE SAVEPOINT {self.name}; SET LOCAL statement_timeout = '{self._timeout}'"
            )

    def undo(self) -> None:
        """Undo what the code wrote, in the database and in the session.

        Raises OperationalError when the connection was lost meanwhile: there is nothing to go on
        with, and the code is not to blame.
        """
        bound: Any = self.session.get_bind()
        if bound.invalidated:
            gone = psycopg.OperationalError("the database went away while a plugin's code ran")
            raise OperationalError(None, None, gone, connection_invalidated=True)
        for record in list(self.session.new):
            self.session.expunge(record)
        if not self.is_open:
            return
        self._send(f"ROLLBACK TO SAVEPOINT {self.name}")
        for key in set(self.session.identity_map.keys()) - self._known:
            if (record := self.session.identity_map.get(key)) is not None:
                self.session.expunge(record)
        self.session.expire_all()

    def open(self, cursor: Any) -> None:
        """Make the savepoint (and those of the callers around) before the first statement."""
        if self.is_open:
            return
        outer = self.outer
        if isinstance(outer, LazySavepoint) and outer.session is self.session:
            outer.open(cursor)
        self.name = f"hook_{id(self):x}"
        self._known = set(self.session.identity_map.keys())
        left_ms = max(1, int(min(self.left_s(), LONGEST_S) * 1000))
        cursor.execute(OPEN.format(name=self.name, left_ms=left_ms), prepare=False)
        (self._timeout,) = cursor.fetchone()
        self.is_open = True

    def _send(self, command: str) -> None:
        self.is_open = False
        raw: Any = self.session.connection().connection.driver_connection
        raw.execute(command, prepare=False)


@event.listens_for(Engine, "before_cursor_execute")
def _before_statement(connection: Any, cursor: Any, *_rest: Any) -> None:
    """Refuse statements after the deadline; open the savepoint before the first one."""
    active = current_call.get()
    if active is None:
        return
    active.check()
    if isinstance(active, LazySavepoint) and not active.is_open:
        bound = active.session.get_bind()
        if getattr(bound, "connection", None) is connection.connection:
            active.open(cursor)
