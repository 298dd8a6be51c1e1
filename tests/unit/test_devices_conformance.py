"""The driver conformance kit finds planted faults: bad codecs, declarations and push codecs."""

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from pydantic import BaseModel

from dougong.devices import Driver, Found, Measured, Point, Request, Told, Transport
from dougong.devices.modbus import ModbusCodec, ModbusSettings
from dougong.testing.driver_promises import (
    DriverSubject,
    Golden,
    Pushed,
    every_promise,
    every_push_promise,
    stage,
)
from dougong_meters.drivers.json_push import JsonPushCodec
from dougong_meters.drivers.json_push import driver as json_push
from dougong_meters.drivers.modbus import driver

PUSH_PROMISES = {p.__name__: p for p in every_push_promise()}
PROMISES = {p.__name__: p for p in every_promise()}
GOLDEN = (
    Golden(
        ("energy_import",), "01 03 0002 0002 65CB", "01 03 04 0001 E240 E2A3",
        {"energy_import": "1234.56"},
    ),
)  # fmt: skip


def subject(codec=ModbusCodec, **changes):
    return DriverSubject(
        replace(driver, codec=codec, **changes),
        driver.profiles["three_phase_meter"],
        Transport.RTU_TCP,
        lambda number: {"device_id": number},
        GOLDEN,
    )


class TakesAnyDevice(ModbusCodec):
    def find_answer(self, buffer, request, sequence):
        for number in range(1, 4):
            self.settings = ModbusSettings(device_id=number)
            found = super().find_answer(buffer, request, sequence)
            if found.answer is not None:
                return found
        return found


class TakesAnyLength(ModbusCodec):
    def find_answer(self, buffer, request, sequence):
        return Found(len(buffer), buffer + bytes(9)) if buffer else Found(0, None)


class WantsTheFrameFirst(ModbusCodec):
    def find_answer(self, buffer, request, sequence):
        if buffer[:1] != b"\x01":
            return Found(0, None)
        return super().find_answer(buffer, request, sequence)


class EatsTheNext(ModbusCodec):
    def find_answer(self, buffer, request, sequence):
        found = super().find_answer(buffer, request, sequence)
        return Found(len(buffer), found.answer) if found.answer else found


class Raises(ModbusCodec):
    def find_answer(self, buffer, request, sequence):
        return Found(len(buffer), buffer)

    def decode(self, request, answers):
        assert answers[0][1] == 3
        return super().decode(request, answers)


class ReadsTwice(ModbusCodec):
    def plan_reads(self, points):
        return super().plan_reads(points) * 2


class NeverLooksAtChecksums(ModbusCodec):
    def find_answer(self, buffer, request, sequence):
        if len(buffer) >= 9 and buffer[:3] == b"\x01\x03\x04":
            return Found(9, buffer[:9])
        return Found(0, None)


class SendsOtherwise(ModbusCodec):
    def encode(self, request, sequence):
        return super().encode(request, sequence) + b"\0"


class PlansReads(ModbusCodec):
    def plan_command(self, command, spec):
        return Request((), super().plan_command(command, spec).payload)


class PlainSettings(ModbusSettings):
    model_config = {"extra": "ignore", "frozen": True}


