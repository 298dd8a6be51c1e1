"""What a bill run costs beside a raw INSERT … SELECT of the very same rows.

Usage: bench/bill_run.py [--rooms N] [--rounds N] [--scale] [--sizes ROOMS …] [--estate N]. Each
round bills one more month of N rooms with four fee items each (area, two fixed, one with a price
that changes inside the first month) through `create_run` and, in a transaction of its own as in
life, `publish_run`: reckoning, bills, lines with traces, journal, audit, as the application's role
under row-level security. Then the rows are put aside, deleted, and inserted again by a superuser
from a table, into the product's own tables with the same keys, indexes, foreign keys and audit
triggers. Both on one server with fsync on. With --scale: what a line costs in runs of 10,000,
100,000 and 1,000,000 lines (or four times --sizes), and the application's memory at most. With
--estate: N households in communities of 10,000, two of them at a time. README.md says how the
figures are printed.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from _measure import forget_peak, peak_mib, tell
from sqlalchemy import text

from dougong.db import insert_rows, uuid7
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.tenancy.models import Building, Ownership, Person, Room
from dougong.testing.factories import make_place
from dougong.testing.throwaway import throwaway_installation
from dougong_fees import services
from dougong_fees.domain.periods import add_months
from dougong_fees.domain.states import RunState
from dougong_fees.models import BillRun, Charge, ChargeMethod, FeeItem, FeePrice
from dougong_fees.services.group_runs import AT_ONCE
from dougong_ledger import services as ledger

SYSTEM = Actor.system("bench")
FIRST = date(2026, 1, 1)
BILL = (
    "community_id, id, run_id, kind, title, room_id, payer_id, from_on, to_on, due_on, amount,"
    " paid, waived, state, parent_id, trace"
)


def settle_down(server: EmbeddedPostgres) -> None:
    """Let the planner know the rows, as autovacuum would, and begin after a checkpoint.

    Without one the first to touch a page after the last one pays for writing all of it.
    """
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("vacuum analyze")
        link.execute("checkpoint")


def ground(installation: Installation, count: int) -> UUID:
    """Make a community of ``count`` rooms with an owner and four charges each; return its id."""
    place = make_place(installation, rooms=0)
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        building = scope.session.query(Building).first()
        rooms, people = [uuid7() for _ in range(count)], [uuid7() for _ in range(count)]
        codes = [f"1-1-{number:07}" for number in range(count)]
        areas = [Decimal(6000 + number % 9000) / 100 for number in range(count)]
        insert_rows(
            scope,
            Room,
            {
                "id": rooms,
                "building_id": [building.id] * count,
                "code": codes,
                "sort_key": codes,
                "built_area": areas,
                "room_kind": ["flat"] * count,
                "state": ["occupied"] * count,
            },
        )
        names = {"name": codes, "sort_key": codes, "kind": ["person"] * count}
        insert_rows(scope, Person, {"id": people, **names})
        since = [date(2020, 1, 1)] * count
        share = [Decimal(1)] * count
        owns = {"room_id": rooms, "person_id": people, "share": share, "from_on": since}
        insert_rows(scope, Ownership, owns)
        for number, method in enumerate(["area", "fixed", "fixed", "area"]):
            item = FeeItem(code=f"i{number}", name=f"费用{number}", method=ChargeMethod(method))
            scope.session.add(item)
            scope.session.flush()
            _prices(scope, item, changes=number == 3)
            charges = {"room_id": rooms, "fee_item_id": [item.id] * count, "from_on": since}
            insert_rows(scope, Charge, charges)
    return place.community_id


def _prices(scope, item: FeeItem, *, changes: bool) -> None:
    """Give an item its price; one that changes does so in the middle of the first month."""
    cut = date(2026, 1, 16) if changes else None
    first = FeePrice(
        fee_item_id=item.id, from_on=date(2020, 1, 1), to_on=cut, unit_price=Decimal("2.35")
    )
    scope.session.add(first)
    scope.session.flush()
    if cut:
        scope.session.add(FeePrice(fee_item_id=item.id, from_on=cut, unit_price=Decimal("2.55")))
        scope.session.flush()


@dataclass(frozen=True)
class Spent:
    """What something took: seconds on the clock, and of a processor's time on both sides."""

    clock_s: float
    cpu_s: float


