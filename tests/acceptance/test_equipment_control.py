"""A fire pump is stopped by two persons, and what nobody knows is shown as unknown."""

import asyncio
import re
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from tests.acceptance.phones import community, opened

from dougong.devices.simulated import Faults, SimulatedGateway

PASSWORD = "correct horse battery staple"


@dataclass
class Panel:
    """A fire pump's control panel on a real socket, in a thread of its own."""

    gateway: SimulatedGateway
    is_up: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self.thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self.thread.start()
        assert self.is_up.wait(30)
        return self

    def __exit__(self, *error):
        self.loop.call_soon_threadsafe(self.done.set)
        self.thread.join(10)

    async def _run(self):
        self.loop, self.done = asyncio.get_running_loop(), asyncio.Event()
        async with self.gateway:
            self.is_up.set()
            await self.done.wait()

    @property
    def runs(self):
        return self.gateway.responder.lives[0].values["is_running"]


@pytest.fixture
def place(visit):
    """Return the id of the demonstration's community."""
    page = visit("technician", phone=True).open("/")
    return re.search(r"/c/([0-9a-f-]{36})", page.url).group(1)


@pytest.fixture
def panel(product, place):
    """Play a fire pump that runs, put it into the ledger; give it and its record's address."""
    from dougong.devices.configuration import drivers_of
    from dougong.devices.contract import SimulatedDevice, Transport
    from dougong.devices.models import Device, Gateway
    from dougong.services import create
    from dougong_equipment.models import Equipment, EquipmentKind

    with opened(product) as installation:
        driver = drivers_of(installation)[0].working["equipment_modbus"]
    said = {"is_running": True, "is_faulty": False, "pressure": 0.85, "current": 41}
    settings = driver.settings(device_id=1)
    played = SimulatedDevice(driver.profiles["fire_pump"], settings, values=said)
    served = SimulatedGateway(driver.simulator([played], Transport.TCP), Faults())
    with Panel(served) as panel:
        with community(product, place) as scope:
            values = {
                "name": f"验收消防泵房 {served.port}",
                "transport": Transport.TCP,
                "host": "127.0.0.1",
            }
            values |= {"port": served.port, "timeout_s": "1", "settle_s": "0"}
            gateway = create(scope, Gateway, values)
            values = {
                "gateway_id": gateway.id,
                "name": f"验收消防泵 {served.port}",
                "driver": driver.id,
            }
            values |= {"profile": "fire_pump", "settings": {"device_id": 1}, "poll_s": 2}
            device = create(scope, Device, values)
            query = select(EquipmentKind.id).where(EquipmentKind.name == "消防水泵")
            values = {"name": "3# 消防水泵", "kind_id": scope.session.scalars(query).one()}
            values |= {"device_id": device.id, "commissioned_on": "2024-03-01"}
            pump = create(scope, Equipment, values).id
        yield panel, f"/c/{place}/equipment/of/{pump}"


@pytest.fixture
def login(product, place, cookies_of):
    """Return a function that makes a login with a password, whose last proof is an hour old."""
    from dougong.access.models import SignInSession
    from dougong.access.operations import create_user, grant_role, hash_password, start_session
    from dougong.db import uuid7
    from dougong.db.scope import Actor
    from dougong.tenancy.models import Community
    from dougong.web.app import SESSION_COOKIE

    def made(role, name):
        with opened(product) as installation, installation.access() as session:
            group = session.scalars(
                select(Community.group_id).where(Community.id == UUID(place))
            ).one()
            user = create_user(session, f"u{uuid7().hex}", name)
            user.password_hash = hash_password(PASSWORD)
            where = {"group_id": group, "community_id": UUID(place)}
            grant_role(session, Actor.system("test"), user.id, role, **where)
            token = start_session(session, user)
            mine = update(SignInSession).where(SignInSession.user_id == user.id)
            hour = timedelta(hours=1)
            session.execute(mine.values(stepped_up_at=SignInSession.stepped_up_at - hour))
            cookie = {"name": SESSION_COOKIE, "value": token, "domain": "127.0.0.1", "path": "/"}
            cookies_of[user.login] = {"cookies": [cookie], "origins": []}
            return user.login

    return made


def prove(page):
    """Show that it is oneself, where the page asks for it."""
    page.fill("#proof_password", PASSWORD)
    page.click("form:has(#proof_password) button")


def state(page, words):
    page.wait_for_selector(
        f"#control .log li:first-child .pill:has-text('{words}')", timeout=60_000
    )


def test_a_fire_pump_is_stopped_by_two_and_silence_is_unknown(visit, panel, login):
    played, record = panel
    proposer = visit(login("technician", "值班刘工"), phone=True)
    second = visit(login("community_manager", "何经理"), phone=True)
    page = proposer.open(record)
    page.fill("#reason", "年度联动试验结束")
    page.click("#control button[value=stop]")
    prove(page)
    state(page, "待批准")
    assert page.locator("#control").get_by_text("须由另一人批准").is_visible()
    assert page.locator("#control").get_by_role("button", name="批准").count() == 0
    assert proposer.check() == []

    page = second.open(record)
    page.locator("#control").scroll_into_view_if_needed()
    second.picture("control-approve")
    page.locator("#control").get_by_role("button", name="批准").click()
    prove(page)
    state(page, "已确认")
    assert "回读值: 否" in page.inner_text("#control")
    assert "值班刘工 + 何经理" in page.inner_text("#control")
    assert played.runs is False

    # His own he does not confirm, though he may confirm others'.
    page.fill("#reason", "再停一次")
    page.click("#control button[value=stop]")
    state(page, "待批准")
    assert page.locator("#control").get_by_role("button", name="批准").count() == 0
    token = page.input_value("#control [name=csrf_token] >> nth=0")
    command = page.get_attribute("#control .log form", "action").rsplit("/", 1)[0]
    answer = page.request.post(second.url + command + "/approve", form={"csrf_token": token})
    told = re.sub(r"<[^>]+>|\s+", " ", answer.text().split("<main")[-1])
    own = "须由他人审批：这是您自己提出的申请。"
    assert (answer.status, own in told) == (403, True), told
    page.locator("#control").get_by_role("button", name="撤回").click()
    state(page, "已撤回")

    # The panel does what it is told, and nothing of its answers arrives.
    played.gateway.faults.mute = 1.0
    page = proposer.open(record)
    page.fill("#reason", "启动试验")
    page.click("#control button[value=start]")
    state(page, "结果未知")
    assert "请到现场查看" in page.inner_text("#control")
    page.locator("#control").scroll_into_view_if_needed()
    proposer.picture("control-unknown")
    assert played.runs is True
    assert proposer.check() == []
