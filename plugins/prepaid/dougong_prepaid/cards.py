"""What prepaid energy shows elsewhere: the dashboard, a room's page, the portal."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select

from dougong.db import Scope, member_label
from dougong.hookspecs import Asks, Card, Panel
from dougong.i18n import gettext
from dougong.tenancy.models import Room
from dougong_prepaid import services
from dougong_prepaid.domain import Supply
from dougong_prepaid.models import EnergyAccount

VIEW = "prepaid.energy_account.view"


def dashboard(scope: Scope) -> Asks[Card]:
    """Return how many supplies are off, and how many balances are used up."""
    if not scope.may(VIEW):
        return []
    query = select(
        func.count().filter(EnergyAccount.supply == Supply.OFF),
        func.count().filter(EnergyAccount.balance <= 0, EnergyAccount.counted.is_not(None)),
        func.count().filter(EnergyAccount.problem.is_not(None)),
        func.count(),
    ).where(EnergyAccount.closed_on.is_(None))
    off, empty, wrong, count = (yield query).one()
    if not count:
        return []
    address = "admin/prepaid/energy_account/"
    found = [
        (gettext("Supplies off"), off, f"{address}?supply=off", 44),
        (gettext("Balances used up"), empty, f"{address}?balance.to=0", 45),
    ]
    if wrong:
        found.append((gettext("Meters that could not be followed"), wrong, address, 46))
    return [
        Card(title, str(number), "", "warning" if number else "good", url, order)
        for title, number, url, order in found
    ]


def panels(scope: Scope, record: object) -> Asks[Panel]:
    """Return what a room's prepaid energy holds."""
    if not isinstance(record, Room) or not scope.may(VIEW):
        return None
    query = select(EnergyAccount).where(
        EnergyAccount.room_id == record.id, EnergyAccount.closed_on.is_(None)
    )
    rows = []
    for account in (yield query).scalars():
        rows.append((member_label(account.commodity), f"¥{account.balance:,.2f}"))
        rows.append((gettext("Supply"), str(member_label(account.supply))))
    url = f"admin/prepaid/energy_account/?room={record.id}"
    return [Panel(gettext("Prepaid energy"), rows, url, 42)] if rows else None


def portal(scope: Scope, person_id: UUID) -> Asks[Card]:
    """Return what the rooms of a person hold, with the shortest way to top up."""
    accounts = (yield services.my_accounts_query(scope, person_id)).scalars().all()
    if not accounts:
        return []
    balance = sum((account.balance for account in accounts), Decimal(0))
    is_off = any(account.supply is not Supply.ON for account in accounts)
    note = gettext("The supply is off.") if is_off else ""
    tone = "danger" if is_off else ("warning" if any(a.warned_at for a in accounts) else "good")
    title = gettext("Prepaid energy")
    return [Card(title, f"¥{balance:,.2f}", note, tone, "prepaid/my/", 15)]