class Watch:
    """Times a piece of work of this process and of the server's process for its connection."""

    def __init__(self, pid: int) -> None:
        self.pid, self.clock, self.cpu = pid, time.perf_counter(), self._cpu(pid)

    def _cpu(self, pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()

    def read(self) -> Spent:
        return Spent(time.perf_counter() - self.clock, self._cpu(self.pid) - self.cpu)


def run_once(installation: Installation, community: UUID, number: int) -> tuple[Spent, UUID, int]:
    """Bill and publish one month; return what it took, the run's id and its lines."""
    first = add_months(FIRST, number)
    end = add_months(first, 1)
    with installation.scope(SYSTEM, community=community) as scope:
        watch = Watch(scope.session.scalar(text("select pg_backend_pid()")))
    with installation.scope(SYSTEM, community=community) as scope:
        run = services.create_run(scope, f"{first}", first, end, end)
        run_id = run.id
        if run.state is RunState.RECKONING:
            scope.session.commit()
            services.reckon_run(scope, run_id)
    with installation.scope(SYSTEM, community=community) as scope:
        run = scope.get(BillRun, run_id)
        services.publish_run(scope, run)
        lines = run.lines
    return watch.read(), run_id, lines


def raw_once(server: EmbeddedPostgres, run: UUID) -> Spent:
    """Put a run's rows aside, delete them, and time their plain INSERT … SELECT."""
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute(
            f"create unlogged table raw_bill as select * from fees.bill where run_id = '{run}'"
        )
        link.execute(
            "create unlogged table raw_line as select l.* from fees.bill_line l"
            " join raw_bill b on b.community_id = l.community_id and b.id = l.bill_id"
        )
        link.execute(
            "delete from fees.bill_line l using raw_bill b"
            " where b.community_id = l.community_id and b.id = l.bill_id"
        )
        link.execute(f"delete from fees.bill where run_id = '{run}'")
        link.execute("vacuum analyze raw_bill, raw_line, fees.bill, fees.bill_line")
        link.execute("checkpoint")
        watch = Watch(link.info.backend_pid)
        with link.transaction():
            link.execute(f"insert into fees.bill ({BILL}) select {BILL} from raw_bill")
            link.execute("insert into fees.bill_line select * from raw_line")
        spent = watch.read()
        link.execute("drop table raw_bill, raw_line")
    return spent


def payments(installation: Installation, community: UUID, count: int) -> list[float]:
    """Return milliseconds of whole payments from a wallet: order, payment, journal, receipt."""
    from sqlalchemy import select

    from dougong_fees.models import Bill
    from dougong_fees.services.bills import open_bills_order

    with installation.scope(SYSTEM, community=community) as scope:
        bills = scope.session.scalars(select(Bill).where(Bill.state == "open").limit(count)).all()
        for bill in bills:
            person = scope.get(Person, bill.payer_id)
            ledger.top_up(scope, person, Decimal(5000), uuid4().hex)
    spent = []
    for bill in bills:
        started = time.perf_counter()
        with installation.scope(SYSTEM, community=community) as scope:
            own = scope.get(Bill, bill.id)
            order = open_bills_order(scope, [own], own.payer_id, uuid4().hex)
            ledger.pay_with_wallet(scope, order)
        spent.append((time.perf_counter() - started) * 1000)
    with installation.scope(SYSTEM, community=community) as scope:
        assert ledger.trial_balance(scope).is_balanced
    return spent


def compare(installation: Installation, server: EmbeddedPostgres, rooms: int, rounds: int) -> bool:
    """Bill and insert turn by turn; tell whether the ratio was reached."""
    community = ground(installation, rooms)
    settle_down(server)
    ours, against = [], []
    cpu, cpu_against = [], []
    for number in range(rounds + 1):
        spent, run, lines = run_once(installation, community, number)
        raw = raw_once(server, run)
        settle_down(server)
        if number:  # the first round warms both sides up, and its month has more lines
            ours.append(lines / spent.clock_s)
            against.append(lines / raw.clock_s)
            cpu.append(lines / spent.cpu_s)
            cpu_against.append(lines / raw.cpu_s)
    name = f"bill_run_{rooms * 4}_lines_per_s"
    ratio = tell(name, "lines/s", ours, against, reach=">= 0.7")
    name = f"bill_run_{rooms * 4}_lines_per_cpu_s"
    tell(name, "lines/s of CPU", cpu, cpu_against, reach=">= 0.7")
    tell("pay_with_wallet_ms", "ms", payments(installation, community, 100))
    return ratio is not None and ratio >= 0.7


def scale(
    installation: Installation, server: EmbeddedPostgres, sizes: Sequence[int], rounds: int
) -> None:
    """Tell what a line costs in ever larger runs, beside the smallest one, and the memory.

    The sizes take turns, each after a checkpoint, in months without a change of price.
    """
    communities = [ground(installation, rooms) for rooms in sizes]
    run_once(installation, communities[0], 0)
    taken: list[list[float]] = [[] for _ in sizes]
    peaks: list[list[float]] = [[] for _ in sizes]
    for number in range(1, rounds + 1):
        for place, community in enumerate(communities):
            settle_down(server)
            forget_peak()
            spent, _, lines = run_once(installation, community, number)
            taken[place].append(spent.clock_s / lines * 1e6)
            peaks[place].append(peak_mib())
    for place, rooms in enumerate(sizes):
        name = f"bill_run_{rooms * 4}"
        tell(f"{name}_us_per_line", "µs", taken[place], taken[0], reach="<= 1.3")
        tell(f"{name}_peak_mib", "MiB", peaks[place], peaks[0], reach="<= 1.3")


def estate(
    installation: Installation, server: EmbeddedPostgres, households: int, rounds: int
) -> None:
    """Tell what the communities of a group cost, billed two at a time as the group's run does.

    A community has 10,000 households. seconds_for_a_million: by the same rate, not measured.
    """
    communities = [ground(installation, 10_000) for _ in range(households // 10_000)]
    rates: list[float] = []
    for number in range(rounds + 1):
        settle_down(server)
        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tasks = [pool.submit(run_once, installation, place, number) for place in communities]
            lines = sum(task.result()[2] for task in tasks)
        if number:
            rates.append(lines / (time.perf_counter() - began))
    more = {
        "households": households,
        "at_once": AT_ONCE,
        "seconds_for_a_million": round(4_000_000 / statistics.median(rates), 1),
    }
    tell("bill_estate_lines_per_s", "lines/s", rates, **more)


def main() -> int:
    """Run the comparison on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_500, 25_000, 250_000])
    parser.add_argument("--estate", type=int, default=0, metavar="HOUSEHOLDS")
    given = parser.parse_args()
    with throwaway_installation(fast=False) as (installation, server):
        if given.estate:
            estate(installation, server, given.estate, given.rounds)
            return 0
        if given.scale:
            scale(installation, server, given.sizes, given.rounds)
            return 0
        return 0 if compare(installation, server, given.rooms, given.rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
