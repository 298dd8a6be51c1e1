"""The demonstration's renovations: to review, to sign, underway, stopped, to accept, to settle."""

import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import select

from dougong.db import Scope, insert_rows
from dougong.tenancy.models import Ownership, Room
from dougong_renovation.domain.states import ApplicationState
from dougong_renovation.models import (
    Application,
    ApplicationStep,
    Document,
    Inspection,
    Violation,
    WorkerPass,
)
from dougong_renovation.services.rules import usual_deposit
from dougong_renovation.services.site import WEIGHTS

DESK = "客服中心 周敏"
GUARD = "秩序维护 老郑"
TEXTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PERMITTED = ("underway", "stopped", "finished", "accepted")
# The road to each state, with the days after the application on which the step was taken.
ROAD = (("submit", "submitted", 0), ("agree", "agreed", 1), ("sign", "signed", 2))
AFTER = (("take_deposit", "signed", 3), ("permit", "underway", 4))
LAST = {"stopped": "stop", "finished": "report_finished", "accepted": "accept"}


@dataclass(frozen=True)
class Case:
    """A renovation of the demonstration with what the table of it says."""

    application: Application
    told: Mapping[str, Any]


def load(scope: Scope, chance: Random) -> None:
    """Write the renovations with all that belongs to them, a few statements a table."""
    cases = _applications(scope)
    scope.session.add_all(case.application for case in cases)
    scope.session.flush()
    scope.session.add_all(row for case in cases for row in _rows(scope, case))
    scope.session.flush()
    _passes(scope, chance, cases)
    _deposits(scope, cases)


def _applications(scope: Scope) -> list[Case]:
    query = (
        select(Ownership.room_id, Ownership.person_id)
        .join(Room, Room.id == Ownership.room_id)
        .where(Ownership.to_on.is_(None), Room.state == "occupied")
        .order_by(Room.sort_key, Ownership.share.desc())
        .limit(600)
    )
    owners = list(dict(tuple(row) for row in scope.session.execute(query)).items())[160::37]
    deposit = usual_deposit(scope)
    return [
        Case(_application(scope, number, told, room, deposit), told)
        for number, (told, room) in enumerate(
            zip(TEXTS["application"], owners, strict=False), start=1
        )
    ]


def _application(
    scope: Scope,
    number: int,
    told: Mapping[str, Any],
    owner: tuple[UUID, UUID],
    deposit: Decimal,
) -> Application:
    starts_on = scope.today + timedelta(days=told["starts"])
    ends_on = starts_on + timedelta(days=told["days"])
    state = ApplicationState(told["state"])
    made = Application(
        number=number,
        room_id=owner[0],
        person_id=owner[1],
        works=told["works"],
        text=told["text"],
        contractor=told["contractor"] or None,
        contact_phone=f"1390000{number:04d}",
        starts_on=starts_on,
        ends_on=ends_on,
        state=state,
        submitted_at=_submitted_at(scope, told),
        deposit_amount=deposit if told["state"] != "submitted" else Decimal(0),
    )
    if told["state"] in PERMITTED:
        _permit(scope, made, told, ends_on)
    return made


def _permit(scope: Scope, made: Application, told: Mapping[str, Any], ends_on: date) -> None:
    made.signed_at = made.submitted_at + timedelta(days=2)
    made.permitted_at = made.submitted_at + timedelta(days=4)
    made.permit_number = f"{made.permitted_at:%Y}-{made.number:04d}"
    made.valid_until_on, made.neighbours_told = ends_on, 6
    made.claimed = sum((Decimal(v[3]) for v in told.get("violations", ())), Decimal(0))
    if told["state"] in ("finished", "accepted"):
        made.finished_at = scope.now - timedelta(days=2 if told["state"] == "finished" else 45)
    if told["state"] == "accepted":
        made.accepted_at = scope.now - timedelta(days=40)
        made.refund_from_on = scope.today - timedelta(days=10)


