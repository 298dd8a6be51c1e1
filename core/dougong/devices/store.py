"""The host's store on PostgreSQL, with a spool beside it for the time that the database is away.

``save_readings`` returns when the readings are safe: in the database, or written through to the
spool's file. Whatever is in the spool goes to the database first, in order; a batch that a crash
caught between the two is told twice and stored once.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dougong.db import Actor, Scope
from dougong.devices.asking import NOT_THERE, objection
from dougong.devices.commands import Command, CommandResult, CommandState
from dougong.devices.configuration import Configuration
from dougong.devices.contract import Event, GatewayConfig, Health
from dougong.devices.lists import ListState, WantedList
from dougong.devices.models import OPEN, DeviceCommand, DeviceList
from dougong.devices.readings import Reading
from dougong.devices.recording import record_event, record_health, record_list, record_readings
from dougong.devices.spool import Spool
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.services import entered

if TYPE_CHECKING:
    from dougong.installation import Installation

log = logging.getLogger(__name__)
T = TypeVar("T")

AWAY = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError)
FINAL = (
    CommandState.CONFIRMED,
    CommandState.REJECTED,
    CommandState.FAILED,
    CommandState.EXPIRED,
    CommandState.WITHDRAWN,
)
# Behind the condition of the partial index: to be sent, to be found out, not approved in time.
WAITING = text(
    f"{OPEN} and (state in ('queued', 'sent')"
    " or state = 'unknown' and deadline_at > now() - interval '1 day'"
    " or state = 'proposed' and approve_until_at <= now())"
)
LISTS = text(
    """
    select l.id, l.community_id, coalesce(s.failures, 0) as failures
    from dougong.device_list l
    left join dougong.device_list_state s on s.community_id = l.community_id and s.list_id = l.id
    where s.id is null or s.version <> l.version or s.next_try_at <= now()
    """
)
NOT_APPROVED = N_("nobody approved it in time")


class DatabaseStore:
    """A ``DeviceStore`` for every community of an installation."""

    def __init__(
        self, installation: "Installation", owners: Mapping[str, str], spool: Spool
    ) -> None:
        self.installation = installation
        self.configuration = Configuration(installation, owners)
        self.spool = spool
        self.actor = Actor.system("devices")
        self.is_away = False
        self._communities: dict[UUID, UUID] = {}
        self._lock = threading.Lock()

    # --- configuration ----------------------------------------------------------------------

    async def load(self) -> Sequence[GatewayConfig]:
        return await asyncio.to_thread(self._load)

    def _load(self) -> list[GatewayConfig]:
        with self._lock:
            self._drain()
        gateways = self.configuration.read()
        for gateway in gateways:
            self._communities[gateway.id] = gateway.community_id
            self._communities |= {d.id: d.community_id for d in gateway.devices}
        return gateways

    # --- readings ---------------------------------------------------------------------------

    async def save_readings(self, readings: Sequence[Reading]) -> None:
        await asyncio.to_thread(self.keep, readings)

    def keep(self, readings: Sequence[Reading]) -> None:
        """Make readings safe; raises SpoolFull or OSError when that is not possible now."""
        with self._lock:
            if self.spool.is_empty and self._store(readings):
                return
            self.spool.append(readings)
            self._drain()

    def _drain(self) -> None:
        for batch in self.spool.batches():
            if not self._store(batch):
                return

    def _store(self, readings: Sequence[Reading]) -> bool:
        """Write readings to the database; False when it is away.

        Rows that the database will never take are put aside, so that they hold up no others.
        """
        try:
            for community_id, own in self._by_community(readings).items():
                with self._scope(community_id) as scope:
                    record_readings(scope, own)
        except AWAY as error:
            self._went_away(error)
            return False
        except NotFound:
            log.warning("readings of a community that is gone were left out")
        except DBAPIError as error:
            if error.connection_invalidated:
                self._went_away(error)
                return False
            log.exception("readings were refused and put aside in %s", self.spool.refused_path)
            self.spool.refuse(readings, str(error.orig))
        if self.is_away:
            log.warning("the database is back")
        self.is_away = False
        return True

    def _went_away(self, error: Exception) -> None:
        if not self.is_away:
            log.warning("the database is away, readings go to %s: %s", self.spool.path, error)
        self.is_away = True

    def _by_community(self, readings: Sequence[Reading]) -> dict[UUID, list[Reading]]:
        self._find_communities({r.device_id for r in readings} - self._communities.keys())
        found: dict[UUID, list[Reading]] = {}
        for reading in readings:
            community_id = self._communities.get(reading.device_id)
            if community_id is None:
                log.warning("a reading of the unknown device %s was left out", reading.device_id)
            else:
                found.setdefault(community_id, []).append(reading)
        return found

    def _find_communities(self, devices: set[UUID]) -> None:
        if not devices:
            return
        with self.installation.platform() as session:
            rows = session.execute(
                text("select id, community_id from dougong.device where id = any (:ids)"),
                {"ids": list(devices)},
            )
            self._communities |= {row.id: row.community_id for row in rows}

    # --- health and events ------------------------------------------------------------------

    async def save_health(self, health: Sequence[Health]) -> None:
        await asyncio.to_thread(self._save_health, health)

    def _save_health(self, health: Sequence[Health]) -> None:
        by_community: dict[UUID, list[Health]] = {}
        for one in health:
            community_id = self._communities.get(one.subject_id)
            if community_id is not None:
                by_community.setdefault(community_id, []).append(one)
        for community_id, own in by_community.items():
            with self._scope(community_id) as scope:
                record_health(scope, own)

    async def save_event(self, event: Event) -> bool:
        return await self._in_scope_of(event.device_id, lambda scope: record_event(scope, event))

    # --- commands ---------------------------------------------------------------------------

    async def waiting_commands(self) -> Sequence[Command]:
        return await asyncio.to_thread(self._waiting)

    def _waiting(self) -> list[Command]:
        with self.installation.platform() as session:
            rows = session.scalars(select(DeviceCommand).where(WAITING).order_by(DeviceCommand.id))
            found = list(rows)
            self._communities |= {row.id: row.community_id for row in found}
            late = [row.id for row in found if row.state is CommandState.PROPOSED]
            waiting = [command_of(row) for row in found if row.state is not CommandState.PROPOSED]
        for command_id in late:
            self._expire(command_id)
        return waiting

    def _expire(self, command_id: UUID) -> None:
        """End a proposal that nobody approved in time; one that was approved just now is left."""
        with self._scope(self._communities[command_id]) as scope:
            _move(
                scope, command_id, (CommandState.PROPOSED,),
                state=CommandState.EXPIRED, detail=NOT_APPROVED, ended_at=scope.now,
            )  # fmt: skip

    async def result(self, command_id: UUID) -> CommandResult | None:
        return await self._in_scope_of(command_id, lambda scope: _result(scope, command_id))

    async def objection(self, command_id: UUID, names: Sequence[str]) -> str | None:
        return await self._in_scope_of(
            command_id, lambda scope: _objection(scope, command_id, names)
        )

    async def mark_sent(self, command_id: UUID, at: datetime) -> bool:
        return await self._in_scope_of(
            command_id,
            lambda scope: _move(scope, command_id, (CommandState.QUEUED,),
                                state=CommandState.SENT, sent_at=at),
        )  # fmt: skip

    async def save_result(self, result: CommandResult) -> None:
        is_final = result.state in FINAL
        before = tuple(s for s in CommandState if s not in FINAL and s != CommandState.PROPOSED)
        await self._in_scope_of(
            result.command_id,
            lambda scope: _move(
                scope, result.command_id, before,
                state=result.state,
                detail=result.detail[:400],
                readback=None if result.readback is None else str(result.readback)[:200],
                raw=result.raw[:600],
                ended_at=result.at if is_final else None,
            ),
        )  # fmt: skip

    # --- lists ------------------------------------------------------------------------------

    async def wanted_lists(self) -> Sequence[WantedList]:
        return await asyncio.to_thread(self._wanted)

    def _wanted(self) -> list[WantedList]:
        with self.installation.platform() as session:
            rows = session.execute(LISTS).all()
        by_community: dict[UUID, dict[UUID, int]] = {}
        for row in rows:
            by_community.setdefault(row.community_id, {})[row.id] = row.failures
        found: list[WantedList] = []
        for community_id, failures in by_community.items():
            with self._scope(community_id) as scope:
                query = select(DeviceList).where(DeviceList.id.in_(failures))
                for kept in scope.session.scalars(query):
                    entries = json.loads(kept.entries or "{}")
                    found.append(
                        WantedList(
                            kept.device_id, kept.name, kept.version, entries, failures[kept.id]
                        )
                    )
                    self._communities[kept.device_id] = community_id
        return found

    async def save_list(self, state: ListState) -> None:
        await self._in_scope_of(state.device_id, lambda scope: record_list(scope, state))

    # --- transactions -----------------------------------------------------------------------

    async def _in_scope_of(self, subject_id: UUID, action: Callable[[Scope], T]) -> T:
        """Run ``action`` in the community of a device or command, in a thread."""

        def run() -> T:
            with self._scope(self._communities[subject_id]) as scope:
                return action(scope)

        return await asyncio.to_thread(run)

    @contextmanager
    def _scope(self, community_id: UUID) -> Iterator[Scope]:
        with (
            self.installation.scope(self.actor, community=community_id) as scope,
            entered(scope, "dougong.device.record", None),
        ):
            yield scope


def command_of(row: DeviceCommand) -> Command:
    """Return a command's row as the host obeys it; people stand in it by id where they have one."""
    approved_by = str(row.approved_by_id) if row.approved_by_id else row.approved_by
    return Command(
        id=row.id,
        device_id=row.device_id,
        name=row.name,
        actor=str(row.ordered_by_id) if row.ordered_by_id else row.ordered_by,
        deadline=row.deadline_at,
        arguments=row.arguments,
        ground=row.ground,
        reason=row.reason,
        approved_by=approved_by,
        policy=row.policy,
        requires=tuple(row.requires),
    )


def _result(scope: Scope, command_id: UUID) -> CommandResult | None:
    row = scope.session.get(DeviceCommand, (scope.community_id, command_id))
    if row is None:
        return None
    at = row.ended_at or row.sent_at or row.ordered_at
    return CommandResult(row.id, row.state, at, row.detail, row.readback, row.raw, row.sent_at)


def _objection(scope: Scope, command_id: UUID, names: Sequence[str]) -> str | None:
    row = scope.session.get(DeviceCommand, (scope.community_id, command_id))
    return NOT_THERE if row is None else objection(scope, row, names)


def _move(scope: Scope, command_id: UUID, before: tuple[CommandState, ...], **values: Any) -> bool:
    """Change a command's row if it stands at one of ``before``; tell whether it did."""
    done = scope.session.execute(
        update(DeviceCommand)
        .where(DeviceCommand.id == command_id, DeviceCommand.state.in_(before))
        .values(**values)
    )
    return done.rowcount == 1  # type: ignore[attr-defined]
