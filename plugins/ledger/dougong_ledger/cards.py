"""Figures of the dashboard: what came in today by channel, and what no bill has confirmed."""

from decimal import Decimal
from urllib.parse import quote

from sqlalchemy import func, select

from dougong.db import Scope, member_label
from dougong.hookspecs import Asks, Card
from dougong.i18n import gettext
from dougong_ledger import services
from dougong_ledger.domain import PaymentChannel
from dougong_ledger.models import Payment

LIST = "admin/ledger/payment/"


def dashboard(scope: Scope) -> Asks[Card]:
    """Return received today, the same by channel, and unreconciled; each opens its list."""
    if not scope.may("ledger.payment.view"):
        return None
    start = scope.now.astimezone(scope.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    taken = func.coalesce(func.sum(Payment.amount - Payment.refunded), 0)
    query = (
        select(Payment.channel, Payment.provider, taken.label("amount"), func.count().label("n"))
        .where(Payment.paid_at >= start)
        .group_by(Payment.channel, Payment.provider)
    )
    taken_today, unreconciled = yield query, services.unreconciled_query()
    rows = taken_today.all()
    total = sum((row.amount for row in rows), Decimal(0))
    note = gettext("%(count)s payments", count=sum(row.n for row in rows))
    found = [Card(gettext("Received today"), f"¥{total:,.2f}", note, url=LIST)]
    since = quote(f"{start:%Y-%m-%d}")
    for row in sorted(rows, key=lambda row: -row.amount):
        name = member_label(row.channel)
        where = f"{LIST}?channel={row.channel.value}&paid_at_from={since}"
        if row.channel is PaymentChannel.ONLINE:
            name = services.provider_title(scope, row.provider)
            where += f"&provider={quote(row.provider or '')}"
        title = gettext("Today: %(channel)s", channel=name)
        note = gettext("%(count)s payments", count=row.n)
        found.append(Card(title, f"¥{row.amount:,.2f}", note, url=where, order=101))
    count, amount = unreconciled.one()
    if count:
        found.append(_unreconciled(count, amount))
    return found


def _unreconciled(count: int, amount: Decimal) -> Card:
    note = gettext("%(count)s payments", count=count)
    return Card(
        gettext("Unreconciled"), f"¥{amount:,.2f}", note, url=f"{LIST}?reconciliation=waiting",
        order=102,
    )  # fmt: skip
