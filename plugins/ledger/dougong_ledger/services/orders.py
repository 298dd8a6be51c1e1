"""Payment orders: what is to be paid is written down before any channel is called."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from dougong.db import Scope, uuid7
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_ledger.domain import ORDER_STEPS, ZERO, OrderState, is_amount, request_hash
from dougong_ledger.errors import KeyUsed, OrderClosed
from dougong_ledger.models import PaymentOrder, PaymentOrderItem
from dougong_ledger.services.journal import community_of


@dataclass(frozen=True)
class OrderItem:
    """One record that is to be paid, and how much of it in yuan."""

    kind: str
    subject_id: UUID
    title: str
    amount: Decimal


@service("payment_order.open", title=("Open a payment order", "新建支付单"))
def open_order(
    scope: Scope,
    plugin: str,
    title: str,
    items: list[OrderItem],
    idempotency_key: str,
    payer_id: UUID | None = None,
) -> PaymentOrder:
    """Return the payment order of this idempotency key, opened now or by an earlier request.

    plugin: whose records the items are; it is asked to settle them. Raises Invalid for an empty
    order or a wrong amount, KeyUsed when the key was used for something else.
    """
    _check(items, idempotency_key)
    fingerprint = request_hash(
        {
            "plugin": plugin,
            "payer": payer_id,
            "items": sorted((i.kind, str(i.subject_id), str(i.amount)) for i in items),
        }
    )
    known = _by_key(scope, idempotency_key)
    if known is None:
        made = _insert(scope, plugin, title, items, idempotency_key, payer_id, fingerprint)
        known = _by_key(scope, idempotency_key)
        assert known is not None, made
    if known.request_hash != fingerprint:
        raise KeyUsed(N_("This request was sent before with other contents. Start again."))
    return known


def _check(items: list[OrderItem], key: str) -> None:
    problem = None
    if not items:
        problem = {"items": gettext("Choose something to pay.")}
    elif not all(is_amount(i.amount) for i in items):
        problem = {"items": gettext("An amount is more than zero and has whole fen.")}
    if problem:
        raise Invalid(N_("Some fields are not right yet."), fields=problem)
    check_key(key)


def check_key(key: str) -> None:
    """Raise Invalid unless an idempotency key has a sensible length."""
    if not 8 <= len(key) <= 80:
        fields = {"idempotency_key": gettext("The key has 8 to 80 characters.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)


def _by_key(scope: Scope, key: str) -> PaymentOrder | None:
    query = select(PaymentOrder).where(PaymentOrder.idempotency_key == key)
    return scope.session.scalars(query).one_or_none()


def _insert(
    scope: Scope,
    plugin: str,
    title: str,
    items: list[OrderItem],
    key: str,
    payer_id: UUID | None,
    fingerprint: str,
) -> bool:
    """Write the order unless another request with the key was faster, which is waited for."""
    order_id, community_id = uuid7(), community_of(scope)
    minutes = int(scope.setting("ledger.order_minutes", 30))
    done = scope.session.execute(
        insert(PaymentOrder)
        .values(
            community_id=community_id,
            id=order_id,
            plugin=plugin,
            title=title[:200],
            payer_id=payer_id,
            amount=sum((i.amount for i in items), ZERO),
            state=OrderState.OPEN,
            idempotency_key=key,
            request_hash=fingerprint,
            expires_at=scope.now + timedelta(minutes=minutes),
        )
        .on_conflict_do_nothing(index_elements=["community_id", "idempotency_key"])
        .returning(PaymentOrder.id)
    ).scalar()
    if done is None:
        return False
    scope.session.add_all(
        PaymentOrderItem(
            order_id=order_id,
            kind=item.kind,
            subject_id=item.subject_id,
            title=item.title[:200],
            amount=item.amount,
        )
        for item in items
    )
    scope.session.flush()
    return True


def items_of(scope: Scope, order: PaymentOrder) -> list[PaymentOrderItem]:
    """Return what an order pays, in a steady order, so that records are always locked in it."""
    query = select(PaymentOrderItem).where(PaymentOrderItem.order_id == order.id)
    return list(scope.session.scalars(query.order_by(PaymentOrderItem.subject_id)))


@service("payment_order.cancel", title=("Cancel the order", "取消支付单"))
def cancel_order(scope: Scope, order: PaymentOrder) -> PaymentOrder:
    """Close an order that nobody paid. Raises OrderClosed when it is not open."""
    order = scope.get(PaymentOrder, order.id, lock=True)
    step(order, OrderState.CANCELLED)
    scope.session.flush()
    return order


def step(order: PaymentOrder, target: OrderState) -> None:
    """Move an order to another state; raises OrderClosed for a step that does not exist."""
    if target not in ORDER_STEPS[order.state]:
        raise OrderClosed(N_("This payment order is closed. Start a new one."))
    order.state = target