@pytest.mark.parametrize(
    ("codec", "promise"),
    [
        (SendsOtherwise, "it_sends_and_understands_captured_frames"),
        (TakesAnyDevice, "the_answer_of_another_device_is_none"),
        (TakesAnyLength, "it_finds_an_answer_that_comes_byte_by_byte"),
        (TakesAnyLength, "a_truncated_answer_is_none"),
        (WantsTheFrameFirst, "it_finds_an_answer_behind_noise"),
        (EatsTheNext, "it_takes_one_of_two_glued_answers"),
        (NeverLooksAtChecksums, "a_damaged_answer_says_nothing_else"),
        (Raises, "no_answer_makes_it_raise"),
        (ReadsTwice, "every_point_is_in_exactly_one_request"),
        (PlansReads, "every_command_says_what_proves_it"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_planted_fault_is_found(codec, promise):
    assert list(PROMISES[promise](subject(codec)))
    assert not list(PROMISES[promise](subject()))


def test_a_setting_that_nobody_checks_is_found():
    promise = PROMISES["a_wrong_setting_is_named_and_its_value_is_not_repeated"]
    assert list(promise(subject(settings=PlainSettings)))


class OpenAddress(BaseModel):
    """Takes any field."""

    anything: int = 0


class TellsItsPassword(ModbusSettings):
    password: str = ""


class OpensAnything(Driver):
    def open(self, profile, settings, transport):
        return self.codec(next(iter(self.profiles.values())), self.settings(), transport)


class BelievesAnything(Point):
    def measure(self, raw, at=None):
        return Measured(self.key, Decimal(0) if raw in self.sentinels else Decimal(str(raw)))


def with_points(change):
    """Return the subject with each point of its model changed."""
    good = subject()
    points = tuple(change(point) for point in good.profile.points)
    return replace(good, profile=good.profile.model_copy(update={"points": points}))


DECLARATIONS = [
    (
        replace(
            subject(settings=TellsItsPassword),
            secrets={"password": "hunter2"},
            settings=lambda number: {"device_id": number},
        ),
        "secrets_stay_out_of_what_is_logged",
    ),
    (subject(point_address=OpenAddress), "an_unknown_field_in_a_profile_is_refused"),
    (
        replace(subject(), driver=OpensAnything(**vars(driver))),
        "it_refuses_a_model_and_a_line_that_it_does_not_know",
    ),
    (
        with_points(lambda point: BelievesAnything(**dict(point))),
        "a_value_that_means_nothing_is_no_value",
    ),
    (
        with_points(lambda point: point.model_copy(update={"rollover": None})),
        "a_counter_may_roll_over_and_not_fall",
    ),
]


@pytest.mark.parametrize(("planted", "promise"), DECLARATIONS, ids=[d[1] for d in DECLARATIONS])
def test_a_fault_planted_in_a_declaration_is_found(planted, promise):
    assert list(PROMISES[promise](planted))
    assert not list(PROMISES[promise](subject()))


def pushing(codec=JsonPushCodec):
    body = {"id": "a", "at": "2026-11-24T08:00:00+08:00", "values": {"litres": 12345}}
    return DriverSubject(
        replace(json_push, codec=codec),
        json_push.profiles["nb_water_meter"],
        Transport.HTTP_PUSH,
        lambda number: {},
        messages=[Pushed(json.dumps(body).encode(), {"volume": "12.345"}, "a")],
    )


class ForgetsTheScale(JsonPushCodec):
    def receive(self, body):
        told = super().receive(body)
        return replace(told, measured=[Measured("volume", m.value * 1000) for m in told.measured])


class NewKeyEachTime(JsonPushCodec):
    count = 0

    def receive(self, body):
        NewKeyEachTime.count += 1
        return replace(super().receive(body), key=f"k{self.count}")


class TellsOfStrangers(JsonPushCodec):
    def receive(self, body):
        return replace(super().receive(body), measured=[Measured("no_such_point", Decimal(1))])


class ForgetsTheZone(JsonPushCodec):
    def receive(self, body):
        return replace(super().receive(body), device_time=datetime(2026, 11, 24, 8))


class Crashes(JsonPushCodec):
    def receive(self, body):
        try:
            return super().receive(body)
        except ValueError as error:
            raise RuntimeError("crash") from error


class TakesEverything(JsonPushCodec):
    def receive(self, body):
        return Told("x", measured=[Measured("volume", Decimal(1))])


@pytest.mark.parametrize(
    ("codec", "promise"),
    [
        (ForgetsTheScale, "it_understands_captured_messages"),
        (NewKeyEachTime, "a_repetition_is_known_by_its_key_and_answered_alike"),
        (TellsOfStrangers, "it_speaks_only_of_points_of_its_model"),
        (ForgetsTheZone, "its_times_are_instants"),
        (Crashes, "nonsense_is_refused_and_nothing_else_goes_wrong"),
        (TakesEverything, "nonsense_is_refused_and_nothing_else_goes_wrong"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_planted_in_a_push_codec_is_found(codec, promise):
    assert list(PUSH_PROMISES[promise](pushing(codec)))
    assert not list(PUSH_PROMISES[promise](pushing()))


def test_a_driver_without_a_simulator_is_found():
    promise = PROMISES["silence_is_no_value_and_the_neighbour_is_read"]
    assert list(promise(subject(simulator=None))) == ["the driver brings no simulator"]


def test_a_late_answer_is_taken_for_the_next_when_the_line_does_not_settle(monkeypatch):
    monkeypatch.setattr(stage, "SETTLE_S", 0)
    assert list(PROMISES["a_late_answer_is_never_taken_for_the_next"](subject()))
