"""Every page of the plugins of money and of meters, and their owners' pages, over many rows.

Usage: python plugins/fees/tests/gate_budgets.py [--bills N] [--readings N] [--times N]. Prints one
JSON line per page: statements, p50 and p95 in milliseconds, large tables that a statement reads
whole; exits 1 when a page takes more than six statements, more than 150 ms (p95), or reads a
table whole.

All rows lie in one community of 20,000 rooms in 100 buildings of 25 floors: two to six years of
bills, payments, receipts and journal, and a reading a day of every meter. What jobs do every hour
and night is done once.
"""

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from sqlalchemy import text

from dougong.access.operations import create_user, grant_role, link_person
from dougong.db import uuid7
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor, Scope
from dougong.installation import Installation
from dougong.testing.budgets import (
    MOST_STATEMENTS,
    list_addresses,
    page_addresses,
    watched,
    whole_tables,
)
from dougong.testing.factories import Place, make_place
from dougong.testing.people import make_login, sign_in
from dougong.testing.throwaway import throwaway_installation
from dougong.web.app import create_app
from dougong_ledger import services as ledger
from dougong_meters import services as meters

PLUGINS = ("fees", "meters", "ledger", "arrears", "desk", "invoices", "online_payment")
LARGE = (
    "fees.bill",
    "meters.reading",
    "ledger.payment",
    "ledger.payment_order",
    "ledger.receipt",
    "ledger.journal_entry",
    "ledger.journal_line",
)
MOST_MS, ROOMS, IN_BUILDING, CHUNK = 150, 20_000, 200, 250_000
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
GROUND = """
    insert into dougong.building (community_id, id, code, name, sort_key)
    select %(c)s, uuidv7(), 'T' || n, n || '号楼', to_char(n, 'FM0000')
    from generate_series(0, %(rooms)s / %(in_building)s - 1) n;
    insert into dougong.room (community_id, id, building_id, code, sort_key, room_kind, state,
                              built_area, floor)
    select %(c)s, uuidv7(), b.id, format('%%s-%%s', b.name, r),
           to_char(n, 'FM00000000'), 'flat', 'occupied', 90, 1 + r / 8
    from generate_series(0, %(rooms)s - 1) n
         cross join lateral (select mod(n, %(in_building)s)) x(r)
         join dougong.building b on b.code = 'T' || n / %(in_building)s;
    insert into dougong.person (community_id, id, kind, name, sort_key)
    select %(c)s, uuidv7(), 'person', '业主' || n, '' from generate_series(0, %(rooms)s - 1) n;
    create table n_room as select id, row_number() over (order by id) - 1 as n from dougong.room
        where community_id = %(c)s;
    create table n_person as select id, row_number() over (order by id) - 1 as n
        from dougong.person where community_id = %(c)s;
    insert into dougong.ownership (community_id, id, room_id, person_id, share, from_on)
    select %(c)s, uuidv7(), r.id, p.id, 1, '2015-01-01' from n_room r join n_person p using (n)
    where r.id not in (select room_id from dougong.ownership);
    insert into meters.meter (community_id, id, serial, commodity, room_id, role, multiplier,
                              installed_on, install_value, state)
    select %(c)s, uuidv7(), 'W' || n, 'water', id, 'own', 1, '2020-01-01', 0, 'installed'
    from n_room;
    insert into meters.meter (community_id, id, serial, commodity, building_id, role, multiplier,
                              installed_on, install_value, state)
    values (%(c)s, uuidv7(), 'MAIN-1', 'water', %(b)s, 'main', 1, '2020-01-01', 0, 'installed');
    create table n_meter as select id, row_number() over (order by id) - 1 as n from meters.meter
        where community_id = %(c)s and role = 'own';
    insert into fees.bill_run (community_id, id, name, from_on, to_on, due_on, state, bills, lines,
                               amount, problems, published_at)
    select %(c)s, uuidv7(), to_char(d, 'YYYY-MM'), d, (d + interval '1 month')::date, d + 40,
           'published', %(rooms)s, 0, %(rooms)s * 30000, '[]', d + 40
    from generate_series(0, %(months)s) m
         cross join lateral (select (date_trunc('month', current_date)
             - make_interval(months => m))::date as d) x;
    insert into meters.reading (community_id, id, meter_id, read_at, value, kind, source, state)
    select %(c)s, uuidv7(), id, now() - make_interval(days => 28 * m, secs => 7), 0, 'normal',
           'manual', 'rejected' from n_meter cross join generate_series(0, %(days)s / 28) m
    where n = 0;
    insert into ledger.account (community_id, id, code, name, kind)
    select %(c)s, uuidv7(), v.code, v.code, v.kind
    from (values ('1122.gate', 'asset'), ('6001.gate', 'income')) v (code, kind);
    insert into ledger.receipt_series (community_id, id, prefix, last_number)
    values (%(c)s, uuidv7(), '2020', 0)
"""
BILLS = """
    insert into fees.bill (community_id, id, run_id, kind, title, room_id, payer_id, from_on, to_on,
                           due_on, amount, paid, waived, state)
    select %(c)s, uuidv7(), run.id, 'fees', to_char(d, 'YYYY"年"MM"月"'), r.id, p.id, d,
           (d + interval '1 month')::date, d + 40, 30000,
           case when mod(m, 17) = 0 then 0 else 30000 end, 0,
           case when mod(m, 17) = 0 then 'open' else 'paid' end
    from generate_series(%(first)s::int, %(last)s::int) m
         join n_room r on r.n = mod(m, %(rooms)s) join n_person p on p.n = r.n
         cross join lateral (select (date_trunc('month', current_date)
             - make_interval(months => m / %(rooms)s))::date as d) x
         join fees.bill_run run on run.from_on = d
"""
MONEY = """
    with made as materialized (
        select uuidv7() as order_id, uuidv7() as payment_id, uuidv7() as entry_id, b.payer_id,
               b.room_id, b.id as bill_id, b.title, b.amount, b.due_on,
               row_number() over () + %(known)s as n
        from fees.bill b where b.state = 'paid' order by b.id offset %(known)s limit %(count)s),
    orders as (
        insert into ledger.payment_order (community_id, id, plugin, title, payer_id, amount, state,
                                          idempotency_key, request_hash, expires_at)
        select %(c)s, order_id, 'fees', title, payer_id, amount, 'paid', order_id::text, '',
               due_on from made),
    payments as (
        insert into ledger.payment (community_id, id, order_id, payer_id, channel, amount, state,
                                    paid_at)
        select %(c)s, payment_id, order_id, payer_id, 'cash', amount, 'settled', due_on from made),
    receipts as (
        insert into ledger.receipt (community_id, id, series_id, number, code, payment_id,
                                    payer_name, amount, lines, issued_on, state)
        select %(c)s, uuidv7(), s.id, n, 'G' || n, payment_id, '业主', amount, '[]', due_on,
               'issued' from made cross join ledger.receipt_series s),
    entries as (
        insert into ledger.journal_entry (community_id, id, posted_on, kind, source_id, memo)
        select %(c)s, entry_id, due_on, 'ledger.payment', payment_id, title from made),
    parts as (
        insert into ledger.journal_line (community_id, id, entry_id, debit_id, credit_id, amount,
                                         memo, room_id, person_id)
        select %(c)s, uuidv7(), entry_id, d.id, k.id, amount, title, room_id, payer_id from made
        join ledger.account d on d.code = '1122.gate' join ledger.account k on k.code = '6001.gate')
    insert into fees.bill_payment (community_id, id, bill_id, payment_id, amount)
    select %(c)s, uuidv7(), bill_id, payment_id, amount from made
"""
READINGS = """
    insert into meters.reading (community_id, id, meter_id, read_at, value, kind, source, state)
    select %(c)s, uuidv7(t - now()), meter.id, t, 20000 - m / %(rooms)s, 'normal', 'collector',
           'accepted'
    from generate_series(%(first)s::int, %(last)s::int) m
         join n_meter meter on meter.n = mod(m, %(rooms)s)
         cross join lateral (select now() - make_interval(days => 1 + m / %(rooms)s) as t) x
"""


