"""Every kind of page that links lead to, looked at in four settings.

``make gate-pages`` follows the links of every login to every
kind of page (an address without what names a place or a record) and looks at each in Chinese and
English, on desktop and phone, light and dark. It prints a table of results; with
``DOUGONG_LOOKS=folder`` it leaves a picture of every look and sheets of them there. With
``DOUGONG_SLICE=1/3`` it looks at the first third of the kinds, and only follows the links of the
others.
"""

import json
import os
import re
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from io import BytesIO
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from zlib import crc32

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
ALL = os.environ.get("DOUGONG_ALL_PAGES") == "1"
PART, PARTS = map(int, os.environ.get("DOUGONG_SLICE", "1/1").split("/"))
FOLDER = os.environ.get("DOUGONG_LOOKS")
LOGINS = (
    "manager", "admin", "security", "audit", "desk", "cashier", "dispatcher", "technician", "owner",
)  # fmt: skip
IDENTITY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FILES = re.compile(r"export\.|/files/|download|\.(zip|pdf|png|xlsx|csv|svg|json)$|/print$|/dump")
NOT_PAGES = re.compile(r"sign-out|/api/|^mailto:|^tel:")
VOLATILE = re.compile(r"\d{4}-\d{2}(-\d{2})?|(?<=/)\d+(?=/|$)")
MOST_KINDS, MOST_STATEMENTS, MOST_REQUESTS, MOST_BYTES = 1200, 6, 8, 80 * 1024
# Reads the whole log, chain by chain, when somebody asks for it.
READS_ALL = {"/c/admin/audit/check", "/g/admin/audit/check"}
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SETTINGS = {
    "zh-CN": (("zh-desktop-light", DESKTOP, False), ("zh-phone-dark", PHONE, True)),
    "en-US": (("en-desktop-dark", DESKTOP, True), ("en-phone-light", PHONE, False)),
}
# Names, units and codes that stand on Chinese pages as they are.
NAMES = {
    "dougong", "excel", "csv", "xlsx", "pdf", "json", "api", "openapi", "url", "https", "http",
    "id", "uuid", "kwh", "kw", "ctrl", "en", "gb", "mb", "kb", "ms", "qr", "sms", "ic", "nfc",
    "totp", "mqtt", "tcp", "rtu", "modbus", "dl", "cj", "smtp", "sql", "postgresql", "cpu", "iso",
    "app", "pin", "vip", "hz", "ma", "va", "pt", "ct", "cron", "utc", "webhook", "usb", "pc",
    "appid", "appsecret", "mpa", "chrome", "linux", "localhost", "min", "max",
}  # fmt: skip
TEXTS = """(attributes) => {
  const aside = 'script,style,code,pre,kbd,samp,textarea,svg,[translate=no],[lang]:not(html)';
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (text && !parent.closest(aside)) texts.push(text);
  }
  for (const name of attributes)
    for (const one of document.querySelectorAll(`[${name}]`))
      if (!one.closest(aside)) texts.push(one.getAttribute(name));
  return texts;
}"""
ATTRIBUTES = ["placeholder", "aria-label", "title", "alt"]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PAIR = re.compile(r'\("([^"\n]+)",\s*"([^"\n]+)"\)')
# What stands in records, written by people or in the language of who did it, though the interface
# has the same words.
DATA = {
    "业主", "业主端", "二次催缴", "公共区域", "公共设施", "停车管理", "到期前提醒", "最后催缴",
    "环境卫生", "短信", "绿化养护", "自动派单", "逾期提醒", "钱包充值", "防雷装置", "验收合格",
    "用电功率超过限定值。", "该支付单已关闭，请重新发起支付。",
}  # fmt: skip
OWN_WORDS = (
    "nav.side a, nav.side h2, .list-table thead th, .filters label, .head-actions .btn, .empty p"
)
WITHOUT_CHOICES = """all => all.map(each => {
  const copy = each.cloneNode(true);
  for (const one of copy.querySelectorAll('select')) one.remove();
  return copy.textContent.trim();
})"""
CLIPPED = """() => {
  const found = [];
  for (const one of document.querySelectorAll('main *, header *, nav *')) {
    if (!one.checkVisibility() || one.clientWidth < 2 || one.closest('.place,.skip,svg')) continue;
    const style = getComputedStyle(one);
    const own = [...one.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const hidden = ['hidden', 'clip'].includes(style.overflowX);
    if (own && hidden && one.scrollWidth > one.clientWidth + 1)
      found.push('clipped: ' + one.textContent.trim().slice(0, 40));
    const isCell = one.matches('td, th, dd, dt');
    if (isCell && own && one.clientWidth < 60 && one.clientHeight > 110)
      found.push('squeezed: ' + one.textContent.trim().slice(0, 40));
    if (one.matches('button, .btn') && one.scrollWidth > one.clientWidth + 1)
      found.push('too narrow: ' + one.textContent.trim().slice(0, 40));
  }
  return found;
}"""


