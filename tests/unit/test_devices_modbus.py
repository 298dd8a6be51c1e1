"""Modbus frames, profiles and values; the other side of every frame is pymodbus."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong.devices import (
    Command,
    ProfileError,
    Quality,
    SimulatedDevice,
    Transport,
    read_profile,
)
from dougong.devices.modbus import (
    ModbusAddress,
    ModbusCodec,
    ModbusSettings,
    ModbusWrite,
    Pdu,
    RtuFraming,
    TcpFraming,
    crc16,
    pack,
    unpack,
)
from dougong.devices.modbus_simulator import ModbusResponder

HEAD = 'id = "p"\nversion = 1\nmaker = "m"\nmodel = "m"\n'


def profile(*points, more=""):
    text = HEAD + more
    for i, (kind, address) in enumerate(points):
        text += f'[[points]]\nkey = "p{i}"\n{kind}\naddress = {{{address}}}\n'
    return read_profile(text, "p.toml", ModbusAddress, ModbusWrite)


def codec(made, transport=Transport.TCP, **settings):
    return ModbusCodec(made, ModbusSettings(**settings), transport)


def answered(made, *registers, transport=Transport.TCP):
    """Return what the codec reads from an answer with these registers."""
    c = codec(made, transport)
    (request,) = c.plan_reads(made.points)
    data = b"".join(r.to_bytes(2, "big") for r in registers)
    pdu = bytes([request.payload.function, len(data)]) + data
    return c.decode(request, [c.framing.wrap(pdu, 1, 1)])


def test_the_crc_is_the_published_one():
    assert crc16(b"123456789") == (0x4B37).to_bytes(2, "little")


def test_a_read_over_tcp_is_the_frame_of_the_specification():
    made = profile(("", "register = 107, datatype = 'uint16'"), ("", "register = 108"))
    (request,) = codec(made, device_id=17).plan_reads(made.points)
    assert codec(made, device_id=17).encode(request, 1).hex() == "0001000000061103006b0002"


ORDERS = [
    ("int16", "big", "big", [0xFFFE], "-2"),
    ("uint16", "big", "little", [0x3412], str(0x1234)),
    ("uint32", "big", "big", [0x0001, 0xE240], "123456"),
    ("uint32", "little", "big", [0xE240, 0x0001], "123456"),
    ("uint32", "big", "little", [0x0100, 0x40E2], "123456"),
    ("uint32", "little", "little", [0x40E2, 0x0100], "123456"),
    ("int32", "big", "big", [0xFFFF, 0xFFFF], "-1"),
    ("float32", "big", "big", [0x42F6, 0xE979], "123.456"),
    ("float32", "little", "little", [0x79E9, 0xF642], "123.456"),
    ("float64", "big", "big", [0x405E, 0xDD2F, 0x1A9F, 0xBE77], "123.456"),
    ("uint64", "little", "big", [0xE240, 1, 0, 0], "123456"),
    ("bcd32", "big", "big", [0x0012, 0x3456], "123456"),
]


@pytest.mark.parametrize(
    ("datatype", "words", "bytes_", "registers", "value"),
    ORDERS,
    ids=[f"{o[0]}-{o[1]}-{o[2]}" for o in ORDERS],
)
def test_every_order_of_words_and_bytes_is_read(datatype, words, bytes_, registers, value):
    made = profile(
        ("", f"register=0, datatype='{datatype}', word_order='{words}', byte_order='{bytes_}'")
    )
    assert answered(made, *registers)[0].value == Decimal(value)


def test_scale_and_offset_are_exact():
    made = profile(("scale = 0.1\noffset = -40", "register = 0"))
    assert answered(made, 423)[0].value == Decimal("2.3")


@pytest.mark.parametrize(
    ("extra", "address", "registers"),
    [
        ("sentinels = [65535]", "register=0", [0xFFFF]),
        ("valid = [0, 500]", "register=0", [501]),
        ("", "register=0, datatype='float32'", [0x7FC0, 0]),
        ("", "register=0, datatype='float32'", [0x7F80, 0]),
        ("", "register=0, datatype='bcd16'", [0x12AB]),
        ("", "register=0, datatype='string', length=1", [0xFF41]),
    ],
    ids=["sentinel", "out-of-range", "nan", "infinity", "not-bcd", "not-ascii"],
)
def test_what_means_no_value_is_bad_data(extra, address, registers):
    (found,) = answered(profile((extra, address)), *registers)
    assert (found.value, found.quality) == (None, Quality.BAD_DATA)
    assert found.detail


@pytest.mark.parametrize(
    ("code", "quality"),
    [(2, Quality.BAD_CONFIG), (4, Quality.BAD_COMM), (11, Quality.BAD_COMM)],
    ids=["illegal-address", "device-failure", "gateway"],
)
def test_an_exception_is_no_value(code, quality):
    made = profile(("", "register=0"))
    c = codec(made)
    (request,) = c.plan_reads(made.points)
    frame = TcpFraming.wrap(bytes([0x83, code]), 1, 1)
    assert c.find_answer(frame, request, 1).answer == frame
    (found,) = c.decode(request, [frame])
    assert (found.value, found.quality) == (None, quality)


def test_neighbours_are_read_in_one_request_and_holes_are_left_alone():
    made = profile(("", "register=0"), ("", "register=1"), ("", "register=4"))
    spans = [(r.payload.start, r.payload.count) for r in codec(made).plan_reads(made.points)]
    assert spans == [(0, 2), (4, 1)]
    spans = [(r.payload.start, r.payload.count) for r in codec(made, gap=2).plan_reads(made.points)]
    assert spans == [(0, 5)]


def test_no_request_asks_for_more_than_125_registers():
    made = profile(*[("", f"register={i}") for i in range(130)])
    assert [r.payload.count for r in codec(made).plan_reads(made.points)] == [125, 5]


def test_an_answer_with_another_transaction_id_is_skipped():
    asked = Pdu(3, 0, 1)
    old = TcpFraming.wrap(b"\x03\x02\x00\x05", 1, 6)
    new = TcpFraming.wrap(b"\x03\x02\x00\x07", 1, 7)
    assert TcpFraming.find(old + new, asked, 1, 7) == (len(old + new), new)
    assert TcpFraming.find(old, asked, 1, 7) == (len(old), None)


def test_an_rtu_answer_of_another_length_or_device_is_skipped():
    asked = Pdu(3, 0, 2)
    short = RtuFraming.wrap(b"\x03\x02\x00\x05", 1, 0)
    stranger = RtuFraming.wrap(b"\x03\x04\x00\x05\x00\x06", 2, 0)
    own = RtuFraming.wrap(b"\x03\x04\x00\x05\x00\x07", 1, 0)
    assert RtuFraming.find(short + stranger + own, asked, 1, 0).answer == own
    assert RtuFraming.find(short + stranger, asked, 1, 0).answer is None


def test_a_header_inside_noise_does_not_hide_the_answer():
    asked = Pdu(3, 0, 1)
    own = RtuFraming.wrap(b"\x03\x02\x00\x07", 1, 0)
    assert RtuFraming.find(b"\x01\x03\x02" + own, asked, 1, 0).answer == own


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.RTU_TCP], ids=["tcp", "rtu"])
def test_pymodbus_understands_our_writes_and_we_its_answers(transport):
    made = profile(
        ("", "register=3, datatype='int32', word_order='little'"),
        more="""
        [[commands]]
        name = "limit"
        lowest = -100000
        highest = 100000
        address = {register = 3, datatype = "int32", word_order = "little"}
        """,
    )
    bus = ModbusResponder([SimulatedDevice(made, ModbusSettings(device_id=1))], transport)
    c = codec(made, transport)
    order = Command(uuid4(), uuid4(), "limit", "t", datetime.now(UTC), {"value": "-70000"})
    write = c.plan_command(order, made.command("limit"))
    reply = bus.respond(c.encode(write, 1)).reply
    assert c.judge(write, c.find_answer(reply, write, 1).answer).is_accepted
    (read,) = c.plan_reads(made.points)
    reply = bus.respond(c.encode(read, 2)).reply
    (found,) = c.decode(read, [c.find_answer(reply, read, 2).answer])
    assert found.value == -70000


def test_a_value_that_does_not_fit_is_not_written():
    where = ModbusWrite(register=0, datatype="uint16")
    for value in ("70000", "-1", "1.5"):
        with pytest.raises(ValueError):
            pack(Decimal(value), where)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('[[points]]\nkey="a"\naddress={register=0}\nscal=1', "points.0.scal"),
        ('[[points]]\nkey="a"\naddress={register=0, datatyp="int16"}', "datatyp"),
        ('[[points]]\nkey="a"\naddress={register=-1}', "register"),
        ('[[points]]\nkey="a"\nkind="meter"\naddress={register=0}', "points.0.kind"),
    ],
    ids=["unknown-point-field", "unknown-address-field", "range", "choice"],
)
def test_an_error_in_a_profile_names_file_and_field(text, field):
    with pytest.raises(ProfileError) as caught:
        read_profile(HEAD + text, "p.toml", ModbusAddress)
    assert field in caught.value.fields
    assert str(caught.value).startswith("p.toml")


integers = {"int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64, "uint64": 64}
orders = st.sampled_from(["big", "little"])


@given(st.sampled_from(sorted(integers)), orders, orders, st.data())
def test_any_number_comes_back_from_registers_as_it_was(datatype, words, bytes_, data):
    bits = integers[datatype]
    low, high = (
        (0, 2**bits - 1) if datatype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    value = data.draw(st.integers(low, high))
    where = ModbusWrite(register=0, datatype=datatype, word_order=words, byte_order=bytes_)
    assert unpack(pack(Decimal(value), where), where) == value


@given(
    st.integers(1, 125), st.integers(1, 247), st.integers(0, 70000), st.integers(0, 400), st.data()
)
def test_any_answer_is_found_whole_however_it_is_cut(count, device, sequence, cut, data):
    body = data.draw(st.binary(min_size=2 * count, max_size=2 * count))
    asked = Pdu(3, 0, count)
    for framing in (TcpFraming, RtuFraming):
        frame = framing.wrap(bytes([3, len(body)]) + body, device, sequence)
        part = framing.find(frame[:cut], asked, device, sequence)
        if cut >= len(frame):
            assert part.answer == frame
        else:
            assert part.answer is None
            rest = frame[part.used :]
            assert framing.find(rest, asked, device, sequence).answer == frame
