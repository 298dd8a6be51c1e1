"""Money moves once, balances, and leaves a numbered receipt."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid, NotAllowed
from dougong.tenancy.models import Person
from dougong_ledger import services
from dougong_ledger.domain import CHANNEL, PREPAID, PaymentState, Posting, ReceiptState, gaps
from dougong_ledger.errors import BalanceTooLow, KeyUsed, NotSettled, OrderClosed
from dougong_ledger.models import JournalLine, Payment, Receipt, Wallet, WalletMovement
from dougong_ledger.services.receipts import receipt_of

YUAN = Decimal("100.00")


def top_up(scope, place, key="top-up-0001", amount=YUAN):
    return services.top_up(scope, scope.get(Person, place.person_ids[0]), amount, key)


def balances(scope):
    return services.trial_balance(scope)


def test_a_top_up_fills_the_wallet_and_balances(scope, place):
    payment = top_up(scope, place)
    trial = balances(scope)
    assert services.balance_of(scope, place.person_ids[0]) == YUAN
    assert (trial.is_balanced, trial.balance(CHANNEL), trial.balance(PREPAID)) == (True, YUAN, YUAN)
    receipt = receipt_of(scope, payment)
    assert (receipt.number, receipt.amount, receipt.payer_name) == (1, YUAN, "业主0")


def test_a_repeated_key_returns_the_first_payment(scope, place):
    assert top_up(scope, place).id == top_up(scope, place).id
    assert services.balance_of(scope, place.person_ids[0]) == YUAN


def test_a_key_used_for_something_else_is_refused(scope, place):
    top_up(scope, place)
    with pytest.raises(KeyUsed):
        top_up(scope, place, amount=Decimal("7.00"))


@pytest.mark.parametrize("amount", ["0", "-5", "0.001", "1e30"])
def test_an_amount_is_more_than_nothing_and_whole_fen(scope, place, amount):
    with pytest.raises(Invalid):
        top_up(scope, place, amount=Decimal(amount))


def test_the_same_key_at_once_pays_once(installation, place):
    def request(_):
        with installation.scope(Actor.system(), community=place.community_id) as scope:
            return top_up(scope, place, "at-the-same-time").id

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(request, range(12)))) == 1
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert services.balance_of(scope, place.person_ids[0]) == YUAN
        assert scope.session.scalar(select(func.count()).select_from(Payment)) == 1


def test_receipts_have_no_gap_when_payments_fail_and_run_at_once(installation, place):
    class Fails(Exception):
        pass

    def request(number):
        try:
            with installation.scope(Actor.system(), community=place.community_id) as scope:
                top_up(scope, place, f"receipt-{number:04}", Decimal("1.00"))
                if number % 3 == 0:
                    raise Fails
        except Fails:
            return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(request, range(24)))
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        numbers = scope.session.scalars(select(Receipt.number)).all()
        assert (len(numbers), gaps(numbers)) == (16, [])


def test_a_refund_goes_back_and_voids_the_receipt(scope, place):
    payment = top_up(scope, place)
    services.refund_payment(scope, payment, Decimal("40.00"), "付多了", "refund-0001")
    assert payment.state is PaymentState.PARTLY_REFUNDED
    assert receipt_of(scope, payment).amount == Decimal("60.00")
    services.refund_payment(scope, payment, Decimal("60.00"), "不充了", "refund-0002")
    assert payment.state is PaymentState.REFUNDED
    assert receipt_of(scope, payment) is None
    states = scope.session.scalars(select(Receipt.state).order_by(Receipt.number)).all()
    assert states == [ReceiptState.VOID, ReceiptState.VOID]
    trial = balances(scope)
    assert (trial.is_balanced, trial.balance(CHANNEL), trial.balance(PREPAID)) == (True, 0, 0)


def test_no_more_goes_back_than_was_paid_and_a_repeated_refund_is_the_first(scope, place):
    payment = top_up(scope, place)
    first = services.refund_payment(scope, payment, Decimal("80.00"), "退", "refund-0001")
    again = services.refund_payment(scope, payment, Decimal("80.00"), "退", "refund-0001")
    assert first.id == again.id
    with pytest.raises(Conflict):
        services.refund_payment(scope, payment, Decimal("20.01"), "退", "refund-0002")


def test_a_wallet_is_never_overdrawn(scope, place):
    top_up(scope, place)
    item = services.OrderItem("ledger.wallet", place.person_ids[0], "试", Decimal("100.01"))
    order = services.open_order(
        scope, "meters", "试", [item], "too-much-1", payer_id=place.person_ids[0]
    )
    with pytest.raises(BalanceTooLow):
        services.pay_with_wallet(scope, order)


def test_a_cancelled_order_cannot_be_paid(scope, place):
    item = services.OrderItem("ledger.wallet", place.person_ids[0], "试", YUAN)
    order = services.open_order(scope, "ledger", "试", [item], "cancelled-1", place.person_ids[0])
    services.cancel_order(scope, order)
    with pytest.raises(OrderClosed):
        services.record_cash(scope, order)


def test_an_order_that_nobody_settles_takes_no_money(scope, place):
    item = services.OrderItem("x.y", uuid7(), "试", YUAN)
    order = services.open_order(scope, "meters", "试", [item], "nobody-asks", place.person_ids[0])
    with pytest.raises(NotSettled):
        services.record_cash(scope, order)


def test_the_journal_cannot_be_edited(installation, place):
    for statement in (
        "update ledger.journal_line set amount = amount + 1",
        "delete from ledger.journal_entry",
        "delete from ledger.payment",
        "delete from ledger.receipt",
        "update ledger.wallet_movement set amount = 1",
    ):
        with (
            pytest.raises(DBAPIError, match="permission denied"),
            installation.scope(Actor.system(), community=place.community_id) as scope,
        ):
            scope.session.execute(text(statement))


def test_the_same_happening_is_posted_once(installation, place):
    source, posting = uuid7(), [Posting(CHANNEL, PREPAID, YUAN)]
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        services.post(scope, "test.happening", source, "一次", posting)
    with (
        pytest.raises(DBAPIError, match="uq_journal_entry"),
        installation.scope(Actor.system(), community=place.community_id) as scope,
    ):
        services.post(scope, "test.happening", source, "两次", posting)


def test_a_wallet_is_the_sum_of_its_movements(scope, place):
    payment = top_up(scope, place)
    services.refund_payment(scope, payment, Decimal("12.34"), "退", "refund-0001")
    moved = scope.session.scalar(select(func.sum(WalletMovement.amount)))
    assert moved == scope.session.scalars(select(Wallet.balance)).one() == Decimal("87.66")
    assert scope.session.scalar(select(func.count()).select_from(JournalLine)) == 2


def test_a_guard_may_not_refund(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        payment_id = top_up(scope, place).id
    actor = place.actor("*.view")
    with (
        pytest.raises(NotAllowed),
        installation.scope(actor, community=place.community_id) as scope,
    ):
        scope.call(
            "ledger.payment.refund",
            payment=payment_id,
            amount="1.00",
            reason="试",
            idempotency_key="guard-0001",
        )


def test_the_receipt_prints_in_chinese(scope, place):
    payment = top_up(scope, place)
    document = services.print_receipt(scope, receipt_of(scope, payment))
    assert document.content.startswith(b"%PDF") and document.filename.endswith("-000001.pdf")


def test_a_wallet_is_not_topped_up_from_itself(scope, place):
    top_up(scope, place)
    item = services.OrderItem("ledger.wallet", place.person_ids[0], "试", Decimal("5.00"))
    order = services.open_order(scope, "ledger", "试", [item], "from-itself", place.person_ids[0])
    with pytest.raises(Conflict):
        services.pay_with_wallet(scope, order)
    assert services.balance_of(scope, place.person_ids[0]) == YUAN
