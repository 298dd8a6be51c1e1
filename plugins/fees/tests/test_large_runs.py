"""Large runs go on where they were killed, whole groups are billed, paid bills are reversed."""

import os
import signal
import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.jobs import Job
from dougong.testing.factories import make_place
from dougong.testing.probe import wait_for, worker
from dougong_fees import services
from dougong_fees.domain.states import BillState, RunState
from dougong_fees.errors import BillTouched
from dougong_fees.models import Bill, BillLine, BillPayment, BillRun, FeeItem
from dougong_fees.services import runs
from dougong_ledger import services as ledger
from dougong_ledger.domain import PREPAID, RECEIVABLE, WAIVED, PaymentChannel
from dougong_ledger.models import Wallet

from .conftest import NOVEMBER, OCTOBER, add_item

SYSTEM = Actor.system()
KILLED = """
import sys, time
from uuid import UUID
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong_fees.services import runs
installation, bill = Installation.open(), runs._bill_rooms
parts = []

def slowly(scope, run, place):
    bill(scope, run, place)
    parts.append(run.id)
    print(len(parts), flush=True)
    if len(parts) == 3:
        time.sleep(600)

runs.CHUNK, runs._bill_rooms = 2, slowly
community, run = map(UUID, sys.argv[1:])
with installation.scope(Actor.system(), community=community) as scope:
    runs.reckon_run(scope, run)
"""


@pytest.fixture
def large(installation, monkeypatch):
    """A community whose run is too large to wait for: nine rooms, two at a time."""
    monkeypatch.setattr(runs, "INLINE", 3)
    monkeypatch.setattr(runs, "CHUNK", 2)
    place = make_place(installation, rooms=9)
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        add_item(scope, place)
        run = services.create_run(scope, "十月", OCTOBER, NOVEMBER, NOVEMBER)
        assert (run.state, run.rooms, run.bills) == (RunState.RECKONING, 9, 0)
        run_id = run.id
    return place, run_id


def environment(installation):
    settings = installation.settings
    return {
        **os.environ,
        "DOUGONG_HOME": str(settings.paths.home),
        "DOUGONG_DATABASE": str(settings.database),
        "DOUGONG_PLUGIN_PATH": os.pathsep.join(map(str, settings.plugin_paths)),
    }


def see(installation, place, run_id):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        run = scope.get(BillRun, run_id)
        lines = scope.session.scalars(select(BillLine.charge_id)).all()
        return run.state, run.rooms_done, run.bills, len(lines), len(set(lines))


def test_a_run_that_was_killed_goes_on_and_bills_every_room_once(installation, large):
    place, run_id = large
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(place.community_id), str(run_id)],
        env=environment(installation),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        while process.stdout.readline().strip() != "3":
            assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert see(installation, place, run_id) == (RunState.RECKONING, 4, 4, 4, 4)
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        assert services.reckon_run(scope, run_id) == 9
    assert see(installation, place, run_id) == (RunState.DRAFT, 9, 9, 9, 9)


def test_the_worker_reckons_what_was_too_large_to_wait_for(installation, large, tmp_path):
    place, run_id = large
    with worker(installation, tmp_path / "log"):
        wait_for(lambda: see(installation, place, run_id)[0] is RunState.DRAFT)
    assert see(installation, place, run_id) == (RunState.DRAFT, 9, 9, 9, 9)
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        wait_for(lambda: scope.session.scalars(select(Job.service)).all())


def test_a_run_that_is_being_reckoned_is_neither_approved_nor_published(installation, large):
    place, run_id = large
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        run = scope.get(BillRun, run_id)
        for service in (services.approve_run, services.publish_run):
            with pytest.raises(Conflict):
                service(scope, run)


