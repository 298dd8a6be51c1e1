"""Bill runs: preview, approve, publish, roll back."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from dougong.db import Scope
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.services import Approval, service
from dougong.tenancy.models import Room
from dougong_fees.domain.periods import PeriodMethod, calendar_months, months
from dougong_fees.domain.states import RUN_STEPS, RunState
from dougong_fees.errors import RunClosed
from dougong_fees.models import Bill, BillKind, BillRun
from dougong_fees.services import run_sql
from dougong_fees.services.earning import earned_to, income_parts
from dougong_fees.services.formulas import counts_people, formulas_of
from dougong_ledger import services as ledger
from dougong_ledger.domain import RECEIVABLE, Posting, yuan
from dougong_ledger.models import JournalEntry
from dougong_ledger.services.journal import community_of

WHOLE_TABLES = text(
    "select set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true),"
    " set_config('jit', 'off', true)"
)
AS_USUAL = text(
    "select set_config(name, reset_val || coalesce(unit, ''), true) from pg_settings"
    " where name in ('enable_nestloop', 'work_mem', 'jit')"
)
# Up to INLINE rooms a run is reckoned while one waits; a job takes CHUNK rooms at a time.
INLINE, CHUNK, MOST_PROBLEMS = 20_000, 50_000, 500
NO_ROOM = UUID(int=0)
LONGEST = timedelta(days=366)
PUBLISHED, ROLLED_BACK = "fees.bill_run.published", "fees.bill_run.rolled_back"


@service("bill_run.create", title=("New bill run", "新建出账"))
def create_run(
    scope: Scope,
    name: str,
    from_on: date,
    to_on: date,
    due_on: date,
    fee_item_id: UUID | None = None,
    building_id: UUID | None = None,
    id: UUID | None = None,
) -> BillRun:
    """Start a bill run for the half-open period [from_on, to_on) and reckon its draft."""
    if not from_on < to_on <= from_on + LONGEST or not 2000 <= from_on.year <= 2200:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"to_on": gettext("The period ends after it begins, within a year.")},
        )
    run = BillRun(
        name=name[:80],
        from_on=from_on,
        to_on=to_on,
        due_on=due_on,
        fee_item_id=fee_item_id,
        building_id=building_id,
        problems=[],
    )
    scope.session.add(run)
    scope.session.flush()
    return prepare_run(scope, run)


@service("bill_run.prepare", title=("Reckon again", "重新计算"))
def prepare_run(scope: Scope, run: BillRun) -> BillRun:
    """Write the draft bills of a run, in place of an earlier draft.

    What another run has billed, drafted or not, is left out, so that nothing is billed twice. What
    cannot be billed is listed with its reason and never billed as zero. A run over more rooms than
    INLINE goes on in a job, in parts that are committed one by one. Raises RunClosed.
    """
    run = scope.get(BillRun, run.id, lock=True)
    if run.state not in (RunState.RECKONING, RunState.DRAFT, RunState.APPROVED):
        raise RunClosed(N_("The bill run was published; roll it back first."))
    lock_runs(scope)
    for statement in run_sql.DROP_DRAFT:
        scope.session.execute(statement, {"community": community_of(scope), "run": run.id})
    _begin(scope, run)
    if run.rooms > INLINE:
        scope.enqueue("fees.bill_run.reckon", run_id=run.id)
        return run
    while run.state is RunState.RECKONING:
        _reckon_part(scope, run, INLINE)
    return run


def _begin(scope: Scope, run: BillRun) -> None:
    if run.state is not RunState.RECKONING:
        step(run, RunState.RECKONING)
    everything = {"most": 2**31, "after": NO_ROOM, **_place(scope, run)}
    run.rooms = scope.session.execute(run_sql.CHUNK, everything).one().rooms
    run.bills = run.lines = run.rooms_done = 0
    run.amount, run.problems, run.after_room_id = Decimal(0), [], None
    run.prepared_by, run.approved_by = scope.actor.user_id, None
    run.previous_amount = _previous_amount(scope, run)
    scope.session.flush()


@service(
    "bill_run.reckon", title=("Go on reckoning", "继续计算"), permission="fees.bill_run.prepare"
)
def reckon_run(scope: Scope, run_id: UUID) -> int:
    """Reckon what is left of a run, in parts with a transaction each; return its bills.

    Killed and started again it goes on after the last part that was committed.
    """
    community = community_of(scope)
    while True:
        with scope.installation.scope(scope.actor, community=community) as part:
            run = part.get(BillRun, run_id, lock=True)
            if run.state is not RunState.RECKONING:
                return run.bills
            lock_runs(part)
            _reckon_part(part, run, CHUNK)
            done, rooms = run.rooms_done, run.rooms
        scope.progress(done, rooms, run.name)


def _reckon_part(scope: Scope, run: BillRun, most: int) -> None:
    """Bill the next ``most`` rooms of a run; after the last ones it is a draft."""
    place = {"after": run.after_room_id or NO_ROOM, **_place(scope, run)}
    part = scope.session.execute(run_sql.CHUNK, {"most": most, **place}).one()
    if part.rooms:
        last = UUID(part.last)
        _bill_rooms(scope, run, {**place, "upto": last})
        run.after_room_id = last
        run.rooms_done += part.rooms
    if part.rooms < most:
        step(run, RunState.DRAFT)
    scope.session.flush()


def bill_room(
    scope: Scope, room: Room, like: BillRun, period: tuple[date, date], name: str
) -> BillRun:
    """Return a draft that bills one room for a half-open period, for the items of another run."""
    run = BillRun(
        name=name[:80],
        from_on=period[0],
        to_on=period[1],
        due_on=max(like.due_on, scope.today),
        fee_item_id=like.fee_item_id,
        room_id=room.id,
        state=RunState.RECKONING,
        # The part that is reckoned begins after it: with this room, and ends with it.
        after_room_id=UUID(int=room.id.int - 1),
        bills=0,
        lines=0,
        rooms=1,
        rooms_done=0,
        amount=Decimal(0),
        problems=[],
        prepared_by=scope.actor.user_id,
    )
    scope.session.add(run)
    scope.session.flush()
    lock_runs(scope)
    _reckon_part(scope, run, 1)
    step(run, RunState.DRAFT)
    scope.session.flush()
    return run


def _bill_rooms(scope: Scope, run: BillRun, place: Mapping[str, Any]) -> None:
    arguments = _arguments(scope, run, place)
    formulas = formulas_of(scope)
    arguments |= {f"f{n}": formula.text for n, formula in enumerate(formulas.values())}
    with whole_table_plans(scope):
        result = scope.session.execute(run_sql.bill_statement(formulas), arguments).one()
    run.bills += result.bills
    run.lines += result.lines
    run.amount += yuan(result.amount)
    run.problems = [*run.problems, *result.problems][:MOST_PROBLEMS]


def lock_runs(scope: Scope) -> None:
    """Let one bill run of a community reckon at a time, until the transaction ends."""
    scope.session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('fees.run ' || :community, 0))"),
        {"community": str(scope.community_id)},
    )


@contextmanager
def whole_table_plans(scope: Scope) -> Iterator[None]:
    """Plan the statements inside for whole tables.

    Right after an import or a first run the tables have no statistics; the planner then takes them
    for empty and nests loops over thousands of rows. Rows of a whole chunk fit into the memory that
    is given here, so that nothing is sorted or hashed on disk.
    """
    scope.session.execute(WHOLE_TABLES)
    # Not in a finally: an error ends the transaction, and the settings with it.
    yield
    scope.session.execute(AS_USUAL)


def _place(scope: Scope, run: BillRun) -> dict[str, Any]:
    return {"community": community_of(scope), "building": run.building_id}


def _arguments(scope: Scope, run: BillRun, place: Mapping[str, Any]) -> dict[str, Any]:
    base: dict[str, Any] = {
        **place,
        "from_on": run.from_on,
        "to_on": run.to_on,
        "item": run.fee_item_id,
    }
    return {
        **base,
        "run": run.id,
        "title": run.name,
        "due_on": run.due_on,
        "year_on": date(run.from_on.year, 1, 1),
        "month_on": run.from_on.replace(day=1),
        "spans": calendar_months(run.from_on, run.to_on),
        "counts_people": counts_people(scope),
        **_period_arrays(scope, run, base),
        **_usage_arrays(scope, run, base),
    }


def _period_arrays(scope: Scope, run: BillRun, base: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the months of every segment that can occur, by method and anchor day."""
    inside = scope.session.execute(run_sql.CUT_DAYS, base).scalars()
    days = [run.from_on, *sorted(inside), run.to_on]
    names = ("methods", "anchor_days", "starts", "ends", "numerators", "denominators")
    rows = []
    for row in scope.session.execute(run_sql.METHODS, base):
        method = PeriodMethod(row.method)
        for start, end in combinations(days, 2):
            count = months(method, start, end, row.anchor_day)
            pair = (count.numerator, count.denominator)
            rows.append((method.value, row.anchor_day, start, end, *pair))
    return {name: [row[n] for row in rows] for n, name in enumerate(names)}


