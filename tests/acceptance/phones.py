"""A phone that loses its network and its battery, and a look past the browser into the rows."""

import shutil
from contextlib import contextmanager
from uuid import UUID

from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# A picture of four thousand by three thousand dots, as a phone takes it.
TAKE = """async () => {
  const canvas = document.createElement("canvas");
  canvas.width = 4000; canvas.height = 3000;
  const pen = canvas.getContext("2d");
  for (let n = 0; n < 4000; n++) {
    pen.fillStyle = `hsl(${(n * 37) % 360}, 60%, ${30 + n % 50}%)`;
    pen.fillRect((n * 7919) % 4000, (n * 104729) % 3000, 80, 80);
  }
  return canvas.toDataURL("image/jpeg", 0.92).split(",")[1];
}"""

# A phone that reads NFC tags, in the place of one: `touch(number, address)` holds a tag to it;
# `refuses` is how it answers whoever asks.
TAGS = """refuses => {
  const readers = [];
  window.NDEFReader = class {
    async scan(options) {
      if (refuses) throw new DOMException("", refuses);
      readers.push(this);
      options.signal.addEventListener("abort", () => readers.splice(readers.indexOf(this), 1));
    }
  };
  window.touch = (number, address) => {
    const data = new DataView(new TextEncoder().encode(address || "").buffer);
    const records = address ? [{ recordType: "url", data: data }] : [];
    for (const reader of [...readers])
      reader.onreading({ serialNumber: number, message: { records } });
    return readers.length;
  };
}"""


@contextmanager
def opened(product):
    """Open the installation of the product that runs, beside it."""
    installation = Installation.open(Settings.from_environment(product.environment))
    try:
        yield installation
    finally:
        installation.close()


@contextmanager
def community(product, place):
    """Open the demonstration's community as the system, beside the product that runs."""
    with (
        opened(product) as installation,
        installation.scope(Actor.system("test"), community=UUID(place)) as scope,
    ):
        yield scope


class Phone:
    """A browser with a store of its own on the disk, which can be killed."""

    def __init__(self, product, browser, state, folder, arguments):
        self.product, self.browser, self.state = product, browser, state
        self.folder, self.arguments = folder, arguments
        self.context = None

    def start(self, address, *, is_offline=False):
        options = {**self.arguments, "executable_path": CHROMIUM, "args": ["--no-sandbox"]}
        launch = self.browser.browser_type.launch_persistent_context
        self.context = launch(str(self.folder), offline=is_offline, **options)
        self.context.add_cookies(self.state["cookies"])
        page = self.context.pages[0]
        page.goto(self.product.url + address)
        return page

    def killed_and_started(self, address):
        """Kill the browser's process, and open the page again, still without network."""
        page = self.context.pages[0]
        session = self.context.new_cdp_session(page)
        gone = []
        self.context.on("close", lambda: gone.append(True))
        try:
            session.send("Browser.crash")
        except Exception as error:  # noqa: BLE001 - nobody is left to answer
            gone.append(str(error))
        return self.start(address, is_offline=True)
