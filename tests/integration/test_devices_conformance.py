"""The driver conformance kit finds faults that only time and lines bring out."""

import logging
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dougong.devices import LineTimeout, LineUnreachable, Transport, Verification
from dougong.devices import interlocks as kernel_interlocks
from dougong.devices.certificates import Tls
from dougong.devices.contract import Health
from dougong.devices.modbus import ModbusCodec, ModbusSettings
from dougong.devices.modbus_simulator import ModbusResponder
from dougong.devices.simulated import Answered
from dougong.devices.transports import Line
from dougong.testing.driver_promises import DriverSubject, Golden, every_promise, stage
from dougong_meters.drivers.dlt645 import Dlt645Codec
from dougong_meters.drivers.dlt645 import driver as dlt645
from dougong_meters.drivers.modbus import driver

PROMISES = {p.__name__: p for p in every_promise()}


def subject(codec=ModbusCodec, simulator=ModbusResponder, **changes):
    made = replace(
        driver, codec=codec, simulator=lambda devices, transport: simulator(devices, transport)
    )
    return replace(
        DriverSubject(
            made,
            driver.profiles["three_phase_meter"],
            Transport.RTU_TCP,
            lambda number: {"device_id": number},
            (Golden(("energy_import",), "01 03 0002 0002 65CB", "01 03 04 0001 E240 E2A3", {}),),
        ),
        **changes,
    )


def is_found(promise, planted):
    """Tell whether a promise finds the planted fault and nothing in the driver without it."""
    return bool(list(PROMISES[promise](planted)))


class AnswersForTheMute(ModbusResponder):
    """Says that somebody else answered, so that the mute device is none."""

    def respond(self, buffer):
        return super().respond(buffer)._replace(device=None)


class DiesAfterAWhile(ModbusResponder):
    count = 0

    def respond(self, buffer):
        DiesAfterAWhile.count += 1
        told = super().respond(buffer)
        return told if self.count < 4 else Answered(told.used, None, None)


class ShiftsThePoint(ModbusCodec):
    def decode(self, request, answers):
        found = super().decode(request, answers)
        return [
            replace(m, value=m.value * 10) if isinstance(m.value, Decimal) else m for m in found
        ]


class ClockWithoutZone(ModbusCodec):
    def decode(self, request, answers):
        now = datetime.now()
        return [replace(m, device_time=now) for m in super().decode(request, answers)]


class ClockEightHoursOff(ModbusCodec):
    """Takes the meter's local time for UTC."""

    def decode(self, request, answers):
        at = datetime.now(UTC) + timedelta(hours=8)
        return [replace(m, device_time=at) for m in super().decode(request, answers)]


class WritesTheOpposite(ModbusCodec):
    def plan_command(self, command, spec):
        flipped = spec.address.model_copy(update={"value": not spec.address.value})
        return super().plan_command(command, spec.model_copy(update={"address": flipped}))


class KeepsFilesOpen(ModbusCodec):
    held = []

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.held.append(open("/dev/null"))  # noqa: SIM115 - the fault


class BurnsTheProcessor(ModbusCodec):
    def decode(self, request, answers):
        until = time.process_time() + 0.01
        while time.process_time() < until:
            pass
        return super().decode(request, answers)


class ChattySettings(ModbusSettings):
    password: str = "none"


class LogsItsPassword(ModbusCodec):
    def plan_reads(self, points):
        logging.getLogger("driver").debug("logging in with %s", self.settings.password)
        return super().plan_reads(points)


def never_verified():
    """Return the subject with a trip that is proved by the wrong state of its relay."""
    good = subject()
    wrong = [
        c.model_copy(update={"verify": Verification(point="is_cut", equals=False, within_s=1)})
        if c.name == "trip" else c
        for c in good.profile.commands
    ]  # fmt: skip
    profile = good.profile.model_copy(update={"commands": tuple(wrong)})
    return replace(
        good, profile=profile, driver=replace(good.driver, profiles={profile.id: profile})
    )


def chatty():
    good = subject(LogsItsPassword)
    return replace(
        good,
        driver=replace(good.driver, settings=ChattySettings),
        secrets={"password": "hunter2"},
    )


