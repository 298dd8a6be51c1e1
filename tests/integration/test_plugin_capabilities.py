"""What a plugin has not declared, its code does not do by mistake."""

import http.server
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from dougong.capabilities import NotDeclared
from dougong.db.scope import Actor
from dougong.devices.configuration import drivers_of
from dougong.errors import Invalid, NotAllowed
from dougong.jobs.models import Job
from dougong.jobs.schedules import run_schedules
from dougong.plugins import operations
from dougong.plugins.outbound import MOST_BYTES, Outbound, OutsideUnreachable
from dougong.tenancy.models import Person
from dougong.testing.factories import make_place
from dougong.testing.planting import plant_small, workshop

SYSTEM = Actor.system("test")
CODE = """
import os, socket, subprocess, urllib.request

def connect(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        return "connected"

def fetch(port):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).status

def run():
    return subprocess.run(["true"]).returncode

def shell():
    return os.system("true")
"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * (MOST_BYTES + 10 if self.path == "/large" else 5))

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made.server_port
    made.shutdown()
    made.server_close()


@pytest.fixture
def scope(test_server, kernel_database, tmp_path):
    for plugin, declared in (("aa", "[]"), ("bb", '["net", "subprocess"]')):
        package = plant_small(tmp_path, plugin, services=CODE)
        manifest = package / "manifest.toml"
        manifest.write_text(manifest.read_text() + f"capabilities = {declared}\n")
    package = plant_small(tmp_path, "cc", services=CODE)
    manifest = package / "manifest.toml"
    hosts = '["net:127.0.0.1", "net:*.example.com"]'
    manifest.write_text(manifest.read_text() + f"capabilities = {hosts}\n")
    networks = ("127.0.0.0/8",)
    with workshop(
        test_server, tmp_path, template=kernel_database, webhook_networks=networks
    ) as installation:
        for plugin in ("aa", "bb", "cc"):
            operations.install(installation, SYSTEM, plugin)
        place = make_place(installation)
        with installation.scope(SYSTEM, community=place.community_id) as made:
            yield made


@pytest.mark.parametrize("name", ["connect", "fetch", "run", "shell"])
def test_what_is_not_declared_is_refused_and_what_is_declared_works(scope, server, name):
    import dougong_aa.services
    import dougong_bb.services
    import dougong_cc.services

    arguments = (server,) if name in ("connect", "fetch") else ()
    with pytest.raises(OSError, match="dougong_aa does not declare"):
        getattr(dougong_aa.services, name)(*arguments)
    with pytest.raises(OSError, match="dougong_cc does not declare"):
        getattr(dougong_cc.services, name)(*arguments)
    assert getattr(dougong_bb.services, name)(*arguments) in ("connected", 200, 0)


def test_what_the_kernel_does_for_a_plugin_is_the_kernels(scope):
    with scope.installation.plugins.boundary("aa", "view page"):
        import subprocess

        assert subprocess.run(["true"]).returncode == 0


def test_declared_hosts_are_reached_with_the_kernels_client(scope, server):
    answer = Outbound("cc").get(scope, f"http://127.0.0.1:{server}/")
    assert (answer.status, answer.body) == (200, b"xxxxx")
    assert Outbound("cc").get(scope, f"http://127.0.0.1:{server}/away").status == 302
    with pytest.raises(NotAllowed, match="does not declare"):
        Outbound("aa").get(scope, f"http://127.0.0.1:{server}/")
    with pytest.raises(NotAllowed, match="does not declare"):
        Outbound("cc").get(scope, "https://example.com.evil.org/")
    with pytest.raises(Invalid):
        Outbound("cc").get(scope, "file:///etc/passwd")
    with pytest.raises(Invalid, match="too large"):
        Outbound("cc").get(scope, f"http://127.0.0.1:{server}/large")
    with pytest.raises(OutsideUnreachable):
        Outbound("cc").get(scope, "http://127.0.0.1:1/")


KERNEL_CALLS = """
from dougong.devices.services import order_command
from dougong.files import attachments_of
from dougong.messages import notify
from dougong.privacy.models import RevealReason
from dougong.privacy.reveals import reveal
from dougong.services import call

def files(scope, person):
    return len(attachments_of(scope, person))

def jobs(scope, person):
    return str(scope.enqueue("dougong.attachment.sweep"))

def mail(scope, person):
    return notify(scope, person, "dougong:free", {"subject": "s", "body": "b"}).template

def mail_by_name(scope, person):
    values = {"person": person.id, "subject": "s", "body": "b"}
    return call(scope, "dougong.message.write", values).template

