"""A student pays by campus card, through a bridge that checks what we sign and signs its own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text

from dougong.db import Actor
from dougong.errors import NotFound
from dougong_ledger import services as ledger
from dougong_ledger.channels import ChannelRefused, Standing
from dougong_ledger.domain import AttemptState, ReturnState
from dougong_ledger.matching import DayState
from dougong_ledger.models import ChannelNotice, ChannelReturn, Payment, PaymentAttempt
from dougong_online_payment import services
from dougong_online_payment.domain import campus_card
from dougong_online_payment.models import MerchantAccount, Provider

from .test_channels import send_returns
from .test_reconciliation import a_day_passes, fetch

SYSTEM = Actor.system("test")
CARD, YUAN = "campus_card", Decimal("12.34")


@pytest.fixture
def campus(stage):
    """The stage's community as a campus, where cards pay."""
    with stage.installation.databases.engine("migrator").begin() as connection:
        connection.execute(text("set local role dougong_owner"))
        values = {"id": stage.place.community_id}
        connection.execute(
            text("update dougong.community set kind = 'campus' where id = :id"), values
        )
    return stage


def balance(stage):
    with stage.scope() as scope:
        assert ledger.trial_balance(scope).is_balanced
        return ledger.balance_of(scope, stage.place.person_ids[0])


def test_a_card_pays_once_whatever_is_told_how_often(campus):
    gateway = campus.campus_card
    attempt = campus.start(campus.order(), CARD)
    trade = gateway.pay(attempt.trade_no, tells=False)
    headers, body = gateway.notice(trade)
    assert [gateway.post(trade.notify_url, headers, body) for _ in range(3)] == [True] * 3
    assert gateway.notify(attempt.trade_no)
    assert balance(campus) == YUAN
    assert campus.one(select(func.count()).select_from(Payment)) == 1


def test_forged_old_changed_and_wrong_notices_book_nothing(campus):
    gateway = campus.campus_card
    attempt = campus.start(campus.order(), CARD)
    trade = gateway.pay(attempt.trade_no, tells=False)
    headers, body = gateway.notice(trade)
    old = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
    wrong = [
        (headers, body.replace(b"12.34", b"99.34")),
        ({}, body),
        gateway.notice(trade, {"sent": old}),
        gateway.notice(trade, {"merchant": "4711"}),
        gateway.notice(trade, {"amount": 12.34}),
    ]
    assert not any(gateway.post(trade.notify_url, *each) for each in wrong)
    assert campus.one(select(func.count()).select_from(ChannelNotice)) == 0
    gateway.post(trade.notify_url, *gateway.notice(trade, {"amount": "99.34"}))
    assert balance(campus) == 0
    state = campus.one(select(PaymentAttempt.state).where(PaymentAttempt.id == attempt.id))
    assert state is AttemptState.BLOCKED


def test_a_mute_bridge_leaves_unknown_and_asking_resolves_it(campus):
    gateway = campus.campus_card
    gateway.is_mute = True
    attempt = campus.start(campus.order(), CARD)
    assert attempt.state is AttemptState.UNKNOWN
    gateway.is_mute = False
    gateway.pay(attempt.trade_no, tells=False)
    with campus.scope() as scope:
        ledger.ask_about(scope, attempt.id)
    assert balance(campus) == YUAN


def test_money_goes_back_to_the_card_once(campus):
    gateway = campus.campus_card
    attempt = campus.start(campus.order(), CARD)
    gateway.pay(attempt.trade_no, tells=False)
    assert gateway.notify(attempt.trade_no)
    with campus.scope() as scope:
        payment = scope.session.scalars(select(Payment)).one()
        ledger.refund_payment(scope, payment, Decimal("2.34"), "退宿", "refund-0001")
    gateway.is_mute = True
    send_returns(campus)
    assert campus.one(select(ChannelReturn.state)) is ReturnState.UNKNOWN
    gateway.is_mute = False
    send_returns(campus)
    assert campus.one(select(ChannelReturn.state)) is ReturnState.DONE
    assert gateway.trades[attempt.trade_no].refunded_fen == 234
    assert balance(campus) == Decimal("10.00")


def test_the_days_bill_agrees_and_a_payment_that_is_not_there_is_told(campus):
    gateway = campus.campus_card
    for number in range(2):
        attempt = campus.start(campus.order(key=f"card-order-{number}"), CARD)
        gateway.pay(attempt.trade_no, tells=False)
        assert gateway.notify(attempt.trade_no)
    gateway.bill_lacks.add(attempt.trade_no)
    a_day_passes(campus, gateway)
    day, found = fetch(campus, CARD)
    assert day.state is not DayState.BALANCED and len(found) == 1


def test_it_is_offered_on_a_campus_only_and_its_connection_is_tested(stage, campus):
    with campus.scope() as scope:
        assert CARD in {offer.channel.id for offer in ledger.offers(scope)}
    query = select(MerchantAccount).where(MerchantAccount.provider == Provider.CAMPUS_CARD)
    place = stage.place
    with stage.installation.scope(SYSTEM, group=place.group_id, group_write=True) as scope:
        account = scope.session.scalars(query).one()
        assert services.test_connection(scope, account).tested_at
        account.number = "4711"
        scope.session.flush()
        with pytest.raises(ChannelRefused):
            services.test_connection(scope, account)


def test_an_estate_has_no_campus_card(stage):
    with stage.scope() as scope:
        assert CARD not in {offer.channel.id for offer in ledger.offers(scope)}
    with pytest.raises(NotFound):
        stage.start(stage.order(), CARD)


@pytest.mark.parametrize("amount", ["1.234", "NaN", 12, None, "x"])
def test_an_amount_is_a_string_of_whole_fen(amount):
    told = {"state": "paid", "order": "a", "merchant": "b", "flow": "c", "at": "2026-11-28T10:00Z"}
    with pytest.raises(ValueError, match="amount"):
        campus_card.outcome({**told, "amount": amount})
    assert campus_card.outcome({**told, "state": "open"}).standing is Standing.PENDING