def _submitted_at(scope: Scope, told: Mapping[str, Any]) -> datetime:
    """Return when it was applied for: five days before it begins, yesterday at the latest."""
    day = min(scope.today - timedelta(days=1), scope.today + timedelta(days=told["starts"] - 5))
    return datetime.combine(day, time(10, 20), scope.zone)


def _rows(scope: Scope, case: Case) -> list[Any]:
    made, told = case.application, case.told
    road = ROAD[: 2 if told["state"] == "agreed" else 1]
    if told["state"] in PERMITTED:
        road = ROAD + AFTER
    rows: list[Any] = [
        _step(made, verb, state, made.submitted_at + timedelta(days=days))
        for verb, state, days in road
    ]
    if verb := LAST.get(told["state"]):
        rows.append(_step(made, verb, told["state"], made.accepted_at or scope.now))
    rows += [
        Document(application_id=made.id, kind=kind, handed_in_at=made.submitted_at)
        for kind in told["papers"]
    ]
    return rows + _site(scope, made, told)


def _step(made: Application, verb: str, state: str, at: datetime) -> ApplicationStep:
    author = "业主" if verb in ("submit", "sign", "report_finished") else DESK
    return ApplicationStep(
        application_id=made.id, verb=verb, state=ApplicationState(state), taken_at=at, author=author
    )


def _site(scope: Scope, made: Application, told: Mapping[str, Any]) -> list[Any]:
    inspections: Sequence[Any] = told.get("inspections", ())
    return [
        Inspection(
            application_id=made.id,
            kind=kind,
            is_passed=is_passed,
            note=note,
            inspected_at=scope.now - timedelta(days=3 * (len(inspections) - at)),
            inspector=GUARD,
        )
        for at, (kind, is_passed, note) in enumerate(inspections)
    ] + [
        Violation(
            application_id=made.id,
            kind=kind,
            text=text,
            state=state,
            claim=Decimal(claim),
            found_at=scope.now - timedelta(days=2),
            is_quiet_time=kind == "noise",
            due_on=scope.today + timedelta(days=3) if state == "open" else None,
            rectified_at=scope.now - timedelta(days=1) if state == "rectified" else None,
        )
        for kind, text, state, claim in told.get("violations", ())
    ]


def _passes(scope: Scope, chance: Random, cases: Sequence[Case]) -> None:
    workers = [(case, *worker) for case in cases for worker in case.told.get("workers", ())]
    insert_rows(
        scope,
        WorkerPass,
        {
            "application_id": [case.application.id for case, _, _ in workers],
            "name": [name for _, name, _ in workers],
            "trade": [trade for _, _, trade in workers],
            "id_number": [_identity(chance) for _ in workers],
            "phone": [f"1380000{chance.randrange(10000):04d}" for _ in workers],
            "code": [secrets.token_urlsafe(12) for _ in workers],
            "issued_at": [case.application.permitted_at for case, _, _ in workers],
        },
    )


def _identity(chance: Random) -> str:
    """Return a number with the right check character and a place that does not exist."""
    born = date(1970, 1, 1) + timedelta(days=chance.randrange(10_000))
    number = f"990000{born:%Y%m%d}{chance.randrange(1000):03d}"
    total = sum(int(digit) * weight for digit, weight in zip(number, WEIGHTS, strict=True))
    return number + "10X98765432"[total % 11]


def _deposits(scope: Scope, cases: Sequence[Case]) -> None:
    """Take the deposits of those that are permitted into the ledger, where it is on."""
    if "ledger" not in scope.enabled:
        return
    for case in cases:
        made = case.application
        if case.told["state"] in PERMITTED and made.deposit_amount:
            made.deposit_id = uuid5(made.id, "deposit")
            scope.call(
                "ledger.deposit.create",
                title=f"装修押金（{made.number} 号）",
                room_id=made.room_id,
                person_id=made.person_id,
                amount=made.deposit_amount,
                channel="pos",
                id=made.deposit_id,
            )
