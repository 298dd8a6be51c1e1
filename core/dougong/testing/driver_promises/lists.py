"""Promises about lists that a device keeps: what is wanted, no more, and after any failure."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dougong.devices.contract import Codec, Driver, Request
from dougong.devices.lists import Entries, ListSpec
from dougong.devices.memory import MemoryStore
from dougong.devices.simulated import Faults, SimulatedGateway
from dougong.testing.driver_promises import DEVICE, DriverSubject, promise
from dougong.testing.driver_promises.stage import (
    TIMEOUT_S,
    gateway,
    hosted,
    line_to,
    on_a_loop,
    running,
    served,
    until,
)

BREAKS = Faults()


@promise
def a_list_says_what_it_takes(subject: DriverSubject) -> Iterator[str]:
    for spec in subject.profile.lists:
        if spec.name not in subject.lists:
            yield f"the test gives no entries for the list {spec.name}"
            continue
        codec, (first, second) = subject.codec(), subject.lists[spec.name]
        for entries in (first, second):
            if list(codec.plan_changes(spec, entries, entries)):
                yield f"{spec.name}: it writes though nothing is to be changed"
            if not all(r.is_write for r in codec.plan_changes(spec, {}, entries)):
                yield f"{spec.name}: a change is not planned as a write"
        try:
            codec.plan_changes(spec, {}, {"\0": "\0"})
            yield f"{spec.name}: it takes nonsense for an entry"
        except ValueError:
            continue


@promise
@on_a_loop
async def a_list_is_brought_to_what_is_wanted_and_written_once(
    subject: DriverSubject,
) -> list[str]:
    """From empty to the first, the first again, the second with what it takes out, and empty."""
    return [b for spec in subject.profile.lists for b in await _written_once(subject, spec)]


async def _written_once(subject: DriverSubject, spec: ListSpec) -> list[str]:
    first, second = subject.lists[spec.name]
    counted, writes = _counting(subject)
    broken = []
    async with running(counted, poll_s=3600) as (server, store):
        for step, wanted in enumerate((first, first, second, {}), 1):
            writes.clear()
            store.want(DEVICE, spec.name, wanted)
            broken += await _brought(counted, store, spec, server.port, wanted, step)
            if step == 2 and writes:
                broken.append(f"{spec.name}: the same again costs {len(writes)} writes")
        writes.clear()
        too_long = {f"{n:06d}": "01" for n in range(spec.capacity + 1)}
        store.want(DEVICE, spec.name, too_long)
        if not await until(lambda: _detail(store, spec, "at most")) or writes:
            broken.append(f"{spec.name}: more than it holds is not refused beforehand")
    return broken


@promise
@on_a_loop
async def a_list_converges_after_lost_answers_and_a_restart(subject: DriverSubject) -> list[str]:
    """The line goes silent in the middle; then another host goes on, and knows nothing of it."""
    return [b for spec in subject.profile.lists for b in await _converges(subject, spec)]


async def _converges(subject: DriverSubject, spec: ListSpec) -> list[str]:
    first, second = subject.lists[spec.name]
    server = served(subject)
    counted, writes = _counting(subject, lambda: _go_silent(server, writes))
    async with server:
        config = gateway(subject, server.port, poll_s=3600)
        host, store = hosted(counted, config)
        async with host:
            store.want(DEVICE, spec.name, first)
            broken = await _brought(subject, store, spec, server.port, first, 1)
            writes.clear()
            store.want(DEVICE, spec.name, second)
            server.faults = BREAKS
            await until(lambda: _detail(store, spec, "No answer"))
        again, forgetful = hosted(subject, config)
        server.faults = Faults()
        async with again:
            forgetful.want(DEVICE, spec.name, second)
            broken += await _brought(subject, forgetful, spec, server.port, second, 2)
    return broken


def _go_silent(server: SimulatedGateway, writes: list[Request]) -> None:
    """Lose the answer to the second write and everything after it."""
    if server.faults is BREAKS and len(writes) == 2:
        server.faults = Faults(mute=1)


async def _brought(
    subject: DriverSubject,
    store: MemoryStore,
    spec: ListSpec,
    port: int,
    wanted: Entries,
    step: int,
) -> list[str]:
    """Return what is wrong when the device is to hold ``wanted`` now."""
    if not await until(lambda: store.is_kept(DEVICE, spec.name)):
        return [f"{spec.name}: step {step} ends as {store.list_states.get((DEVICE, spec.name))}"]
    codec, line = subject.codec(1), line_to(subject, port)
    request = codec.plan_list(spec)
    held = codec.decode_list(request, await line.ask(codec, request, 5 * TIMEOUT_S))
    line.close()
    return [] if held == wanted else [f"{spec.name}: step {step}: it holds {held}, not {wanted}"]


def _detail(store: MemoryStore, spec: ListSpec, words: str) -> bool:
    state = store.list_states.get((DEVICE, spec.name))
    return state is not None and words in state.detail


def _counting(
    subject: DriverSubject, then: Callable[[], None] = lambda: None
) -> tuple[DriverSubject, list[Request]]:
    """Return the subject with a driver that notes every write that it encodes, and ``then``."""
    writes: list[Request] = []

    def codec(*arguments: Any) -> Any:
        made = subject.driver.codec(*arguments)
        assert isinstance(made, Codec)
        encode = made.encode

        def noted(request: Request, sequence: int) -> bytes:
            if request.is_write:
                writes.append(request)
                then()
            return encode(request, sequence)

        made.encode = noted  # type: ignore[method-assign]
        return made

    driver: Driver = replace(subject.driver, codec=codec)
    return replace(subject, driver=driver), writes
