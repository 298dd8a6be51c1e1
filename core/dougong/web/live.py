"""Live updates: server-sent events that tell an open page to read again what it shows.

``GET /c/<community>/live`` (or ``/live?scope=c/<community>``) streams lines such as
``data: {"community_id": "…", "name": "fees.bill_paid"}``: which kind of thing happened where, no
ids and no contents. Residents hear only what `dougong.events.tell_person` tells them. It comes from
PostgreSQL's NOTIFY, so a page hears of it once the transaction has committed, whichever process
wrote it. ``{"name": "again"}`` means that something may have been missed. Streams are native ASGI
and hold no thread.
"""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from dougong.access import actor_for_session
from dougong.access.actors import IDLE, hash_of
from dougong.db.scope import Actor
from dougong.errors import DougongError
from dougong.events import LIVE
from dougong.installation import Installation
from dougong.web.app import SESSION_COOKIE, UUID_PATTERN

log = structlog.get_logger(__name__)

PATH = re.compile(rf"^/(?P<kind>[cg])/(?P<id>{UUID_PATTERN})/live$")
SCOPE = re.compile(rf"^(?P<kind>[cg])/(?P<id>{UUID_PATTERN})$")
MOST_STREAMS = 2000
PING_S, CHECK_S, AGAIN_S, RETRY_MS = 15.0, 30.0, 1.0, 3000
AGAIN = "again"
STILL_SIGNED_IN = text(
    "select 1 from dougong.sign_in_session where token_hash = :hash and revoked_at is null"
    " and ends_at > :now and seen_at > :idle"
)


class Stream:
    """One open page: what it has not been told yet, each thing once.

    person_id: of a resident's page; None for staff.
    """

    def __init__(self, communities: tuple[UUID, ...], person_id: UUID | None = None) -> None:
        self.communities = communities
        self.person_id = str(person_id) if person_id else ""
        self.waiting: dict[tuple[str, str], None] = {}
        self.woken = asyncio.Event()

    def tell(self, community: str, name: str) -> None:
        """Note that ``name`` happened in ``community``."""
        self.waiting[community, name] = None
        self.woken.set()

    def take(self) -> bytes:
        """Return everything that waits as the body of a stream."""
        told, self.waiting = self.waiting, {}
        self.woken.clear()
        return b"".join(
            b"data: " + json.dumps({"community_id": c or None, "name": n}).encode() + b"\n\n"
            for c, n in told
        )


class Live:
    """The streams of one process, and the connection that hears what happens.

    is_stopping: asked often; streams end when it says so, for the server waits for them.
    """

    def __init__(self, installation: Installation, is_stopping: Callable[[], bool]) -> None:
        self.installation = installation
        self.is_stopping = is_stopping
        self.streams: dict[UUID, set[Stream]] = defaultdict(set)
        self.count = 0

    # --- hearing --------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Hear what happens and tell the streams, for ever."""
        while True:
            try:
                info = self.installation.databases.conninfo("access")
                link = await psycopg.AsyncConnection.connect(info, autocommit=True)
                async with link:
                    await link.execute(f"listen {LIVE}")
                    self._tell_all()
                    async for notice in link.notifies():
                        self._heard(notice.payload)
            except psycopg.Error as error:
                log.warning("live updates wait for the database", error=type(error).__name__)
            await asyncio.sleep(AGAIN_S)

    def _heard(self, payload: str) -> None:
        community, _, told = payload.partition(" ")
        name, _, person = told.partition(" ")
        try:
            streams = self.streams.get(UUID(community), ())
        except ValueError:
            return
        for stream in streams:
            if stream.person_id == person:
                stream.tell(community, name)

    def _tell_all(self) -> None:
        for stream in {s for streams in self.streams.values() for s in streams}:
            stream.tell("", AGAIN)

    # --- serving --------------------------------------------------------------------------------

    @staticmethod
    def wants(path: str) -> bool:
        """Tell whether a request is for a stream."""
        return path == "/live" or PATH.match(path) is not None

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request: a stream, or 401, 404, 405, 503 (204 for residents of elsewhere)."""
        if scope["method"] != "GET":
            return await _answer(send, 405)
        if self.count >= MOST_STREAMS:
            return await _answer(send, 503)
        token = _cookie(scope)
        status, stream = await asyncio.to_thread(self._admit, token, _place(scope))
        if stream is None:
            return await _answer(send, status)
        self._open(stream)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await self._run(stream, token, send, gone)
        finally:
            gone.cancel()
            self._close(stream)

    async def _run(self, stream: Stream, token: str, send: Any, gone: "asyncio.Future") -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await _part(send, f"retry: {RETRY_MS}\n\n".encode())
        loop = asyncio.get_running_loop()
        said_at = checked_at = loop.time()
        while not (gone.done() or self.is_stopping()):
            with suppress(TimeoutError):
                await asyncio.wait_for(stream.woken.wait(), 0.5)
            now = loop.time()
            if stream.waiting:
                await _part(send, stream.take())
                said_at = now
            elif now - said_at > PING_S:
                await _part(send, b": still here\n\n")
                said_at = now
            if now - checked_at > CHECK_S:
                checked_at = now
                if not await asyncio.to_thread(self._is_signed_in, token):
                    break
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _open(self, stream: Stream) -> None:
        self.count += 1
        for community in stream.communities:
            self.streams[community].add(stream)

    def _close(self, stream: Stream) -> None:
        self.count -= 1
        for community in stream.communities:
            self.streams[community].discard(stream)
            if not self.streams[community]:
                del self.streams[community]

    # --- who may ----------------------------------------------------------------------------------

    def _admit(self, token: str, place: tuple[str, UUID] | None) -> tuple[int, Stream | None]:
        """Return the status of the answer, and the stream of what the actor may hear."""
        actor = actor_for_session(self.installation, token) if token else None
        if actor is None:
            return 401, None
        if place is None:
            return 404, None
        kind, place_id = place
        person_id = None if _is_staff(actor) else actor.persons.get(place_id)
        if person_id is None and not _is_staff(actor):
            return 204, None
        where: dict[str, UUID] = {"community" if kind == "c" else "group": place_id}
        try:
            with self.installation.scope(actor, **where) as scope:  # type: ignore[arg-type]
                return 200, Stream(scope.readable, person_id)
        except DougongError as error:
            return error.status, None

    def _is_signed_in(self, token: str) -> bool:
        """Tell whether the session still holds; unlike a request, it does not prolong it."""
        now = datetime.now(UTC)
        try:
            with self.installation.access() as session:
                values = {"hash": hash_of(token), "now": now, "idle": now - IDLE}
                return session.execute(STILL_SIGNED_IN, values).first() is not None
        except SQLAlchemyError:
            return False


HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


def _is_staff(actor: Actor) -> bool:
    """Tell whether the actor works here: when others pay is no news for a neighbour."""
    return any(grant.role != "resident" for grant in actor.grants)


def _cookie(scope: Any) -> str:
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                found = SimpleCookie(value.decode("latin-1")).get(SESSION_COOKIE)
            except CookieError:
                return ""
            if found is not None:
                return found.value
    return ""


def _place(scope: Any) -> tuple[str, UUID] | None:
    match = PATH.match(scope["path"])
    if match is None:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        match = SCOPE.match(query.get("scope", [""])[0])
    return (match["kind"], UUID(match["id"])) if match else None


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _part(send: Any, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _answer(send: Any, status: int) -> None:
    headers = [(b"cache-control", b"no-store"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
