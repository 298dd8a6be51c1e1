"""Our codecs and simulators against programs that others wrote."""

import asyncio
import os
import shutil
import subprocess
import tty
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from dougong.devices import SimulatedDevice, Transport
from dougong.devices.simulated import SimulatedGateway
from dougong.devices.transports import Line
from dougong_meters.drivers.dlt645 import driver as dlt645
from dougong_meters.drivers.modbus import driver as modbus

HERE = Path(__file__).parent
PEER_PYTHON = HERE.parents[1] / ".peers" / "dlt645" / "bin" / "python"
LIBMODBUS = Path("/usr/include/modbus/modbus.h")
THREE_PHASE = {
    "serial_no": Decimal(12345678),
    "energy_import": Decimal("1234.56"),
    "energy_export": Decimal(0),
    "voltage_a": Decimal("230.4"),
    "current_a": Decimal(-1),
    "power": Decimal("1.25"),
    "is_cut": False,
}


def need(is_there, name):
    """Skip without the peer on a developer's machine; in CI it must be there."""
    if not is_there:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say(f"the protocol peer {name} is not installed")


def on_a_loop(action, *arguments):
    return asyncio.run(asyncio.wait_for(action(*arguments), 90))


def meter(transport):
    """Return a simulated gateway with one three-phase meter that reads what THREE_PHASE says."""
    profile = modbus.profiles["three_phase_meter"]
    device = SimulatedDevice(profile, modbus.settings(device_id=1), "12345678")
    served = SimulatedGateway(modbus.simulator([device], transport))
    served.responder.lives[0].values = dict(THREE_PHASE)
    return served


async def read_everything(driver, profile, settings, transport, port):
    """Return what a device on loopback says at every point of its profile."""
    codec = driver.open(profile, settings, transport)
    line = Line.to(transport, "127.0.0.1", port, 0.3)
    said = {}
    for request in codec.plan_reads(driver.profiles[profile].points):
        for found in codec.decode(request, await line.ask(codec, request, 3)):
            said[found.point] = found.value
    line.close()
    return said


@asynccontextmanager
async def serial_line_to(port):
    """Give a pseudo terminal whose other end is connected to a TCP port, as a gateway does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with serial_line(reader, writer) as name:
        yield name


@asynccontextmanager
async def serial_line(reader, writer):
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    loop = asyncio.get_running_loop()

    async def down():
        while data := await reader.read(256):
            os.write(ours, data)

    loop.add_reader(ours, lambda: writer.write(os.read(ours, 256)))
    task = asyncio.create_task(down())
    try:
        yield os.ttyname(theirs)
    finally:
        loop.remove_reader(ours)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()
        os.close(ours)
        os.close(theirs)


# --- mbpoll reads our simulator -------------------------------------------------------------------


async def mbpoll(*arguments):
    process = await asyncio.create_subprocess_exec(
        "mbpoll", "-1", "-0", "-o", "3", "-a", "1", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    values = [line.split(":")[1].split()[0] for line in said.splitlines() if line.startswith("[")]
    return process.returncode, values, said


READS = [
    (("-t", "4:int", "-B", "-r", "2", "-c", "1"), ["123456"]),
    (("-t", "4", "-r", "16", "-c", "1"), ["2304"]),
    (("-t", "4:int", "-B", "-r", "17", "-c", "1"), ["-1000"]),
    (("-t", "4:float", "-B", "-r", "32", "-c", "1"), ["1.25"]),
    (("-t", "0", "-r", "0", "-c", "1"), ["0"]),
]


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.RTU_TCP])
def test_mbpoll_reads_and_switches_our_simulated_meter(transport):
    need(shutil.which("mbpoll"), "mbpoll")

    async def run():
        async with meter(transport) as served:
            served.responder.lives[0].values.pop("is_cut")
            if transport is Transport.TCP:
                return await ask(served, ("-p", str(served.port)), ("127.0.0.1",))
            async with serial_line_to(served.port) as line:
                return await ask(served, ("-m", "rtu", "-b", "9600", "-P", "none"), (line,))

    async def ask(served, mode, place):
        for arguments, expected in READS:
            _, values, said = await mbpoll(*mode, *arguments, *place)
            assert values == expected, said
        code, _, said = await mbpoll(*mode, "-t", "4", "-r", "900", "-c", "1", *place)
        assert (code == 0, "Illegal data address" in said) == (False, True), said
        code, _, said = await mbpoll(*mode, "-t", "0", "-r", "0", *place, "1")
        assert (code, served.responder.lives[0].is_cut) == (0, True), said

    on_a_loop(run)


# --- we read libmodbus ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def libmodbus(tmp_path_factory):
    """Return the program of a meter made with libmodbus."""
    need(LIBMODBUS.exists() and shutil.which("gcc"), "libmodbus-dev with gcc")
    program = tmp_path_factory.mktemp("peer") / "devices_peer"
    source = HERE / "devices_peer.c"
    subprocess.run(["gcc", "-O1", "-o", program, source, "-lmodbus"], check=True)
    return program


@contextmanager
def running(*command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_we_read_a_libmodbus_meter_over_tcp(libmodbus, unused_tcp_port):
    with running(libmodbus, "tcp", str(unused_tcp_port)) as said:
        assert said == "ready"
        found = on_a_loop(read_everything, modbus, "three_phase_meter", {"device_id": 1},
                          Transport.TCP, unused_tcp_port)  # fmt: skip
    assert found == THREE_PHASE


def test_we_read_a_libmodbus_meter_on_a_serial_bus(libmodbus):
    async def run():
        connected = asyncio.get_running_loop().create_future()

        async def gateway(reader, writer):
            connected.set_result((reader, writer))

        server = await asyncio.start_server(gateway, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reading = asyncio.create_task(
            read_everything(modbus, "three_phase_meter", {"device_id": 1}, Transport.RTU_TCP, port)
        )
        async with serial_line(*await connected) as line:
            with running(libmodbus, "rtu", line):
                found = await reading
        server.close()
        return found

    assert on_a_loop(run) == THREE_PHASE


@pytest.fixture
def unused_tcp_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- DL/T 645 -------------------------------------------------------------------------------------


def test_we_read_the_meter_of_another_dlt645_implementation():
    need(PEER_PYTHON.exists(), "dlt645")
    with running(PEER_PYTHON, HERE / "devices_dlt645_peer.py", "serve") as port:
        settings = {"address": "202600000161"}
        found = on_a_loop(read_everything, dlt645, "energy_only", settings, Transport.RTU_TCP,
                          int(port))  # fmt: skip
    assert found == {"energy_import": Decimal("123456.78"), "voltage_a": Decimal("220.4")}


def test_another_dlt645_implementation_reads_our_simulated_meter():
    need(PEER_PYTHON.exists(), "dlt645")

    async def run():
        profile = dlt645.profiles["energy_only"]
        device = SimulatedDevice(profile, dlt645.settings(address="202600000161"))
        served = SimulatedGateway(dlt645.simulator([device], Transport.RTU_TCP))
        served.responder.lives[0].values = {
            "energy_import": Decimal("123456.78"),
            "voltage_a": Decimal("220.4"),
        }
        async with served:
            process = await asyncio.create_subprocess_exec(
                PEER_PYTHON, HERE / "devices_dlt645_peer.py", "read", str(served.port),
                "202600000161", stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            return (await process.communicate())[0].decode().split()

    assert on_a_loop(run) == ["123456.78", "220.4"]