@dataclass
class Look:
    """What one kind of page was like. bytes and requests are those of a visitor without a cache."""

    kind: str
    address: str
    login: str
    statements: int = 0
    requests: int = 0
    bytes: int = 0
    is_file: bool = False
    faults: list[str] = field(default_factory=list)

    @property
    def is_ours(self) -> bool:
        """Tell whether the kind of page is of this slice."""
        return crc32(self.kind.encode()) % PARTS == PART - 1


def kind_of(address: str) -> str:
    """Return an address without what names a place or record: one kind of page has one."""
    path = urlsplit(address).path
    path = re.sub(rf"^/(c|g)/{IDENTITY.pattern}", r"/\1", path)
    path = re.sub(r"/wordings/[^/]+/[^/]+$", "/wordings/*/*", path)
    path = re.sub(r"/admin/\w+/\w+/(export|import)(\.\w+)?$", r"/admin/*/\1\2", path)
    return VOLATILE.sub("*", IDENTITY.sub("*", path))


def name_of(kind: str) -> str:
    """Return the name of a kind's picture."""
    return re.sub(r"[^a-z0-9]+", "_", kind.replace("*", "x").lower()).strip("_") or "start"


class Looker:
    """Opens pages for one visitor and says what is wrong with them."""

    def __init__(self, visitor, locale: str) -> None:
        self.visitor, self.locale = visitor, locale
        self.page = visitor.page
        self.addresses: dict[str, str] = {}
        self.received: dict[str, int] = {}
        self.said: list[str] = []
        self.page.on("console", self._hear)
        session = visitor.context.new_cdp_session(self.page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        session.on("Network.responseReceived", self._answered)
        session.on("Network.loadingFinished", self._receive)

    def _answered(self, event: dict) -> None:
        self.addresses[event["requestId"]] = event["response"]["url"]

    def _receive(self, event: dict) -> None:
        # Without a cache a browser asks for the same picture once per place where it stands.
        address = self.addresses.get(event["requestId"], "data:")
        if not address.startswith("data:"):
            self.received[address] = int(event["encodedDataLength"])

    def _hear(self, message) -> None:
        if message.type in ("error", "warning"):
            self.said.append(message.text[:200])

    def look(self, look: Look) -> bool:
        """Open the page and look at it in both settings of the language; False for a file."""
        self.received.clear()
        self.said.clear()
        self.page.set_viewport_size(DESKTOP)
        try:
            answer = self.page.goto(look.address)
        except Exception as error:  # the driver has one class for everything
            if "Download is starting" in str(error):
                return self.fetch(look)
            raise
        if "html" not in answer.headers.get("content-type", ""):
            return self.fetch(look)
        self.visitor.settle()
        self._weigh(look, answer)
        look.faults += self.words()
        for name, size, is_dark in SETTINGS[self.locale]:
            self.page.set_viewport_size(size)
            self.visitor.darken(is_dark)
            found = self.visitor.check() + self.page.evaluate(CLIPPED)
            wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [f"scrolls sideways by {wide}"] if wide > 0 else []
            look.faults += [f"{name}: {fault}" for fault in found]
            self.picture(name, look)
        look.faults += [f"console: {text}" for text in self.said]
        return True

    def fetch(self, look: Look) -> bool:
        """Load a file that a link leads to; keep a PDF beside the pictures."""
        answer = self.visitor.context.request.get(look.address)
        look.is_file, look.bytes = True, len(answer.body())
        look.faults += [f"status {answer.status}"] if answer.status >= 400 else []
        look.faults += ["the file is empty"] if not look.bytes else []
        if FOLDER and answer.body()[:5] == b"%PDF-":
            path = Path(FOLDER, "files", f"{name_of(look.kind)}.pdf")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(answer.body())
        return False

    def pass_by(self, look: Look) -> list[str]:
        """Return where a page leads to that another slice looks at."""
        answer = self.visitor.context.request.get(look.address)
        if "html" not in answer.headers.get("content-type", ""):
            return []
        found = re.findall(r"""<a\b[^>]*?\bhref="([^"]+)\"""", answer.text())
        return [urljoin(answer.url, unescape(each)) for each in found]

    def _weigh(self, look: Look, answer) -> None:
        told = re.search(r'sql;desc="(\d+)"', answer.headers.get("server-timing", ""))
        look.statements = int(told[1]) if told else 0
        look.requests, look.bytes = len(self.received), sum(self.received.values())
        limits = {
            f"status {answer.status}": answer.status >= 400,
            f"{look.statements} statements": look.statements > MOST_STATEMENTS
            and look.kind not in READS_ALL,
            f"{look.requests} requests": look.requests > MOST_REQUESTS,
            f"{look.bytes} bytes": look.bytes > MOST_BYTES,
        }
        look.faults += [said for said, is_over in limits.items() if is_over]

    def words(self) -> list[str]:
        """Return the words that are in the wrong language."""
        if self.locale == "zh-CN":
            texts = self.page.evaluate(TEXTS, ATTRIBUTES)
            return sorted({f"English: {text[:80]}" for text in texts if is_english(text)})
        texts = self.page.eval_on_selector_all(OWN_WORDS, WITHOUT_CHOICES)
        texts = [text for text in texts if CHINESE.search(text)]
        texts += [t for t in self.page.evaluate(TEXTS, ATTRIBUTES) if t in interface_words()]
        return sorted({f"Chinese: {text[:80]}" for text in texts})

    def picture(self, setting: str, look: Look) -> None:
        """Keep a picture of the look, when pictures are wanted."""
        if FOLDER:
            folder = Path(FOLDER, setting)
            folder.mkdir(parents=True, exist_ok=True)
            height = 1400 if "desktop" in setting else 1800
            size = self.page.viewport_size
            full = self.page.evaluate("document.documentElement.scrollHeight")
            clip = {"x": 0, "y": 0, "width": size["width"], "height": min(height, max(full, 400))}
            path = folder / f"{name_of(look.kind)}.jpg"
            self.page.screenshot(path=path, full_page=True, clip=clip, type="jpeg", quality=70)

    def links(self) -> list[str]:
        """Return where the open page leads to."""
        found = "all => all.map(a => new URL(a.href.baseVal ?? a.href, document.baseURI).href)"
        return self.page.eval_on_selector_all("a[href]", found)


@cache
def interface_words() -> set[str]:
    """Return the Chinese texts of catalogues and labels: on an English page none of them stands."""
    files = (path.read_bytes() for path in sorted(ROOT.rglob("zh_Hans_CN/LC_MESSAGES/*.po")))
    found = {str(m.string) for file in files for m in read_po(BytesIO(file))}
    sources = [*(ROOT / "core").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    for path in sources:
        if "tests" not in path.parts and not path.name.startswith("demo"):
            found |= {chinese for _, chinese in PAIR.findall(path.read_text())}
    return {text for text in found if CHINESE.search(text) and "%(" not in text} - DATA


def is_english(text: str) -> bool:
    """Tell whether a text has a word of English that is no name, unit or code."""
    plain = re.sub(r"`[^`]*`|\S*[@/_.:\d-]\S*", " ", text)
    words = [w for w in re.findall(r"[A-Za-z]{3,}", plain) if w.lower() not in NAMES]
    return any(not word.isupper() for word in words)


def follow(looker: Looker, login: str, seen: dict[str, Look]) -> None:
    """Look at every kind of page that the login's links lead to and nobody has seen."""
    looker.page.goto(looker.visitor.url)
    # The menu differs by login where the first page is of a kind that others have seen.
    origin, start = urlsplit(looker.page.url).netloc, looker.page.url
    waiting = [start, *same_origin(looker.links(), origin)]
    while waiting and len(seen) < MOST_KINDS:
        address = waiting.pop(0)
        kind = kind_of(address)
        if kind in seen or NOT_PAGES.search(address):
            continue
        look = seen[kind] = Look(kind, address, login)
        if not look.is_ours:
            waiting += same_origin(looker.pass_by(look), origin)
        elif FILES.search(kind):
            looker.fetch(look)
        elif looker.look(look):
            waiting += same_origin(looker.links(), origin)
        tell(look)


def tell(look: Look) -> None:
    """Print what is wrong as soon as it is known: a whole run takes long."""
    if look.faults:
        print(f"✖ {look.kind} ({look.login}): {'; '.join(look.faults)}", flush=True)


def same_origin(links: list[str], origin: str) -> list[str]:
    return [link for link in links if urlsplit(link).netloc == origin]


def report(looks: dict[str, Look], name: str) -> str:
    """Return a table of the looks; leave it with the pictures too."""
    lines = [f"{'sql':>3} {'req':>3} {'KB':>5}  kind of page (seen by)"]
    for look in sorted(looks.values(), key=lambda look: look.kind):
        figures = f"{look.statements:>3} {look.requests:>3} {look.bytes / 1024:>5.1f}"
        lines.append(f"{figures}  {look.kind} ({look.login})")
        lines += [f"{'':>16}✖ {fault}" for fault in look.faults]
    if FOLDER:
        name += f"-{PART}" if PARTS > 1 else ""
        Path(FOLDER).mkdir(parents=True, exist_ok=True)
        Path(FOLDER, f"{name}.txt").write_text("\n".join(lines))
        rows = [look.__dict__ for look in looks.values()]
        Path(FOLDER, f"{name}.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1))
    return "\n".join(lines)


@pytest.mark.skipif(not ALL, reason="make gate-pages follows every link")
@pytest.mark.timeout(7200)
def test_no_page_that_links_lead_to_has_a_fault(visit):
    found: dict[str, Look] = {}
    for login in LOGINS:
        follow(Looker(visit(login), "zh-CN"), login, found)
    found = {kind: look for kind, look in found.items() if look.is_ours}
    print(report(found, "zh"))
    pages = [look for look in found.values() if not look.is_file]
    english = {look.kind: Look(look.kind, look.address, look.login) for look in pages}
    for login in LOGINS:
        looker = Looker(visit(login, locale="en-US"), "en-US")
        for look in english.values():
            if look.login == login:
                looker.look(look)
                tell(look)
    print(report(english, "en"))
    faults = [look for look in (*found.values(), *english.values()) if look.faults]
    print(f"{len(found)} kinds of pages, {len(faults)} looks with faults")
    assert len(found) > 300 / PARTS
    assert not faults