@pytest.mark.parametrize(
    ("promise", "planted"),
    [
        (
            "silence_is_no_value_and_the_neighbour_is_read",
            lambda: subject(simulator=AnswersForTheMute),
        ),
        (
            "a_restarted_peer_is_read_again_and_health_says_so",
            lambda: subject(simulator=DiesAfterAWhile),
        ),
        ("every_point_reads_what_the_device_shows", lambda: subject(ShiftsThePoint)),
        (
            "its_clock_is_an_instant_and_one_that_is_off_makes_doubtful",
            lambda: subject(ClockWithoutZone),
        ),
        (
            "its_clock_is_an_instant_and_one_that_is_off_makes_doubtful",
            lambda: subject(ClockEightHoursOff),
        ),
        ("a_command_is_sent_once_and_read_back", lambda: subject(WritesTheOpposite)),
        ("a_lost_acknowledgement_is_unknown_until_read_back", never_verified),
        ("starting_and_stopping_leaks_nothing", lambda: subject(KeepsFilesOpen)),
        ("two_hundred_devices_cost_little", lambda: subject(BurnsTheProcessor)),
        ("no_secret_is_logged_while_it_runs", chatty),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_planted_fault_is_found(promise, planted, monkeypatch):
    monkeypatch.setattr(stage, "PATIENCE_S", 2)
    DiesAfterAWhile.count = 0
    assert is_found(promise, planted())
    while KeepsFilesOpen.held:
        KeepsFilesOpen.held.pop().close()


class WaitsForEver(Line):
    async def ask(self, codec, request, timeout_s):
        return await super().ask(codec, request, timeout_s + 1)


class TakesSilenceForAnAnswer(Line):
    async def ask(self, codec, request, timeout_s):
        try:
            return await super().ask(codec, request, timeout_s)
        except LineTimeout:
            return [b""]


class SaysThatItSent(Line):
    async def ask(self, codec, request, timeout_s):
        raise LineUnreachable("gone", was_sent=True)


@pytest.mark.parametrize("line", [WaitsForEver, TakesSilenceForAnAnswer])
def test_a_line_that_waits_for_ever_or_makes_things_up_is_found(line, monkeypatch):
    monkeypatch.setattr(stage, "Line", line)
    assert is_found("a_half_open_peer_costs_its_timeout_and_no_more", subject())


def test_a_line_that_says_that_it_sent_what_it_did_not_is_found(monkeypatch):
    monkeypatch.setattr(stage, "Line", SaysThatItSent)
    assert is_found("nobody_there_means_that_nothing_was_sent", subject())


def test_an_exchange_that_is_cancelled_on_a_line_that_does_not_settle_is_found(monkeypatch):
    monkeypatch.setattr(stage, "SETTLE_S", 0)
    assert is_found("a_cancelled_exchange_leaves_the_line_usable", subject())


HOLIDAYS = {
    "holidays": (
        {"270101": "02", "270206": "02", "270405": "03", "270501": "02"},
        {"270206": "02", "270609": "03", "271001": "02"},
    )
}


def listed(codec=Dlt645Codec):
    """Return a meter that keeps a list of holidays, with another codec."""
    return DriverSubject(
        replace(dlt645, codec=codec),
        dlt645.profiles["single_phase_meter"],
        Transport.RTU_TCP,
        lambda number: {"address": f"{number:012d}"},
        lists=HOLIDAYS,
    )


class TakesNothingOut(Dlt645Codec):
    """Adds what is missing and leaves what is too much."""

    def plan_changes(self, spec, held, wanted):
        return super().plan_changes(spec, held, {**held, **wanted})


class WritesAlways(Dlt645Codec):
    def plan_changes(self, spec, held, wanted):
        return super().plan_changes(spec, {}, wanted)


class RemembersInsteadOfReading(Dlt645Codec):
    """Makes the difference from what it once meant to write."""

    believed = None

    def plan_changes(self, spec, held, wanted):
        changes = super().plan_changes(spec, self.believed or held, wanted)
        type(self).believed = dict(wanted)
        return changes


@pytest.mark.parametrize(
    ("promise", "codec"),
    [
        ("a_list_says_what_it_takes", WritesAlways),
        ("a_list_is_brought_to_what_is_wanted_and_written_once", TakesNothingOut),
        ("a_list_is_brought_to_what_is_wanted_and_written_once", WritesAlways),
        ("a_list_converges_after_lost_answers_and_a_restart", RemembersInsteadOfReading),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_list_that_is_not_kept_is_found(promise, codec, monkeypatch):
    assert not is_found(promise, listed())
    monkeypatch.setattr(stage, "PATIENCE_S", 1)
    assert is_found(promise, listed(codec))


def trusting(tls):
    """Return the settings of a connection that asks nobody for anything."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_an_encrypted_line_that_trusts_anybody_is_found(monkeypatch):
    promise = "an_encrypted_line_trusts_only_whom_it_was_told_to"
    assert not is_found(promise, subject())
    with monkeypatch.context() as patch:
        patch.setattr(Tls, "context", trusting)
        found = list(PROMISES[promise](subject()))
        assert {line.partition(":")[0] for line in found} == {
            "one of another authority", "one that signed itself", "one of another name",
        }  # fmt: skip
    monkeypatch.setattr(Tls, "admit", lambda *anything: datetime.max)
    found = list(PROMISES[promise](subject()))
    assert {line.partition(":")[0] for line in found} == {
        "another than the pinned one", "no pin at all", "a pinned one that is over",
    }  # fmt: skip


def test_interlocks_that_let_everything_through_are_found(monkeypatch):
    monkeypatch.setattr(kernel_interlocks, "KERNEL", ())
    assert is_found("an_expired_or_forbidden_command_sends_no_byte", subject())


def test_health_that_forgets_its_count_is_found(monkeypatch):
    monkeypatch.setattr(
        Health, "succeeded", lambda self, now, _=None: replace(self, is_ok=True, last_ok_at=now)
    )
    assert is_found("health_turns_once_each_way_and_says_since_when", subject())


def test_none_of_this_is_found_in_a_good_driver():
    for name in PROMISES:
        if name.startswith(("its_clock", "every_point_reads", "health", "no_secret")):
            assert not is_found(name, subject())
