"""Demands on paper, in bulk, and the notice for the board that names nobody."""

import base64
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

from sqlalchemy import and_, func, select

from dougong.db import Scope, insert_rows
from dougong.documents import render, render_many
from dougong.errors import Conflict, Invalid
from dougong.exchange import drop_parts, read_parts, write_parts
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Building, Person, Room
from dougong_arrears.domain import (
    ContactKind,
    Interruption,
    NoticeKind,
    NoticeState,
    Outcome,
    masked_room,
)
from dougong_arrears.models import Contact, Letter, NoticeRun
from dougong_arrears.services.reminding import is_agreed, is_disputed
from dougong_fees.models import Bill
from dougong_fees.services.bills import overdue

CONTENT = "notices"
SHOWN = 15
PROGRESS_EVERY = 16


@service("notice_run.start", title=("Print notices", "批量打印催费函"))
def start_notices(
    scope: Scope,
    kind: NoticeKind,
    pay_by_on: date,
    least: Decimal = Decimal(0),
    building: UUID | None = None,
) -> NoticeRun:
    """Have a worker print demands, or the public notice, for all who owe at least ``least`` yuan.

    building: only that one. Disputed bills and those under an agreement are left out. Raises
    Invalid for a day that has passed.
    """
    if pay_by_on < scope.today or least < 0:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"pay_by_on": gettext("Choose a day to come.")},
        )
    run = NoticeRun(
        kind=kind,
        building_id=scope.get(Building, building).id if building else None,
        least=least,
        pay_by_on=pay_by_on,
        user_id=scope.actor.user_id,
    )
    scope.session.add(run)
    scope.session.flush()
    run.job_id = scope.enqueue("arrears.notice_run.print", run=run.id)
    scope.session.flush()
    return run


@service(
    "notice_run.print",
    title=("Print notices", "批量打印催费函"),
    permission="arrears.notice_run.start",
    is_public=False,
)
def print_notices(scope: Scope, run: NoticeRun) -> int:
    """Print a run and keep its file sealed; return the number of notices. It prints once."""
    if run.state is NoticeState.READY:
        return run.count
    owing = owing_rooms(scope, run)
    with tempfile.TemporaryFile() as content:
        if run.kind is NoticeKind.PUBLIC:
            content.write(_public_notice(scope, run, owing))
        else:
            _write_demands(scope, run, owing, content)
        content.seek(0)
        run.size = write_parts(scope, run.id, CONTENT, content)
    run.state, run.count = NoticeState.READY, len(owing)
    run.expires_at = scope.now + timedelta(days=int(scope.setting("arrears.notice_days_kept", 7)))
    scope.session.flush()
    return run.count


def owing_rooms(scope: Scope, run: NoticeRun) -> list[Any]:
    """Return room, payer, sum and bills of everyone whom a run demands from, by room."""
    owed = func.sum(Bill.balance)
    query = (
        select(
            Bill.room_id,
            Bill.payer_id,
            Room.code.label("room"),
            Person.name.label("payer"),
            owed.label("owed"),
            func.min(Bill.due_on).label("since_on"),
            func.count().label("bills"),
        )
        .join(Room, and_(Room.community_id == Bill.community_id, Room.id == Bill.room_id))
        .join(Person, and_(Person.community_id == Bill.community_id, Person.id == Bill.payer_id))
        .where(*overdue(scope.today), ~is_disputed(), ~is_agreed())
        .group_by(Bill.room_id, Bill.payer_id, Room.code, Room.sort_key, Person.name)
        .having(owed >= max(run.least, Decimal("0.01")))
        .order_by(Room.sort_key, Bill.payer_id)
    )
    if run.building_id:
        query = query.where(Room.building_id == run.building_id)
    return list(scope.session.execute(query))


def _write_demands(scope: Scope, run: NoticeRun, owing: Sequence[Any], to: IO[bytes]) -> None:
    """Write one PDF per payer into an archive, and remember the letters."""
    numbers = _numbers(scope, len(owing))
    lines = _lines(scope, run)
    contexts = (
        _demand(scope, run, number, row, lines[row.room_id, row.payer_id])
        for number, row in zip(numbers, owing, strict=True)
    )
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:
        printed = render_many(scope, "arrears:demand", contexts)
        for done, (document, row) in enumerate(zip(printed, owing, strict=True), 1):
            archive.writestr(f"{done:04}-{row.room.replace('/', '_')}.pdf", document.content)
            if done % PROGRESS_EVERY == 0 or done == len(owing):
                scope.progress(done, len(owing), N_("Notices printed"))
    insert_rows(
        scope,
        Letter,
        {
            "run_id": [run.id] * len(owing),
            "number": numbers,
            "room_id": [row.room_id for row in owing],
            "payer_id": [row.payer_id for row in owing],
            "amount": [row.owed for row in owing],
        },
    )


