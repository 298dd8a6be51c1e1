"""A list page of bills against a bare Flask-Admin view of the same table on the same server.

Usage: python bench/list_page.py [--rows N …] [--rounds N]. Prints one JSON line per figure: name,
value, unit, against (Flask-Admin's), ratio (ours / against), limit where there is a goal, spread
(of the ratio: smallest and largest round); exits 1 when a ratio is over its limit.

Both are asked in turn through the WSGI test client, each in a warm process. A request costs the
CPU of its web process and of the server's processes, parallel workers included. Ours has tenancy,
row-level security, roles, masks and translation; the peer's connection passes row-level security.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from dougong.db.embedded import EmbeddedPostgres
from dougong.testing.factories import Place, make_place
from dougong.testing.people import make_login, sign_in
from dougong.testing.throwaway import throwaway_installation
from dougong.web.app import create_app

ROOT = Path(__file__).parents[1]
PEER = ROOT / ".peers/flask_admin/bin/python"
ROOMS = 20_000
# Ratios of CPU that the guide asks for, by rows and page; None: told, not judged.
LIMITS = {
    (100_000, "page 1"): 0.5,
    (100_000, "filter"): 0.5,
    (100_000, "deep page"): 0.5,
    (100_000, "search"): 0.5,
    (1_000_000, "page 1"): 0.4,
    (1_000_000, "filter"): 0.4,
    (1_000_000, "deep page"): 0.12,
    (1_000_000, "search"): 0.03,
}
# Surname and two characters, so that some fifty people share the first two.
GROUND = (
    """
    insert into dougong.room (community_id, id, building_id, code, sort_key, room_kind, state)
    select %(c)s, uuidv7(), %(b)s,
           format('%%s-%%s-%%s', 1 + n / 400, 1 + mod(n / 100, 4), 101 + 100 * mod(n / 4, 25)
           + mod(n, 4)), to_char(n, 'FM00000000'), 'flat', 'occupied'
    from generate_series(0, %(rooms)s - 1) n
    """,
    """
    insert into dougong.person (community_id, id, kind, name, sort_key)
    select %(c)s, uuidv7(), 'person',
           substr('王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高', 1 + mod(n, 20), 1)
           || substr('伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞', 1 + mod(n / 20, 20), 1)
           || substr('一二三四五六七八九十', 1 + mod(n / 400, 10), 1), ''
    from generate_series(0, %(rooms)s - 1) n
    """,
)
BILLS = """
    with r as (select id, row_number() over () - 1 as n from dougong.room
               where community_id = %(c)s),
         p as (select id, row_number() over () - 1 as n from dougong.person
               where community_id = %(c)s)
    insert into fees.bill (community_id, id, kind, title, room_id, payer_id, from_on, to_on,
                           due_on, amount, paid, waived, state)
    select %(c)s, uuidv7(), 'fees', to_char(d, 'YYYY"年"MM"月物业费"'), r.id, p.id, d,
           (d + interval '1 month')::date, d + 40, 30000 + mod(n, 997),
           case when mod(m, 10) = 0 then 0 else 30000 + mod(n, 997) end, 0,
           case when mod(m, 10) = 0 then 'open' else 'paid' end
    from generate_series(%(first)s::int, %(last)s::int) m
         join r on r.n = mod(m, %(rooms)s) join p using (n)
         cross join lateral
         (select (date '2020-01-01' + make_interval(months => m / %(rooms)s))::date as d) x
"""


@dataclass
class Asked:
    """What one side's requests for a page have cost: CPU by round, milliseconds by request."""

    cpu_ms: list[float] = field(default_factory=list)
    elapsed_ms: list[float] = field(default_factory=list)
    size: int = 0


Answer = tuple[int, int, float, float]
Ask = Callable[[str], Answer]


def fill(server: EmbeddedPostgres, place: Place, rows: int) -> None:
    """Add bills until there are ``rows``, past triggers and policies; then gather statistics."""
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        values: dict[str, Any] = {"c": place.community_id, "b": place.building_ids[0]}
        values["rooms"] = ROOMS
        link.execute("set session_replication_role = replica")
        known = link.execute("select count(*) from fees.bill").fetchone()[0]  # type: ignore[index]
        if not known:
            link.execute("delete from dougong.room")
            link.execute("delete from dougong.person")
            for part in GROUND:
                link.execute(part, values)
        for first in range(known, rows, 100_000):
            link.execute(BILLS, {**values, "first": first, "last": min(first + 100_000, rows) - 1})
        for table in ("fees.bill", "dougong.room", "dougong.person"):
            link.execute(f"vacuum (analyze, freeze) {table}")
        link.execute("alter system set autovacuum = off")
        link.execute("select pg_reload_conf()")
        link.execute("checkpoint")


