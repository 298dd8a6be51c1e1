"""The demonstration: portfolios, contacts, broken promises, a dispute, an agreement."""

from datetime import timedelta
from random import Random

from sqlalchemy import func, select

from dougong.db import Scope, insert_rows, uuid7
from dougong.tenancy.models import Building, Person, Room
from dougong_arrears import services
from dougong_arrears.domain import ContactKind, Interruption, NextStep, Outcome, PromiseState
from dougong_arrears.models import (
    CollectionCase,
    Collector,
    CollectorBuilding,
    Contact,
    PaymentPromise,
)
from dougong_fees.models import Bill
from dougong_fees.services.bills import overdue

COLLECTORS = ("陈静", "何建国")
STORIES = (
    (ContactKind.CALL, Outcome.NOT_REACHED, None, NextStep.CALL, "三次拨打无人接听。"),
    (ContactKind.CALL, Outcome.PROMISED, None, NextStep.WAIT, "称月底发工资后一次缴清。"),
    (
        ContactKind.VISIT,
        Outcome.REFUSED,
        Interruption.DEMAND,
        NextStep.LETTER,
        "反映厨房漏水两年未修好，拒缴；已当面送达催费函，拍照留存。",
    ),
    (ContactKind.CALL, Outcome.REACHED, None, NextStep.INSTALMENTS, "近期失业，希望分期。"),
    (ContactKind.VISIT, Outcome.NOT_REACHED, None, NextStep.VISIT, "家中无人，邻居称在外地。"),
)
MOST = 30


def load(scope: Scope, chance: Random) -> None:
    """Write collectors and what they did about those who owe most."""
    services.ensure_levels(scope)
    _portfolios(scope)
    owed = func.sum(Bill.balance)
    owing = scope.session.execute(
        select(Bill.room_id, Bill.payer_id, owed.label("owed"))
        .where(*overdue(scope.today))
        .group_by(Bill.room_id, Bill.payer_id)
        .order_by(owed.desc(), Bill.room_id)
        .limit(MOST)
    ).all()
    if not owing:
        return
    _stories(scope, chance, owing)
    _promises(scope, owing)
    if len(owing) > 6:
        _dispute_and_agree(scope, owing)


def _portfolios(scope: Scope) -> None:
    collectors = [Collector(id=uuid7(), name=name) for name in COLLECTORS]
    scope.session.add_all(collectors)
    scope.session.flush()
    buildings = scope.session.scalars(select(Building.id).order_by(Building.sort_key)).all()
    count = len(buildings)
    ids = [collectors[n * len(collectors) // max(count, 1)].id for n in range(count)]
    if count:
        insert_rows(scope, CollectorBuilding, {"building_id": buildings, "collector_id": ids})


def _stories(scope: Scope, chance: Random, owing) -> None:
    told = [STORIES[n % len(STORIES)] for n in range(len(owing))]
    days = [scope.today - timedelta(days=chance.randrange(2, 40)) for _ in owing]
    about = {
        "room_id": [row.room_id for row in owing],
        "payer_id": [row.payer_id for row in owing],
    }
    insert_rows(
        scope,
        Contact,
        {
            **about,
            "kind": [each[0] for each in told],
            "outcome": [each[1] for each in told],
            "interrupts": [each[2] for each in told],
            "happened_on": days,
            "note": [each[4] for each in told],
        },
    )
    insert_rows(
        scope,
        CollectionCase,
        {
            **about,
            "next_step": [each[3] for each in told],
            "next_on": [scope.today + timedelta(days=n % 9) for n in range(len(owing))],
        },
    )


def _promises(scope: Scope, owing) -> None:
    """Those who promised: every second one has broken it before."""
    made = [row for n, row in enumerate(owing) if STORIES[n % len(STORIES)][1] is Outcome.PROMISED]
    for number, row in enumerate(made):
        is_broken = number % 2 == 0
        scope.session.add(
            PaymentPromise(
                room_id=row.room_id,
                payer_id=row.payer_id,
                amount=row.owed,
                by_on=scope.today + timedelta(days=-5 if is_broken else 4),
                state=PromiseState.BROKEN if is_broken else PromiseState.OPEN,
                made_at=scope.now - timedelta(days=20),
            )
        )
    scope.session.flush()


def _dispute_and_agree(scope: Scope, owing) -> None:
    refusing, jobless = owing[2], owing[3]
    bills = select(Bill).where(
        Bill.room_id == refusing.room_id,
        Bill.payer_id == refusing.payer_id,
        *overdue(scope.today),
    )
    for bill in scope.session.scalars(bills.limit(2)).all():
        services.open_dispute(scope, bill, "厨房漏水未修复，业主要求先维修再缴费。")
    room, payer = scope.get(Room, jobless.room_id), scope.get(Person, jobless.payer_id)
    services.sign_agreement(scope, room, payer, 6, scope.today + timedelta(days=10))
