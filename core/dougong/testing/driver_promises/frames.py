"""Promises about bytes: captured frames, pieces, noise, damage, values that mean nothing."""

import random
from collections.abc import Iterator
from decimal import Decimal

from dougong.devices.readings import Measured, PointKind, Quality, judge_counter
from dougong.testing.driver_promises import DriverSubject, Golden, promise

NOISE = (b"\xfe\xfe", b"\xfe\x00\xfe")


@promise
def it_sends_and_understands_captured_frames(subject: DriverSubject) -> Iterator[str]:
    if not subject.golden:
        yield "there is no golden frame to hold it to"
    for golden in subject.golden:
        sent = subject.codec().encode(subject.request(golden), golden.sequence)
        if sent != bytes.fromhex(golden.sent):
            yield f"{golden.points}: it sends {sent.hex()}, not {golden.sent}"
        yield from _wrong_values(subject, golden, bytes.fromhex(golden.answer))


def _wrong_values(subject: DriverSubject, golden: Golden, answer: bytes) -> Iterator[str]:
    said = subject.read(golden, answer)
    if said is None:
        yield f"{golden.points}: it does not take {answer.hex()} for the answer"
        return
    for key, expected in golden.values.items():
        value = said[key].value
        plain = None if value is None else str(value).lower()
        if isinstance(value, Decimal) and expected is not None:
            same = value == Decimal(expected)
        else:
            same = plain == expected
        if not same:
            yield f"{key}: it reads {value}, not {expected}"


@promise
def it_finds_an_answer_that_comes_byte_by_byte(subject: DriverSubject) -> Iterator[str]:
    for golden in subject.golden:
        codec, answer = subject.codec(), bytes.fromhex(golden.answer)
        request, buffer = subject.request(golden, codec), b""
        for at in range(len(answer)):
            buffer += answer[at : at + 1]
            found = codec.find_answer(buffer, request, golden.sequence)
            buffer = buffer[found.used :]
            if found.answer is not None and at + 1 < len(answer):
                yield f"{golden.points}: it is satisfied with {at + 1} of {len(answer)} bytes"
                break
        else:
            if found.answer is None:
                yield f"{golden.points}: it does not find the answer at its last byte"


@promise
def it_takes_one_of_two_glued_answers(subject: DriverSubject) -> Iterator[str]:
    for golden in subject.golden:
        codec, answer = subject.codec(), bytes.fromhex(golden.answer)
        found = codec.find_answer(answer * 2, subject.request(golden, codec), golden.sequence)
        if found.answer is None or found.used > len(answer):
            yield f"{golden.points}: it uses {found.used} of {len(answer)} bytes and the next"


@promise
def it_finds_an_answer_behind_noise(subject: DriverSubject) -> Iterator[str]:
    for golden in subject.golden:
        for noise in NOISE:
            yield from _wrong_values(subject, golden, noise + bytes.fromhex(golden.answer))


@promise
def a_damaged_answer_says_nothing_else(subject: DriverSubject) -> Iterator[str]:
    """Flip each byte in turn. Without a checksum in the protocol only the frame can be held."""
    if not subject.has_checksum:
        return
    for golden in subject.golden:
        answer = bytes.fromhex(golden.answer)
        right = subject.read(golden, answer)
        for at in range(len(answer)):
            damaged = answer[:at] + bytes([answer[at] ^ 0x55]) + answer[at + 1 :]
            said = subject.read(golden, damaged)
            if said is not None and said != right:
                yield f"{golden.points}: byte {at} changed and it reads {said}"


@promise
def a_truncated_answer_is_none(subject: DriverSubject) -> Iterator[str]:
    for golden in subject.golden:
        answer = bytes.fromhex(golden.answer)
        for length in range(len(answer)):
            if subject.read(golden, answer[:length]) is not None:
                yield f"{golden.points}: {length} of {len(answer)} bytes are enough for it"


@promise
def the_answer_of_another_device_is_none(subject: DriverSubject) -> Iterator[str]:
    other = subject.codec(subject.number + 1)
    for golden in subject.golden:
        request = subject.request(golden, other)
        found = other.find_answer(bytes.fromhex(golden.answer), request, golden.sequence)
        if found.answer is not None:
            yield f"{golden.points}: it takes the answer of device {subject.number}"


@promise
def no_answer_makes_it_raise(subject: DriverSubject) -> Iterator[str]:
    """Fuzz: random bytes, and random bytes inside of captured answers."""
    dice = random.Random(7)
    for golden, given in _nonsense(subject, dice):
        try:
            said = subject.read(golden, given)
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            yield f"{golden.points}: {given.hex()} makes it raise {error!r}"
            return
        if said is not None and set(said) != set(golden.points):
            yield f"{golden.points}: {given.hex()} makes it answer for {sorted(said)}"
            return


def _nonsense(subject: DriverSubject, dice: random.Random) -> Iterator[tuple[Golden, bytes]]:
    for golden in subject.golden:
        answer = bytes.fromhex(golden.answer)
        for _ in range(300):
            damaged = bytearray(answer)
            for _ in range(dice.randint(1, 4)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            yield golden, bytes(damaged)
            yield golden, dice.randbytes(dice.randrange(40))


@promise
def every_point_is_in_exactly_one_request(subject: DriverSubject) -> Iterator[str]:
    planned = [p.key for r in subject.codec().plan_reads(subject.profile.points) for p in r.points]
    for point in subject.profile.points:
        if planned.count(point.key) != 1:
            yield f"{point.key} is read {planned.count(point.key)} times"


@promise
def a_value_that_means_nothing_is_no_value(subject: DriverSubject) -> Iterator[str]:
    for point in subject.profile.points:
        wrong: list[Decimal | int] = [Decimal("NaN"), Decimal("Infinity"), *point.sentinels]
        if point.valid is not None:
            wrong += [point.raw_of(point.valid[1] + 1), point.raw_of(point.valid[0] - 1)]
        for raw in wrong:
            measured = point.measure(raw)
            if measured.value is not None or measured.quality is not Quality.BAD_DATA:
                yield f"{point.key}: the raw value {raw} reads {measured.value}"


@promise
def a_counter_may_roll_over_and_not_fall(subject: DriverSubject) -> Iterator[str]:
    for point in subject.profile.points:
        if point.kind is not PointKind.COUNTER:
            continue
        if point.rollover is None:
            yield f"{point.key}: a counter says at which value it starts again"
            continue
        top, low = point.rollover - 1, Decimal(1)
        if judge_counter(point, top, Measured(point.key, low)).quality is not Quality.GOOD:
            yield f"{point.key}: from {top} to {low} is a fall for it"
        middle = point.rollover / 2
        fallen = judge_counter(point, middle, Measured(point.key, middle - 1))
        if fallen.quality is not Quality.UNCERTAIN:
            yield f"{point.key}: a fall from {middle} is {fallen.quality}"
