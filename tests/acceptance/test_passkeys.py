"""A passkey in a real browser, with Chromium's virtual authenticator."""

import re

import pytest

PASSWORD = "correct horse battery staple"


@pytest.fixture
def device(browser, product, signed_in):
    """Return a page of the security administrator in whose computer passkeys can lie."""
    from urllib.parse import urlsplit

    port = urlsplit(product.url).port
    url = f"http://localhost:{port}"
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.set_default_timeout(15_000)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    authenticator = devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )["authenticatorId"]
    page.url_base, page.devtools, page.authenticator = url, devtools, authenticator
    yield page
    context.close()
    assert not faults


def enter(page, product, login):
    page.goto(product.link_for(login).replace(product.url, page.url_base))
    page.click("main button")
    page.wait_for_url(re.compile("/admin/|/account|/home"))


def test_a_passkey_is_made_and_signs_in_without_a_password(device, product):
    page = device
    enter(page, product, "security")
    page.goto(f"{page.url_base}/account")
    assert page.is_visible("text=您的角色权限较大")
    page.fill("#passkey-name", "办公室电脑")
    page.click("button:has-text('添加通行密钥')")
    page.wait_for_selector("li:has-text('办公室电脑')")
    assert not page.is_visible("text=您的角色权限较大")
    page.click("button:has-text('在所有地方退出'), form[action='/sign-out'] button >> nth=-1")
    page.wait_for_url(re.compile("/sign-in"))
    page.click("button:has-text('用通行密钥登录')")
    page.wait_for_url(re.compile("/admin/"))
    page.goto(f"{page.url_base}/account")
    assert "最近使用" in page.inner_text("li:has-text('办公室电脑')")
    # A link alone no longer does; the passkey is asked for, and lets him go on.
    page.click("form[action='/sign-out'] button >> nth=-1")
    page.goto(product.link_for("security").replace(product.url, page.url_base))
    page.click("main button")
    page.wait_for_url(re.compile("/account/proof"))
    page.click("button:has-text('使用通行密钥')")
    page.wait_for_url(re.compile("/admin/"))


def test_a_passkey_that_does_not_know_its_owner_is_refused(device):
    page = device
    page.devtools.send(
        "WebAuthn.setUserVerified",
        {"authenticatorId": page.authenticator, "isUserVerified": False},
    )
    page.goto(f"{page.url_base}/sign-in")
    page.click("button:has-text('用通行密钥登录')")
    page.wait_for_selector("[data-passkey-error]:not([hidden])")
    assert "/sign-in" in page.url
