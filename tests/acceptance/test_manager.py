"""A month's bills published, a plugin switched off and on again, by those who may."""

from datetime import date

import pytest
from tests.acceptance.phones import community

from dougong.testing.probe import wait_for
from dougong_fees.domain.states import RunState
from dougong_fees.models import BillRun
from dougong_fees.services import run_sql, runs


@pytest.fixture(scope="module")
def estate(product, browser, signed_in) -> str:
    """Return the address of the estate, which the manager lands on."""
    context = browser.new_context(storage_state=signed_in("manager"), locale="zh-CN")
    page = context.new_page()
    page.goto(product.url)
    found = "/".join(page.url.split("/")[3:5])
    context.close()
    return found


def test_a_bill_run_is_approved_and_published(visit, estate):
    manager = visit("manager")
    page = manager.open(f"/{estate}/admin/fees/bill_run/?state=draft")
    page.click(".record-link >> nth=0")
    page.wait_for_load_state("networkidle")
    manager.picture("bill-run")
    assert not page.is_visible(".head-actions >> text=撤回账单")
    for action in ("审核通过", "发布账单"):
        page.click(f".head-actions >> text={action}")
        page.wait_for_selector(".alert-success, form.panel .btn-primary")
        if page.is_visible("form.panel .btn-primary"):
            page.click("form.panel .btn-primary")
        page.wait_for_selector(".alert-success", timeout=30_000)
    assert "已发布" in page.inner_text(".facts")
    assert manager.check() == []
    bills = manager.open(f"/{estate}/admin/fees/bill/?state=draft")
    assert bills.is_visible(".empty")


def test_the_bar_of_a_large_run_moves_and_gives_way_to_what_was_reckoned(visit, estate, product):
    """The parts of a run as its job commits them, while somebody looks."""
    manager = visit("manager")
    days = {"from_on": date(2031, 1, 1), "to_on": date(2031, 2, 1), "due_on": date(2031, 2, 20)}

    def part(most):
        with community(product, place) as scope:
            run = scope.get(BillRun, id)
            runs._reckon_part(scope, run, most)
            return run.rooms_done

    def bar():
        return page.evaluate("(document.querySelector('#main progress') || {}).value")

    place = estate.rpartition("/")[2]
    with community(product, place) as scope:
        run = BillRun(name="2031年1月", state=RunState.RECKONING, problems=[], **days)
        scope.session.add(run)
        runs._begin(scope, run)
        id, rooms = run.id, run.rooms
    try:
        page = manager.open(f"/{estate}/fees/report/{id}")
        page.evaluate("window.marked = true")
        assert bar() == 0 and manager.check() == []
        half = part(rooms // 2)
        wait_for(lambda: page.wait_for_timeout(100) or bar() == half, 30)
        assert 0 < half < rooms and f"{half} / {rooms}" in page.inner_text("#main")
        manager.picture("bill-run-progress")
        part(rooms)
        page.wait_for_selector("#main:not(:has(progress))")
        assert page.locator("section:has-text('按费用项') tbody tr").count() > 0
        assert page.evaluate("window.marked") is True, "the page was loaded again"
    finally:
        with community(product, place) as scope:
            for statement in run_sql.DROP_DRAFT:
                scope.session.execute(statement, {"community": scope.community_id, "run": id})
            scope.session.delete(scope.get(BillRun, id))


def test_a_plugin_is_switched_off_and_on_without_a_restart(visit, estate):
    administrator = visit("admin")
    manager = visit("manager")
    page = administrator.open(f"/{estate}/plugins/participation/")
    assert administrator.check() == []
    administrator.picture("plugin")
    notices = f"/{estate}/admin/participation/notice/"
    assert manager.open(notices).is_visible("h1:has-text('通知')")
    page.click("main button:has-text('停用')")
    page.click("#confirm[open] button[value=yes]")
    page.wait_for_selector(".alert-success")
    gone = manager.page.goto(manager.url + notices)
    assert gone.status == 404
    page = administrator.open(f"/{estate}/plugins/participation/")
    page.click("button:has-text('在全部楼栋启用')")
    page.wait_for_selector(".alert-success")
    assert manager.open(notices).is_visible("h1:has-text('通知')")


def test_every_step_is_in_the_log_and_the_log_verifies(visit, estate, product):
    auditor = visit("audit")
    page = auditor.open(f"/{estate}/admin/audit?verb=fees.bill_run")
    auditor.picture("audit-log")
    assert "发布账单" in page.inner_text("main")
    page.click("text=校验日志")
    page.wait_for_selector(".alert-success")
    product.run("audit", "verify")