def _numbers(scope: Scope, count: int) -> list[str]:
    """Return the next numbers of the day; runs of a community never print at the same time."""
    prefix = f"CJ{scope.today:%Y%m%d}-"
    first = scope.session.scalar(
        select(func.count()).where(Letter.number >= prefix, Letter.number < prefix + "~")
    )
    return [f"{prefix}{(first or 0) + n:04}" for n in range(1, count + 1)]


def _lines(scope: Scope, run: NoticeRun) -> Mapping[tuple[UUID, UUID], list[Any]]:
    query = (
        select(Bill.room_id, Bill.payer_id, Bill.title, Bill.due_on, Bill.balance)
        .join(Room, Room.id == Bill.room_id)
        .where(*overdue(scope.today), ~is_disputed(), ~is_agreed())
        .order_by(Bill.due_on, Bill.id)
    )
    if run.building_id:
        query = query.where(Room.building_id == run.building_id)
    found: dict[tuple[UUID, UUID], list[Any]] = defaultdict(list)
    for row in scope.session.execute(query):
        found[row.room_id, row.payer_id].append(row)
    return found


def _demand(
    scope: Scope, run: NoticeRun, number: str, row: Any, lines: Sequence[Any]
) -> Mapping[str, Any]:
    earlier, shown = lines[:-SHOWN], lines[-SHOWN:]
    return {
        "number": number,
        "room": row.room,
        "payer": row.payer,
        "owed": row.owed,
        "since_on": row.since_on,
        "pay_by_on": run.pay_by_on,
        "on": scope.today,
        "lines": [(line.title, line.due_on, line.balance) for line in shown],
        "earlier": sum((line.balance for line in earlier), Decimal(0)),
        "earlier_count": len(earlier),
        "code": code_of(scope, row.room_id, row.payer_id),
    }


def code_of(scope: Scope, room_id: UUID, payer_id: UUID) -> str:
    """Return eight signs by which a payer finds his line in the public notice, and nobody else.

    They are keyed: who knows rooms and names cannot work them out.
    """
    owner: Any = scope.community_id
    key = scope.installation.keyring.index_keys([owner])[owner][0]
    digest = key.digest(b"dougong.arrears.notice|" + room_id.bytes + payer_id.bytes)
    return base64.b32encode(bytes(digest)[:5]).decode()


def _public_notice(scope: Scope, run: NoticeRun, owing: Sequence[Any]) -> bytes:
    """Return the notice: building, code, months and sum of each; neither name nor room."""
    rows = [
        {
            "building": masked_room(row.room),
            "code": code_of(scope, row.room_id, row.payer_id),
            "bills": row.bills,
            "since_on": row.since_on,
            "owed": row.owed,
        }
        for row in owing
    ]
    # Within a building by code: the order of the rooms would give them away.
    rows.sort(key=lambda row: (row["building"], row["code"]))
    context = {
        "rows": rows,
        "total": sum((row.owed for row in owing), Decimal(0)),
        "on": scope.today,
        "pay_by_on": run.pay_by_on,
    }
    return render(scope, "arrears:public_notice", context).content


def sweep_notices(scope: Scope) -> None:
    """Forget the files of print runs whose time is over; the letters stay on record."""
    gone = select(NoticeRun.id).where(NoticeRun.expires_at <= scope.now, NoticeRun.size > 0)
    for run_id in scope.session.scalars(gone).all():
        drop_parts(scope, run_id)
        scope.get(NoticeRun, run_id).size = 0


@service("letter.deliver", title=("Handed over", "登记送达"))
def deliver_letter(scope: Scope, letter: Letter, on: date | None = None) -> Letter:
    """Record that a printed demand reached its payer, which interrupts the limitation period.

    Evidence (a signed slip, a photo) is attached to the letter. Raises Conflict when it was
    recorded before, Invalid for a day to come.
    """
    on = on or scope.today
    if letter.delivered_on is not None:
        raise Conflict(N_("This letter was handed over before."))
    if on > scope.today:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"on": gettext("This day has not come yet.")},
        )
    letter.delivered_on = on
    contact = Contact(
        room_id=letter.room_id,
        payer_id=letter.payer_id,
        kind=ContactKind.LETTER,
        outcome=Outcome.REACHED,
        interrupts=Interruption.DEMAND,
        happened_on=on,
        user_id=scope.actor.user_id,
    )
    contact.note = gettext("Demand %(number)s handed over", number=letter.number)
    scope.session.add(contact)
    scope.session.flush()
    return letter


def file_of(scope: Scope, run: NoticeRun) -> Iterator[bytes]:
    """Return the file of a print run piece by piece."""
    return read_parts(scope, run.id, CONTENT)
