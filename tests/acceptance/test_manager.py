"""A month's bills published, a plugin switched off and on again, by those who may."""

import pytest


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
