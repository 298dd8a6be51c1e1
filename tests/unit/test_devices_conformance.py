"""The driver conformance kit finds planted faults."""

from dataclasses import replace

import pytest

from dougong.devices import Found, Request, Transport
from dougong.devices.modbus import ModbusCodec, ModbusSettings
from dougong.testing.driver_promises import DriverSubject, Golden, every_promise
from dougong.testing.driver_promises import lines as line_promises
from dougong_meters.drivers.modbus import driver

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


def test_a_driver_without_a_simulator_is_found():
    promise = PROMISES["silence_is_no_value_and_the_neighbour_is_read"]
    assert list(promise(subject(simulator=None))) == ["the driver brings no simulator"]


def test_a_late_answer_is_taken_for_the_next_when_the_line_does_not_settle(monkeypatch):
    monkeypatch.setattr(line_promises, "SETTLE_S", 0)
    assert list(PROMISES["a_late_answer_is_never_taken_for_the_next"](subject()))
