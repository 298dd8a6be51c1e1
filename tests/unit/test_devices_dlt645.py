"""DL/T 645 frames against published ones."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong.devices import Command, ProfileError, Quality, SimulatedDevice, Transport, read_profile
from dougong_meters.drivers.dlt645 import (
    Dlt645Address,
    Dlt645Control,
    Frame,
    driver,
    scan,
)
from dougong_meters.drivers.dlt645_simulator import Dlt645Responder

PROFILE = """
id = "vectors"
version = 1
maker = "published examples"
model = "DL/T 645"
[[points]]
key = "energy"
scale = 0.01
address = {di = "00010000", length = 4}
[[points]]
key = "voltage"
scale = 0.1
address = {di = "02010100", length = 2}
[[points]]
key = "voltage_1997"
address = {di = "B611", length = 2}
[[points]]
key = "is_cut"
kind = "state"
address = {di = "04000503", length = 2, datatype = "bit", bit = 4}
[[points]]
key = "current"
scale = 0.001
address = {di = "02020100", length = 3, datatype = "signed_bcd"}
[[points]]
key = "clock"
kind = "text"
address = {di = "0400010C", length = 7, datatype = "clock"}
[[commands]]
name = "trip"
effect = "cut_supply"
address = {control = "trip"}
verify = {point = "is_cut", equals = true}
"""
PROFILES = read_profile(PROFILE, "vectors", Dlt645Address, Dlt645Control)


def codec(address="000000000161", **settings):
    made = driver.settings(address=address, preamble=0, **settings)
    return driver.codec(PROFILES, made, Transport.RTU_TCP)


def request(codec, key):
    return codec.plan_reads([PROFILES.point(key)])[0]


def measured(codec, key, *answers):
    asked = request(codec, key)
    frames = []
    for answer in answers:
        found = codec.find_answer(bytes.fromhex(answer), asked, 1)
        assert found.answer is not None
        frames.append(found.answer)
    return codec.decode(asked, frames)[0]


@pytest.mark.parametrize(
    ("key", "settings", "frame"),
    [
        ("energy", {}, "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16"),
        ("voltage", {}, "68 61 01 00 00 00 00 68 11 04 33 34 34 35 17 16"),
        (
            "voltage_1997",
            {"address": "000000000003", "edition": "1997"},
            "68 03 00 00 00 00 00 68 01 02 44 E9 03 16",
        ),
    ],
    ids=["energy", "voltage", "1997"],
)
def test_a_read_is_the_published_frame(key, settings, frame):
    made = codec(**settings)
    assert made.encode(request(made, key), 1) == bytes.fromhex(frame)


@pytest.mark.parametrize(
    ("key", "settings", "answer", "value"),
    [
        ("energy", {}, "68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16", "0.26"),
        ("voltage", {}, "68 61 01 00 00 00 00 68 91 06 33 34 34 35 34 43 10 16", "100.1"),
        (
            "voltage_1997",
            {"address": "000000000003", "edition": "1997"},
            "68 03 00 00 00 00 00 68 81 04 44 E9 33 34 EC 16",
            "100",
        ),
    ],
    ids=["energy", "voltage", "1997"],
)
def test_an_answer_is_read_as_published(key, settings, answer, value):
    found = measured(codec(**settings), key, answer)
    assert (found.value, found.quality) == (Decimal(value), Quality.GOOD)


TRIP = "68 11 11 11 11 11 11 68 1C 10 33 33 33 33 33 33 33 33 4D 33 57 74 48 45 38 4B 55 16"
TRIPPED = "68 11 11 11 11 11 11 68 9C 00 D2 16"


def trip():
    made = codec("111111111111", password="000000", password_level="00")
    until = datetime(2018, 5, 12, 7, 41, 24, tzinfo=UTC)
    command = Command(uuid4(), uuid4(), "trip", "test", until)
    return made, made.plan_command(command, PROFILES.command("trip"))


def test_a_trip_is_the_published_frame_and_expires_in_the_meters_own_time():
    made, write = trip()
    assert made.encode(write, 1) == bytes.fromhex(TRIP)


def test_the_published_acceptance_of_a_trip_is_accepted():
    made, write = trip()
    found = made.find_answer(bytes.fromhex(TRIPPED), write, 1)
    assert found.answer is not None
    assert made.judge(write, found.answer).is_accepted


def test_a_refused_trip_says_not_permitted():
    made, write = trip()
    refusal = Frame(bytes.fromhex("111111111111"), 0xDC, b"\x04").encoded()
    verdict = made.judge(write, made.find_answer(refusal, write, 1).answer)
    assert not verdict.is_accepted
    assert "not permitted" in verdict.detail


def test_a_command_to_a_wildcard_address_is_refused():
    made = codec("AAAAAAAAAAAA")
    command = Command(uuid4(), uuid4(), "trip", "test", datetime.now(UTC))
    with pytest.raises(ValueError, match="full address"):
        made.plan_command(command, PROFILES.command("trip"))


def test_the_wildcard_address_accepts_any_meters_answer():
    answer = "68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16"
    assert measured(codec("AAAAAAAAAAAA"), "energy", answer).value == Decimal("0.26")


def test_a_shortened_address_accepts_only_what_it_ends_in():
    made = codec("AAAAAAAA0161")
    asked = request(made, "energy")
    data = bytes.fromhex("000001002600" + "0000")
    own = Frame(bytes.fromhex("610100000099"), 0x91, data).encoded()
    other = Frame(bytes.fromhex("620100000099"), 0x91, data).encoded()
    assert made.find_answer(own, asked, 1).answer == own
    assert made.find_answer(other, asked, 1).answer is None


def test_an_error_reply_is_bad_config_with_its_words():
    error = Frame(bytes.fromhex("610100000000"), 0xD1, b"\x02").encoded().hex()
    found = measured(codec(), "energy", error)
    assert (found.value, found.quality) == (None, Quality.BAD_CONFIG)
    assert found.detail == "no such data"


@pytest.mark.parametrize("data", ["ffffffff", "0a000000"], ids=["all-ff", "not-decimal"])
def test_bytes_that_are_no_number_are_bad_data(data):
    answer = Frame(bytes.fromhex("610100000000"), 0x91, bytes.fromhex("00000100" + data))
    found = measured(codec(), "energy", answer.encoded().hex())
    assert (found.value, found.quality) == (None, Quality.BAD_DATA)


def test_a_short_answer_is_bad_data():
    answer = Frame(bytes.fromhex("610100000000"), 0x91, bytes.fromhex("000001002600"))
    assert measured(codec(), "energy", answer.encoded().hex()).quality is Quality.BAD_DATA


def test_the_top_bit_of_a_current_is_its_sign():
    data = bytes.fromhex("00010202" + "005080")
    answer = Frame(bytes.fromhex("610100000000"), 0x91, data).encoded().hex()
    assert measured(codec(), "current", answer).value == Decimal("-5.000")


def test_the_meters_clock_is_read_in_its_zone():
    data = bytes.fromhex("0C010004" + "30051502120526")
    answer = Frame(bytes.fromhex("610100000000"), 0x91, data).encoded().hex()
    assert measured(codec(), "clock", answer).device_time == datetime(
        2026, 5, 12, 7, 5, 30, tzinfo=UTC
    )


def test_a_preamble_and_noise_before_the_answer_are_skipped():
    answer = bytes.fromhex("68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16")
    noisy = b"\xfe\xfe\x68\x00\x16\x68" + b"\xfe" * 4 + answer
    made = codec()
    found = made.find_answer(noisy, request(made, "energy"), 1)
    assert found == (len(noisy), answer)


def test_our_own_request_echoed_by_a_converter_is_no_answer():
    made = codec()
    asked = request(made, "energy")
    assert made.find_answer(made.encode(asked, 1), asked, 1).answer is None


def test_an_answer_in_parts_is_asked_for_until_it_is_whole():
    profile = driver.profiles["single_phase_meter"]
    settings = driver.settings(address="000000000161")
    bus = Dlt645Responder([SimulatedDevice(profile, settings, "161")], part=6)
    made = driver.codec(profile, settings, Transport.RTU_TCP)
    (asked,) = made.plan_reads([p for p in profile.points if p.address.di == "0001FF00"])
    answers, step = [], asked
    while step is not None:
        reply = bus.respond(made.encode(step, 1)).reply
        answers.append(made.find_answer(reply, step, 1).answer)
        step = made.follow_up(asked, answers)
    assert len(answers) == 4
    values = [m.value for m in made.decode(asked, answers)]
    assert values == [Decimal(v) for v in ("1000", "100", "300", "400", "200")]


def test_the_simulator_is_silent_to_strangers_and_to_damaged_frames():
    profile = driver.profiles["single_phase_meter"]
    bus = Dlt645Responder([SimulatedDevice(profile, driver.settings(address="000000000161"))])
    good = codec().encode(request(codec(), "energy"), 1)
    stranger = codec("000000000162").encode(request(codec("000000000162"), "energy"), 1)
    assert bus.respond(stranger).reply is None
    assert bus.respond(good[:-2] + bytes([good[-2] ^ 1]) + good[-1:]).reply is None
    assert bus.respond(good).reply is not None


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"address": "12"}, "address"),
        ({"address": "000000000161", "password": "12"}, "password"),
        ({"address": "000000000161", "baud": 2400}, "baud"),
    ],
    ids=["address", "password", "unknown"],
)
def test_wrong_settings_name_the_field_and_hide_the_secret(settings, field):
    with pytest.raises(ProfileError) as caught:
        driver.open("energy_only", settings, Transport.RTU_TCP)
    assert field in caught.value.fields
    assert "dlt645" in str(caught.value)


addresses = st.binary(min_size=6, max_size=6)
controls = st.integers(0, 255)
payloads = st.binary(max_size=200)


@given(addresses, controls, payloads, st.integers(0, 4))
def test_any_frame_comes_back_as_it_was(address, control, data, preamble):
    frame = Frame(address, control, data)
    sent = frame.encoded(preamble)
    start, end, found = scan(sent)
    assert end == len(sent)
    assert found == frame
    assert start == preamble


@given(st.binary(max_size=40), payloads, st.integers(0, 250))
def test_a_frame_is_found_behind_any_noise_and_in_any_pieces(noise, data, cut):
    frame = Frame(b"\x61\x01\0\0\0\0", 0x91, data)
    stream = noise.replace(b"\x68", b"") + frame.encoded()
    start, _, found = scan(stream[:cut])
    assert found in (None, frame)
    assert scan(stream[0 if found else start :])[2] == frame


@given(payloads, st.integers(0, 11), st.integers(1, 255))
def test_a_changed_byte_is_never_read_as_the_frame(data, at, change):
    sent = bytearray(Frame(b"\x61\x01\0\0\0\0", 0x91, data).encoded())
    sent[at] ^= change
    assert scan(bytes(sent))[2] != Frame(b"\x61\x01\0\0\0\0", 0x91, data)
