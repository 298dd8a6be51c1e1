"""An owner at home: what is due, why, paid in two taps, with a receipt."""

import re

import pytest


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_the_portal_has_no_accessibility_fault(visit, locale):
    """Light and dark, in small and large type."""
    owner = visit("owner", phone=True, locale=locale)
    page = owner.open("/")
    pages = [page.url]
    pages += page.eval_on_selector_all("main a[href]", "all => all.map(a => a.href)")
    bill = owner.open(next(p for p in pages if p.endswith("/fees/my/")))
    pages += bill.eval_on_selector_all(".list a[href]", "all => all.slice(0, 2).map(a => a.href)")
    faults: dict[str, list[str]] = {}
    for address in dict.fromkeys(pages):
        page = owner.open(address)
        found = owner.check()
        owner.darken(True)
        found += [f"dark: {fault}" for fault in owner.check()]
        page.click("button[data-large]")
        found += [f"dark, large type: {fault}" for fault in owner.check()]
        owner.darken(False)
        found += [f"large type: {fault}" for fault in owner.check()]
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > page.viewport_size["width"]:
            found.append(f"scrolls sideways: {width}")
        page.click("button[data-large]")
        for fault in found:
            faults.setdefault(fault, []).append(address)
    assert not faults, "\n".join(f"{fault}: {where}" for fault, where in faults.items())


def test_the_home_page_is_small(visit):
    owner = visit("owner", phone=True)
    sizes: list[int] = []
    owner.page.on(
        "response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0)))
    )
    owner.open("/")
    assert sum(sizes) <= 15 * 1024, sizes


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
    page.wait_for_load_state("networkidle")
    if page.is_visible("button[name=pay]"):
        page.click("button[name=pay]")
    else:
        page.click("main form[action$='/order'] button")
        page.wait_for_load_state("networkidle")
        page.click("details summary, summary") if page.is_visible("summary") else None
        page.fill("input[name=amount]", "5000")
        page.click("form[action$='/top-up'] button")
        page.wait_for_load_state("networkidle")
        page.click("form[action$='/pay'] button")
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
