"""A technician in a basement: maintenance and a round without network, killed and opened again."""

import base64
import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.acceptance.conftest import Visitor, keep_picture
from tests.acceptance.phones import TAGS, TAKE, Phone, community

from dougong.files import attachments_of

TASKS = ("水箱间泵组月检", "机械密封更换后复检", "备用泵切换试验")
POINTS = ("水泵房东侧", "水泵房西侧", "集水坑", "配电间")
TAG = "04:a2:5b:1c:77:80"
KEPT = """async (wanted) => {
  const names = await indexedDB.databases();
  const asked = indexedDB.open(names[0].name);
  const store = await new Promise((done) => { asked.onsuccess = () => done(asked.result); });
  const request = store.transaction("kept").objectStore("kept").get("draft");
  const draft = await new Promise((done) => { request.onsuccess = () => done(request.result); });
  store.close();
  return Boolean(draft) && wanted.every((one) => Object.values(draft.written).includes(one));
}"""


@pytest.fixture
def place(visit):
    """Return the id of the demonstration's community."""
    page = visit("technician", phone=True).open("/")
    return re.search(r"/c/([0-9a-f-]{36})", page.url).group(1)


@pytest.fixture
def work(product, place):
    """Return the ids of three tasks, of a round and of its points, and the codes there."""
    from dougong.db import uuid7
    from dougong.services import create
    from dougong_equipment import services
    from dougong_equipment.models import (
        Checklist,
        ChecklistItem,
        Equipment,
        InspectionPlan,
        InspectionPoint,
        InspectionRound,
        InspectionRoute,
        RouteStop,
    )

    with community(product, place) as scope:
        pump = scope.session.scalars(
            select(Equipment).where(Equipment.name == "2# 生活给水泵")
        ).one()
        checklist = create(scope, Checklist, {"name": f"水泵月检 {uuid7().hex[-4:]}"}).id
        for number, (title, kind, more) in enumerate(
            (
                ("出口压力", "number", {"lowest": "0.35", "highest": "0.50", "uom": "MPa"}),
                ("无渗漏", "check", {}),
                ("铭牌照片", "photo", {}),
            )
        ):
            values = {"checklist_id": checklist, "title": title, "kind": kind, "position": number}
            create(scope, ChecklistItem, {**values, **more})
        tasks = [
            services.create_task(scope, pump.id, name, scope.today, checklist) for name in TASKS
        ]
        route = InspectionRoute(
            id=uuid7(), name=f"地下机房夜巡 {uuid7().hex[-4:]}", trade="equipment"
        )
        points = [
            InspectionPoint(id=uuid7(), name=name, stay_s=0, photo_percent=0) for name in POINTS
        ]
        points[2].tag = TAG.upper()
        starts = scope.now - timedelta(minutes=10)
        plan = InspectionPlan(
            id=uuid7(), route_id=route.id, rule="FREQ=DAILY", starts_at=starts, window_minutes=240
        )
        each = InspectionRound(
            id=uuid7(), plan_id=plan.id, route_id=route.id, starts_at=starts, points=len(points),
            closes_at=starts + timedelta(minutes=240),
        )  # fmt: skip
        scope.session.add_all([route, *points])
        scope.session.flush()
        scope.session.add_all(
            [plan, *(RouteStop(route_id=route.id, point_id=p.id, position=n) for n, p in
                     enumerate(points))]
        )  # fmt: skip
        scope.session.flush()
        scope.session.add(each)
        scope.session.flush()
        codes = [f"{product.url}/equipment/at/{place}/{p.code}" for p in points]
        return [t.id for t in tasks], each.id, [p.id for p in points], codes


@pytest.fixture
def technician(product, browser, signed_in, tmp_path):
    """Return a phone on which the technician is signed in."""
    arguments = {"locale": "zh-CN", "viewport": {"width": 390, "height": 844}}
    phone = Phone(product, browser, signed_in("technician"), tmp_path / "profile", arguments)
    yield phone
    phone.context.close()


def waits(page, count):
    page.wait_for_selector(f"[data-status]:has-text(' {count} 项待同步')")


def opened(page, subject):
    page.click(f"#o{subject}")
    return page.locator(f"article:has(#o{subject})")


def filled(card, pressure):
    card.get_by_label("出口压力").fill(pressure)
    card.get_by_label("正常").check()


