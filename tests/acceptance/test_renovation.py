"""A renovation as it is lived: on the owner's phone, at the desk, at the gate, on the site."""

import re
from datetime import timedelta

from tests.acceptance.test_repairs import community

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)
WORKER = {"name": "王建国", "trade": "泥瓦工", "id_number": "11010519491231002X"}


def test_a_renovation_from_the_owner_s_phone_to_the_deposit_s_return(
    product, visit, browser, tmp_path
):
    owner, desk = visit("owner", phone=True), visit("manager")
    place = re.search(r"/c/([0-9a-f-]{36})", owner.open("/").url).group(1)
    with community(product, place) as scope:
        nothing_underway(scope)
        today = scope.today
    photo = tmp_path / "paper.jpg"
    photo.write_bytes(JPEG)

    mine = applied(owner, place, today, photo)
    page = desk.open(f"/c/{place}/admin/renovation/application/{mine}/")
    act(desk, "审核通过", deposit="1500")
    signed(owner, place, mine)
    page.reload()
    act(desk, "收取押金", channel="cash")
    act(desk, "核发许可证")
    desk.picture("renovation-desk")
    owner.open(f"/c/{place}/renovation/my/{mine}")
    owner.page.click("summary:has-text('登记施工人员')")
    for name, value in WORKER.items():
        owner.page.fill(f"#{name}", value)
    owner.page.click("details[open] button")
    owner.page.wait_for_selector("text=王建国 泥瓦工")
    owner.picture("renovation-owner")

    assert "✔" in at_the_gate(product, browser, place, mine)
    inspected(product, desk, place, mine, photo)
    owner.open(f"/c/{place}/renovation/my/{mine}")
    assert "¥300.00" in owner.page.inner_text("main")
    owner.page.get_by_role("button", name="已完工，申请验收").click()
    owner.page.wait_for_selector("text=待验收")
    with community(product, place) as scope:
        ended(scope, mine)
    desk.open(f"/c/{place}/admin/renovation/application/{mine}/")
    act(desk, "结清退押", channel="cash")
    if "/account/proof" in desk.page.url:
        desk.page.click("main button.btn-primary")
    owner.open(f"/c/{place}/renovation/my/{mine}")
    said = owner.page.inner_text("main")
    assert ("¥300.00" in said, "¥1,200.00" in said, "已结清" in said) == (True, True, True)
    assert "✘" in at_the_gate(product, browser, place, mine)


def nothing_underway(scope):
    """Let no renovation of the demonstration stand in the way of a new one."""
    from sqlalchemy import select

    from dougong_renovation.domain.states import OVER, ApplicationState
    from dougong_renovation.models import Application

    for found in scope.session.scalars(select(Application).where(Application.state.not_in(OVER))):
        found.state = ApplicationState.WITHDRAWN


def applied(owner, place, today, photo):
    """Apply on the phone and hand in the papers; return the application's id."""
    page = owner.open(f"/c/{place}/renovation/my/new")
    for work in ("surfaces", "electrical"):
        page.check(f"[value={work}]")
    page.fill("#contact_phone", "13900000001")
    page.fill("#starts_on", str(today))
    page.fill("#ends_on", str(today + timedelta(days=20)))
    page.click("main button.button-primary")
    page.wait_for_url(re.compile(r"/renovation/my/[0-9a-f-]{36}$"))
    while page.locator(".note li").count():
        left = page.locator(".note li").count()
        page.set_input_files("#files", photo)
        page.get_by_role("button", name="提交资料", exact=True).click()
        page.wait_for_function(f"document.querySelectorAll('.note li').length < {left}")
    return page.url.rpartition("/")[2]


def act(desk, title, **fields):
    """Do something to the record that is open at the desk, on the page that asks for it."""
    page = desk.page
    page.locator(".head-actions").get_by_role("button", name=title, exact=True).click()
    form = page.locator("form.message")
    if form.count():
        for name, value in fields.items():
            field = form.locator(f"[name={name}]")
            is_choice = field.evaluate("field => field.tagName") == "SELECT"
            field.select_option(value) if is_choice else field.fill(value)
        form.locator("button.btn-primary").click()
    desk.settle()


def signed(owner, place, mine):
    page = owner.open(f"/c/{place}/renovation/my/{mine}")
    page.check("[name=has_read]")
    page.get_by_role("button", name="签署", exact=True).click()
    page.wait_for_selector("[name=has_read]", state="detached")


def at_the_gate(product, browser, place, mine):
    """Return what a guard reads who scans the worker's pass without signing in."""
    from sqlalchemy import select

    from dougong_renovation.models import WorkerPass

    with community(product, place) as scope:
        query = select(WorkerPass.code).where(WorkerPass.application_id == mine)
        code = scope.session.scalars(query).one()
    context = browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{product.url}/renovation/pass/{place}/{code}")
    said = page.inner_text("main")
    context.close()
    return said


def inspected(product, desk, place, mine, photo):
    """Write down damage that was found on the site, with its photo and what it costs."""
    from dougong_renovation.models import ViolationKind
    from dougong_renovation.services import record_violation

    with community(product, place) as scope:
        found = record_violation(scope, mine, ViolationKind.DAMAGE, "搬运划伤电梯轿厢").id
    page = desk.open(f"/c/{place}/admin/renovation/violation/{found}/")
    page.set_input_files("#add-files", photo)
    page.locator("form:has(#add-files) button").click()
    page.wait_for_selector("text=paper.jpg")
    act(desk, "主张赔偿", amount="300")
    act(desk, "整改完成")


def ended(scope, mine):
    """Accept the work, and let the days pass for which the deposit is kept."""
    from dougong_renovation.models import Application, InspectionKind
    from dougong_renovation.services import accept_work, record_inspection

    found = scope.get(Application, mine, lock=True)
    record_inspection(scope, found.id, InspectionKind.COMPLETION)
    accept_work(scope, found)
    found.refund_from_on = scope.today
