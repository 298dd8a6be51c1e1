"""The pages behind a code, of the record, of labels and of the phone, over HTTP."""

import re
import subprocess
from datetime import timedelta
from decimal import Decimal

import pytest

from dougong.access.operations import create_user, grant_role, start_session
from dougong.access.roles import ship_roles
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.devices import PointKind, Quality, Transport
from dougong.devices.models import Device, DeviceHour, DeviceValue, Gateway
from dougong.services import create
from dougong.web.app import SESSION_COOKIE
from dougong_equipment import services
from dougong_equipment.domain.kinds import CostKind
from dougong_equipment.models import Equipment


@pytest.fixture
def browser(app, installation, place):
    """Return a function that gives the browser of a role."""

    def made(role, name="某人"):
        with installation.access() as session:
            ship_roles(session)
            user = create_user(session, f"p{uuid7().hex}", name)
            where = {"group_id": place.group_id, "community_id": place.community_id}
            grant_role(session, Actor.system(), user.id, role, **where)
            token = start_session(session, user)
        client = app.test_client()
        client.set_cookie(SESSION_COOKIE, token)
        return client

    return made


@pytest.fixture
def base(place):
    return f"/c/{place.community_id}/equipment"


def token(text):
    return re.search(r'name="csrf_token" value="([^"]+)"', text).group(1)


def test_a_passer_by_reports_and_sees_nothing_private(app, stand, enter, place):
    pump = stand(price="28000", supplier="某供应商", place="水泵房")
    with enter() as scope:
        code = scope.get(Equipment, pump).code
    client = app.test_client()
    address = f"/equipment/at/{place.community_id}/{code}"
    page = client.get(address).text
    assert "水泵房" in page
    assert "某供应商" not in page
    assert "28000" not in page
    data = {"csrf_token": token(page), "text": ""}
    assert client.post(address, data=data).status_code == 422
    assert "工单号 1" in client.post(address, data={**data, "text": "漏水"}).text
    assert client.get(f"/equipment/at/{place.community_id}/wrong1").status_code == 404


def test_staff_are_led_from_the_code_to_the_record(browser, stand, enter, base, place):
    pump = stand(registration="R1")
    with enter() as scope:
        found = scope.get(Equipment, pump)
        code, number = found.code, found.number
    client = browser("dispatcher")
    led = client.get(f"/equipment/at/{place.community_id}/{code}")
    assert led.location == f"{base}/of/{pump}"
    page = client.get(led.location)
    assert (page.status_code, number in page.text) == (200, True)
    data = {"csrf_token": token(page.text), "text": "异响"}
    assert client.post(f"{led.location}/report", data=data).status_code == 303
    assert "异响" in client.get(led.location).text
    assert client.get(f"{base}/scan?number={number}").location == led.location
    wrong = client.get(f"{base}/scan?number=1234-5678")
    assert wrong.status_code == 200
    assert "wasm-unsafe-eval" in wrong.headers["Content-Security-Policy"]
    assert client.get(f"{base}/replacements").status_code == 200


def test_the_record_takes_six_statements_whatever_it_shows(browser, stand, enter, base):
    with enter() as scope:
        gateway = create(
            scope, Gateway, {"name": "网关", "transport": Transport.TCP, "host": "x", "port": 1}
        )
        values = {"gateway_id": gateway.id, "name": "泵", "driver": "equipment_modbus"}
        device = create(scope, Device, {**values, "profile": "pump"}).id
        hour = scope.now.replace(minute=0, second=0, microsecond=0)
        scope.session.add(
            DeviceValue(device_id=device, point="pressure", point_kind=PointKind.GAUGE,
                        value="0.42", quality=Quality.GOOD, server_at=scope.now, sequence=1)
        )  # fmt: skip
        for ago in range(4):
            row = {"device_id": device, "point": "pressure", "last": Decimal("0.4")}
            row |= {"lowest": Decimal("0.35"), "highest": Decimal("0.47")}
            scope.session.add(DeviceHour(hour_at=hour - timedelta(hours=ago), **row))
    system = stand("二次供水系统")
    pump = stand(device_id=device, parent_id=system, commissioned_on="2020-01-01", price="28600")
    with enter() as scope:
        equipment = scope.get(Equipment, pump)
        services.create_task(scope, pump, "保养", scope.today)
        fault = services.report_fault(scope, equipment, "漏水", is_breakdown=True)
        services.fix_fault(scope, fault)
        services.add_cost(scope, pump, CostKind.REPAIR, Decimal("520.00"))
    client = browser("community_manager")
    client.get(f"{base}/of/{pump}")
    page = client.get(f"{base}/of/{pump}")
    for words in ("二次供水系统", "0.35 – 0.47", "漏水", "停机 1 次", "¥520.00", "保养", "启动"):
        assert words in page.text, words
    assert int(re.search(r'"(\d+)"', page.headers["Server-Timing"])[1]) <= 6


def test_the_phone_gets_its_list(browser, stand, enter, base, checklist):
    pump = stand()
    with enter() as scope:
        given = {"equipment_id": pump, "name": "保养", "checklist_id": checklist}
        services.create_task(scope, due_on=scope.today, **given)
    client = browser("technician")
    assert client.get(f"{base}/work/").status_code == 200
    found = client.get(f"{base}/work/list.json").json
    [task] = found["tasks"]
    assert [item["title"] for item in task["items"]] == ["压力", "无渗漏"]
    data = {"client_id": str(uuid7()), "verb": "start", "subject": task["id"], "values": "{}"}
    sent = client.post(f"{base}/work/operation", data=data, headers={"X-CSRF-Token": found["csrf"]})
    assert sent.json == {"is_done": True, "problem": ""}


def test_a_sheet_of_24_labels_is_read_whole_at_150_dpi(browser, stand, base, tmp_path):
    zxingcpp = pytest.importorskip("zxingcpp")
    image = pytest.importorskip("PIL.Image")
    for number in range(24):
        stand(f"{number}# 泵")
    pdf = tmp_path / "labels.pdf"
    pdf.write_bytes(browser("dispatcher").get(f"{base}/labels.pdf").data)
    subprocess.run(["pdftoppm", "-r", "150", "-png", pdf, tmp_path / "page"], check=True)
    [page] = tmp_path.glob("page*.png")
    found = zxingcpp.read_barcodes(image.open(page))
    assert len({code.text for code in found if "/equipment/at/" in code.text}) == 24
