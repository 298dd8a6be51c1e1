"""The front desk: from the room to the printed receipt without touching the mouse."""

import io
import time

import pytest


@pytest.fixture(scope="module")
def counter(product, browser, signed_in) -> str:
    """Return the address of the cashier's desk."""
    context = browser.new_context(storage_state=signed_in("cashier"), locale="zh-CN")
    page = context.new_page()
    page.goto(product.url)
    found = "/".join(page.url.split("/")[3:5])
    context.close()
    return f"/{found}"


def test_a_payment_is_taken_with_the_keyboard_alone_in_20_seconds(visit, counter, product):
    cashier = visit("cashier")
    page = cashier.open(f"{counter}/desk/shift")
    page.keyboard.press("Enter")
    page.wait_for_selector("#q")
    assert cashier.check() == []
    cashier.picture("desk-counter")
    page = cashier.open(f"{counter}/fees/arrears")
    room = page.inner_text("tbody tr:nth-child(8) td a")
    page = cashier.open(f"{counter}/desk/")
    started = time.monotonic()
    page.keyboard.type(room)
    page.keyboard.press("Enter")
    page.wait_for_selector("#amount1:focus")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=status] a:focus")
    slip = page.get_attribute("[role=status] a:focus", "href")
    seconds = time.monotonic() - started
    assert cashier.check() == []
    cashier.picture("desk-taken")
    # Enter on the focused link opens the slip; a browser without a window only downloads it.
    printed = page.request.get(product.url + slip)
    assert_slip(printed.body(), room)
    print(f"from the room to the receipt: {seconds:.1f} s")
    assert seconds < 20
    assert room not in cashier.open(f"{counter}/fees/arrears").inner_text("tbody")


def assert_slip(slip: bytes, room: str) -> None:
    from pypdf import PdfReader

    [page] = PdfReader(io.BytesIO(slip)).pages
    text = page.extract_text()
    assert room in text and "收款小票" in text.replace(" ", "")
    assert abs(float(page.mediabox.width) - 80 / 25.4 * 72) < 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_room_page_and_the_count_are_accessible_on_a_phone(visit, counter, dark):
    cashier = visit("cashier", phone=True, dark=dark)
    page = cashier.open(f"{counter}/desk/?q=1-1-101")
    assert "/desk/room" in page.url
    assert cashier.check() == []
    cashier.picture(f"desk-room-{'dark' if dark else 'light'}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cashier.open(f"{counter}/desk/shift")
    assert cashier.check() == []
