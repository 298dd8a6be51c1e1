"""Who lives in a room, and what they see of its energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Select, func, or_, select

from dougong.db import Scope
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.services import service
from dougong.tenancy.models import Occupancy, Ownership, Person
from dougong_ledger import services as ledger
from dougong_ledger.models import Payment, PaymentOrder
from dougong_ledger.services.mine import my_order
from dougong_prepaid.domain import MovementKind, PeriodKind
from dougong_prepaid.models import EnergyAccount, Movement
from dougong_prepaid.services.rules import periods, rules, tariffs

PORTAL = "prepaid.portal"


def people_in(scope: Scope, room_id: UUID) -> list[Person]:
    """Return who lives in a room today, by name."""
    query = (
        select(Person)
        .join(Occupancy, Occupancy.person_id == Person.id)
        .where(
            Occupancy.room_id == room_id,
            Occupancy.from_on <= scope.today,
            or_(Occupancy.to_on.is_(None), Occupancy.to_on > scope.today),
        )
        .distinct()
        .order_by(Person.sort_key, Person.id)
    )
    return list(scope.session.scalars(query))


def last_people_in(scope: Scope, room_id: UUID) -> list[Person]:
    """Return who lives in a room today, or else who moved out of it last, together on one day."""
    people = people_in(scope, room_id)
    if people:
        return people
    of_room = Occupancy.room_id == room_id, Occupancy.to_on.is_not(None)
    last = select(func.max(Occupancy.to_on)).where(*of_room).scalar_subquery()
    query = (
        select(Person)
        .join(Occupancy, Occupancy.person_id == Person.id)
        .where(*of_room, Occupancy.to_on == last)
        .distinct()
        .order_by(Person.sort_key, Person.id)
    )
    return list(scope.session.scalars(query))


def my_accounts(scope: Scope, person_id: UUID) -> list[EnergyAccount]:
    """Return the open accounts of the rooms that a person owns or lives in today."""
    return list(scope.session.scalars(my_accounts_query(scope, person_id)))


def my_accounts_query(scope: Scope, person_id: UUID) -> Select[EnergyAccount]:
    """Return the query of the open accounts of the rooms that a person owns or lives in today."""
    rooms = [
        select(held.room_id).where(
            held.person_id == person_id,
            held.from_on <= scope.today,
            or_(held.to_on.is_(None), held.to_on > scope.today),
        )
        for held in (Occupancy, Ownership)
    ]
    query = select(EnergyAccount).where(
        EnergyAccount.closed_on.is_(None),
        or_(*(EnergyAccount.room_id.in_(each) for each in rooms)),
    )
    return query.order_by(EnergyAccount.id)


def my_person(scope: Scope) -> UUID:
    """Return the person that the actor is here; raises NotFound for staff."""
    person_id = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person_id is None:
        raise NotFound(N_("You neither own a room here nor live here."))
    return person_id


@dataclass(frozen=True)
class Standing:
    """How a room's energy stands for who lives there.

    quota: free this month, in the meter's unit. days: how long the balance lasts by the use of the
    last week, None when nothing was used. until: the supply stays on at least so long. price: of
    what is not free, None without one.
    """

    account: EnergyAccount
    quota: Decimal
    days: int | None
    until: datetime
    price: Decimal | None

    @property
    def left(self) -> Decimal:
        """Return what of the free quota is left."""
        return max(self.quota - self.account.month_free, Decimal(0))


def standings(scope: Scope, accounts: Sequence[EnergyAccount]) -> list[Standing]:
    """Return how accounts stand; a fixed number of statements, however many there are."""
    from dougong_prepaid.services.warnings import earliest

    now, prices = rules(scope), tariffs(scope) if accounts else {}
    is_vacation = bool(accounts) and PeriodKind.VACATION in periods(scope, scope.today)
    ids = [account.id for account in accounts]
    week = select(Movement.account_id, func.sum(Movement.amount)).where(
        Movement.account_id.in_(ids),
        Movement.kind == MovementKind.USAGE,
        Movement.booked_on >= scope.today - timedelta(days=7),
        Movement.booked_on < scope.today,
    )
    spent = {row[0]: row[1] for row in scope.session.execute(week.group_by(Movement.account_id))}
    persons = heads_in(scope, [account.room_id for account in accounts])
    found = []
    for account in accounts:
        price = prices.get(account.commodity)
        free = price.free_per_person if price and not is_vacation else Decimal(0)
        daily = -Decimal(spent.get(account.id) or 0) / 7
        days = int(account.balance / daily) if daily > 0 and account.balance > 0 else None
        quota = free * persons.get(account.room_id, 0)
        until, cost = earliest(scope, account, now), price.price if price else None
        found.append(Standing(account, quota, days, until, cost))
    return found


def heads_in(scope: Scope, room_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many people live in rooms today."""
    query = select(Occupancy.room_id, func.count(func.distinct(Occupancy.person_id))).where(
        Occupancy.room_id.in_(list(room_ids)),
        Occupancy.from_on <= scope.today,
        or_(Occupancy.to_on.is_(None), Occupancy.to_on > scope.today),
    )
    rows = scope.session.execute(query.group_by(Occupancy.room_id))
    return {row[0]: row[1] for row in rows}


def usage_of_days(movements: Sequence[Movement], count: int = 14) -> list[tuple[date, Decimal]]:
    """Return the latest days of some movements with what was used on them, oldest first."""
    used: dict[date, Decimal] = {}
    for each in movements:
        if each.kind is MovementKind.USAGE:
            used[each.booked_on] = used.get(each.booked_on, Decimal(0)) + each.quantity
    return sorted(used.items())[-count:]


def movements_of(scope: Scope, account_ids: Sequence[UUID], count: int = 40) -> list[Movement]:
    """Return what moved some accounts lately, newest first."""
    query = select(Movement).where(Movement.account_id.in_(list(account_ids)))
    return list(scope.session.scalars(query.order_by(Movement.id.desc()).limit(count)))


@service("energy_account.top_up_mine", title=("Top up", "充值"), permission=PORTAL,
         is_public=False)  # fmt: skip
def top_up_mine(scope: Scope, account_id: UUID, amount: str, idempotency_key: str) -> PaymentOrder:
    """Open the order of a top-up of one's own room; it is paid through a channel or the wallet.

    amount: yuan, as typed. Raises NotFound for a room that is not one's own.
    """
    from dougong_prepaid.services.accounts import open_order, typed_amount

    person_id = my_person(scope)
    found = [each for each in my_accounts(scope, person_id) if each.id == account_id]
    if not found:
        raise NotFound(N_("There is no such account here."))
    return open_order(scope, found[0], typed_amount(amount), idempotency_key, person_id)


@service("energy_account.pay_mine", title=("Pay from my wallet", "钱包支付"), permission=PORTAL,
         is_public=False)  # fmt: skip
def pay_mine(scope: Scope, order_id: UUID) -> Payment:
    """Pay one's own top-up from one's wallet; return the payment, the first one when repeated."""
    return ledger.pay_with_wallet(scope, my_order(scope, order_id))
