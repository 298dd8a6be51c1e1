"""What a validated import of people with two encrypted fields costs beside the ORM's ``add_all``.

Usage: python bench/people_import.py [--rows N] [--rounds N]. Each round takes N rows of name, phone
and identity number as a file holds them. Ours: read, checked, sealed, tagged, written in bulk, by
``RecordImport`` in pieces of a thousand. Against: ``Person`` objects made of the same values, added
to the session and flushed; the values are not even checked. Both as the application's role under
row-level security, with the audit trigger, rolled back each time. Then the dry run of a file, as
the page's job does it. One JSON line per figure: name, value, unit, against (the ORM), ratio
(against / ours: how many times as fast), spread (of the rounds, in the same unit). Value and
against are the best of the rounds.
"""

import argparse
import json
import time
from uuid import UUID

from dougong.db.scope import Actor, Scope
from dougong.exchange import RunState
from dougong.installation import Installation
from dougong.tenancy.models import Person
from dougong.testing.factories import make_place
from dougong.testing.throwaway import throwaway_installation
from dougong.web.admin import import_runs, load_views, registry
from dougong.web.admin.cells import natural_key
from dougong.web.admin.importing import Plan, RecordImport, fields_of
from dougong.web.admin.uploads import Line, Table, tables_as_json

SYSTEM = Actor.system("bench")
PLAN = Plan({"name": 0, "phone": 1, "id_number": 2})


class Undone(Exception):
    """Ends a round's transaction without keeping it."""


def rows_of(number: int) -> list[tuple[str, str, str]]:
    """Return rows as an office has them."""
    return [(f"住户{n}", f"139{n:08d}", f"1101011990{n:08d}") for n in range(number)]


def timed(installation: Installation, place: UUID, work) -> float:
    """Return how long ``work`` took in a transaction that is rolled back."""
    try:
        with installation.scope(SYSTEM, community=place) as scope:
            started = time.perf_counter()
            work(scope)
            took = time.perf_counter() - started
            raise Undone
    except Undone:
        return took


def imported(scope: Scope, rows: list[tuple[str, str, str]]) -> None:
    """Import rows as the page does."""
    lines = [Line(number, row) for number, row in enumerate(rows, 2)]
    view = registry.view_named("dougong.person")
    outcome = RecordImport(scope, Person, fields_of(scope, view), PLAN).run(lines)
    assert outcome.created == len(rows), outcome.counts


def added(scope: Scope, rows: list[tuple[str, str, str]]) -> None:
    """Write rows as one would without thinking."""
    people = [Person(name=name, sort_key=natural_key(name)) for name, _, _ in rows]
    scope.session.add_all(people)
    for person, (_, phone, number) in zip(people, rows, strict=True):
        person.phone, person.id_number = phone, number
    scope.session.flush()


def dry_run(scope: Scope, rows: list[tuple[str, str, str]]) -> None:
    """Try a kept file: unsealed, written in a savepoint, taken back."""
    lines = [
        Line(1, ["姓名", "手机号", "证件号"]),
        *(Line(n, list(row)) for n, row in enumerate(rows, 2)),
    ]
    content = tables_as_json([Table("", lines)])
    run = import_runs.keep(scope, "dougong.person", "b.xlsx", content, len(rows), PLAN.as_json())
    run.state = RunState.TRYING
    import_runs.trial(scope, run)
    assert run.counts["created"] == len(rows), run.counts


def tell(name: str, unit: str, ours: list[float], against: list[float] | None = None) -> None:
    """Print one figure."""
    value = min(ours)
    peer = min(against) if against else None
    figures = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "against": round(peer, 3) if peer else None,
        "ratio": round(peer / value, 2) if peer else None,
        "spread": round(max(ours) - min(ours), 3),
    }
    print(json.dumps(figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows = rows_of(given.rows)
    with throwaway_installation() as (installation, _server):
        load_views(installation)
        place = make_place(installation, rooms=1).community_id
        timed(installation, place, lambda scope: imported(scope, rows[:500]))
        ours, against, trials = [], [], []
        for _ in range(given.rounds):
            ours.append(timed(installation, place, lambda scope: imported(scope, rows)))
            against.append(timed(installation, place, lambda scope: added(scope, rows)))
            trials.append(timed(installation, place, lambda scope: dry_run(scope, rows)))
        tell(f"people_import_{given.rows}_s", "s", ours, against)
        tell(f"import_dry_run_{given.rows}_s", "s", trials)


if __name__ == "__main__":
    main()
