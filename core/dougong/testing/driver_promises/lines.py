"""Promises about lines: late answers, silence, peers that go away, cancelling."""

import asyncio
import time
from uuid import UUID

from dougong.devices.contract import LineError, LineTimeout, LineUnreachable
from dougong.devices.readings import Quality
from dougong.devices.simulated import Faults
from dougong.testing.driver_promises import DriverSubject, promise
from dougong.testing.driver_promises.stage import (
    TIMEOUT_S,
    gateway,
    hosted,
    line_to,
    numbers_of,
    on_a_loop,
    served,
    until,
)


@promise
@on_a_loop
async def a_late_answer_is_never_taken_for_the_next(subject: DriverSubject) -> list[str]:
    """Every other answer comes after its time is over, while the next one is on its way."""
    faults = Faults(late_s=1.4 * TIMEOUT_S, answer_s=(0.6 * TIMEOUT_S, 0.6 * TIMEOUT_S))
    server = served(subject, faults=faults)
    pairs = numbers_of(subject)
    server.responder.lives[0].values = {point.key: value for point, value in pairs}
    codec, wrong, answered = subject.codec(1), [], 0
    async with server:
        line = line_to(subject, server.port)
        for turn in range(6):
            faults.late = (turn + 1) % 2
            point, value = pairs[turn % len(pairs)]
            (request,) = codec.plan_reads([point])
            try:
                (found,) = codec.decode(request, await line.ask(codec, request, TIMEOUT_S))
            except LineTimeout:
                continue
            answered += 1
            if found.value != value:
                wrong.append(f"{point.key}: it reads {found.value}, not {value}")
        line.close()
    return wrong or ([] if answered else ["nothing was answered at all"])


@promise
@on_a_loop
async def silence_is_no_value_and_the_neighbour_is_read(subject: DriverSubject) -> list[str]:
    server = served(subject, (1, 2), Faults(mute_devices=frozenset({0})))
    async with server:
        host, store = hosted(subject, gateway(subject, server.port, (1, 2)))
        async with host:
            enough = await until(
                lambda: (
                    any(r.device_id == UUID(int=2) for r in store.readings)
                    and any(r.device_id == UUID(int=1) for r in store.readings)
                )
            )
    mute = {(r.value, r.quality) for r in store.readings if r.device_id == UUID(int=1)}
    broken = [] if enough else ["the two devices are not both reported"]
    if mute - {(None, Quality.BAD_COMM)}:
        broken.append(f"a mute device reads {mute}")
    return broken


@promise
@on_a_loop
async def a_restarted_peer_is_read_again_and_health_says_so(subject: DriverSubject) -> list[str]:
    server = served(subject)
    broken = []
    async with server:
        config = gateway(subject, server.port)
        host, store = hosted(subject, config)
        async with host:
            if not await until(lambda: any(r.quality is Quality.GOOD for r in store.readings)):
                return ["it is never read"]
            await server.restart(after_s=0.4)
            if not await until(lambda: any(not h.is_ok for h in store.health.values())):
                broken.append("nobody notices that it is gone")
            seen = len(store.readings)
            if not await until(
                lambda: any(r.quality is Quality.GOOD for r in store.readings[seen:])
            ):
                broken.append("it is not read again")
            if not await until(lambda: store.health[config.id].is_ok):
                broken.append("its health does not recover")
    return broken


@promise
@on_a_loop
async def a_half_open_peer_costs_its_timeout_and_no_more(subject: DriverSubject) -> list[str]:
    server = await asyncio.start_server(_swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    codec, started = subject.codec(1), time.monotonic()
    (request, *_) = codec.plan_reads(subject.profile.points)
    line = line_to(subject, port)
    try:
        await line.ask(codec, request, TIMEOUT_S)
        return ["it takes silence for an answer"]
    except LineTimeout:
        took = time.monotonic() - started
        return [f"it waits {took:.1f} s"] if took > TIMEOUT_S + 0.5 else []
    finally:
        line.close()
        server.close()


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@promise
@on_a_loop
async def nobody_there_means_that_nothing_was_sent(subject: DriverSubject) -> list[str]:
    server = served(subject)
    async with server:
        port = server.port
    codec = subject.codec(1)
    (request, *_) = codec.plan_reads(subject.profile.points)
    for host in ("127.0.0.1", "no-such-host.invalid"):
        try:
            await line_to(subject, port, host).ask(codec, request, TIMEOUT_S)
            return [f"{host} answers"]
        except LineUnreachable as error:
            if error.was_sent:
                return [f"{host}: it says that bytes were sent"]
        except LineError as error:
            return [f"{host}: {error!r}"]
    return []


@promise
@on_a_loop
async def a_cancelled_exchange_leaves_the_line_usable(subject: DriverSubject) -> list[str]:
    """The answer to the one that was cancelled comes while the next is on its way."""
    server = served(subject, faults=Faults(late=1, late_s=TIMEOUT_S / 2))
    pairs = numbers_of(subject)
    server.responder.lives[0].values = {point.key: value for point, value in pairs}
    codec = subject.codec(1)
    requests = [codec.plan_reads([point])[0] for point, _ in pairs]
    async with server:
        line = line_to(subject, server.port)
        asking = asyncio.create_task(line.ask(codec, requests[0], 2))
        await asyncio.sleep(0.03)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        server.faults.late, server.faults.answer_s = 0, (TIMEOUT_S, TIMEOUT_S)
        (found,) = codec.decode(requests[-1], await line.ask(codec, requests[-1], 2))
        line.close()
    wanted = pairs[-1][1]
    return [] if found.value == wanted else [f"it reads {found.value}, not {wanted}"]
