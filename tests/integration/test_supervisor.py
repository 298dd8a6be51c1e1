"""`dougong up`, from outside: it starts, mends what is killed, and leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from dougong.db.embedded import EmbeddedPostgres
from dougong.supervisor import state
from dougong.supervisor.children import Child, Phase
from dougong.tenancy.operations import PLATFORM
from dougong.testing.probe import wait_for


@pytest.fixture(scope="module")
def home():
    made = Path(tempfile.mkdtemp(prefix="dougong-up-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    EmbeddedPostgres(made, made / "keys").destroy()
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def taken():
    """A port that another program listens at."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
        yield made.getsockname()[1]


@pytest.fixture(scope="module")
def environment(home, taken):
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("DOUGONG_")},
        "DOUGONG_HOME": str(home),
        "DOUGONG_PORT": str(taken),
        "LANG": "en_US.UTF-8",
        "DOUGONG_HANG_S": "15",
    }


def dougong(environment, *arguments):
    command = [sys.executable, "-m", "dougong.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


class Up:
    """A running `dougong up`."""

    def __init__(self, environment, home):
        self.home = home
        self.out = home / f"up-{time.monotonic_ns()}.txt"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dougong.cli", "up", "--no-demo"],
                env=environment, stdout=out, stderr=out,
            )  # fmt: skip

    def ready(self):
        def link():
            assert self.process.poll() is None, self.out.read_text()
            return re.search(r"^ +(http://\S+)$", self.out.read_text(), re.M)

        return wait_for(link, 240)[1]

    def facts(self):
        path = self.home / "run" / state.FILE
        return json.loads(path.read_text()) if path.exists() else {}

    def pid(self, name):
        return next(p["pid"] for p in self.facts()["processes"] if p["name"] == name)

    def is_all_ready(self):
        return all(p["phase"] == "ready" for p in self.facts().get("processes", ()))


@pytest.fixture(scope="module")
def up(environment, home):
    made = Up(environment, home)
    made.ready()
    yield made
    if made.process.poll() is None:
        made.process.terminate()
        made.process.wait(60)


def answers(url):
    try:
        return httpx.get(f"{url}/sign-in", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_everything_is_ready_when_the_link_is_printed(up, environment):
    assert up.is_all_ready()
    assert {"web", "worker"} <= {p["name"] for p in up.facts()["processes"]}
    assert answers(up.ready())
    said = dougong(environment, "status")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "stopped" not in said.stdout


def test_processes_are_forked_at_first_and_hold_nothing_of_the_supervisors(up):
    command = Path(f"/proc/{up.process.pid}/cmdline").read_bytes()
    for process in up.facts()["processes"]:
        there = Path(f"/proc/{process['pid']}")
        assert (there / "cmdline").read_bytes() == command
        held = {os.readlink(each) for each in (there / "fd").iterdir() if os.path.islink(each)}
        assert held and not any(each.endswith(state.LOCK) for each in held)
        assert os.readlink(there / "fd/1").endswith(f"{process['name']}.log")


def test_a_port_that_is_taken_is_told(up, environment, taken):
    up.ready()
    assert f"Port {taken} is taken by another program; this is port" in up.out.read_text()
    with tempfile.TemporaryDirectory(dir="/tmp") as other:
        more = {
            "DOUGONG_HOME": other,
            "DOUGONG_PRODUCTION": "1",
            "DOUGONG_URL": "https://x.example",
        }
        said = dougong(environment | more, "up", "--no-demo")
    assert said.returncode == 1
    assert f"Port {taken} is taken" in said.stderr


def test_a_second_up_says_where_the_first_one_runs(up, environment):
    said = dougong(environment, "up")
    assert said.returncode == 0
    assert up.facts()["url"] in said.stdout


@pytest.mark.parametrize("name", ["web", "worker"])
def test_a_killed_process_is_started_again(up, name):
    url, before = up.ready(), up.pid(name)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: up.pid(name) != before and up.is_all_ready(), 120)
    assert answers(url)


def test_a_killed_database_is_started_again(up, home):
    url = up.ready()
    server = EmbeddedPostgres(home, home / "keys")
    os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def works():
        try:
            psycopg.connect(server.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return answers(url) and up.is_all_ready()

    time.sleep(0.5)
    wait_for(works, 120)


def test_processes_that_hang_are_ended_and_started_again(up):
    url, before = up.ready(), {name: up.pid(name) for name in ("web", "worker")}
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: not any(up.pid(name) == pid for name, pid in before.items()), 180)
    wait_for(up.is_all_ready, 180)
    assert [state.born_at(pid) for pid in before.values()] == [None, None]
    assert answers(url)
    for name in before:
        assert f"{name} has ended (no sign of life for" in up.out.read_text()


def test_a_database_that_hangs_is_ended_and_started_again(up, home):
    url = up.ready()
    server = EmbeddedPostgres(home, home / "keys")
    before = int((server.data / "postmaster.pid").read_text().split()[0])
    os.kill(before, signal.SIGSTOP)
    wait_for(lambda: not server.is_running(), 30)
    wait_for(lambda: server.is_running() and answers(url) and up.is_all_ready(), 180)
    assert state.born_at(before) is None


