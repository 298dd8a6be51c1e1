"""What a bill run costs beside a raw INSERT … SELECT of the very same rows.

Usage: python bench/bill_run.py [--rooms N] [--rounds N]. Each round bills one more month of N rooms
with four fee items each (area, two fixed, one with a price that changes inside the month) through
`create_run` and `publish_run`: reckoning, bills, lines with traces, journal, audit, as the
application's role under row-level security. Then the rows are put aside, deleted, and inserted
again by a superuser from a table, into the product's own tables with the same keys, indexes and
audit triggers. Both on one server with fsync on. Prints one JSON line per figure: name, value,
unit, against (the raw side), ratio (ours / against), spread (of the rounds, in the same unit).
"""

import argparse
import json
import statistics
import time
from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg

from dougong.db import insert_rows, uuid7
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.tenancy.models import Building, Ownership, Person, Room
from dougong.testing.factories import make_place
from dougong.testing.throwaway import throwaway_installation
from dougong_fees import services
from dougong_fees.domain.periods import add_months
from dougong_fees.models import Charge, ChargeMethod, FeeItem, FeePrice
from dougong_ledger import services as ledger

SYSTEM = Actor.system("bench")
FIRST = date(2026, 1, 1)
BILL = (
    "community_id, id, run_id, kind, title, room_id, payer_id, from_on, to_on, due_on, amount,"
    " paid, waived, state, parent_id, trace"
)


def tell(name: str, unit: str, ours: list[float], against: list[float] | None = None) -> None:
    """Print one figure."""
    value = statistics.median(ours)
    peer = statistics.median(against) if against else None
    figures = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "against": round(peer, 3) if peer else None,
        "ratio": round(value / peer, 2) if peer else None,
        "spread": round(max(ours) - min(ours), 3),
    }
    print(json.dumps(figures), flush=True)


def settle_down(server: EmbeddedPostgres) -> None:
    """Let the planner know the rows, as autovacuum would."""
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("vacuum analyze")


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


def run_once(installation: Installation, community: UUID, number: int) -> tuple[float, UUID, int]:
    """Bill and publish one month; return seconds, the run's id and its lines."""
    first = add_months(FIRST, number)
    end = add_months(first, 1)
    started = time.perf_counter()
    with installation.scope(SYSTEM, community=community) as scope:
        run = services.create_run(scope, f"{first}", first, end, end)
        services.publish_run(scope, run)
        found = run.id, run.lines
    return time.perf_counter() - started, *found


def raw_once(server: EmbeddedPostgres, run: UUID) -> float:
    """Put a run's rows aside, delete them, and time their plain INSERT … SELECT; in seconds."""
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
        started = time.perf_counter()
        with link.transaction():
            link.execute(f"insert into fees.bill ({BILL}) select {BILL} from raw_bill")
            link.execute("insert into fees.bill_line select * from raw_line")
        seconds = time.perf_counter() - started
        link.execute("drop table raw_bill, raw_line")
    return seconds


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


def main() -> None:
    """Run the comparison on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with throwaway_installation(fast=False) as (installation, server):
        community = ground(installation, given.rooms)
        settle_down(server)
        ours, against = [], []
        for number in range(given.rounds):
            seconds, run, lines = run_once(installation, community, number)
            ours.append(lines / seconds)
            against.append(lines / raw_once(server, run))
            settle_down(server)
        tell(f"bill_run_{given.rooms * 4}_lines_per_s", "lines/s", ours, against)
        tell("pay_with_wallet_ms", "ms", payments(installation, community, 100))


if __name__ == "__main__":
    main()
