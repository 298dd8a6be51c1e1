"""Figures about collecting, for the dashboard, the portal and the pages of rooms and bills."""

from sqlalchemy import func, select

from dougong.db import Scope, member_label
from dougong.hookspecs import Asks, Card, Panel
from dougong.i18n import gettext
from dougong.tenancy.models import Room
from dougong_arrears.domain import AgreementState, PromiseState
from dougong_arrears.models import Agreement, Contact, PaymentPromise


def dashboard(scope: Scope) -> Asks[Card]:
    """Return the promises to pay that are due by today or broken."""
    if not scope.may("arrears.contact.view"):
        return []
    due = (PaymentPromise.state == PromiseState.OPEN, PaymentPromise.by_on <= scope.today)
    found = yield (
        select(func.count(), func.coalesce(func.sum(PaymentPromise.amount), 0)).where(*due)
    )
    row = found.one()
    promised = f"{row[1]:,.2f}"
    note = gettext("¥%(amount)s promised by today", amount=promised)
    tone = "warning" if row[0] else "plain"
    title = gettext("Promises to check")
    return [Card(title, str(row[0]), note, tone, "arrears/desk", order=35)]


def portal(scope: Scope, person_id) -> Asks[Card]:
    """Return the instalment agreement in force of a payer."""
    query = select(Agreement.amount, Agreement.signed_on).where(
        Agreement.payer_id == person_id, Agreement.state == AgreementState.ACTIVE
    )
    active = yield query.order_by(Agreement.id.desc()).limit(1)
    return [
        Card(
            gettext("Instalment agreement"),
            f"¥{each.amount:,.2f}",
            gettext("signed on %(day)s", day=each.signed_on.isoformat()),
            url="arrears/my/",
            order=15,
        )
        for each in active
    ]


def panels(scope: Scope, record) -> Asks[Panel]:
    """Return what was last said about a room's arrears."""
    if isinstance(record, Agreement) and scope.may("arrears.agreement.print"):
        return [
            Panel(
                gettext("Instalments and PDF"),
                [(gettext("Amount"), f"¥{record.amount:,.2f}")],
                f"arrears/agreement/{record.id}",
                10,
            )
        ]
    if not isinstance(record, Room) or not scope.may("arrears.contact.view"):
        return []
    query = select(Contact.happened_on, Contact.kind, Contact.outcome, Contact.payer_id)
    query = query.where(Contact.room_id == record.id).order_by(Contact.happened_on.desc())
    found = (yield query.limit(4)).all()
    if not found:
        return []
    rows = [
        (each.happened_on.isoformat(), f"{member_label(each.kind)} · {member_label(each.outcome)}")
        for each in found
    ]
    url = f"arrears/case/{record.id}/{found[0].payer_id}"
    return [Panel(gettext("Collecting arrears"), rows, url, 25)]
