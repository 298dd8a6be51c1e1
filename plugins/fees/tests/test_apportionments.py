"""Shared costs are divided to the fen, by a key that owners can check."""

from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid
from dougong.services import change
from dougong.tenancy.models import Occupancy
from dougong.tenancy.operations import set_setting
from dougong.testing.factories import make_place
from dougong_fees import services
from dougong_fees.domain.states import BillState
from dougong_fees.models import (
    Apportionment,
    ApportionmentShare,
    ApportionmentState,
    Bill,
    ChargeMethod,
    FeeItem,
    ShareKey,
)
from dougong_fees.services.apportionments import shares_of
from dougong_ledger import services as ledger
from dougong_ledger.domain import PREPAID, RECEIVABLE, PaymentChannel

from .conftest import NOVEMBER, OCTOBER

D = Decimal
POWER = {"main_quantity": D(1000), "deducted_quantity": D(0), "unit_price": D("0.6")}


@pytest.fixture
def building(installation):
    """Sixteen rooms in a community whose owners agreed to apportionment."""
    place = make_place(installation, rooms=16)
    with installation.access() as session:
        set_setting(session, place.community_id, "fees.apportionment_allowed", True)
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        item = FeeItem(code="lift", name="电梯电费公摊", method=ChargeMethod.FIXED)
        item.account_code = "6001.lift"
        scope.session.add(item)
        scope.session.flush()
        yield scope, item, place


def start(scope, item, key=ShareKey.HOUSEHOLD, **values):
    pool = values or POWER
    basis = {"legal_basis": "物业服务合同第九条", "resolution": "2025年业主大会决议"}
    return services.start_apportionment(
        scope, item, "十月电梯电费", OCTOBER, NOVEMBER, NOVEMBER, key, **basis, **pool
    )


def test_a_thousand_kwh_over_sixteen_rooms_are_exactly_six_hundred_yuan(building):
    scope, item, _ = building
    made = start(scope, item)
    amounts = [share.amount for share in shares_of(scope, made)]
    assert (made.pool_amount, sum(amounts), set(amounts)) == (D(600), D("600.00"), {D("37.50")})
    services.publish_apportionment(scope, made)
    trial = ledger.trial_balance(scope)
    assert trial.is_balanced and trial.balance(RECEIVABLE) == D(600) == trial.balance("6001.lift")


@pytest.mark.parametrize("key", list(ShareKey), ids=[k.value for k in ShareKey])
def test_every_key_divides_to_the_fen(building, key):
    scope, item, place = building
    scope.session.add(
        Occupancy(room_id=place.room_ids[0], person_id=place.person_ids[0], from_on=OCTOBER)
    )
    scope.session.flush()
    made = start(scope, item, key, pool_amount=D("1234.57"))
    shares = shares_of(scope, made)
    assert sum(share.amount for share in shares) == D("1234.57")
    whole = sum(share.ratio for share in shares)
    assert all(abs(s.amount - D("1234.57") * s.ratio / whole) < D("0.01") for s in shares)
    if key is ShareKey.AREA:
        assert {share.ratio for share in shares} == {D("89.50") + n for n in range(16)}


def test_an_excluded_room_has_a_reason_and_somebody_who_bears_its_share(building):
    scope, item, place = building
    made = start(scope, item)
    first = shares_of(scope, made)[0]
    with pytest.raises((Conflict, Invalid)), scope.session.begin_nested():
        change(scope, first, {"is_excluded": True})
        scope.session.flush()
    scope.session.expire_all()
    bearer = place.person_ids[7]
    change(scope, first, {"is_excluded": True, "reason": "一楼不用电梯", "payer_id": bearer})
    services.publish_apportionment(scope, made)
    bill = scope.get(Bill, first.bill_id)
    assert (bill.payer_id, bill.amount, bill.state) == (bearer, D("37.50"), BillState.OPEN)


def test_a_correction_reverses_and_bills_anew(building):
    scope, item, place = building
    made = services.publish_apportionment(scope, start(scope, item))
    bill = scope.get(Bill, shares_of(scope, made)[0].bill_id)
    services.pay_bills(scope, bill, PaymentChannel.CASH, "lift-00001")
    with pytest.raises(Conflict):
        services.share_out(scope, made)
    again = services.correct_apportionment(scope, made, D("480.00"), "读数更正")
    services.publish_apportionment(scope, again)
    assert (made.state, again.corrects_id) == (ApportionmentState.WITHDRAWN, made.id)
    trial = ledger.trial_balance(scope)
    assert trial.balance(RECEIVABLE) == trial.balance("6001.lift") == D(480)
    assert trial.balance(PREPAID) == D("37.50")


def test_it_is_off_until_owners_agreed_and_needs_its_basis(scope, place, building):
    _, item, _ = building
    there = building[0]
    with pytest.raises(Conflict):
        start(scope, FeeItem(id=item.id), pool_amount=D(5))
    with pytest.raises(Invalid):
        services.start_apportionment(
            there, item, "x", OCTOBER, NOVEMBER, NOVEMBER, ShareKey.AREA, " ", " ", pool_amount=D(5)
        )
    with pytest.raises(Invalid):
        start(there, item, main_quantity=D(5), deducted_quantity=D(5), unit_price=D(1))
    assert there.session.scalars(select(Apportionment)).all() == []
    assert there.session.scalars(select(ApportionmentShare)).all() == []


def test_owners_read_how_their_share_came_about(building):
    scope, item, _ = building
    made = services.publish_apportionment(scope, start(scope, item))
    (told,) = services.explain_bill(scope, scope.get(Bill, shares_of(scope, made)[0].bill_id))
    assert "600" in told.formula and any("0.6" in note for note in told.notes)
