"""What the ledger answers when others ask."""

from decimal import Decimal

from sqlalchemy import select

from dougong.errors import Conflict
from dougong.hookspecs import Card, HealthFinding, Panel, SearchHit, hookimpl
from dougong.i18n import N_, gettext
from dougong.tenancy.models import Person
from dougong_ledger import cards, services
from dougong_ledger.domain import PREPAID
from dougong_ledger.hookspecs import Settlement
from dougong_ledger.models import Receipt


@hookimpl
def plugin_enabled(scope):
    services.ensure_chart(scope)


@hookimpl
def payment_settled(scope, payment, items):
    """A payment to the ledger itself tops up the payer's wallet."""
    return [
        Settlement(PREPAID, item.amount, item.title, person_id=item.subject_id) for item in items
    ]


@hookimpl
def payment_refunded(scope, payment, refund):
    return [Settlement(PREPAID, refund.amount, refund.reason, person_id=payment.payer_id)]


@hookimpl
def dashboard_cards(scope):
    return cards.dashboard(scope)


@hookimpl
def portal_cards(scope, person_id):
    balance = (yield services.balance_query(person_id)).scalar() or Decimal(0)
    return [Card(gettext("My wallet"), f"¥{balance:,.2f}", url="fees/my/", order=20)]


@hookimpl
def export_subject(scope, person_id):
    return {"wallet_balance_yuan": str(services.balance_of(scope, person_id))}


@hookimpl
def erase_subject(scope, person_id):
    """Money that belongs to someone is paid out before he is forgotten."""
    balance = services.balance_of(scope, person_id)
    if balance:
        raise Conflict(
            N_("The wallet still holds ¥%(balance)s; pay it out first."), balance=f"{balance:,.2f}"
        )


@hookimpl
def search_records(scope, words, limit):
    if not scope.may("ledger.receipt.view"):
        return None
    query = select(Receipt).where(Receipt.code == words).limit(limit)
    return [
        SearchHit(
            found.code, f"admin/ledger/receipt/{found.id}/", gettext("Receipt"), found.payer_name
        )
        for found in scope.session.scalars(query)
    ]


@hookimpl
def record_panels(scope, record):
    if isinstance(record, Receipt) and scope.may("ledger.receipt.print"):
        rows = [(each["title"], f"¥{each['amount']}") for each in record.lines]
        return [Panel(gettext("Print the receipt (PDF)"), rows, f"ledger/print/{record.id}")]
    if not isinstance(record, Person) or not scope.may("ledger.wallet.view"):
        return None
    balance = (yield services.balance_query(record.id)).scalar() or Decimal(0)
    return [Panel(gettext("Wallet"), [(gettext("Balance"), f"¥{balance:,.2f}")])]


@hookimpl
def health_checks(installation):
    """Say whether the kept sums are those of the journal, in every community."""
    with installation.platform() as session:
        wrong = session.execute(services.differences()).all()
    places = len({row.community_id for row in wrong})
    told = gettext("%(count)s sums in %(places)s communities", count=len(wrong), places=places)
    repair = gettext(
        "Call the service ledger.account.recount there, and find out who wrote past the ledger."
    )
    title = gettext("Sums of the books")
    return [HealthFinding(title, not wrong, told if wrong else "", repair if wrong else None)]


@hookimpl
def load_demo(scope, chance):
    from dougong_ledger import demo

    demo.load(scope, chance)


@hookimpl
def opening_sheets(scope):
    from dougong_ledger import opening

    return opening.sheets()