def fill(
    installation: Installation, server: EmbeddedPostgres, place: Place, bills: int, readings: int
) -> None:
    """Write the rows set-based, past triggers and policies; then gather statistics."""
    values: dict[str, Any] = {"c": place.community_id, "b": place.building_ids[0], "rooms": ROOMS}
    values["in_building"] = IN_BUILDING
    values |= {"months": bills // ROOMS + 1, "days": readings // ROOMS + 1}
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("set session_replication_role = replica")
        for part in GROUND.split(";"):
            link.execute(part, values)
        for first, last in _parts(bills):
            link.execute(BILLS, {**values, "first": first, "last": last})
        installation.migrator.make_partitions()
        link.execute("analyze fees.bill")
        for first, last in _parts(bills * 16 // 17):
            link.execute(MONEY, {**values, "known": first, "count": last - first + 1})
        for first, last in _parts(readings):
            link.execute(READINGS, {**values, "first": first, "last": last})
        work_at_night(installation, place)
        link.execute("vacuum (analyze)")
        link.execute("checkpoint")


def work_at_night(installation: Installation, place: Place) -> None:
    """Do what jobs do every hour and every night."""

    def do(verb: Callable[[Scope], int]) -> int:
        with installation.scope(Actor.system("gate"), community=place.community_id) as scope:
            return verb(scope)

    for verb in (ledger.add_up, meters.keep_counters):
        while do(verb):
            pass
    for verb in (ledger.check_totals, ledger.reckon_months, meters.reckon_balances):
        do(verb)


def _parts(rows: int) -> Iterator[tuple[int, int]]:
    for first in range(0, rows, CHUNK):
        yield first, min(first + CHUNK, rows) - 1


def owner(installation: Installation, place: Place) -> tuple[Actor, str]:
    """Return a login of the person with most bills, and one of his bills that is owed."""
    with installation.scope(Actor.system("gate"), community=place.community_id) as scope:
        person_id, bill_id = scope.session.execute(
            text(
                "select payer_id, min(id::text) filter (where state = 'open') from fees.bill"
                " group by 1 order by count(*) filter (where state = 'open') desc, 1 limit 1"
            )
        ).one()
    with installation.access() as session:
        user = create_user(session, f"o{uuid7().hex}", "owner")
        link_person(session, user.id, place.community_id, person_id)
        return Actor(user.id, user.name), bill_id


def group_manager(installation: Installation, place: Place) -> Actor:
    """Return a login that manages the whole group."""
    make_login(installation, place, "group_manager")  # ships the roles
    with installation.access() as session:
        user = create_user(session, f"g{uuid7().hex}", "group manager")
        everybody = Actor.system("gate")
        grant_role(session, everybody, user.id, "group_manager", group_id=place.group_id)
        return Actor(user.id, user.name)


def records(installation: Installation, place: Place, bill_id: str) -> list[str]:
    """Return the addresses of pages about a bill, its run, its payer's case and its building."""
    with installation.scope(Actor.system("gate"), community=place.community_id) as scope:
        row = scope.session.execute(
            text(
                "select b.run_id, b.room_id, b.payer_id, r.building_id from fees.bill b"
                " join dougong.room r on r.id = b.room_id where b.id = :id"
            ),
            {"id": bill_id},
        ).one()
    return [
        f"/fees/explain/{bill_id}",
        f"/fees/report/{row.run_id}",
        f"/arrears/case/{row.room_id}/{row.payer_id}",
        f"/desk/room?room={row.room_id}",
        f"/fees/map?building={row.building_id}",
        f"/meters/map?building={row.building_id}",
    ]


def judge(installation: Installation, place: Place, times: int) -> bool:
    """Ask every page ``times`` times; print what it took, return whether all keep the budget."""
    app, base, group = create_app(installation), f"/c/{place.community_id}", f"/g/{place.group_id}"
    pages = page_addresses(app, PLUGINS, base)
    lists = list_addresses(PLUGINS, base)
    person, bill_id = owner(installation, place)
    about = [f"{base}{each}" for each in records(installation, place, bill_id)]
    shown = [
        (
            make_login(installation, place, "community_manager"),
            [f"{base}/admin/", *lists, *[p for p in pages if "/my/" not in p], *about],
        ),
        (
            group_manager(installation, place),
            [
                f"{group}/admin/",
                *[group + page.removeprefix(base) for page in pages if "/my/" not in page],
            ],
        ),
        (
            person,
            [f"{base}/home", *[p for p in pages if "/my/" in p], f"{base}/fees/my/{bill_id}"],
        ),
    ]
    is_kept = True
    for actor, addresses in shown:
        browser = sign_in(app, installation, actor)
        for address in addresses:
            is_kept &= _judge_page(installation, place, browser, address, times)
    return is_kept


def _judge_page(
    installation: Installation, place: Place, browser: Any, address: str, times: int
) -> bool:
    status = browser.get(address).status_code
    if status != 200:
        return status < 500  # a page of other roles, or one that only redirects
    with watched() as seen:
        browser.get(address)
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        browser.get(address)
        taken.append((time.perf_counter() - begun) * 1000)
    p95 = sorted(taken)[max(0, round(0.95 * times) - 1)]
    everybody = Actor.system("gate")
    whole = sorted(set(whole_tables(installation, everybody, place.community_id, seen, LARGE)))
    told = {
        "page": ID.sub("*", address).removeprefix("/c/*"),
        "statements": len(seen.statements),
        "p50_ms": round(statistics.median(taken), 1),
        "p95_ms": round(p95, 1),
        "whole": whole,
    }
    is_kept = len(seen.statements) <= MOST_STATEMENTS and p95 <= MOST_MS and not whole
    sys.stdout.write(json.dumps({**told, "kept": is_kept}, ensure_ascii=False) + "\n")
    return is_kept


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--bills", type=int, default=1_000_000)
    given.add_argument("--readings", type=int, default=10_000_000)
    given.add_argument("--times", type=int, default=20)
    asked = given.parse_args()
    with throwaway_installation() as (installation, server):
        place = make_place(installation)
        fill(installation, server, place, asked.bills, asked.readings)
        return 0 if judge(installation, place, asked.times) else 1


if __name__ == "__main__":
    sys.exit(main())