class ServerClock:
    """Tells the CPU that the server's processes have used, those that have ended included."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        lines = (server.data / "postmaster.pid").read_text().splitlines()
        self.postmaster = int(lines[0])

    def read_ms(self) -> float:
        ended = Path(f"/proc/{self.postmaster}/stat").read_text().rpartition(")")[2].split()
        total = (int(ended[13]) + int(ended[14])) * 10.0
        children = Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text()
        for child in children.split():
            try:
                total += int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) / 1e6
            except FileNotFoundError:
                continue
        return total


def ours(installation: Any, place: Place) -> tuple[Ask, str]:
    """Return how our list is asked, and its address."""
    app = create_app(installation)
    browser = sign_in(app, installation, make_login(installation, place, "community_manager"))

    def ask(path: str) -> Answer:
        cpu, started = time.process_time(), time.perf_counter()
        answer = browser.get(path)
        size = len(answer.data)
        spent = ((time.process_time() - cpu) * 1000, (time.perf_counter() - started) * 1000)
        return (answer.status_code, size, *spent)

    return ask, f"/c/{place.community_id}/admin/fees/bill/"


@contextmanager
def peer(server: EmbeddedPostgres) -> Iterator[Ask]:
    """Yield how the bare Flask-Admin view is asked."""
    dsn = psycopg.conninfo.conninfo_to_dict(server.dsn())
    query = "&".join(f"{k}={v}" for k, v in dsn.items() if k in ("host", "user", "password"))
    uri = f"postgresql+psycopg:///{dsn['dbname']}?{query}"
    script = ROOT / "bench/peers/flask_admin_bills.py"
    with subprocess.Popen(
        [str(PEER), str(script), uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        given, said = process.stdin, process.stdout

        def ask(path: str) -> Answer:
            given.write(f"{path}\n")
            given.flush()
            return tuple(json.loads(said.readline()))

        yield ask
        given.close()


def pages(installation: Any, place: Place, base: str, rows: int) -> dict[str, tuple[str, str]]:
    """Return our address and the peer's for each page."""
    from dougong.db.scope import Actor
    from dougong.web.admin import listing
    from dougong_fees.models import Bill

    with installation.scope(Actor.system("bench"), community=place.community_id) as scope:
        from sqlalchemy import select

        middle = scope.session.scalars(
            select(Bill).order_by(Bill.id.desc()).offset(rows // 2).limit(1)
        ).one()
        cursor = listing._encode(middle, "id")
    return {
        "page 1": (base, "/admin/bill/"),
        "filter": (f"{base}?state=open", "/admin/bill/?flt0_0=open"),
        "deep page": (f"{base}?after={cursor}", f"/admin/bill/?page={rows // 40}"),
        "search": (f"{base}?q=王伟", "/admin/bill/?search=王伟"),
    }


def measure(
    clock: ServerClock, asks: tuple[Ask, Ask], addresses: tuple[str, str], rounds: int, times: int
) -> tuple[Asked, Asked]:
    """Ask both sides in turn, ``rounds`` times ``times`` requests."""
    found = (Asked(), Asked())
    for number in range(rounds + 1):
        for ask, address, kept in zip(asks, addresses, found, strict=True):
            before, web = clock.read_ms(), 0.0
            for _ in range(times if number else 2):
                status, size, cpu, elapsed = ask(address)
                assert status == 200, (address, status)
                web += cpu
                if number:
                    kept.elapsed_ms.append(elapsed)
            kept.size = size
            if number:
                kept.cpu_ms.append((web + clock.read_ms() - before) / times)
    return found


def tell(rows: int, page: str, mine: Asked, theirs: Asked) -> bool:
    """Print the figures of one page; tell whether its goal is met."""
    ratios = [a / b for a, b in zip(mine.cpu_ms, theirs.cpu_ms, strict=True)]
    ratio, limit = statistics.median(ratios), LIMITS.get((rows, page))
    stem = f"list_page_{rows}_{page.replace(' ', '_')}"
    figures = [
        (f"{stem}_cpu", mine.cpu_ms, theirs.cpu_ms, 0.5, limit, ratio),
        (f"{stem}_p99", mine.elapsed_ms, theirs.elapsed_ms, 0.99, None, None),
    ]
    for name, a, b, share, goal, known in figures:
        value, against = quantile(a, share), quantile(b, share)
        print(
            json.dumps(
                {
                    "name": name,
                    "value": round(value, 2),
                    "unit": "ms",
                    "against": f"Flask-Admin 2.2.1: {against:.2f} ms",
                    "ratio": round(known if known is not None else value / against, 3),
                    "limit": goal,
                    "spread": [round(min(ratios), 3), round(max(ratios), 3)] if known else None,
                    "bytes": [mine.size, theirs.size],
                }
            ),
            flush=True,
        )
    return limit is None or ratio <= limit


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    if not PEER.exists():
        print("Flask-Admin is not there: run tools/peers.py", file=sys.stderr)
        return 1
    is_good = True
    with throwaway_installation() as (installation, server), peer(server) as theirs:
        place = make_place(installation)
        ask, base = ours(installation, place)
        for rows in sorted(arguments.rows):
            fill(server, place, rows)
            for page, addresses in pages(installation, place, base, rows).items():
                times = 3 if rows > 500_000 else 10
                found = measure(
                    ServerClock(server), (ask, theirs), addresses, arguments.rounds, times
                )
                is_good &= tell(rows, page, *found)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
