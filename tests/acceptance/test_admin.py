"""A manager at work in the admin."""

import re

import pytest
from tests.acceptance.conftest import COLOURS, SIZES

LISTS = (
    "dougong/room/",
    "dougong/person/",
    "dougong/building/",
    "meters/meter/",
    "meters/reading/",
)


@pytest.fixture(scope="module")
def places(product, browser, signed_in):
    """Return the addresses of the group and its communities, by name."""
    context = browser.new_context(storage_state=signed_in("admin"), locale="zh-CN")
    page = context.new_page()
    page.goto(product.url)
    found = {"group": "/".join(page.url.split("/")[3:5])}
    for link in page.query_selector_all("main th a[href^='/c/']"):
        found[link.inner_text()] = "/".join(link.get_attribute("href").split("/")[1:3])
    context.close()
    return found


def test_the_group_compares_its_three_communities(visit, places):
    assert set(places) >= {"group", "翠湖花园", "和平里", "江州大学"}
    page = visit("admin").open(f"/{places['group']}/admin/")
    row = page.locator("tr", has_text="翠湖花园")
    assert row.locator("td[data-label*='收缴率']").inner_text().endswith("%")


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_no_page_has_an_accessibility_fault(visit, places, locale):
    """On a desktop, light and dark, and on a phone; in English, whose colours are the same, once.

    All four settings in both languages are ``make gate-pages``.
    """
    manager, is_chinese = visit("admin", locale=locale), locale == "zh-CN"
    base = f"/{places['翠湖花园']}/admin/"
    room = manager.open(f"{base}dougong/room/").get_attribute(".record-link", "href")
    pages = [
        f"/{places['group']}/admin/",
        base,
        *(base + path for path in LISTS),
        f"/{places['group']}/admin/dougong/room/",
        room,
        f"{room}edit",
        f"{base}dougong/room/new",
        f"{base}dougong/room/?q=nothing",
        f"{base}why?path={room}",
        "/account",
    ]
    faults: dict[str, list[str]] = {}
    for address in pages:
        for fault in faults_on(manager, address, is_chinese):
            faults.setdefault(fault, []).append(address)
    assert not faults, "\n".join(f"{fault}: {where}" for fault, where in faults.items())


def faults_on(visitor, address, in_all_settings):
    """Yield what is wrong with a page in each size and colour, loaded once."""
    page = visitor.open(address)
    for name, size in SIZES.items():
        page.set_viewport_size(size)
        visitor.darken(False)
        if in_all_settings or name == "desktop":
            yield from (f"{name}: {fault}" for fault in visitor.check())
        if in_all_settings and name == "desktop":
            visitor.darken(True)
            yield from (f"{name}, dark: {fault}" for fault in visitor.check(rules=COLOURS))
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > size["width"]:
            yield f"{name}: scrolls sideways: {width}"


@pytest.mark.parametrize("login", ["security", "audit"])
def test_administrations_have_their_pages(visit, places, login):
    visitor = visit(login)
    page = {"security": "users", "audit": "audit"}[login]
    visitor.open(f"/{places['group']}/admin/{page}")
    assert visitor.check() == []
    visitor.picture(f"admin-{page}")


def test_the_list_is_light(visit, places, product):
    manager = visit("admin")
    sizes: list[int] = []
    manager.page.on(
        "response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0)))
    )
    manager.open(f"/{places['翠湖花园']}/admin/meters/reading/")
    assert len(sizes) <= 8, sizes
    assert sum(sizes) <= 80 * 1024, sizes


def test_find_a_room_with_the_palette(visit, places):
    manager = visit("admin")
    page = manager.open(f"/{places['翠湖花园']}/admin/")
    page.keyboard.press("Control+k")
    page.keyboard.type("1-1-101")
    page.wait_for_selector("#hits a:has-text('1-1-101')")
    manager.picture("admin-palette")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('1-1-101')")


def test_create_change_delete_and_undo(visit, places):
    manager = visit("admin")
    base = f"/{places['和平里']}/admin/dougong/building/"
    page = manager.open(f"{base}new")
    page.fill("#f-code", "99")
    page.fill("#f-name", "验收楼")
    # A second tab of the same browser, in another community meanwhile: each address says where.
    other = f"{manager.url}/{places['翠湖花园']}/admin/dougong/building/"
    tab = manager.context.new_page()
    tab.goto(f"{other}new")
    page.click("button:has-text('保存') >> nth=0")
    page.wait_for_selector("h1:has-text('验收楼')")
    assert page.is_visible(".alert-success")
    identity = re.search("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", page.url.split(base)[1])[0]
    assert tab.goto(f"{other}?q=99").ok and "验收楼" not in tab.content()
    assert [tab.goto(f"{other}{identity}/{end}").status for end in ("", "edit")] == [404, 404]
    tab.goto(f"{other}new")
    token = tab.input_value("[name=csrf_token] >> nth=0")
    stolen = tab.request.post(f"{other}{identity}/delete", form={"csrf_token": token})
    assert stolen.status == 404
    tab.close()
    page.click("text=删除")
    page.wait_for_selector("#confirm[open]")
    page.click("#confirm button[value=no]")
    page.click(".head-actions >> text=删除")
    page.click("#confirm button[value=yes]")
    page.wait_for_selector("text=已删除")
    page.click(".alert-success >> text=撤销")
    page.wait_for_selector("h1:has-text('验收楼')")
    page.wait_for_selector(".timeline")
    assert "删除" in page.inner_text(".timeline")


def test_change_a_cell_in_the_list(visit, places):
    manager = visit("admin")
    page = manager.open(f"/{places['翠湖花园']}/admin/dougong/room/?q=1-1-102")
    cell = page.locator("td[data-label='建筑面积（㎡）']")
    cell.locator("button").click()
    cell.locator("input").fill("101.25")
    cell.locator("input").press("Enter")
    page.wait_for_selector("td[data-label='建筑面积（㎡）'] button:has-text('101.25')")


def test_keep_a_view_and_use_it(visit, places):
    manager = visit("admin")
    page = manager.open(f"/{places['翠湖花园']}/admin/dougong/room/")
    page.select_option("#x-state", "vacant")
    page.wait_for_url(re.compile("state=vacant"))
    page.click("summary:has-text('保存为视图')")
    page.fill("#view-name", "空置房")
    page.click("form[action$=views] button.btn-primary")
    page.wait_for_selector(".saved:has-text('空置房')")


def test_a_foreign_page_tells_why(visit, places):
    desk = visit("desk")
    answer = desk.page.goto(f"{desk.url}/{places['和平里']}/admin/dougong/room/")
    assert answer.status == 404
    assert desk.check() == []
    answer = desk.page.goto(f"{desk.url}/{places['翠湖花园']}/admin/audit")
    assert answer.status == 403
    desk.page.click("text=为什么我看不到")
    desk.page.wait_for_selector("h2:has-text('您在此处的角色')")
