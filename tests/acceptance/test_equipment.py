"""Equipment at the phone: what a page says when there is no picture, and the code that is read."""

import re
import subprocess

import pytest
from sqlalchemy import select
from tests.acceptance.conftest import ARGUMENTS, BROWSER
from tests.acceptance.phones import TAGS, community

HOST = "estate.example"
SIZE = (640, 480)
TOLD = "[data-told][data-reason='{}']"


@pytest.fixture
def place(visit):
    """Return the id of the demonstration's community."""
    page = visit("owner", phone=True).open("/")
    return re.search(r"/c/([0-9a-f-]{36})", page.url).group(1)


@pytest.fixture
def label(visit, place, tmp_path):
    """Return a picture of a pump's printed label, and the address of the pump's record."""
    image = pytest.importorskip("PIL.Image")
    desk = visit("dispatcher")
    page = desk.open(f"/c/{place}/admin/equipment/equipment/?q=生活给水泵")
    pump = re.search(r"equipment/equipment/([0-9a-f-]{36})", page.content()).group(1)
    pdf = tmp_path / "label.pdf"
    address = f"{desk.url}/c/{place}/equipment/labels.pdf?equipment={pump}"
    pdf.write_bytes(desk.context.request.get(address).body())
    subprocess.run(
        ["pdftoppm", "-r", "200", "-png", "-singlefile", pdf, pdf.with_suffix("")], check=True
    )
    sheet = image.open(pdf.with_suffix(".png"))
    corner = sheet.crop((0, 0, sheet.width // 2, sheet.width * 3 // 8)).resize(SIZE)
    picture = tmp_path / "label.png"
    corner.save(picture)
    return picture, f"/c/{place}/equipment/of/{pump}"


def film(picture, path):
    """Write a picture as an endless film for the browser's camera that is none."""
    image = pytest.importorskip("PIL.Image")
    planes = image.open(picture).convert("YCbCr").split()
    half = [plane.resize((SIZE[0] // 2, SIZE[1] // 2)) for plane in planes[1:]]
    frame = b"FRAME\n" + b"".join(p.tobytes() for p in (planes[0], *half))
    path.write_bytes(b"YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420jpeg\n" % SIZE + 3 * frame)
    return path


@pytest.fixture
def phone(browser, product, signed_in, label, tmp_path):
    """Return a function that opens the page that scans, in a browser with such a camera."""
    video = film(label[0], tmp_path / "label.y4m")
    started = browser.browser_type.launch(
        executable_path=BROWSER,
        args=[
            *ARGUMENTS,
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={video}",
            f"--host-resolver-rules=MAP {HOST} 127.0.0.1",
        ],
    )

    def opened(address, *, may=(), host=None, inside=started, headers=None):
        context = inside.new_context(
            locale="zh-CN",
            viewport={"width": 390, "height": 844},
            storage_state=signed_in("dispatcher"),
            permissions=list(may),
        )
        url = product.url if host is None else product.url.replace("127.0.0.1", host)
        if host is not None:
            known = signed_in("dispatcher")["cookies"]
            context.add_cookies(
                [{"name": c["name"], "value": c["value"], "url": url} for c in known]
            )
        page = context.new_page()
        if headers:
            page.route("**/equipment/scan", lambda route: _with(route, headers))
        page.goto(url + address)
        page.click("[data-start]")
        return page

    yield opened
    started.close()


def pick(cookie):
    return {key: cookie[key] for key in ("name", "value")}


def _with(route, headers):
    answer = route.fetch()
    route.fulfill(response=answer, headers={**answer.headers, **headers})


def test_a_code_is_read_with_any_camera_or_none(phone, browser, place, label):
    scan = f"/c/{place}/equipment/scan"
    picture, record = label
    for reason, how in (
        ("insecure", {"host": HOST}),
        ("denied", {}),
        ("blocked", {"may": ["camera"], "headers": {"permissions-policy": "camera=()"}}),
        ("none", {"may": ["camera"], "inside": browser}),
    ):
        page = phone(scan, **how)
        page.wait_for_selector(TOLD.format(reason))
        assert "编号" in page.inner_text("[data-told]")
        assert page.is_visible("#number")
        page.set_input_files("#code-photo", picture)
        page.wait_for_url(f"**{record}")
        page.context.close()
    page = phone(scan, may=["camera"])
    page.wait_for_url(f"**{record}")
    page.context.close()


def test_a_tag_is_read_where_the_browser_can_and_else_it_says_why(product, visit, place):
    from dougong_equipment.models import Equipment

    with community(product, place) as scope:
        query = select(Equipment.id, Equipment.code).where(Equipment.name == "2# 生活给水泵")
        record, code = scope.session.execute(query).one()
    visitor = visit("dispatcher", phone=True)
    page = visitor.open(f"/c/{place}/equipment/scan")
    page.click("[data-tag]")
    assert "Chrome" in page.inner_text(TOLD.format("tag_unknown"))
    for name, reason in (("NotAllowedError", "tag_denied"), ("NotSupportedError", "tag_off")):
        page.evaluate(TAGS, name)
        page.click("[data-tag]")
        page.wait_for_selector(TOLD.format(reason))
    assert visitor.check() == []
    page.evaluate(TAGS, None)
    page.click("[data-tag]")
    page.wait_for_selector(TOLD.format("tag_ready"))
    assert page.evaluate("touch('04:a2:5b:1c')") == 0
    assert "04:a2:5b:1c" in page.inner_text(TOLD.format("tag_foreign"))
    page.click("[data-tag]")
    page.wait_for_selector(TOLD.format("tag_ready"))
    page.evaluate(
        "address => touch('04:a2', address)", f"{product.url}/equipment/at/{place}/{code}"
    )
    page.wait_for_url(f"**/c/{place}/equipment/of/{record}")
