"""The commands' gate: 100,000 commands over a link that loses, holds and doubles frames.

``python -m dougong.devices.gate_commands [--commands 100000] [--off 3000]`` runs the device host,
its gateways, lines and executor in virtual time and kills the host again and again. First it shows
that it would count: a host that sends again after a time-out and does not look at the deadline
must be seen to act twice and late, one that takes silence for success to report what was not
done. Then, with the protection on, it prints one JSON line and exits 1 on any miss.

Every command writes a number of its own to a register of its own, so each effect names its
command. The store is in memory and outlives the host, as the database does; it takes time, so
that kills fall between the durable mark and the bytes.

Not counted against the host: a write that was on the wire in time and that the link itself held
beyond the deadline. It is told apart as ``held_past_deadline``. The link doubles answers, never
a write: no host could tell.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from dougong.devices.commands import Command, CommandResult, CommandState
from dougong.devices.contract import DeviceConfig, Driver, GatewayConfig, Transport
from dougong.devices.gate_link import Losses, VirtualLoop, Wires
from dougong.devices.host import Host
from dougong.devices.memory import MemoryStore
from dougong.devices.modbus import ModbusAddress, ModbusCodec, ModbusSettings, ModbusWrite
from dougong.devices.profiles import read_profile

GATEWAYS, DEVICES, REGISTERS, BLIND = 25, 2, 20, 4
ROUND = GATEWAYS * DEVICES * REGISTERS
ORDER_S, LONGEST_S, TIMEOUT_S, SETTLE_S = 400.0, 1500.0, 1.0, 2.6
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
COMMUNITY = UUID(int=1)
DONE = (CommandState.ACKED, CommandState.CONFIRMED)


class Mode(StrEnum):
    """Which protection is on: all of it, none against sending again, none against silence."""

    PROTECTED = "protected"
    RESENDING = "resending"
    BELIEVING = "believing"


def now() -> datetime:
    """Return the virtual instant."""
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


def driver() -> Driver:
    """Return a Modbus driver; the last registers of its profile cannot be read back."""
    text = 'id = "gate"\nversion = 1\nmaker = "gate"\nmodel = "numbers"\n'
    for n in range(REGISTERS):
        where = f'register = {2 * n}, datatype = "uint32"'
        text += f'[[points]]\nkey = "p{n}"\naddress = {{{where}}}\n'
        text += f'[[commands]]\nname = "set_{n}"\naddress = {{{where}}}\n'
        text += "lowest = 0\nhighest = 4000000000\n"
        if n < REGISTERS - BLIND:
            text += f'verify = {{point = "p{n}", within_s = 3}}\n'
    profile = read_profile(text, "gate", ModbusAddress, ModbusWrite)
    return Driver(
        id="gate",
        title=("Gate", "命令测试"),
        transports=frozenset({Transport.TCP, Transport.RTU_TCP}),
        settings=ModbusSettings,
        point_address=ModbusAddress,
        command_address=ModbusWrite,
        profiles={"gate": profile},
        codec=ModbusCodec,
    )


@dataclass
class Durable(MemoryStore):
    """A store that outlives the host, takes its time, and can have the protection taken off."""

    mode: Mode = Mode.PROTECTED
    dice: random.Random = field(default_factory=random.Random)

    async def mark_sent(self, command_id: UUID, at: datetime) -> bool:
        if self.mode is Mode.RESENDING:
            return True
        done = await super().mark_sent(command_id, at)
        await asyncio.sleep(self.dice.uniform(0, 0.3))
        return done

    async def save_result(self, result: CommandResult) -> None:
        await asyncio.sleep(self.dice.uniform(0, 0.02))
        stands = self.results[result.command_id].state
        if self.mode is Mode.BELIEVING and result.state is CommandState.UNKNOWN:
            result = replace(result, state=CommandState.ACKED)
        elif self.mode is Mode.BELIEVING and stands is CommandState.ACKED:
            return
        elif self.mode is Mode.RESENDING and result.state in (
            CommandState.UNKNOWN,
            CommandState.FAILED,
        ):
            result = replace(result, state=CommandState.QUEUED)
        await super().save_result(result)

    async def waiting_commands(self) -> Sequence[Command]:
        found = await super().waiting_commands()
        if self.mode is not Mode.RESENDING:
            return found
        return [replace(c, deadline=EPOCH + timedelta(days=36500)) for c in found]


@dataclass
class Tally:
    """What a run counted. The first six must be 0."""

    sent_twice: int = 0
    took_effect_twice: int = 0
    sent_after_deadline: int = 0
    done_but_not: int = 0
    unknown_not_shown: int = 0
    failed_but_took_effect: int = 0
    commands: int = 0
    took_effect: int = 0
    unknown_seen: int = 0
    unknown_read_back: int = 0
    held_past_deadline: int = 0
    kills: int = 0
    virtual_hours: float = 0
    states: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def misses(self) -> int:
        """Return how often a promise was broken."""
        promises = (self.sent_twice, self.took_effect_twice, self.sent_after_deadline)
        untrue = (self.done_but_not, self.unknown_not_shown, self.failed_but_took_effect)
        return sum(promises) + sum(untrue)


def gateways(transports: Sequence[Transport]) -> list[GatewayConfig]:
    """Return the field: half of the gateways are serial buses."""
    found = []
    for place, transport in enumerate(transports):
        devices = tuple(
            DeviceConfig(
                UUID(int=1000 + place * DEVICES + n), COMMUNITY, "device", "gate", "gate",
                {"device_id": n + 1}, poll_s=120,
            )
            for n in range(DEVICES)
        )  # fmt: skip
        found.append(
            GatewayConfig(
                UUID(int=place + 1), COMMUNITY, "gateway", transport, devices, "link", place,
                TIMEOUT_S, SETTLE_S,
            )
        )  # fmt: skip
    return found


async def order(store: Durable, first: int, count: int, dice: random.Random) -> None:
    """Order commands one by one, each to a register that no other writes."""
    start = asyncio.get_running_loop().time()
    times = sorted(dice.uniform(0, ORDER_S) for _ in range(count))
    for place, (at, target) in enumerate(zip(times, dice.sample(range(ROUND), count), strict=True)):
        await asyncio.sleep(max(0.0, start + at - asyncio.get_running_loop().time()))
        device, register = divmod(target, REGISTERS)
        store.order(
            Command(
                UUID(int=first + place), UUID(int=1000 + device), f"set_{register}", "gate",
                now() + timedelta(seconds=dice.uniform(0.3, 60)),
                {"value": Decimal(first + place)},
            )
        )  # fmt: skip


async def play(store: Durable, ordering: "asyncio.Task[None]", dice: random.Random) -> int:
    """Run hosts and kill them until every outcome that can be found out is; return the kills."""
    loop, kills, played = asyncio.get_running_loop(), 0, driver()
    until = loop.time() + LONGEST_S
    while loop.time() < until and not (ordering.done() and _is_settled(store)):
        host = Host(store, {"gate": played}, clock=now)
        await host.start()
        await asyncio.sleep(dice.uniform(5, 60))
        await host.stop()
        kills += 1
        await asyncio.sleep(dice.uniform(0.1, 5))
    return kills


def _is_settled(store: Durable) -> bool:
    return all(
        not stands.state.is_open
        or (stands.state is CommandState.UNKNOWN and _is_blind(store.commands[key]))
        for key, stands in store.results.items()
    )


def _is_blind(command: Command) -> bool:
    """Tell whether nothing can be read back after a command."""
    return int(command.name.removeprefix("set_")) >= REGISTERS - BLIND


def judge(tally: Tally, store: Durable, wires: Wires) -> None:
    """Add what became of each command of a round, as the devices and the wire saw it."""
    shown: dict[UUID, list[CommandResult]] = defaultdict(list)
    for result in store.history:
        shown[result.command_id].append(result)
    for key, command in store.commands.items():
        number, state = key.int, store.results[key].state
        sent, effects = wires.sent.get(number, []), wires.effects.get(number, [])
        deadline_s = (command.deadline - EPOCH).total_seconds()
        is_late = any(at >= deadline_s for at in sent)
        tally.commands += 1
        tally.states[state.value] += 1
        tally.took_effect += bool(effects)
        tally.sent_twice += len(sent) > 1
        tally.took_effect_twice += len(effects) > 1
        tally.sent_after_deadline += is_late
        tally.held_past_deadline += not is_late and any(at >= deadline_s for at in effects)
        tally.done_but_not += state in DONE and not effects
        tally.failed_but_took_effect += state is CommandState.FAILED and bool(effects)
        _judge_unknown(tally, command, shown[key], number in wires.unanswered)


def _judge_unknown(
    tally: Tally, command: Command, shown: Sequence[CommandResult], is_unanswered: bool
) -> None:
    """Hold what was shown against the rule: open until a value was read, then by that value."""
    is_open, wrong = False, False
    for result in shown:
        if is_open and result.state not in (CommandState.UNKNOWN, CommandState.SENT):
            is_read = result.readback is not None
            is_same = result.readback == command.value
            wrong |= not is_read or is_same != (result.state is CommandState.CONFIRMED)
            tally.unknown_read_back += is_read
            is_open = False
        if result.state is CommandState.UNKNOWN:
            is_open = True
    states = {result.state for result in shown}
    wrong |= is_unanswered and CommandState.ACKED in states
    tally.unknown_seen += CommandState.UNKNOWN in states
    tally.unknown_not_shown += wrong


async def rounds(loop: VirtualLoop, commands: int, mode: Mode, seed: int, losses: Losses) -> Tally:
    """Run as many rounds as it takes; each has a field of its own."""
    tally, dice = Tally(), random.Random(seed)
    transports = [(Transport.TCP, Transport.RTU_TCP)[n % 2] for n in range(GATEWAYS)]
    for first in range(1, commands + 1, ROUND):
        wires = loop.wires = Wires(random.Random(dice.random()), transports, losses)
        store = Durable(gateways(transports), mode=mode, dice=dice)
        count = min(ROUND, commands + 1 - first)
        ordering = asyncio.create_task(order(store, first, count, dice))
        tally.kills += await play(store, ordering, dice)
        await ordering
        judge(tally, store, wires)
        tally.faults.update(wires.faults)
    tally.virtual_hours = round(loop.time() / 3600, 1)
    return tally


def run(
    commands: int, mode: Mode = Mode.PROTECTED, seed: int = 1, losses: Losses | None = None
) -> Tally:
    """Run commands in virtual time; return what was counted. losses: of the link, if others."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(rounds(loop, commands, mode, seed, losses or Losses()))
    finally:
        loop.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gate; return 0 when no promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m dougong.devices.gate_commands")
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--off", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    started = time.monotonic()
    again = run(options.off, Mode.RESENDING, options.seed)
    believed = run(options.off, Mode.BELIEVING, options.seed)
    tally = run(options.commands, seed=options.seed)
    seen = {
        "took_effect_twice": again.took_effect_twice,
        "sent_after_deadline": again.sent_after_deadline,
        "done_but_not": believed.done_but_not,
        "unknown_not_shown": believed.unknown_not_shown,
    }
    is_proof = all(seen.values()) and tally.unknown_read_back > 0
    result = {
        "gate": "commands",
        **vars(tally),
        "protection_off": {"commands": options.off, **seen},
        "seconds": round(time.monotonic() - started, 1),
        "passed": is_proof and not tally.misses,
    }
    print(json.dumps(result))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
