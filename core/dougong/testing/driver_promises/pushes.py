"""Promises of drivers whose devices tell by themselves: captured messages, repetition, nonsense."""

import random
from collections.abc import Iterator
from decimal import Decimal

from dougong.devices.contract import Told
from dougong.testing.driver_promises import PUSH_PROMISES, DriverSubject, Pushed, push_promise

NOTHING = (b"", b"\0", b"{}", b"[]", b"null", b"\xff\xfe", b"{" * 4000, b'{"id": 1}')
# What says nothing: the host answers these with "invalid"; anything else is a driver's fault.
REFUSALS = (ValueError, KeyError, TypeError, ArithmeticError, RecursionError)


@push_promise
def it_understands_captured_messages(subject: DriverSubject) -> Iterator[str]:
    if not subject.messages:
        yield "there is no captured message to hold it to"
    for pushed in subject.messages:
        told = subject.push_codec().receive(pushed.body)
        if pushed.key is not None and told.key != pushed.key:
            yield f"its key is {told.key}, not {pushed.key}"
        if pushed.at is not None and told.device_time != pushed.at:
            yield f"it was at {told.device_time}, not {pushed.at}"
        yield from _wrong_values(told, pushed)


def _wrong_values(told: Told, pushed: Pushed) -> Iterator[str]:
    said = {found.point: found.value for found in told.measured}
    for key, expected in pushed.values.items():
        value = said.get(key)
        if isinstance(value, Decimal) and expected is not None:
            same = value == Decimal(expected)
        else:
            same = (None if value is None else str(value).lower()) == expected
        if not same:
            yield f"{key}: it says {value}, not {expected}"


@push_promise
def a_repetition_is_known_by_its_key_and_answered_alike(subject: DriverSubject) -> Iterator[str]:
    keys = []
    for pushed in subject.messages:
        codec = subject.push_codec()
        first, again = codec.receive(pushed.body), subject.push_codec().receive(pushed.body)
        if first.key != again.key:
            yield f"the same message is {first.key} and {again.key}"
        if codec.reply(first, None) != codec.reply(again, None):
            yield f"the same message {first.key} is answered in two ways"
        if not 0 < len(first.key) <= 120:
            yield f"a key has 1 to 120 characters, not {len(first.key)}"
        keys.append(first.key)
    if len(set(keys)) != len(keys):
        yield f"two messages have the same key: {keys}"


@push_promise
def it_speaks_only_of_points_of_its_model(subject: DriverSubject) -> Iterator[str]:
    known = {point.key for point in subject.profile.points}
    for pushed in subject.messages:
        strangers = {m.point for m in subject.push_codec().receive(pushed.body).measured} - known
        if strangers:
            yield f"it tells of {sorted(strangers)}"


@push_promise
def its_times_are_instants(subject: DriverSubject) -> Iterator[str]:
    for pushed in subject.messages:
        told = subject.push_codec().receive(pushed.body)
        for at in [told.device_time, *(found.device_time for found in told.measured)]:
            if at is not None and at.tzinfo is None:
                yield f"{at} has no zone"


@push_promise
def nonsense_is_refused_and_nothing_else_goes_wrong(subject: DriverSubject) -> Iterator[str]:
    """Empty, foreign and damaged messages: refused, or understood, but never a crash."""
    dice = random.Random(7)
    bodies = list(NOTHING)
    for pushed in subject.messages:
        for _ in range(200):
            damaged = bytearray(pushed.body)
            for _ in range(dice.randint(1, 6)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            bodies.append(bytes(damaged[: dice.randint(1, len(damaged))]))
    for body in bodies:
        try:
            told = subject.push_codec().receive(body)
        except REFUSALS:
            continue
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            yield f"{body[:80]!r} makes it raise {error!r}"
            return
        if body in NOTHING and told.measured:
            yield f"{body[:80]!r} says {told.measured} to it"


__all__ = ["PUSH_PROMISES"]