def test_a_blocked_loop_is_noticed_and_its_place_is_told(tmp_path):
    """The process itself is well; only its event loop does not come round."""
    code = (
        "import asyncio, time\n"
        "from dougong import pulse\n"
        "from dougong.supervisor import child\n"
        "child.show_where_it_hangs()\n"
        "async def work():\n"
        "    asyncio.create_task(pulse.keep_beating())\n"
        "    await asyncio.sleep(0.5)\n"
        "    child.say_ready()\n"
        "    time.sleep(600)\n"
        "asyncio.run(work())\n"
    )
    made = Child(
        "blocked",
        dict(os.environ),
        tmp_path / "log",
        program=(sys.executable, "-c", code),
        hang_s=5,
    )
    made.start()
    phases = []

    def ended():
        if made.look():
            phases.append(made.phase)
        return made.phase is Phase.WAITING

    wait_for(ended)
    assert phases == [Phase.READY, Phase.WAITING]
    assert made.reason.startswith("no sign of life for")
    assert made.process.poll() is not None
    assert "line 9 in work" in made.log.read_text()


def test_a_new_generation_loses_no_request(up, home):
    """As after installing a plugin: the new process answers before the old one goes."""
    url, before = up.ready(), up.pid("web")
    server = EmbeddedPostgres(home, home / "keys")
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        moved = link.execute(
            "update dougong.scope_version set version = version + 1 where id = %s", [PLATFORM]
        )
        assert moved.rowcount == 1, "installing has made it"
    failed = 0
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        failed += not answers(url)
        if up.pid("web") != before and up.is_all_ready() and state.born_at(before) is None:
            break
    assert up.pid("web") != before
    assert failed == 0


def test_what_is_killed_as_a_whole_the_next_up_repairs(up, environment, home):
    """Supervisor and PostgreSQL by SIGKILL: nothing runs on, nothing acknowledged is lost."""
    left, server = up.facts()["processes"], EmbeddedPostgres(home, home / "keys")
    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait()
    wait_for(lambda: not any(state.is_alive(p) for p in left), 120)
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("create table public.kept as select generate_series(1, 1000) n")
        os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    again = Up(environment, home)
    try:
        assert answers(again.ready())
        processes = [*again.facts()["processes"], again.facts()]
        with psycopg.connect(server.dsn(), autocommit=True) as link:
            assert link.execute("select count(*) from public.kept").fetchone() == (1000,)
            link.execute("drop table public.kept")
    finally:
        said = dougong(environment, "down")
    assert said.returncode == 0, said.stderr
    assert again.process.wait(10) == 0
    assert not any(state.is_alive(p) for p in processes)
    assert not server.is_running()
    assert dougong(environment, "status").returncode == 1


def test_a_database_of_a_newer_version_is_left_alone(home, environment):
    server = EmbeddedPostgres(home, home / "keys")
    server.start()
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("update dougong.alembic_version set version_num = 'z9'")
        said = dougong(environment, "up", "--no-demo")
        server.start()
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("update dougong.alembic_version set version_num = '0001'")
    server.stop()
    assert said.returncode == 1
    assert "newer Dougong (revision z9)" in said.stderr


def test_data_of_another_postgresql_are_left_alone(home, environment):
    path = EmbeddedPostgres(home, home / "keys").data / "PG_VERSION"
    before = path.read_bytes()
    path.write_text("17\n")
    try:
        said = dougong(environment, "up", "--no-demo")
    finally:
        path.write_bytes(before)
    assert said.returncode == 1
    assert "belong to PostgreSQL 17" in said.stderr


def test_a_full_disk_is_told(tmp_path, environment):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "dougong-test", str(tmp_path)], check=False
    )
    if mounted.returncode:
        pytest.skip("only root may make a small disk")
    try:
        said = dougong(environment | {"DOUGONG_HOME": str(tmp_path / "home")}, "up", "--no-demo")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert said.returncode == 1
    assert "MB are free in" in said.stderr


def test_reset_deletes_what_up_made(home, environment):
    for name in ("simulators", "trial"):  # which the demonstration makes
        (home / name / "demo").mkdir(parents=True, exist_ok=True)
    assert dougong(environment, "reset", "--yes").returncode == 0
    assert not EmbeddedPostgres(home, home / "keys").data.exists()
    assert not (home / "keys" / "scope.key").exists()
    assert [p.name for p in home.iterdir() if p.is_dir()] == []


def test_a_process_that_dies_at_once_is_tried_with_growing_pauses(tmp_path):
    child = Child("nothing", dict(os.environ), tmp_path / "log")
    child.start()
    pauses = []
    for _ in range(3):
        wait_for(lambda: child.look() and child.phase is Phase.WAITING)
        pauses.append(child.again_at - time.monotonic())
        child.start()
    child.terminate()
    child.wait(time.monotonic() + 5)
    assert pauses == sorted(pauses)
    assert pauses[2] > 2 * pauses[0]


def test_nothing_acknowledged_is_lost_or_doubled_by_a_crash():
    """The small version of ``make gate-crash``; workers are killed by the tests of jobs."""
    from dougong.gate_crash import gate

    result = gate(1, targets=("postgres",), pause_s=0.05)
    assert result["passed"], result
    assert result["lost_without_protection"] > 0


def test_keys_and_passwords_do_not_show_when_something_is_printed():
    from dougong.db.scope import ScopeKey
    from dougong.db.servers import Databases

    databases = Databases("host=x", {"app": "hunter2"}, ScopeKey(b"hunter2"))
    assert "hunter2" not in repr(databases)
