"""How a transaction begins: BEGIN and the signed scope in one message, which nobody waits for.

The server verifies the scope while the program prepares its first statement. The connection
collects the answer before it does anything else, so a scope that was refused fails the first
statement, and nothing is ever asked without one.
"""

import select
import time
from typing import Any

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from dougong.db.scope import Claim, ScopeKey

LIFETIME_S = 60
GOOD = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


def begin_statement(claim: Claim, key: ScopeKey, backend: int) -> bytes:
    """Return BEGIN and the scope in one message, good for one backend and ``LIFETIME_S`` seconds.

    A claim to nothing needs no scope.
    """
    if not claim.value:
        return b"BEGIN"
    signed = key.sign(f";{backend};{int(time.time()) + LIFETIME_S};{claim.value}")
    return f"BEGIN; CALL dougong.enter('{signed}')".encode()


class BeginningConnection(psycopg.Connection[Any]):
    """A connection that sends how a transaction begins, and waits for it when it must."""

    is_beginning = False

    def begin(self, statement: bytes) -> None:
        """Send ``statement``. Raises OperationalError when the server has gone, and sends nothing.

        The connection must be idle.
        """
        while self._is_ready(select.POLLIN, 0):
            self.pgconn.consume_input()
        self.is_beginning = True
        self.pgconn.send_query(statement)
        while self.pgconn.flush():
            self._is_ready(select.POLLOUT)

    def wait(self, *args: Any, **options: Any) -> Any:
        """Do what psycopg does with the server, after the transaction has begun.

        Every statement, commit and rollback comes through here. Raises what the beginning raised.
        """
        if self.is_beginning:
            self._end_beginning()
        return super().wait(*args, **options)

    def _end_beginning(self) -> None:
        pgconn, failed = self.pgconn, None
        while True:
            while pgconn.is_busy():
                self._is_ready(select.POLLIN)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                break
            if result.status not in GOOD:
                failed = failed or result
        self.is_beginning = False
        if failed is not None:
            raise _reason(failed)

    def _is_ready(self, what: int, within_ms: int | None = None) -> bool:
        # Not `select.select`, which refuses the descriptors above 1023 of a busy process.
        poller = select.poll()
        poller.register(self.pgconn.socket, what)
        return bool(poller.poll(within_ms))


def bind_scope_to_transactions(engine: Any, key: ScopeKey) -> None:
    """Make every transaction of ``engine`` start with the scope of its session."""

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        claim = connection.get_execution_options().get("claim")
        if claim is None:
            return
        for is_last in (False, True):
            raw: Any = connection.connection.driver_connection
            try:
                raw.begin(begin_statement(claim, key, raw.pgconn.backend_pid))
                return
            except psycopg.Error as error:
                if is_last or raw.pgconn.status == ConnStatus.OK:
                    raise DBAPIError.instance("BEGIN", None, error, psycopg.Error) from error
            # It died in the pool, when the server restarted: nothing was sent on it yet.
            connection.invalidate()


def _reason(result: PGresult) -> psycopg.Error:
    if result.error_field(DiagnosticField.SQLSTATE):
        return psycopg.errors.error_from_result(result)
    return psycopg.OperationalError(result.error_message.decode(errors="replace"))
