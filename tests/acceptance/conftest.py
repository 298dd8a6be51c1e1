"""The product as a user starts it, and a real browser.

One `dougong up` in a folder of its own serves all scenarios of a run and ends with them;
screenshots land in ``docs/handbook/pictures`` when ``DOUGONG_PICTURES=1``.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
AXE = next(HERE.glob("vendor/axe-core@*/axe.min.js"))
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
# A browser without a window needs no address bar: its list of suggestions was a renderer of its own
# for every context, an eighth of the processor. The last switch of this name counts, so what
# Playwright switches off for steady pages stands here as well.
OFF = (
    "WebUIOmniboxPopup", "WebUIOmniboxFullPopup", "WebUIOmniboxAimPopup", "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding",
    "ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints",
    "NetworkTimeServiceQuerying", "PreconnectToSearch",
)  # fmt: skip
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    f"--disable-features={','.join(OFF)}",
]
READY_S = 300
QUIET_LOOKS = 4
# The only rules of axe that look at colours: dark pages are laid out like light ones.
COLOURS = ("color-contrast", "link-in-text-block")
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
LINK = re.compile(r"(http://\S+)/sign-in/link/(\S+)")


def pytest_collection_modifyitems(items):
    if BROWSER is None:
        for item in [each for each in items if HERE in each.path.parents]:
            item.add_marker(pytest.mark.skip(reason="chromium is not installed"))


@dataclass
class Product:
    """A running installation: its address, and links that sign people in."""

    url: str
    link: str
    environment: dict[str, str]
    process: subprocess.Popen

    def run(self, *arguments: str) -> str:
        """Return what ``dougong …`` prints in this installation."""
        done = subprocess.run(
            [sys.executable, "-m", "dougong.cli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def link_for(self, login: str) -> str:
        """Return a link that signs a demonstration user in once."""
        found = re.search(r"/sign-in/link/(\S+)", self.run("user", "link", login))
        return f"{self.url}/sign-in/link/{found.group(1)}"


@pytest.fixture(scope="package")
def product() -> Iterator[Product]:
    home = Path(tempfile.mkdtemp(prefix="dougong-acceptance-", dir="/tmp"))
    home.chmod(0o755)
    environment = {
        **os.environ,
        "DOUGONG_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "DOUGONG_PORT": os.environ.get("DOUGONG_PORT", "8731"),
        **_fonts(home),
    }
    log = home / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dougong.cli", "up"],
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        url, token = _wait(process, log)
        yield Product(url, f"{url}/sign-in/link/{token}", environment, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        subprocess.run(
            [sys.executable, "-m", "dougong.cli", "reset", "--yes"],
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        shutil.rmtree(home, ignore_errors=True)


def _fonts(home: Path) -> dict[str, str]:
    """Return what makes the browser find the product's own Chinese fonts."""
    from dougong.documents.fonts import font_files

    folder = next(iter(font_files().values())).parent
    configuration = home / "fonts.conf"
    configuration.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"<dir>{folder}</dir><dir>/usr/share/fonts</dir>"
        f"<cachedir>{home}/fontcache</cachedir></fontconfig>"
    )
    os.environ["FONTCONFIG_FILE"] = str(configuration)
    return {}


def _wait(process: subprocess.Popen, log: Path) -> tuple[str, str]:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        found = LINK.search(log.read_text(errors="replace"))
        if found:
            return found.group(1), found.group(2)
        assert process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.2)
    raise AssertionError(f"not ready in {READY_S} s: {log.read_text(errors='replace')}")


@pytest.fixture(scope="package")
def browser(product):
    # Not longer than the package: while it is open, no other test of this process can run a loop.
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield opened
        opened.close()


def keep_picture(page, name: str) -> None:
    """Keep a picture of an open page for the handbook, when pictures are wanted."""
    if os.environ.get("DOUGONG_PICTURES"):
        folder = ROOT / "docs/handbook/pictures"
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png")


