"""A store in memory: for tests, trials of a driver, and the first step of an edge box."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from dougong.devices.asking import NOT_THERE
from dougong.devices.commands import Command, CommandResult, CommandState
from dougong.devices.contract import Event, GatewayConfig, Health, utc_now
from dougong.devices.lists import Entries, ListState, WantedList
from dougong.devices.readings import Reading


@dataclass
class MemoryStore:
    """A ``DeviceStore`` that forgets when the process ends; every field may be looked at."""

    gateways: list[GatewayConfig] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    commands: dict[UUID, Command] = field(default_factory=dict)
    results: dict[UUID, CommandResult] = field(default_factory=dict)
    history: list[CommandResult] = field(default_factory=list)
    events: dict[tuple[UUID, str], Event] = field(default_factory=dict)
    health: dict[UUID, Health] = field(default_factory=dict)
    lists: dict[tuple[UUID, str], WantedList] = field(default_factory=dict)
    list_states: dict[tuple[UUID, str], ListState] = field(default_factory=dict)

    async def load(self) -> Sequence[GatewayConfig]:
        return list(self.gateways)

    async def save_readings(self, readings: Sequence[Reading]) -> None:
        self.readings += readings

    def order(self, command: Command) -> None:
        """Queue a command; ordering the same id again changes nothing."""
        if command.id not in self.commands:
            self.commands[command.id] = command
            self.results[command.id] = CommandResult(command.id, CommandState.QUEUED, utc_now())

    async def waiting_commands(self) -> Sequence[Command]:
        return [self.commands[r.command_id] for r in self.results.values() if r.state.is_open]

    async def result(self, command_id: UUID) -> CommandResult | None:
        return self.results.get(command_id)

    async def objection(self, command_id: UUID, names: Sequence[str]) -> str | None:
        return NOT_THERE if names else None

    async def mark_sent(self, command_id: UUID, at: datetime) -> bool:
        stands = self.results.get(command_id)
        if stands is not None and stands.state is not CommandState.QUEUED:
            return False
        await self.save_result(CommandResult(command_id, CommandState.SENT, at, sent_at=at))
        return True

    async def save_result(self, result: CommandResult) -> None:
        self.results[result.command_id] = result
        self.history.append(result)

    def want(self, device_id: UUID, name: str, entries: Entries) -> None:
        """Say what a device shall hold from now on."""
        before = self.lists.get((device_id, name))
        version = 1 if before is None else before.version + 1
        self.lists[device_id, name] = WantedList(device_id, name, version, entries)

    def is_kept(self, device_id: UUID, name: str) -> bool:
        """Tell whether a device was seen to hold what it shall hold."""
        state = self.list_states.get((device_id, name))
        wanted = self.lists[device_id, name]
        return state is not None and state.is_same and state.version == wanted.version

    async def wanted_lists(self) -> Sequence[WantedList]:
        """Return every list that a device does not hold yet: without a database nobody waits."""
        return [wanted for key, wanted in self.lists.items() if not self.is_kept(*key)]

    async def save_list(self, state: ListState) -> None:
        self.list_states[state.device_id, state.name] = state

    async def save_event(self, event: Event) -> bool:
        if (event.device_id, event.key) in self.events:
            return False
        self.events[event.device_id, event.key] = event
        return True

    async def save_health(self, health: Sequence[Health]) -> None:
        for one in health:
            self.health[one.subject_id] = one