def devices(scope, person):
    try:
        return order_command(scope, None, "open")
    except AttributeError:
        return "the kernel went on, and there is no device"

def personal(scope, person):
    return reveal(scope, person, "phone", next(iter(RevealReason)))

def personal_by_reading(scope, person):
    return person.phone
"""
SCHEDULED = """
from dougong.services import service

@service("round.walk", permission="dougong.person.view")
def walk(scope) -> None:
    \"""Do nothing.\"""

@service("round.stray", permission="dougong.person.view")
def stray(scope) -> None:
    \"""Do nothing either.\"""

def send_astray(scope):
    return scope.enqueue(f"{__name__[8:10]}.round.stray")
"""
SCHEDULE = """
[[jobs]]
id = "walk"
schedule = "0 8 * * *"
service = "round.walk"
[[drivers]]
id = "{plugin}_meter"
path = "dougong_meters.drivers.modbus:driver"
"""
CALLS = (
    "files",
    "jobs",
    "mail",
    "mail_by_name",
    "devices",
    "personal",
    "personal_by_reading",
)


@pytest.fixture
def two_plugins(test_server, kernel_database, tmp_path):
    """Yield a scope and a person; ``ee`` declares everything that ``dd`` does not."""
    for plugin, declared in (
        ("dd", "[]"),
        ("ee", '["devices", "files", "jobs", "mail", "personal"]'),
    ):
        manifest = plant_small(tmp_path, plugin, services=KERNEL_CALLS) / "manifest.toml"
        manifest.write_text(manifest.read_text() + f"capabilities = {declared}\n")
    with workshop(test_server, tmp_path, template=kernel_database) as installation:
        for plugin in ("dd", "ee"):
            operations.install(installation, SYSTEM, plugin)
        place = make_place(installation)
        with installation.scope(SYSTEM, community=place.community_id) as scope:
            person = Person(name="甲", phone="13800000001")
            scope.session.add(person)
            scope.session.flush()
            yield scope, person


def test_the_kernels_entry_points_ask_for_their_capability(two_plugins):
    import dougong_dd.services as undeclared
    import dougong_ee.services as declared

    scope, person = two_plugins
    for call in CALLS:
        with pytest.raises(NotDeclared) as error:
            getattr(undeclared, call)(scope, person)
        assert f'capabilities = ["{call.partition("_")[0]}"]' in str(error.value)
    for call in CALLS:
        answer = getattr(declared, call)(scope, person)
        assert answer is not None, call
    assert declared.personal_by_reading(scope, person) == person.phone


@pytest.fixture
def scheduled(test_server, kernel_database, tmp_path):
    """Yield an installation and a place; ``gg`` declares what ``ff`` does not."""
    for plugin, declared in (("ff", "[]"), ("gg", '["devices", "jobs"]')):
        manifest = plant_small(tmp_path, plugin, services=SCHEDULED) / "manifest.toml"
        lines = f"capabilities = {declared}\n{SCHEDULE.format(plugin=plugin)}"
        manifest.write_text(manifest.read_text() + lines)
    with workshop(test_server, tmp_path, template=kernel_database) as installation:
        for plugin in ("ff", "gg"):
            operations.install(installation, SYSTEM, plugin)
        yield installation, make_place(installation)


def repairs(installation):
    return {issue.point: issue.reason for issue in operations.repairs(installation)}


def test_a_schedule_and_a_driver_without_their_capability_are_refused(scheduled):
    installation, place = scheduled
    at = datetime(2030, 1, 1, tzinfo=UTC)
    run_schedules(installation, at)
    run_schedules(installation, at + timedelta(days=1))
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        enqueued = set(scope.session.scalars(select(Job.service)))
    assert "gg.round.walk" in enqueued and "ff.round.walk" not in enqueued
    drivers, _owners = drivers_of(installation)
    assert "capability devices" in drivers.broken["ff_meter"]
    assert "ff_meter" not in drivers.working
    told = repairs(installation)
    assert 'capabilities = ["jobs"]' in told["schedule walk"]
    assert 'capabilities = ["devices"]' in told["driver ff_meter"]


def test_a_service_that_is_not_declared_as_a_job_is_not_enqueued(scheduled):
    import dougong_gg.services

    installation, place = scheduled
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        assert scope.enqueue("gg.round.walk")
        with pytest.raises(NotDeclared, match=r'\[\[jobs\]\] id = "stray"'):
            dougong_gg.services.send_astray(scope)
