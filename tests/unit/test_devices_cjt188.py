"""CJ/T 188-2004: published frames both ways, what makers do differently, and what must not pass."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong.devices import Command, Quality, Transport
from dougong.devices.profiles import ProfileError
from dougong_meters.drivers.cjt188 import UNITS, CjtCodec, Frame, driver, scan
from dougong_meters.drivers.cjt188_simulator import CjtResponder

FULL, LOW_FIRST, SHORT, GAS = (
    "water_valve_meter",
    "water_valve_meter_low_first",
    "short_water_meter",
    "gas_meter",
)
NEGATIVE = (
    "68 10 44 33 22 11 00 33 78 81 16 1F 90 00 00 77 66 55 2C 00 77 66 55 2C"
    " 31 01 22 11 05 15 20 21 84 08 16"
)


def codec(profile=FULL, address="11223344556677", **settings):
    made = driver.open(profile, {"address": address, "preamble": 0, **settings}, Transport.RTU_TCP)
    assert isinstance(made, CjtCodec)
    return made


def request(made, profile, *keys):
    found = driver.profiles[profile]
    points = [found.point(key) for key in keys] or found.points
    (planned,) = made.plan_reads(points)
    return planned


def read(answer, profile=FULL, sequence=0, **settings):
    """Return what a frame says to a read of every point; None when it is no answer."""
    made = codec(profile, **settings)
    asked = request(made, profile)
    found = made.find_answer(bytes.fromhex(answer), asked, sequence)
    if found.answer is None:
        return None
    return {m.point: m for m in made.decode(asked, [found.answer])}


@pytest.mark.parametrize(
    ("profile", "address", "sequence", "frame"),
    [
        (SHORT, "11223344556677", 7, "68 10 77 66 55 44 33 22 11 01 03 90 1F 01 08 16"),
        (SHORT, "AA" * 7, 7, "68 10 AA AA AA AA AA AA AA 01 03 90 1F 01 D2 16"),
        (FULL, "11223344556677", 1, "68 10 77 66 55 44 33 22 11 01 03 90 1F 01 08 16"),
        (LOW_FIRST, "11223344556677", 9, "68 10 77 66 55 44 33 22 11 01 03 1F 90 00 07 16"),
    ],
    ids=["fixed-serial", "any-meter", "counting-serial", "low-byte-first"],
)
def test_a_read_is_the_published_frame(profile, address, sequence, frame):
    made = codec(profile, address)
    assert made.encode(request(made, profile), sequence) == bytes.fromhex(frame)


def test_a_short_answer_is_read_as_published():
    said = read("68 10 77 66 55 44 33 22 11 81 09 90 1F 01 78 56 34 12 00 FF A1 16", SHORT)
    assert said["volume"].value == Decimal("123456.78")
    assert (said["is_cut"].value, said["is_battery_low"].value) == (False, False)


def test_a_full_answer_is_read_as_published_and_its_unset_clock_is_no_time():
    said = read(
        "68 10 01 00 00 05 08 00 00 81 16 90 1F 00 00 23 01 00 2C 00 00 00 00 2C"
        " 00 00 00 00 00 00 00 00 00 48 16",
        address="00000805000001",
    )
    assert said["volume"].value == Decimal("123.00")
    assert said["volume_settled"].value == 0
    assert said["clock"].quality is Quality.BAD_DATA
    assert said["is_cut"].value is False


def test_the_frame_with_a_wrong_checksum_that_is_copied_everywhere_is_no_answer():
    assert read(NEGATIVE, LOW_FIRST, address="78330011223344") is None
    right = NEGATIVE[:-5] + "13 16"
    assert read(right, LOW_FIRST, address="78330011223344")["volume"].value == Decimal("556677")


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("close", "68 10 01 13 12 19 00 00 00 04 04 A0 17 01 55 CC 16"),
        ("trip", "68 10 01 13 12 19 00 00 00 04 04 A0 17 01 99 10 16"),
    ],
)
def test_a_valve_command_is_the_published_frame(name, frame):
    made = codec(address="00000019121301")
    spec = driver.profiles[FULL].command(name)
    asked = made.plan_command(order(name), spec)
    assert asked.is_write
    assert made.encode(asked, 1) == bytes.fromhex(frame)


def order(name):
    return Command(uuid4(), uuid4(), name, "li", datetime(2030, 1, 1, tzinfo=UTC))


def test_an_error_reply_gives_no_value_and_says_so():
    made = codec(GAS)
    asked = request(made, GAS)
    answer = bytes.fromhex("68 30 77 66 55 44 33 22 11 C1 04 90 1F 01 02 EB 16")
    found = made.find_answer(answer, asked, 1)
    assert {(m.value, m.quality) for m in made.decode(asked, [found.answer])} == {
        (None, Quality.BAD_CONFIG)
    }
    assert not made.judge(asked, found.answer).is_accepted


# --- frames of other people's programs and meters -------------------------------------------------

# From the tests and logs of programs that have nothing to do with each other or with us; none of
# them was run here. WATER_TEST: unit test of a C# library (Friendcom.Protocol.Sample,
# FrameCJT188_2004Sample). UDP_METER: what a water meter sent a Java collector (its main method,
# getUdpMeterSum). The valve's reply: unit test of a Java library (Frame2004.decodeRaw). HEAT_METER:
# captured answer of a heat meter in an example of a LoRaWAN module's SDK (EBSDK, QueryEvent).
WATER_TEST = (
    "68 10 88 05 27 10 15 20 00 81 16 90 1F 01 00 00 00 00 2C 00 00 00 00 2C"
    " 06 20 17 09 01 17 20 00 00 8E 16"
)
UDP_METER = (
    "68 10 21 09 00 00 17 00 02 81 16 90 1F 00 00 02 00 00 2C 00 00 00 00 2C"
    " 00 00 00 00 00 00 00 00 00 5B 16"
)
HEAT_METER = (
    "68 25 12 19 24 18 27 31 00 81 2E 1F 90 03 11 74 02 00 05 88 27 44 05 05 00 00 00 00 17"
    " 00 00 00 00 35 08 56 71 00 2C 79 26 00 64 26 00 66 47 07 11 52 17 03 09 25 20 00 05 2A 16"
)


def test_frames_that_other_programs_send_are_ours():
    made = codec(address="00201510270588")
    wanted = bytes.fromhex("68 10 88 05 27 10 15 20 00 01 03 90 1F 01 25 16")
    assert made.encode(request(made, FULL), 1) == wanted
    wanted = bytes.fromhex("68 10 34 42 60 80 00 00 00 01 03 1F 90 00 81 16")
    low = codec(LOW_FIRST, address="00000080604234")
    assert low.encode(request(low, LOW_FIRST), 7) == wanted
    # The same with a byte less in its sum is refused there and here.
    assert scan(bytes.fromhex("68 10 88 05 27 10 15 20 00 01 03 90 1F 01 24 16"))[2] is None


def test_answers_that_other_programs_read_are_read_alike():
    said = read(WATER_TEST, sequence=1, address="00201510270588")
    assert (said["volume"].value, said["volume_settled"].value) == (0, 0)
    assert "2017-01-09" in str(said["clock"].value)
    said = read(UDP_METER, sequence=0, address="02001700000921")
    assert (said["volume"].value, said["is_cut"].value) == (Decimal("2.00"), False)
    reply = scan(bytes.fromhex("68 10 80 34 11 91 00 00 00 A5 05 A0 17 00 00 FF 2E 16"))[2]
    assert (reply.address[::-1].hex(), reply.data.hex()) == ("00000091113480", "a0170000ff")


def test_a_heat_meter_that_somebody_else_captured_is_read_to_the_last_byte():
    made = driver.open("heat_meter", {"address": "00312718241912"}, Transport.RTU_TCP)
    (asked,) = made.plan_reads(driver.profiles["heat_meter"].points)
    found = {m.point: m for m in made.decode(asked, [bytes.fromhex(HEAT_METER)])}
    values = {key: measured.value for key, measured in found.items() if key != "clock"}
    assert values == {
        "heat_settled": Decimal("274.11"), "heat": Decimal("54427.88"), "power": 0, "flow": 0,
        "volume": Decimal("7156.08"), "supply_temperature": Decimal("26.79"),
        "return_temperature": Decimal("26.64"), "worked": 74766,
    }  # fmt: skip
    # 2025-09-03 17:52:11 by its own clock.
    assert scan(bytes.fromhex(HEAT_METER))[2].data[37:44][::-1].hex() == "20250903175211"


# Three programs (in C, C++ and Rust, which names table 13 of the standard) have these in common.
UNIT_CODES = {
    ("kW.h", 0x02): "0.001", ("kW.h", 0x05): "1", ("kW.h", 0x08): "1000",
    ("kW.h", 0x0A): "100000", ("MJ", 0x0B): "0.001", ("MJ", 0x0E): "1", ("GJ", 0x11): "1",
    ("GJ", 0x13): "100", ("kW", 0x14): "0.001", ("kW", 0x17): "1", ("kW", 0x1A): "1000",
    ("m3", 0x29): "0.001", ("m3", 0x2C): "1", ("m3/h", 0x32): "0.001", ("m3/h", 0x35): "1",
}  # fmt: skip


def test_the_units_of_a_counter_are_those_of_the_standard():
    for (uom, code), factor in UNIT_CODES.items():
        assert UNITS[uom][code] == Decimal(factor), (uom, code)
    assert 0x0A not in UNITS["MJ"] and 0x0B not in UNITS["GJ"]


def test_an_answer_with_another_serial_number_is_a_late_one_and_skipped():
    made = codec()
    asked = request(made, FULL)
    late = served(FULL).respond(made.encode(asked, 4)).reply
    fresh = served(FULL).respond(made.encode(asked, 5)).reply
    assert made.find_answer(late, asked, 5).answer is None
    assert made.find_answer(late + fresh, asked, 5).answer == fresh[2:]


def test_a_faulty_valve_has_no_state():
    body = bytes.fromhex("68 10 77 66 55 44 33 22 11 81 09 90 1F 01 78 56 34 12 03 FF")
    said = read((body + bytes([sum(body) & 0xFF, 0x16])).hex(), SHORT)
    assert (said["is_cut"].value, said["is_cut"].quality) == (None, Quality.BAD_DATA)
    assert said["volume"].value == Decimal("123456.78")


@pytest.mark.parametrize(
    ("counter", "unit"), [("78 5A 34 12", "2C"), ("78 56 34 12", "05")], ids=["no-bcd", "kWh"]
)
def test_what_is_no_volume_is_bad_data(counter, unit):
    data = f"90 1F 00 {counter} {unit} 00 00 00 00 2C 00 00 00 00 00 00 00 00 00"
    frame = Frame(0x10, bytes.fromhex("77665544332211"), 0x81, bytes.fromhex(data)).encoded()
    said = read(frame.hex())
    assert (said["volume"].value, said["volume"].quality) == (None, Quality.BAD_DATA)
    assert said["volume_settled"].value == 0


def test_a_command_to_a_wildcard_address_is_refused():
    with pytest.raises(ValueError, match="full address"):
        codec(address="AA" * 7).plan_command(order("trip"), driver.profiles[FULL].command("trip"))


def served(profile):
    return CjtResponder([simulated(profile)])


def simulated(profile):
    from dougong.devices import SimulatedDevice

    settings = driver.settings(address="11223344556677")
    return SimulatedDevice(driver.profiles[profile], settings, start=556677)


def test_the_simulator_is_silent_to_strangers_to_other_kinds_and_to_damaged_frames():
    made = codec(FULL, "99223344556677")
    assert served(FULL).respond(made.encode(request(made, FULL), 1)).reply is None
    gas = codec(GAS)
    assert served(FULL).respond(gas.encode(request(gas, GAS), 1)).reply is None
    right = bytearray(codec().encode(request(codec(), FULL), 1))
    right[-2] ^= 1
    assert served(FULL).respond(bytes(right)).reply is None


def test_the_valve_of_the_simulator_closes_and_reads_closed():
    responder, made = served(FULL), codec()
    asked = made.plan_command(order("trip"), driver.profiles[FULL].command("trip"))
    answer = made.find_answer(responder.respond(made.encode(asked, 3)).reply, asked, 3).answer
    assert made.judge(asked, answer).is_accepted
    again = request(made, FULL, "is_cut")
    told = responder.respond(made.encode(again, 4)).reply
    (found,) = made.decode(again, [made.find_answer(told, again, 4).answer])
    assert found.value is True


@pytest.mark.parametrize("address", ["1234", "1122334455667Z", "A1223344556677"])
def test_a_wrong_address_is_named(address):
    with pytest.raises(ProfileError) as caught:
        driver.open(FULL, {"address": address}, Transport.TCP)
    assert "address" in caught.value.fields


frames = st.builds(
    Frame,
    st.integers(0, 255),
    st.binary(min_size=7, max_size=7),
    st.integers(0, 255),
    st.binary(max_size=100),
)


@given(frames, st.integers(0, 16))
def test_any_frame_comes_back_as_it_was(frame, preamble):
    wire = frame.encoded(preamble)
    start, end, found = scan(wire, preamble)
    assert (start, end, found) == (preamble, len(wire), frame)


@given(frames, st.data())
def test_a_changed_byte_is_never_read_as_the_frame(frame, data):
    wire = bytearray(frame.encoded())
    at = data.draw(st.integers(0, len(wire) - 1))
    wire[at] ^= data.draw(st.integers(1, 255))
    assert scan(bytes(wire))[2] != frame
