"""Promises about encrypted lines: whom they trust, and that nobody else hears a byte."""

import asyncio
from datetime import UTC, datetime, timedelta

from dougong.devices.certificates import Identity, Tls, Trust, make_identity
from dougong.devices.contract import LineUnreachable
from dougong.testing.driver_promises import DriverSubject, promise
from dougong.testing.driver_promises.stage import LOOPBACK, TIMEOUT_S, line_to, on_a_loop, served

PINNED, AUTHORITY = Trust.PINNED, Trust.AUTHORITY


@promise
@on_a_loop
async def an_encrypted_line_trusts_only_whom_it_was_told_to(subject: DriverSubject) -> list[str]:
    """The right pin and the right authority are read; everybody else gets no byte."""
    over = datetime.now(UTC) - timedelta(days=1)
    ours, theirs = make_identity("our authority"), make_identity("their authority")
    right, alone = make_identity(LOOPBACK, ours), make_identity(LOOPBACK)
    signed = Tls(AUTHORITY, authorities=ours.certificate)
    cases = [
        ("the pinned certificate", alone, Tls(PINNED, fingerprint=alone.fingerprint), True),
        ("one of our authority", right, signed, True),
        ("another than the pinned one", alone, Tls(PINNED, fingerprint=right.fingerprint), False),
        ("no pin at all", alone, Tls(PINNED), False),
        ("one of another authority", make_identity(LOOPBACK, theirs), signed, False),
        ("one that signed itself", alone, signed, False),
        ("one of another name", make_identity("elsewhere.example", ours), signed, False),
        ("one that is over", make_identity(LOOPBACK, ours, over), signed, False),
    ]
    stale = make_identity(LOOPBACK, ends_at=over)
    pin = Tls(PINNED, fingerprint=stale.fingerprint)
    cases.append(("a pinned one that is over", stale, pin, False))
    broken = await _in_the_clear(subject, signed)
    for title, identity, tls, may_be_read in cases:
        broken += [f"{title}: {b}" for b in await _tried(subject, identity, tls, may_be_read)]
    return broken


async def _tried(
    subject: DriverSubject, identity: Identity, tls: Tls, may_be_read: bool
) -> list[str]:
    """Return what is wrong when a line that trusts as ``tls`` says meets this peer."""
    server = served(subject)
    server.tls = identity.serving()
    async with server:
        try:
            was_read = await _read_once(subject, server.port, tls)
        except LineUnreachable as error:
            if may_be_read:
                return [f"it is refused: {error}"]
            return ["it says that bytes were sent"] if error.was_sent else []
    if not may_be_read:
        return [f"it is spoken to, and {server.requests} requests reach it"]
    return [] if was_read else ["it is not read"]


async def _in_the_clear(subject: DriverSubject, tls: Tls) -> list[str]:
    """Return what is wrong when an encrypted line meets a peer that speaks in the clear."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(bytes(64))
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    try:
        await _read_once(subject, server.sockets[0].getsockname()[1], tls)
    except LineUnreachable as error:
        return ["in the clear: it says that bytes were sent"] if error.was_sent else []
    finally:
        server.close()
    return ["it speaks to a peer in the clear"]


async def _read_once(subject: DriverSubject, port: int, tls: Tls) -> bool:
    codec, line = subject.codec(1), line_to(subject, port, tls=tls)
    (request, *_) = codec.plan_reads(subject.profile.points)
    try:
        answers = await line.ask(codec, request, 5 * TIMEOUT_S)
    finally:
        line.close()
    return any(m.value is not None for m in codec.decode(request, answers))
