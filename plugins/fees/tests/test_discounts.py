"""Discounts are asked for, approved by another, dated, and part of what a room is charged."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.errors import Conflict, Invalid, OwnRequest
from dougong.tenancy.models import Room
from dougong_fees import services
from dougong_fees.models import Bill, BillLine, ChargeMethod, Discount, DiscountKind, FeeItem

from .conftest import add_item

D = Decimal


@pytest.fixture
def fixed(installation, scope, place):
    item = add_item(scope, place, "fixed", "100.00", method=ChargeMethod.FIXED)
    scope.session.commit()
    return item.id


def ask(scope, place, item, share="0.3", from_on=date(2026, 10, 16), to_on=date(2027, 1, 1)):
    room, item = scope.get(Room, place.room_ids[0]), scope.get(FeeItem, item)
    basis = "业主大会2026年第2号决议"
    return services.request_discount(
        scope, room, item, DiscountKind.VACANCY, D(share), from_on, basis, to_on
    )


def approve(installation, place, discount):
    with installation.scope(place.actor("*"), community=place.community_id) as own:
        services.approve_discount(own, own.get(Discount, discount.id))


def run(scope, place, first, end):
    services.create_run(scope, f"{first:%Y-%m}", first, end, end)
    query = select(BillLine.amount).join(Bill, Bill.id == BillLine.bill_id)
    of_room = (Bill.room_id == place.room_ids[0], Bill.from_on >= first, Bill.from_on < end)
    return sorted(scope.session.scalars(query.where(*of_room)))


def test_a_discount_begins_and_ends_on_its_days(installation, scope, place, fixed):
    discount = ask(scope, place, fixed)
    scope.session.commit()
    approve(installation, place, discount)
    # October: fifteen of 31 days in full, sixteen at 70 %; November at 70 %; January in full.
    october = run(scope, place, date(2026, 10, 1), date(2026, 11, 1))
    assert october == [D("36.13"), D("48.39")]
    assert run(scope, place, date(2026, 11, 1), date(2026, 12, 1)) == [D("70.00")]
    assert run(scope, place, date(2027, 1, 1), date(2027, 2, 1)) == [D("100.00")]


def test_nothing_changes_before_another_person_approves(installation, scope, place, fixed):
    clerk = place.actor("*")
    with installation.scope(clerk, community=place.community_id) as own:
        discount = ask(own, place, fixed)
        with pytest.raises(OwnRequest):
            services.approve_discount(own, discount)
        own.session.rollback()
    ask(scope, place, fixed)
    assert run(scope, place, date(2026, 11, 1), date(2026, 12, 1)) == [D("100.00")]


def test_what_is_billed_is_waived_instead_and_two_do_not_run_at_once(
    installation, scope, place, fixed
):
    first, second = ask(scope, place, fixed), ask(scope, place, fixed, "0.1", to_on=None)
    early = ask(scope, place, fixed, from_on=date(2026, 9, 1), to_on=date(2026, 10, 1))
    assert run(scope, place, date(2026, 9, 1), date(2026, 10, 1)) == [D("100.00")]
    scope.session.commit()
    approve(installation, place, first)
    for wrong in (early, second, first):
        with pytest.raises(Conflict):
            approve(installation, place, wrong)


@pytest.mark.parametrize("share", ["0", "1.1", "-0.2", "0.3000001"])
def test_a_share_that_makes_no_sense_is_refused(scope, place, fixed, share):
    with pytest.raises(Invalid):
        ask(scope, place, fixed, share)
