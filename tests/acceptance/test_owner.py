"""An owner at home: what is due, why, paid in two taps, with a receipt."""

import re

import httpx
import pytest
from tests.acceptance.conftest import COLOURS


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_the_portal_has_no_accessibility_fault(visit, locale):
    """Light and dark, in small and large type; cold, no page carries more than 15 KB."""
    owner = visit("owner", phone=True, locale=locale)
    page = owner.open("/")
    pages = [page.url]
    pages += page.eval_on_selector_all("main a[href]", "all => all.map(a => a.href)")
    bill = owner.open(next(p for p in pages if p.endswith("/fees/my/")))
    pages += bill.eval_on_selector_all(".list a[href]", "all => all.slice(0, 2).map(a => a.href)")
    faults: dict[str, list[str]] = {}
    carried = carried_bytes(owner)
    for address in dict.fromkeys(pages):
        carried.clear()
        page = owner.open(address)
        size = sum(carried)
        # The page to report on brings an outbox and its worker: it works without network.
        most = 20 if address.endswith("/repairs/my/new") else 15
        found = [f"{size} bytes cold"] if size > most * 1024 else []
        found += owner.check()
        page.click("button[data-large]")
        if locale == "zh-CN":
            found += [f"large type: {fault}" for fault in owner.check()]
            owner.darken(True)
            found += [f"dark, large type: {fault}" for fault in owner.check(rules=COLOURS)]
            page.click("button[data-large]")
            found += [f"dark: {fault}" for fault in owner.check(rules=COLOURS)]
            owner.darken(False)
            page.click("button[data-large]")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > page.viewport_size["width"]:
            found.append(f"scrolls sideways: {width}")
        page.click("button[data-large]")
        for fault in found:
            faults.setdefault(fault, []).append(address)
    assert not faults, "\n".join(f"{fault}: {where}" for fault, where in faults.items())


def carried_bytes(visitor) -> list[int]:
    """Return a list that grows by what each answer takes on the wire, nothing from a cache."""
    line, sizes = visitor.context.new_cdp_session(visitor.page), []
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    line.on("Network.loadingFinished", lambda told: sizes.append(int(told["encodedDataLength"])))
    return sizes


def test_a_child_pays_for_its_parents_in_two_taps_inside_wechat(visit, product):
    """In an app's browser: no service worker, the app's own window takes the money."""
    child = visit("child", phone=True, user_agent=WECHAT, service_workers="block")
    page = child.page
    page.expose_function("payInApp", lambda asked: pay_in_app(product, asked))
    page.add_init_script(BRIDGE)
    child.open("/")
    due = page.inner_text(".card .amount")
    assert re.match(r"¥[\d,]+\.\d\d", due) and due != "¥0.00"
    page.click(".card .button-primary")
    assert page.locator("button[value=alipay]").count() == 0
    page.click("button[value=wechat_pay]")
    page.wait_for_selector("a[href$='/receipt']")
    assert page.inner_text(".amount") == due
    child.picture("child-paid")
    assert not child.check()
    assert child.open("/").inner_text(".card .amount") == "¥0.00"


WECHAT = (
    "Mozilla/5.0 (Linux; Android 9) AppleWebKit/537.36 Version/4.0 Chrome/66.0.3359.126"
    " Mobile Safari/537.36 MicroMessenger/8.0.1"
)
# What WeChat puts into its pages, as far as a payment needs it.
BRIDGE = """
window.WeixinJSBridge = {invoke: (name, asked, answer) => {
  window.payInApp(asked).then(said => answer({err_msg: said}));
}};
"""


def pay_in_app(product, asked: dict[str, str]) -> str:
    port = int(product.url.rpartition(":")[2]) + 1000
    address = f"http://127.0.0.1:{port}/wechat_pay/bridge"
    return httpx.post(address, json=asked, trust_env=False).json()["err_msg"]


def test_a_bill_is_explained_paid_in_two_taps_and_receipted(visit, product):
    owner = visit("owner", phone=True)
    page = owner.open("/")
    owner.picture("owner-home")
    due = page.inner_text(".card .amount")
    assert re.match(r"¥[\d,]+\.\d\d", due) and due != "¥0.00"
    bills = page.url.replace("/home", "/fees/my/")
    explained = owner.open(bills)
    explained.click(".list a >> nth=0")
    explained.wait_for_load_state("networkidle")
    explained.click("details summary >> nth=0")
    assert "㎡" in explained.inner_text("main") or "m²" in explained.inner_text("main")
    owner.picture("owner-bill")
    page = owner.open("/")
    page.click(".card .button-primary")
    page.wait_for_url("**/fees/my/")
    if not page.locator("button[name=pay]").count():
        # Another scenario has published a month, and the wallet does not reach for both.
        page.click("main details summary")
        page.fill("input[name=amount]", "5000")
        page.click("form[action$='/top-up'] button")
    page.click("button[name=pay]")
    page.wait_for_selector("[role=status]")
    owner.picture("owner-paid")
    with page.expect_download() as waiting:
        page.click("a.button-primary[href*='/receipt/']")
    receipt = waiting.value.path().read_bytes()
    assert receipt.startswith(b"%PDF")
    assert_receipt(receipt, due)
    home = owner.open("/")
    assert home.inner_text(".card .amount") == "¥0.00"


def assert_receipt(receipt: bytes, due: str) -> None:
    import io

    from pypdf import PdfReader

    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(receipt)).pages)
    assert "收据" in text.replace(" ", "")
    assert due.removeprefix("¥") in text


def test_the_journal_balances_and_the_log_holds(product):
    said = product.run("audit", "verify")
    assert "0" in said or "ok" in said.lower() or "未发现" in said, said