def test_a_group_is_billed_and_each_community_reported(installation):
    place = make_place(installation)
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        add_item(scope, place)
    manager = place.actor("*", communities=None)
    with installation.scope(manager, group=place.group_id) as scope:
        outcome = services.create_group_runs(scope, "十月", OCTOBER, NOVEMBER, NOVEMBER)
    assert sorted((each.run.bills, each.problem) for each in outcome) == [(0, ""), (4, "")]
    clerk = place.actor("*")
    with installation.scope(manager, group=place.group_id) as scope:
        assert {r.run.bills for r in services.group_runs(scope)} == {0, 4}
        wrong = services.create_group_runs(scope, "十月", NOVEMBER, OCTOBER, NOVEMBER)
    assert all(each.run is None and each.problem for each in wrong)
    with installation.scope(clerk, group=place.group_id) as scope:
        assert len(services.group_runs(scope)) == 1, "only what he may see"


@pytest.fixture
def published(scope, place, item):
    run = services.create_run(scope, "十月", OCTOBER, NOVEMBER, date(2026, 11, 20))
    services.publish_run(scope, run)
    return run


def test_rolling_back_lists_what_was_paid_and_each_is_reversed(scope, place, published):
    paid, waived = scope.session.scalars(select(Bill).order_by(Bill.id).limit(2)).all()
    services.pay_bills(scope, paid, PaymentChannel.CASH, "paid-0001")
    services.request_waiver(scope, waived, Decimal("20.00"), "漏水")
    services.roll_back_run(scope, published, "单价有误")
    assert len(published.problems) == 2 and {p["problem"] for p in published.problems} == {
        "touched"
    }
    total = paid.amount
    for bill in (paid, waived):
        services.reverse_bill(scope, bill, "冲销")
        assert (bill.state, bill.paid, bill.waived) == (BillState.WITHDRAWN, 0, 0)
    trial = ledger.trial_balance(scope)
    assert trial.is_balanced
    assert [trial.balance(a) for a in (RECEIVABLE, WAIVED, "6001.property")] == [0, 0, 0]
    assert trial.balance(PREPAID) == ledger.balance_of(scope, paid.payer_id) == total
    assert sum(p.amount for p in scope.session.scalars(select(BillPayment))) == 0
    again = services.create_run(scope, "十月更正", OCTOBER, NOVEMBER, date(2026, 11, 20))
    assert again.bills == 4


def test_money_of_a_reversed_bill_is_paid_out_once_and_never_twice(scope, place, published):
    bill = scope.session.scalars(select(Bill).limit(1)).one()
    payment = services.pay_bills(scope, bill, PaymentChannel.CASH, "paid-0002")
    services.reverse_bill(scope, bill, "冲销")
    with pytest.raises(Conflict), scope.session.begin_nested():
        ledger.refund_payment(scope, payment, payment.amount, "退款", "refund-0002")
    wallet = scope.session.scalars(select(Wallet)).one()
    for _ in range(2):
        ledger.pay_out(scope, wallet, payment.amount, PaymentChannel.CASH, "退还", "out-000001")
    assert ledger.balance_of(scope, bill.payer_id) == 0
    assert ledger.trial_balance(scope).balance("1001") == 0
    with pytest.raises(Conflict), scope.session.begin_nested():
        ledger.pay_out(scope, wallet, Decimal(1), PaymentChannel.CASH, "退还", "out-000002")


def test_a_bill_with_a_late_fee_is_not_reversed_before_it(scope, place, published):
    bill = scope.session.scalars(select(Bill).limit(1)).one()

    scope.session.scalars(select(FeeItem)).one().late_fee_rate = Decimal("0.0005")
    scope.session.flush()
    late = services.demand_late_fee(scope, bill, date(2026, 12, 20))
    with pytest.raises(BillTouched), scope.session.begin_nested():
        services.reverse_bill(scope, bill, "冲销")
    services.reverse_bill(scope, late, "冲销")
    services.reverse_bill(scope, bill, "冲销")
    assert ledger.trial_balance(scope).balance(RECEIVABLE) == sum(
        b.balance for b in scope.session.scalars(select(Bill).where(Bill.state == BillState.OPEN))
    )
