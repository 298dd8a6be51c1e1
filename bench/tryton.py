"""A bill run beside Tryton 8.2, which creates and posts invoices with the same lines.

Usage: bench/tryton.py [--rooms N] [--invoices N] [--rounds N] [--worker no]. Both on one server
with fsync on, turn by turn, each in a database of its own; needs `tools/peers.py bench`. Ours is
`create_run` and `publish_run` over N rooms with four fee items each, as in bill_run.py. Tryton's
side (bench/peers/tryton_invoices.py) is one process that creates a batch of invoices of four lines
and posts it, in two calls inside the server. ratio: ours / Tryton's lines per second.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from _measure import tell
from bill_run import ground, run_once, settle_down

from dougong.db.embedded import EmbeddedPostgres
from dougong.testing.throwaway import throwaway_installation

ROOT = Path(__file__).parents[1]
PEER = ROOT / ".peers/tryton/bin/python"
DATABASE = "tryton"


@contextmanager
def tryton(server: EmbeddedPostgres, worker: str) -> Iterator[Callable[[int], dict[str, float]]]:
    """Yield what bills a number of invoices and says what it took."""
    with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as link:
        link.execute(f"create database {DATABASE}")
    password, socket = server.passwords()["postgres"], quote(str(server.socket), safe="")
    uri = f"postgresql://postgres:{password}@{socket}"
    script = ROOT / "bench/peers/tryton_invoices.py"
    with subprocess.Popen(
        [str(PEER), str(script), uri, DATABASE, worker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        given, said = process.stdin, process.stdout
        assert said.readline() == "ready\n", "Tryton could not be set up; see above"

        def bill(count: int) -> dict[str, float]:
            given.write(f"{count}\n")
            given.flush()
            return json.loads(said.readline())

        yield bill
        given.close()


def compare(given: argparse.Namespace) -> bool:
    """Bill turn by turn; tell whether the ratio was reached."""
    ours, drafted, posted = [], [], []
    with (
        throwaway_installation(fast=False) as (installation, server),
        tryton(server, given.worker) as bill,
    ):
        community = ground(installation, given.rooms)
        bill(given.invoices)
        run_once(installation, community, 0)
        for number in range(1, given.rounds + 1):
            settle_down(server)
            spent, _, lines = run_once(installation, community, number)
            ours.append(lines / spent.clock_s)
            theirs = bill(given.invoices)
            drafted.append(theirs["lines"] / theirs["draft_s"])
            posted.append(theirs["lines"] / (theirs["draft_s"] + theirs["post_s"]))
    more = {"rooms": given.rooms, "invoices": given.invoices, "worker": given.worker}
    ratio = tell("published_lines_per_s", "lines/s", ours, posted, reach=">= 500", **more)
    tell("published_lines_per_s_to_drafts", "lines/s", ours, drafted, **more)
    return ratio is not None and ratio >= 500


def main() -> int:
    """Run the comparison, or say that the peer is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=5000)
    parser.add_argument("--invoices", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", choices=("yes", "no"), default="yes")
    if not PEER.exists():
        print("Tryton is missing: python tools/peers.py bench", file=sys.stderr)
        return 0
    return 0 if compare(parser.parse_args()) else 1


if __name__ == "__main__":
    sys.exit(main())
