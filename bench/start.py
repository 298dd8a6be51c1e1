"""How long `dougong up` takes until its link answers: from nothing, and again; `dougong --help`.

Usage: python bench/start.py [--rounds 3] [--help-only]. Prints one JSON line per figure, held
against what no product of this kind can do without, in the same run: making and starting
PostgreSQL, and one Python that imports Flask and SQLAlchemy. Packages are installed already. The
list of commands is held against a Python that imports click, in seconds of CPU.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from dougong.db.embedded import EmbeddedPostgres

PORT = 18990
LIMITS_S = {"start_cold": 90.0, "start_warm": 10.0, "command_list": 0.4}
HELP_ROUNDS = 15
LONGEST_S = 600
IMPORTS = "import flask, sqlalchemy, psycopg, babel, pydantic"


def seconds_until_ready(home: Path) -> float:
    """Return how long `dougong up` took until a page answered; everything is stopped after that."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DOUGONG_")}
    environment |= {"DOUGONG_HOME": str(home), "DOUGONG_PORT": str(PORT)}
    command = [sys.executable, "-m", "dougong.cli", "up"]
    out = home.with_suffix(".txt")
    began = time.monotonic()
    with out.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        while time.monotonic() - began < LONGEST_S and process.poll() is None:
            link = re.search(r"^ +(http://\S+)$", out.read_text(), re.M)
            if link and httpx.get(link[1], timeout=30).status_code < 400:
                return time.monotonic() - began
            time.sleep(0.02)
        raise SystemExit(out.read_text())
    finally:
        process.terminate()
        process.wait(90)


def bare_seconds(folder: Path) -> tuple[float, float]:
    """Return how long the unavoidable takes: from nothing, and with a cluster that is there."""
    server = EmbeddedPostgres(folder, folder / "keys")
    began = time.monotonic()
    server.start()
    made_s = time.monotonic() - began
    server.stop()
    began = time.monotonic()
    server.start()
    started_s = time.monotonic() - began
    server.destroy()
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    import_s = time.monotonic() - began
    return made_s + import_s, started_s + import_s


def cpu_seconds(*arguments: str) -> float:
    """Return the CPU that a Python with these arguments takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def command_list() -> dict[str, Any]:
    """Return the figure of `dougong --help`."""
    sides = [
        (cpu_seconds("-m", "dougong.cli", "--help"), cpu_seconds("-c", "import click"))
        for _ in range(HELP_ROUNDS)
    ]
    ours, bare = (list(column) for column in zip(*sides, strict=True))
    return figure("command_list", ours, bare, "a Python that imports click")


def figure(
    name: str, values: list[float], bare: list[float], peer: str = "PostgreSQL and imports alone"
) -> dict[str, Any]:
    """Return one figure of the bench."""
    value, against = statistics.median(values), statistics.median(bare)
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "s",
        "against": f"{peer}, {against:.2f} s",
        "ratio": round(value / against, 1),
        "spread": [round(min(values), 2), round(max(values), 2)],
        "limit": LIMITS_S[name],
        "load": round(os.getloadavg()[0], 1),
    }


def one_round() -> tuple[float, float, float, float]:
    """Return seconds: cold, warm, and the bare ones of each."""
    home = Path(tempfile.mkdtemp(prefix="dougong-start-", dir="/tmp"))
    home.chmod(0o755)
    try:
        bare = bare_seconds(home / "bare")
        cold = seconds_until_ready(home / "home")
        warm = seconds_until_ready(home / "home")
        EmbeddedPostgres(home / "home", home / "home/keys").destroy()
        return cold, warm, *bare
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> int:
    """Measure and print; 1 when a median is over its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--help-only", action="store_true", help="only the list of commands")
    given = parser.parse_args()
    figures = [command_list()]
    if not given.help_only:
        rounds = [one_round() for _ in range(given.rounds)]
        cold, warm, bare_cold, bare_warm = (list(column) for column in zip(*rounds, strict=True))
        figures += [figure("start_cold", cold, bare_cold), figure("start_warm", warm, bare_warm)]
    for each in figures:
        print(json.dumps(each), flush=True)
    return int(any(each["value"] > each["limit"] for each in figures))


if __name__ == "__main__":
    sys.exit(main())