def test_work_without_network_arrives_once_and_conflicts_are_shown(
    product, place, work, technician, tmp_path
):
    segno = pytest.importorskip("segno")
    tasks, each, points, codes = work
    for number, code in enumerate(codes):
        segno.make(code, error="q").save(tmp_path / f"{number}.png", scale=8, border=4)
    address = f"/c/{place}/equipment/work/"
    page = technician.start(address)
    # The first look is enough: no reload puts the page where the worker finds it.
    page.wait_for_selector("[data-status]:has-text('本页断网也可打开')")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(base64.b64decode(page.evaluate(TAKE)))
    technician.context.set_offline(True)

    card = opened(page, tasks[0])
    card.get_by_role("button", name="开始", exact=True).click()
    waits(page, 1)
    filled(card, "0.42")
    card.get_by_role("button", name="完成", exact=True).click()
    page.wait_for_selector("[data-status]:has-text('还缺： 铭牌照片')")
    keep_picture(page, "work-offline")
    card.locator(f"#p{tasks[0]}").set_input_files(photo)
    waits(page, 2)
    card.get_by_role("button", name="完成", exact=True).click()
    waits(page, 3)
    page.reload()
    waits(page, 3)
    visited(page, each, points[0], tmp_path / "0.png")
    waits(page, 4)

    # The battery dies while a checklist is half filled in.
    card = opened(page, tasks[1])
    filled(card, "0.51")
    while not page.evaluate(KEPT, ["0.51", "ok"]):
        page.wait_for_timeout(50)
    page = technician.killed_and_started(address)
    waits(page, 4)
    card = page.locator(f"article:has(#o{tasks[1]})")
    assert card.get_by_label("出口压力").input_value() == "0.51"
    assert card.get_by_label("正常").is_checked()
    card.locator(f"#p{tasks[1]}").set_input_files(photo)
    waits(page, 5)
    card.get_by_role("button", name="完成", exact=True).click()
    waits(page, 6)
    card = opened(page, tasks[2])
    filled(card, "0.44")
    card.locator(f"#p{tasks[2]}").set_input_files(photo)
    waits(page, 7)
    card.get_by_role("button", name="完成", exact=True).click()
    waits(page, 8)
    visited(page, each, points[1], tmp_path / "1.png")
    waits(page, 9)
    page.evaluate(TAGS, None)
    at(page, each, points[2]).get_by_role("button", name="手机贴近 NFC 标签").click()
    page.wait_for_selector("[data-told][data-reason=tag_ready]")
    page.evaluate("touch('04:ff')")
    page.wait_for_selector("[data-told][data-reason=other]")
    page.click("[data-tag]")
    page.wait_for_selector("[data-told][data-reason=tag_ready]")
    page.evaluate("number => touch(number)", TAG)
    at(page, each, points[2]).get_by_role("button", name="本点完成").click()
    waits(page, 10)
    at(page, each, points[3]).get_by_role("button", name="二维码无法识别").click()
    at(page, each, points[3]).scroll_into_view_if_needed()
    keep_picture(page, "work-round")
    at(page, each, points[3]).get_by_role("button", name="本点完成").click()
    waits(page, 11)

    elsewhere(product, place, tasks[2], each, points[1])
    lost = lose_an_answer(page)
    technician.context.set_offline(False)
    page.wait_for_selector("[data-status]:has-text('已全部同步')", timeout=60_000)
    page.locator("[data-status]").scroll_into_view_if_needed()
    keep_picture(page, "work-conflicts")
    told = page.locator("[data-conflicts] .note").all_inner_texts()
    assert lost == ["start"]
    assert len(told) == 2
    assert TASKS[2] in told[0] and "出口压力 0.44" in told[0]
    assert POINTS[1] in told[1]
    for _ in told:
        page.click("[data-conflicts] .note button")
    assert arrived(product, place, work) == {
        "tasks": [("done", 3, 1, True), ("done", 3, 1, False), ("cancelled", 0, 1, None)],
        "visits": [("qr", 1), ("qr", 1), ("nfc", 1), ("none", 1)],
        "round": ("done", 4),
        "operations": (9, 2),
    }


def lose_an_answer(page):
    """Let the first thing that is sent reach the server, and its answer be lost on the way."""
    lost = []

    def pass_on(route):
        if lost:
            route.continue_()
            return
        lost.append(re.search(r'name="verb"\s+(\w+)', route.request.post_data).group(1))
        route.fetch()
        route.abort("connectionreset")

    page.route("**/work/operation", pass_on)
    return lost


def at(page, each, point):
    return page.locator(f"article:has(#o{each}) [data-point='{point}']")


def visited(page, each, point, code):
    """Read the code at a point from a photo, and say that all is done there."""
    if page.get_attribute(f"#o{each}", "aria-expanded") != "true":
        page.click(f"#o{each}")
    at(page, each, point).get_by_role("button", name="扫描本点二维码").click()
    page.wait_for_selector("[data-finder]:not([hidden])")
    page.set_input_files("#code-photo", code)
    at(page, each, point).get_by_role("button", name="本点完成").click()


