"""Promises about commands: once on the wire, never late, never forbidden, read back."""

import asyncio

from dougong.devices.commands import CommandState, Ground
from dougong.devices.simulated import Faults
from dougong.testing.driver_promises import DriverSubject, promise
from dougong.testing.driver_promises.stage import gateway, hosted, on_a_loop, served, until


@promise
@on_a_loop
async def a_command_is_sent_once_and_read_back(subject: DriverSubject) -> list[str]:
    spec = subject.cut()
    if spec is None:
        return []
    server = served(subject)
    broken = []
    async with server:
        host, store = hosted(subject, gateway(subject, server.port, poll_s=3600))
        async with host:
            command = subject.command(spec.name)
            store.order(command)
            await until(lambda: not store.results[command.id].state.is_open, 8)
            await until(lambda: store.results[command.id].state is CommandState.CONFIRMED, 2)
            if store.results[command.id].state is not CommandState.CONFIRMED:
                broken.append(f"it ends as {store.results[command.id]}")
            asked = server.requests
            store.order(command)
            host._busy.clear()
            host.submit(command)
            await asyncio.sleep(0.2)
            if server.requests != asked:
                broken.append("the same command again asks the device again")
    if not server.responder.lives[0].is_cut:
        broken.append("the simulator's relay is still closed")
    return broken


@promise
@on_a_loop
async def an_expired_or_forbidden_command_sends_no_byte(subject: DriverSubject) -> list[str]:
    spec = subject.cut()
    if spec is None:
        return []
    server = served(subject)
    past = subject.command(spec.name).deadline.replace(year=2020)
    orders = [
        (subject.command(spec.name, deadline=past), CommandState.EXPIRED),
        (subject.command(spec.name, ground=Ground.PROPERTY_FEES), CommandState.REJECTED),
        (subject.command(spec.name, approved_by=None), CommandState.REJECTED),
        (subject.command(spec.name, arguments={"no_such": 1}), CommandState.REJECTED),
    ]
    async with server:
        host, store = hosted(subject, gateway(subject, server.port, poll_s=3600))
        async with host:
            for command, _ in orders:
                store.order(command)
            await until(lambda: all(not r.state.is_open for r in store.results.values()), 5)
    broken = [
        f"{store.results[c.id]} instead of {state}"
        for c, state in orders
        if store.results[c.id].state is not state
    ]
    return broken + (["bytes were sent"] if server.requests else [])


@promise
@on_a_loop
async def a_lost_acknowledgement_is_unknown_until_read_back(subject: DriverSubject) -> list[str]:
    spec = subject.cut()
    if spec is None:
        return []
    server = served(subject, faults=Faults(mute=1))
    async with server:
        host, store = hosted(subject, gateway(subject, server.port, poll_s=3600))
        async with host:
            command = subject.command(spec.name)
            store.order(command)
            await until(lambda: any(r.state is CommandState.UNKNOWN for r in store.history), 5)
            server.faults.mute = 0
            await until(lambda: store.results[command.id].state is CommandState.CONFIRMED, 8)
    states = [r.state for r in store.history]
    once = states.count(CommandState.SENT) == 1
    found_out = states[-1] is CommandState.CONFIRMED and CommandState.UNKNOWN in states
    return [] if once and found_out else [f"it goes {[s.value for s in states]}"]