class Visitor:
    """Someone at a browser: opens pages, and fails the test when a page misbehaves."""

    def __init__(self, context, url: str) -> None:
        self.context = context
        self.url = url
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.faults: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.asked: set = set()
        self.page.on("request", lambda request: self.asked.add(request))
        self.page.on("requestfinished", lambda request: self.asked.discard(request))
        self.page.on("requestfailed", lambda request: self.asked.discard(request))

    def _console(self, message) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def open(self, address: str):
        """Open an address of the product; fail on anything but success."""
        answer = self.page.goto(address if address.startswith("http") else self.url + address)
        assert answer.status < 400, f"{address}: {answer.status}"
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until nothing has been on its way for a tenth of a second, live streams apart.

        The browser's own ``networkidle`` is the same with half a second, hundreds of times a run.
        """
        self.page.wait_for_load_state("load")
        until, quiet = time.monotonic() + 30, 0
        while quiet < QUIET_LOOKS:
            assert time.monotonic() < until, [request.url for request in self.asked]
            self.page.wait_for_timeout(25)
            is_quiet = all(request.resource_type == "eventsource" for request in self.asked)
            quiet = quiet + 1 if is_quiet else 0

    def darken(self, dark: bool) -> None:
        """Show the open page dark or light, as it would have been loaded."""
        scheme = "dark" if dark else "light"
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        self.page.evaluate(
            "theme => document.documentElement.dataset.bsTheme"
            " && (document.documentElement.dataset.bsTheme = theme)",
            scheme,
        )
        self.page.wait_for_timeout(50)

    def sign_in(self, link: str) -> None:
        """Use a link that signs in once."""
        self.page.goto(link)
        self.page.click("main button")
        self.settle()

    def check(self, *, rules: tuple[str, ...] = ()) -> list[str]:
        """Return what axe finds on the open page (WCAG 2.2 AA and best practice).

        rules: only these, `COLOURS` for a page that has been checked in its other colours.
        """
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        found = self.page.evaluate("options => axe.run(document, options)", options)
        return [
            f"{v['id']}: {v['nodes'][0]['html'][:160]} ({len(v['nodes'])}×)"
            for v in found["violations"]
        ]

    def picture(self, name: str) -> None:
        """Keep a picture for the handbook, when pictures are wanted."""
        keep_picture(self.page, name)


@pytest.fixture(scope="session")
def cookies_of() -> dict[str, dict]:
    """Return the cookies of users who have signed in during this run."""
    return {}


@pytest.fixture(scope="module")
def signed_in(product, browser, cookies_of):
    """Return the cookies of a demonstration user, signed in once per run."""
    known = cookies_of

    def state(login: str) -> dict:
        if login not in known:
            context = browser.new_context(locale="zh-CN")
            visitor = Visitor(context, product.url)
            visitor.sign_in(product.link if login == "admin" else product.link_for(login))
            known[login] = context.storage_state()
            context.close()
        return known[login]

    return state


@pytest.fixture
def visit(product, browser, signed_in):
    """Return a function that opens a browser for a user; faults fail the test at its end."""
    opened: list[Visitor] = []

    def start(login: str, *, phone=False, dark=False, locale="zh-CN", **more) -> Visitor:
        size = SIZES["phone" if phone else "desktop"]
        context = browser.new_context(
            locale=locale,
            viewport=size,
            color_scheme="dark" if dark else "light",
            storage_state=signed_in(login),
            **more,
        )
        language = "en" if locale.startswith("en") else "zh"
        cookies = {"dougong_locale": language, "dougong_theme": "dark" if dark else "light"}
        context.add_cookies(
            [{"name": k, "value": v, "url": product.url} for k, v in cookies.items()]
        )
        visitor = Visitor(context, product.url)
        opened.append(visitor)
        return visitor

    yield start
    faults = [fault for visitor in opened for fault in visitor.faults]
    for visitor in opened:
        visitor.context.close()
    assert not faults, faults