def elsewhere(product, place, task, each, point):
    """Meanwhile the office cancels a task, and somebody else visits a point."""
    from dougong_equipment import services
    from dougong_equipment.models import InspectionRound, MaintenanceTask

    with community(product, place) as scope:
        services.cancel_task(scope, scope.get(MaintenanceTask, task), "设备已停用")
        came = scope.now - timedelta(minutes=2)
        row = scope.get(InspectionRound, each)
        from dougong_equipment.models import InspectionPoint

        code = scope.get(InspectionPoint, point).code
        services.visit_point(scope, row, point, came, came + timedelta(seconds=40), code)


def arrived(product, place, work):
    """Return what the rows say: tasks, visits, the round, and what the phone sent."""
    from dougong_equipment.models import (
        Answer,
        InspectionRound,
        MaintenanceTask,
        PointVisit,
        SyncedWork,
    )

    tasks, each, points, _ = work
    with community(product, place) as scope:
        found = [scope.get(MaintenanceTask, task) for task in tasks]
        query = select(Answer.task_id, func.count()).where(Answer.task_id.in_(tasks))
        answers = dict(scope.session.execute(query.group_by(Answer.task_id)).all())
        told = [
            (
                task.state.value,
                answers.get(task.id, 0),
                len(attachments_of(scope, task)),
                task.is_fine,
            )
            for task in found
        ]
        query = select(PointVisit).where(PointVisit.round_id == each)
        visits = {v.point_id: v for v in scope.session.scalars(query)}
        done = select(SyncedWork.is_done, func.count()).group_by(SyncedWork.is_done)
        counts = dict(scope.session.execute(done).all())
        row = scope.get(InspectionRound, each)
        return {
            "tasks": told,
            "visits": [(visits[p].proof.value, 1) for p in points],
            "round": (row.state.value, row.visited),
            "operations": (counts.get(True, 0), counts.get(False, 0)),
        }


UNSENT = "[data-unsent]:visible"


def test_at_sign_out_a_phone_forgets_all_but_what_is_not_sent_and_keeps_that_for_its_login(
    product, browser, place, signed_in
):
    context = browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    phone = Visitor(context, product.url)
    address, sent = f"/c/{place}/equipment/work/", "[data-status]:has-text('已全部同步')"

    def as_(login):
        context.clear_cookies()
        context.add_cookies(signed_in(login)["cookies"])
        return phone.open(address)

    page = as_("technician")
    page.wait_for_selector("[data-status]:has-text('本页断网也可打开')")
    page.route("**/work/operation", lambda route: route.abort())
    page.locator("[data-list] .open").last.click()
    page.locator("[data-list] [id$=fault]").fill("泵房门锁坏")
    page.get_by_role("button", name="提交故障").click()
    waits(page, 1)
    kept = page.evaluate(STORED)
    assert kept["caches"] and kept["stores"] == [["orders", "page"]]
    gone(phone).wait_for_selector(f"{UNSENT} >> text=1")
    assert page.evaluate(STORED) == {"caches": [], "stores": [[]]}
    assert phone.check() == []

    # Who signs in on this phone after him neither sees nor sends it.
    as_("dispatcher").wait_for_selector(sent)
    gone(phone).wait_for_selector(f"{UNSENT} >> text=1")

    page.unroute("**/work/operation")
    as_("technician").wait_for_selector(sent, timeout=60_000)
    with community(product, place) as scope:
        from dougong_equipment.models import Fault

        query = select(func.count()).where(Fault.text == "泵房门锁坏")
        assert scope.session.scalar(query) == 1
    gone(phone).wait_for_function(f"async () => (await ({STORED})()).stores.length === 0")
    assert page.locator(UNSENT).count() == 0
    context.close()
    assert phone.faults == []


def gone(phone):
    """Return the page that stands there once nobody is signed in."""
    phone.context.clear_cookies()
    return phone.open("/sign-in")


# What a phone keeps: its caches, and of each store of work the names of what is only kept.
STORED = """async () => {
  const stores = [];
  for (const { name } of await indexedDB.databases()) {
    const asked = indexedDB.open(name);
    const store = await new Promise((done) => { asked.onsuccess = () => done(asked.result); });
    const request = store.transaction("kept").objectStore("kept").getAllKeys();
    stores.push(await new Promise((done) => { request.onsuccess = () => done(request.result); }));
    store.close();
  }
  return { caches: await caches.keys(), stores: stores };
}"""
