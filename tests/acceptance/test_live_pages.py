"""Pages that follow what happens, without a reload: with the stream, and without it."""

import io
import re
import subprocess
import sys
import time

import openpyxl

NUMBER = 1200


def workbook(number: int, first: int) -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["姓名", "手机号", "证件号"])
    for n in range(first, first + number):
        book.active.append([f"验收住户{n}", f"187{n:08d}", f"9901011992{n:08d}"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def community(visitor) -> str:
    """Return the address of the first community that the group's page links."""
    visitor.page.goto(visitor.url)
    visitor.page.wait_for_load_state("networkidle")
    return re.search(r"/c/[0-9a-f-]{36}", visitor.page.content())[0]


def upload(page, url: str, base: str, content: bytes) -> None:
    """Upload people and start the trial; the page is marked, so that a reload would show."""
    page.goto(f"{url}{base}/admin/dougong/person/import")
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    page.set_input_files("#file", {"name": "业主名单.xlsx", "mimeType": kind, "buffer": content})
    page.click("form.panel button.btn-primary")
    page.wait_for_selector("#column-0")
    page.click("main form .buttons button.btn-primary")
    page.wait_for_url(re.compile(r"/import/[0-9a-f-]{36}$"))
    page.evaluate("window.marked = true")


def follow(page, end: str, seconds: float = 90.0) -> list[float]:
    """Return what the bar showed until ``end`` is on the page; it was never loaded again."""
    seen: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until and not page.query_selector(end):
        value = page.evaluate("(document.querySelector('main progress') || {}).value")
        if value is not None and value not in seen:
            seen.append(value)
        time.sleep(0.1)
    assert page.query_selector(end), page.inner_text("main")
    assert page.evaluate("window.marked") is True, "the page was loaded again"
    return seen


COMMIT, UNDO = "button[formaction$='/import/commit']", "button[formaction$='/import/undo']"


def test_an_imports_bar_moves_and_other_pages_hear_of_it(visit):
    visitor = visit("admin")
    page, base = visitor.page, community(visitor)
    listing = visitor.context.new_page()
    listing.goto(f"{visitor.url}{base}/admin/dougong/person/")
    listing.evaluate("window.marked = true")
    jobs = visitor.context.new_page()
    jobs.goto(f"{visitor.url}{base}/admin/jobs/")
    jobs.evaluate("window.marked = true")
    upload(page, visitor.url, base, workbook(NUMBER, 0))
    address = page.url
    assert follow(page, COMMIT), "a bar was seen"
    assert visitor.check() == []
    visitor.picture("import-trial")
    page.click(COMMIT)
    page.wait_for_url(address)
    page.evaluate("window.marked = true")
    follow(page, UNDO)
    assert visitor.check() == []
    page.reload()
    assert page.query_selector(UNDO)
    listing.wait_for_selector(".news a", timeout=60_000)
    assert listing.evaluate("window.marked") is True
    jobs.wait_for_selector("text=1,200 / 1,200", timeout=60_000)
    assert jobs.evaluate("window.marked") is True
    page.click(UNDO)
    page.click("#confirm [data-yes]")
    page.wait_for_selector("text=没有留下任何数据", timeout=60_000)


def test_without_the_stream_the_page_asks_every_few_seconds(visit):
    visitor = visit("admin", phone=True, dark=True)
    visitor.page.route(re.compile("/live$"), lambda route: route.abort())
    base = community(visitor)
    upload(visitor.page, visitor.url, base, workbook(NUMBER, 5000))
    follow(visitor.page, COMMIT)
    assert visitor.check() == []


TELL = """
import sys
from uuid import UUID
from sqlalchemy import select
from dougong.access.models import User
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.messages import notify
from dougong.settings import Settings
installation = Installation.open(Settings.from_environment())
with installation.access() as session:
    user = session.scalars(select(User.id).where(User.login == "admin")).one()
with installation.scope(Actor.system("test"), community=UUID(sys.argv[1])) as scope:
    notify(scope, user, "dougong:free", {"subject": "会议", "body": "九点"})
installation.close()
"""


def test_the_bell_counts_what_comes_while_the_page_is_open(visit, product):
    visitor = visit("admin", locale="en")
    page, base = visitor.page, community(visitor)
    page.goto(f"{visitor.url}{base}/admin/jobs/")
    page.wait_for_load_state("networkidle")
    page.evaluate("window.marked = true")
    subprocess.run(
        [sys.executable, "-c", TELL, base.rpartition("/")[2]],
        env=product.environment,
        check=True,
        timeout=120,
    )
    page.wait_for_selector(".badge-count", timeout=60_000)
    assert page.evaluate("window.marked") is True
    assert "1 new message" in page.get_attribute("a.top-button[href*=inbox]", "aria-label")
    assert visitor.check() == []
