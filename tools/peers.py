"""Set up the peers that tests talk to, and for `bench` those of benches, or say what is missing.

`mbpoll` and libmodbus come from the system (tools/system.sh). Python packages get
a virtual environment each below ``.peers``, for their names and versions clash with others.
What cannot be had is named and asked for again the next day: the tests that need it are skipped
with a reason, and fail in CI.
"""

import shutil
import subprocess
import sys
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".peers"
PACKAGES = {
    "dlt645": "dlt645==3.2.0",
    # Oracles of the payment channels: they sign, verify and decrypt beside ours.
    "wechatpayv3": "wechatpayv3==2.0.4",
    "alipay": "python-alipay-sdk==3.4.0",
}
BENCH_PACKAGES = {
    # What bench/list_page.py measures itself against.
    "flask_admin": "Flask-Admin[sqlalchemy]==2.2.1 Flask-SQLAlchemy==3.1.1"
    " psycopg[binary]==3.3.9 SQLAlchemy==2.1.9",
    # What bench/tryton.py measures itself against.
    "tryton": "trytond[postgresql]==8.2.1 trytond_account_invoice==8.2.0 proteus==8.2.0"
    " psycopg[binary,pool]==3.3.9",
}
PROGRAMS = ("mbpoll", "gcc")
PATIENCE_S = 180


def is_there(name: str, requirement: str) -> bool:
    """Tell whether a peer is there in this version."""
    stamp = PEERS / name / "requirement"
    return stamp.exists() and stamp.read_text() == requirement


def is_fresh(mark: Path) -> bool:
    """Tell whether a failure was noted within a day."""
    return mark.exists() and time.time() - mark.stat().st_mtime < 86_400


def set_up(name: str, requirement: str) -> str | None:
    """Install a peer into an environment of its own; return what went wrong, None when nothing."""
    home, mark = PEERS / name, PEERS / f"{name}.missing"
    if is_fresh(mark):
        return mark.read_text()
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=False)
    command = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python")]
    command += [
        "install",
        "-q",
        "--retries",
        "1",
        "--disable-pip-version-check",
        *requirement.split(),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        reason = (done.stderr or done.stdout).strip().splitlines() if done.returncode else []
    except subprocess.TimeoutExpired:
        reason = ["timed out"]
    if reason:
        shutil.rmtree(home, ignore_errors=True)
        mark.write_text(reason[-1])
        return reason[-1]
    mark.unlink(missing_ok=True)
    (home / "requirement").write_text(requirement)
    return None


def main(words: list[str]) -> int:
    """Set up the peers of the tests; those of the benches as well for the word ``bench``."""
    packages = PACKAGES | (BENCH_PACKAGES if "bench" in words else {})
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    PEERS.mkdir(exist_ok=True)
    wanted = {name: each for name, each in packages.items() if not is_there(name, each)}
    with ThreadPoolExecutor() as pool:  # what takes time is the network
        reasons = pool.map(set_up, wanted, wanted.values())
    for requirement, reason in zip(wanted.values(), reasons, strict=True):
        missing += [f"{requirement} ({reason})"] if reason else []
    for each in missing:
        print(f"protocol peer missing: {each}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
