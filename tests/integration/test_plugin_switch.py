"""On, off, or on in some buildings: honoured everywhere, by a process that did not switch it."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from dougong.db.scope import Actor
from dougong.devices.configuration import Configuration, drivers_of
from dougong.devices.models import Device, Gateway
from dougong.errors import Conflict
from dougong.installation import Installation
from dougong.jobs.models import Job
from dougong.jobs.schedules import run_schedules
from dougong.plugins import operations
from dougong.plugins.models import PluginState
from dougong.services import create
from dougong.testing.factories import make_place
from dougong.testing.people import make_login, sign_in
from dougong.testing.planting import plant, plant_small, workshop
from dougong.testing.programs import make_program
from dougong.web.app import create_app

SYSTEM = Actor.system("test")
WEB = """
from dougong.web.app import plugin_blueprint

blueprint = plugin_blueprint("lifts", __name__)


@blueprint.get("/my")
def my():
    return "the portal page"


def install(app, installation):
    app.register_blueprint(blueprint)
"""
DRIVER = """

[[drivers]]
id = "modbus"
path = "dougong_lifts.drivers.modbus:driver"
"""


@pytest.fixture(scope="module")
def installation(test_server, kernel_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    package = plant(
        folder,
        "lifts",
        {
            "web.py": WEB,
            "drivers/__init__.py": "",
            "drivers/modbus.py": "from dougong_meters.drivers.modbus import driver\n",
        },
    )
    manifest = package / "manifest.toml"
    declared = manifest.read_text().replace('["jobs", ', '["devices", "jobs", ')
    manifest.write_text(declared + DRIVER)
    with workshop(test_server, folder, template=kernel_database) as made:
        operations.install(made, SYSTEM, "lifts")
        yield made


@pytest.fixture(scope="module")
def other(installation):
    """Another process: own caches, own connections; it never switches anything itself."""
    made = Installation.open(installation.settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(other):
    return create_app(other)


@pytest.fixture
def place(installation):
    made = make_place(installation)
    with installation.scope(SYSTEM, community=made.community_id) as scope:
        from dougong_lifts.models import Item

        for building in made.building_ids:
            name = f"in {made.building_ids.index(building)}"
            values = {"name": name, "building_id": building, "found_on": date(2026, 1, 1)}
            create(scope, Item, values)
        gateway = Gateway(name="gateway", transport="tcp", host="127.0.0.1", port=9)
        scope.session.add(gateway)
        scope.session.flush()
        for number, building in enumerate(made.building_ids):
            device = Device(
                gateway_id=gateway.id,
                name=f"in {number}",
                driver="modbus",
                profile="three_phase_meter",
                building_id=building,
            )
            scope.session.add(device)
    return made


def in_admin(other, app, place):
    browser = sign_in(app, other, make_login(other, place, "community_manager"))

    def look():
        answer = browser.get(f"/c/{place.community_id}/admin/lifts/item/")
        return (
            [n for n in ("in 0", "in 1") if n in answer.text] if answer.status_code == 200 else []
        )

    return look


def in_menu(other, app, place):
    browser = sign_in(app, other, make_login(other, place, "community_manager"))
    link = f"/c/{place.community_id}/admin/lifts/item/"
    return lambda: link in browser.get(f"/c/{place.community_id}/admin/").text


def in_api(other, app, place):
    program = make_program(app, other, place)

    def look():
        answer = program.call("GET", "/v1/lifts/item")
        is_told = "/v1/lifts/item" in program.call("GET", "/openapi.json").json["paths"]
        assert is_told == (answer.status_code == 200), "the document is cut to what is on"
        return sorted(item["name"] for item in answer.json["items"]) if is_told else []

    return look


def in_portal(other, app, place):
    browser = sign_in(app, other, make_login(other, place, "community_manager"))
    return lambda: browser.get(f"/c/{place.community_id}/lifts/my").status_code == 200


def in_hooks(other, app, place):
    def look():
        with other.scope(SYSTEM, community=place.community_id) as scope:
            [*found] = [card.value for cards in scope.ask("dashboard_cards") for card in cards]
            return found

    return look


def in_jobs(other, app, place):
    days = iter(range(1, 100))

    def look():
        """Return how many jobs another day brings."""
        at = datetime.now(UTC) + timedelta(days=next(days))
        run_schedules(other, at)
        with other.scope(SYSTEM, community=place.community_id) as scope:
            found = scope.session.scalars(select(Job).where(Job.service == "lifts.item.clear_out"))
            jobs = len([scope.session.delete(job) for job in found.all()])
        return jobs

    run_schedules(other)
    return look


def in_devices(other, app, place):
    drivers, owners = drivers_of(other)
    assert "modbus" in drivers.working
    configuration = Configuration(other, owners)

    def look():
        gateways = [g for g in configuration.read() if g.community_id == place.community_id]
        return sorted(device.name for gateway in gateways for device in gateway.devices)

    return look


# surface → what it shows when the plugin is on, on in the first building only, and off.
SURFACES = {
    "admin": (in_admin, ["in 0", "in 1"], ["in 0"], []),
    "menu": (in_menu, True, True, False),
    "api": (in_api, ["in 0", "in 1"], ["in 0"], []),
    "portal": (in_portal, True, True, False),
    "hooks": (in_hooks, ["2"], ["1"], []),
    "jobs": (in_jobs, 1, 1, 0),
    "devices": (in_devices, ["in 0", "in 1"], ["in 0"], []),
}


@pytest.mark.parametrize("name", SURFACES)
def test_a_switch_is_honoured_by_another_process_at_its_next_request(
    installation, other, app, place, name
):
    make, on, partly, off = SURFACES[name]
    look = make(other, app, place)
    assert look() == on
    operations.disable(installation, SYSTEM, "lifts", place.community_id)
    assert look() == off
    operations.enable(installation, SYSTEM, "lifts", place.community_id, [place.building_ids[0]])
    look() if name == "jobs" else None  # a schedule begins when it is seen first
    assert look() == partly
    operations.enable(installation, SYSTEM, "lifts", place.community_id)
    assert look() == on


@pytest.mark.parametrize("name", SURFACES)
def test_a_quarantine_is_honoured_by_another_process_at_its_next_request(
    installation, other, app, place, name
):
    make, on, _partly, off = SURFACES[name]
    look = make(other, app, place)
    assert look() == on
    operations.quarantine(installation, SYSTEM, "lifts", "a test")
    try:
        assert look() == off
    finally:
        operations.release(installation, SYSTEM, "lifts")
    look() if name == "jobs" else None
    assert look() == on


def test_an_exclusive_slot_is_refused_at_install(test_server, kernel_database, tmp_path):
    for plugin in ("aa", "bb"):
        package = plant_small(tmp_path / plugin, plugin)
        manifest = package / "manifest.toml"
        manifest.write_text(manifest.read_text() + 'exclusive_slots = ["invoices"]\n')
    with workshop(test_server, tmp_path / "aa", template=kernel_database) as first:
        operations.install(first, SYSTEM, "aa")
        settings = first.settings.__class__(
            paths=first.settings.paths,
            database=first.settings.database,
            plugin_paths=(tmp_path / "aa", tmp_path / "bb"),
        )
        first.plugins.unload("aa")
        both = Installation.open(settings)
        with pytest.raises(Conflict, match="invoices"):
            operations.install(both, SYSTEM, "bb")
        assert both.plugins.standing("aa").state == PluginState.INSTALLED
        assert "bb" not in both.plugins.standings
        both.plugins.unload("aa")
        both.close()
