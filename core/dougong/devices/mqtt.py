"""Messages of devices that tell by themselves, through an MQTT broker.

A device publishes on ``dougong/<community>/<push name>/up`` with QoS 1 and reads its answer on
``…/down``. Who may publish where is the broker's to check: each device has a user of its name and
the access list ``pattern write dougong/+/%u/up``. A message is acknowledged to the broker after the
commit and not before; one that could not be stored comes again. Messages that wait are stored
together, those of a community in one transaction; when that fails, one by one.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiomqtt

from dougong.devices.store import AWAY
from dougong.errors import DougongError

log = logging.getLogger(__name__)

PORT, TLS_PORT = 1883, 8883
LISTENER = "dougong-devices"
UP, DOWN = "up", "down"
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
MOST_TOGETHER = 200
Receive = Callable[[UUID, str, bytes, None], bytes]
ReceiveTogether = Callable[[UUID, Sequence[tuple[str, bytes]]], list[bytes]]


async def listen(
    url: str,
    receive: Receive,
    started: asyncio.Event | None = None,
    receive_together: ReceiveTogether | None = None,
) -> None:
    """Take messages in until cancelled; the broker and the database may be away in between.

    url: ``mqtt://user:password@host:port``, or ``mqtts://``. receive_together: stores several at
    once, for when many wait; without it each is stored alone.
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            async with _client(url) as client:
                await _subscribe(client, started)
                wait_s = FIRST_WAIT_S
                await _take_in(client, receive, receive_together)
        except (aiomqtt.MqttError, *AWAY) as error:
            log.warning("MQTT pauses for %.0f s: %s", wait_s, error)
        _heed_cancel()
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)


async def _subscribe(client: aiomqtt.Client, started: asyncio.Event | None) -> None:
    _heed_cancel()
    await client.subscribe(f"dougong/+/+/{UP}", qos=1)
    log.info("listening at the MQTT broker")
    if started is not None:
        started.set()


def _client(url: str) -> aiomqtt.Client:
    parts = urlsplit(url)
    is_secure = parts.scheme == "mqtts"
    client = aiomqtt.Client(
        parts.hostname or "127.0.0.1",
        parts.port or (TLS_PORT if is_secure else PORT),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        identifier=LISTENER,
        clean_session=False,
        tls_params=aiomqtt.TLSParameters() if is_secure else None,
    )
    # aiomqtt acknowledges on arrival and offers no switch; paho below it does.
    client._client.manual_ack_set(True)
    return client


async def _take_in(
    client: aiomqtt.Client, receive: Receive, together: ReceiveTogether | None
) -> None:
    while True:
        messages = [await anext(client.messages)]
        while together is not None and len(client.messages) and len(messages) < MOST_TOGETHER:
            messages.append(await anext(client.messages))
        answers = await _answers(receive, together, messages)
        for message, answer in zip(messages, answers, strict=True):
            if answer is not None:
                await client.publish(str(message.topic).removesuffix(UP) + DOWN, answer, qos=1)
            client._client.ack(message.mid, message.qos)
        _heed_cancel()


async def _answers(
    receive: Receive, together: ReceiveTogether | None, messages: Sequence[aiomqtt.Message]
) -> list[bytes | None]:
    """Store messages; return the answer to each, in order. Raises one of ``AWAY``."""
    answers: list[bytes | None] = [None] * len(messages)
    places: dict[UUID, list[tuple[int, str, bytes]]] = defaultdict(list)
    for number, message in enumerate(messages):
        place = _place(str(message.topic))
        if place is not None and isinstance(message.payload, bytes):
            places[place[0]].append((number, place[1], message.payload))
    for community, own in places.items():
        found = await _answer_together(together, community, own) if len(own) > 1 else None
        for number, (at, name, body) in enumerate(own):
            single = found[number] if found else await _answer(receive, community, name, body)
            answers[at] = single
    return answers


async def _answer_together(
    together: ReceiveTogether | None, community: UUID, own: Sequence[tuple[int, str, bytes]]
) -> list[bytes] | None:
    """Store messages of a community at once; None when that cannot be and each goes alone."""
    if together is None:
        return None
    try:
        return await asyncio.to_thread(together, community, [each[1:] for each in own])
    except Exception as error:  # noqa: BLE001 - whatever one of them has, the others shall not have
        log.info("%d messages are stored one by one: %s", len(own), error)
        return None


def _heed_cancel() -> None:
    """Stop when somebody asked for it and the request was lost on the way.

    `asyncio.wait_for` before Python 3.12, which aiomqtt uses, may swallow a cancellation that
    arrives together with its result. May go with Python 3.11.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _place(topic: str) -> tuple[UUID, str] | None:
    """Return community and push name in a topic, None for one that names none."""
    parts = topic.split("/")
    try:
        return (UUID(parts[1]), parts[2]) if len(parts) == 4 else None
    except ValueError:
        return None


async def _answer(receive: Receive, community: UUID, name: str, body: bytes) -> bytes | None:
    """Store a message; None for one that nobody will ever take. Raises one of ``AWAY``."""
    try:
        return await asyncio.to_thread(receive, community, name, body, None)
    except DougongError as error:
        log.warning("a message of %s was left out: %s", name, error)
    except AWAY:
        raise
    except Exception:  # an outer loop: one message must not stop the others
        log.exception("a message of %s failed", name)
    return None