def _usage_arrays(scope: Scope, run: BillRun, base: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Ask what the rooms used, once for each commodity."""
    names = ("rooms", "commodities", "meters", "quantities", "evidences", "problems")
    rows: list[tuple[Any, ...]] = []
    for wanted in scope.session.execute(run_sql.METERED_ROOMS, base).all():
        answers = scope.ask(
            "usage_for_period",
            room_ids=wanted.rooms,
            from_on=run.from_on,
            to_on=run.to_on,
            commodity=wanted.commodity,
        )
        seen: dict[UUID, int] = {}
        for usage in (entry for answer in answers for entry in answer):
            number = seen[usage.room_id] = seen.get(usage.room_id, -1) + 1
            problem = usage.problem or (None if usage.quantity is not None else "no_reading")
            quantity = usage.quantity if problem is None else None
            entry = (usage.room_id, wanted.commodity, number, quantity, _evidence(usage), problem)
            rows.append(entry)
    return {name: [row[n] for row in rows] for n, name in enumerate(names)}


def _evidence(usage: Any) -> str:
    names = ("serial", "opening", "opening_at", "closing", "closing_at", "multiplier")
    return json.dumps({n: str(getattr(usage, n)) for n in names if getattr(usage, n, None)})


def _previous_amount(scope: Scope, run: BillRun) -> Decimal | None:
    previous = previous_run(scope, run)
    return previous.amount if previous else None


def previous_run(scope: Scope, run: BillRun) -> BillRun | None:
    """Return the published run of the same kind whose period ended where this one begins."""
    query = select(BillRun).where(
        BillRun.to_on == run.from_on,
        BillRun.state == RunState.PUBLISHED,
        BillRun.fee_item_id.is_not_distinct_from(run.fee_item_id),
        BillRun.building_id.is_not_distinct_from(run.building_id),
        BillRun.room_id.is_(None),
    )
    return scope.session.scalars(query.order_by(BillRun.id.desc()).limit(1)).first()


@service(
    "bill_run.approve",
    title=("Approve", "审核通过"),
    approves=Approval(
        asked_by="prepared_by",
        waiting=(RunState.DRAFT,),
        amount="amount",
        about="name",
        is_request=False,
    ),
)
def approve_run(scope: Scope, run: BillRun) -> BillRun:
    """Approve a draft for publishing; somebody else reckoned it."""
    step(run, RunState.APPROVED)
    run.approved_by = scope.actor.user_id
    scope.session.flush()
    return run


@service("bill_run.publish", title=("Publish", "发布账单"))
def publish_run(scope: Scope, run: BillRun) -> BillRun:
    """Let the drafted bills be owed, post them to the journal and tell everybody.

    A run that is published already is returned as it is. Raises RunClosed for one that was rolled
    back, and where the setting ``fees.run_needs_approval`` asks for an approval that is missing; a
    demonstration or a job of the system itself needs none.
    """
    run = scope.get(BillRun, run.id, lock=True)
    if run.state is RunState.PUBLISHED:
        return run
    needs_approval = bool(scope.setting("fees.run_needs_approval", True))
    if needs_approval and scope.actor.kind != "system" and run.state is not RunState.APPROVED:
        raise RunClosed(N_("The bill run has not been approved yet."))
    return publish_on(scope, run, scope.today)


def publish_on(scope: Scope, run: BillRun, on: date) -> BillRun:
    """Publish a run whose state was checked, in the books of the day ``on``.

    What a run of several months bills for later months than that day's is deferred.
    """
    step(run, RunState.PUBLISHED)
    run.earned_to_on = earned_to(run, on)
    keys = {"community": community_of(scope), "run": run.id, "earned_to": run.earned_to_on}
    scope.session.execute(run_sql.PUBLISH, keys)
    with whole_table_plans(scope):
        parts = income_parts(scope, run_sql.INCOME, keys)
    postings = [Posting(RECEIVABLE, p.code, p.amount, f"{run.name} {p.name}") for p in parts]
    ledger.post(scope, PUBLISHED, run.id, run.name, postings, on=on)
    run.published_at = scope.now
    scope.session.flush()
    scope.emit("fees.bill_published", run_id=run.id)
    return run


@service("bill_run.roll_back", title=("Roll back", "撤回账单"))
def roll_back_run(scope: Scope, run: BillRun, reason: str) -> BillRun:
    """Withdraw the bills of a published run that nobody has touched, and reverse their posting.

    Bills with a payment, a waiver or a late fee stay and are listed in ``problems``: they are
    withdrawn one by one. Repeated, it returns the run as it is. Raises RunClosed for a draft.
    """
    run = scope.get(BillRun, run.id, lock=True)
    if run.state is RunState.ROLLED_BACK:
        return run
    ahead = select(Bill.id).where(Bill.run_id == run.id, Bill.kind == BillKind.PREPAID)
    if scope.session.scalars(ahead.limit(1)).first() is not None:
        raise RunClosed(N_("Months that are paid ahead are ended early, not rolled back."))
    step(run, RunState.ROLLED_BACK)
    keys = {"community": community_of(scope), "run": run.id, "earned_to": run.earned_to_on}
    with whole_table_plans(scope):
        parts = income_parts(scope, run_sql.WITHDRAW, keys)
    postings = [Posting(p.code, RECEIVABLE, p.amount, f"{run.name} {p.name}") for p in parts]
    original = scope.session.scalars(
        select(JournalEntry.id).where(
            JournalEntry.kind == PUBLISHED, JournalEntry.source_id == run.id
        )
    ).one()
    ledger.post(scope, ROLLED_BACK, run.id, reason, postings, reverses_id=original)
    run.problems = [
        {"room": row.code, "item": f"{yuan(row.amount)}", "problem": "touched"}
        for row in scope.session.execute(run_sql.KEPT, keys)
    ]
    scope.session.flush()
    scope.emit("fees.bill_run_rolled_back", run_id=run.id)
    return run


def step(run: BillRun, target: RunState) -> None:
    """Move a run to another state; raises RunClosed for a step that does not exist."""
    if target not in RUN_STEPS[run.state]:
        raise RunClosed(N_("The bill run is not in a state for this."))
    run.state = target
