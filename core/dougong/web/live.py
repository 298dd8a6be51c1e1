"""Live updates: server-sent events that tell an open page to read again what it shows.

``GET /c/<community>/live`` (or ``/live?scope=c/<community>``) streams lines such as
``data: {"community_id": "…", "name": "fees.bill_paid"}``: which kind of thing happened where, no
ids and no contents. A changed table is ``changed:<schema>.<table>``, told by the sealer of the
audit log. It comes from PostgreSQL's NOTIFY, so a page hears of it once the transaction has
committed, whichever process wrote it. Staff hear of what they may view and of their own jobs and
messages; residents only what `dougong.events.tell_person` tells them. ``{"name": "again"}`` means
that something may have been missed. Streams are native ASGI and hold no thread.
"""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from dougong.access import actor_for_session, resolve_actor
from dougong.access.actors import IDLE, hash_of
from dougong.audit.sealing import CHANGED, LIVE
from dougong.db.scope import Actor
from dougong.errors import DougongError
from dougong.events import ALSO, NOBODY
from dougong.installation import Installation
from dougong.jobs import RUN
from dougong.web.admin import registry
from dougong.web.app import SESSION_COOKIE, UUID_PATTERN

log = structlog.get_logger(__name__)

PATH = re.compile(rf"^/(?P<kind>[cg])/(?P<id>{UUID_PATTERN})/live$")
SCOPE = re.compile(rf"^(?P<kind>[cg])/(?P<id>{UUID_PATTERN})$")
MOST_STREAMS = 2000
PING_S, CHECK_S, AGAIN_S, RETRY_MS = 15.0, 10.0, 1.0, 3000
Place = tuple[str, UUID]
AGAIN = "again"
STILL_SIGNED_IN = text(
    "select 1 from dougong.sign_in_session where token_hash = :hash and revoked_at is null"
    " and ends_at > :now and seen_at > :idle"
)


@dataclass(frozen=True)
class Listener:
    """Who listens, where, and where which plugins are on: it hears of nothing else."""

    actor: Actor
    group_id: UUID
    communities: tuple[UUID, ...]
    enabled: frozenset[str]
    is_staff: bool = True

    @property
    def places(self) -> tuple[UUID, ...]:
        """Return the chains whose news may concern the listener."""
        return (*self.communities, self.group_id)

    def may_hear(self, place: UUID, name: str, to: str) -> bool:
        """Tell whether the actor may know that ``name`` happened in a community or the group."""
        mine = {str(self.actor.user_id), str(self.actor.persons.get(place))}
        if to.removeprefix(ALSO) in mine:
            return True
        is_for_all = to in ("", NOBODY) or to.startswith(ALSO)
        if not is_for_all or not self.is_staff:
            return False
        community = place if place in self.communities else None
        return any(
            self.actor.may(permission, self.group_id, community)
            for permission in self._permissions(name)
        )

    def _permissions(self, name: str) -> list[str]:
        """Return the permissions of which each lets its holder hear of ``name``."""
        if name == RUN:
            return [f"{RUN}.view"]
        views = [view for view in registry.views() if view.plugin() in self.enabled]
        if name.startswith(CHANGED):
            table = name.removeprefix(CHANGED)
            views = [view for view in views if view.model.__table__.fullname == table]
        else:
            views = [view for view in views if view.plugin() == name.partition(".")[0]]
        return [f"{view.name()}.view" for view in views]


class Stream:
    """One open page: what it has not been told yet, each thing once."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.waiting: dict[tuple[str, str], None] = {}
        self.woken = asyncio.Event()
        self._known: dict[tuple[UUID, str, str], bool] = {}

    def hear(self, place: UUID, name: str, to: str) -> None:
        """Note what happened, when the listener may know of it."""
        key = (place, name, to)
        if key not in self._known:
            self._known[key] = self.listener.may_hear(*key)
        if self._known[key]:
            self.tell(str(place), name)

    def tell(self, community: str, name: str) -> None:
        """Note that ``name`` happened in ``community``."""
        self.waiting[community, name] = None
        self.woken.set()

    def renew(self, listener: Listener) -> None:
        """Go on with the roles that the actor has now."""
        if listener != self.listener:
            self.listener, self._known = listener, {}

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
                await self._listen()
            except psycopg.Error as error:
                log.warning("live updates wait for the database", error=type(error).__name__)
            await asyncio.sleep(AGAIN_S)

    async def _listen(self) -> None:
        """Hear what happens as long as the connection holds."""
        info = self.installation.databases.conninfo("access")
        async with await psycopg.AsyncConnection.connect(info, autocommit=True) as link:
            await link.execute(f"listen {LIVE}")
            self._tell_all()
            async for notice in link.notifies():
                self._heard(notice.payload)

    def _heard(self, payload: str) -> None:
        place, _, rest = payload.partition(" ")
        name, _, to = rest.partition(" ")
        try:
            streams = self.streams.get(UUID(place), ())
        except ValueError:
            return
        for stream in streams:
            stream.hear(UUID(place), name, to)

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
        place = _place(scope)
        status, listener = await asyncio.to_thread(self._admit, token, place)
        if listener is None or place is None:
            return await _answer(send, status)
        stream = Stream(listener)
        self._open(stream)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await self._run(stream, partial(self._still, token, place), send, gone)
        finally:
            gone.cancel()
            self._close(stream)

    async def _run(self, stream: Stream, renewed: Any, send: Any, gone: "asyncio.Future") -> None:
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
                listener = await asyncio.to_thread(renewed, stream.listener.actor)
                if listener is None:
                    break
                stream.renew(listener)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _open(self, stream: Stream) -> None:
        self.count += 1
        for community in stream.listener.places:
            self.streams[community].add(stream)

    def _close(self, stream: Stream) -> None:
        self.count -= 1
        for community in stream.listener.places:
            self.streams[community].discard(stream)
            if not self.streams[community]:
                del self.streams[community]

    # --- who may ----------------------------------------------------------------------------------

    def _admit(self, token: str, place: Place | None) -> tuple[int, Listener | None]:
        """Return the status of the answer, and who listens when it is a stream."""
        actor = actor_for_session(self.installation, token) if token else None
        if actor is None:
            return 401, None
        if place is None:
            return 404, None
        if not _is_staff(actor) and place[1] not in actor.persons:
            return 204, None
        try:
            return 200, self._listener(actor, place)
        except DougongError as error:
            return error.status, None

    def _listener(self, actor: Actor, place: Place) -> Listener:
        kind, place_id = place
        where: dict[str, UUID] = {"community" if kind == "c" else "group": place_id}
        with self.installation.scope(actor, **where) as scope:  # type: ignore[arg-type]
            staff = _is_staff(actor)
            return Listener(actor, scope.group_id, scope.readable, scope.enabled, staff)

    def _still(self, token: str, place: Place, before: Actor) -> Listener | None:
        """Return who listens from now on, None when the session or every role here is gone.

        Unlike a request, it does not prolong the session.
        """
        if before.user_id is None or not self._is_signed_in(token):
            return None
        try:
            actor = resolve_actor(self.installation, before.user_id)
            if actor is None or not (_is_staff(actor) or place[1] in actor.persons):
                return None
            return self._listener(actor, place)
        except (DougongError, SQLAlchemyError):
            return None

    def _is_signed_in(self, token: str) -> bool:
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


def _place(scope: Any) -> Place | None:
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
