"""Warnings before a balance runs out, and when it has."""

from datetime import datetime, timedelta

from sqlalchemy import or_, select

from dougong.db import Scope
from dougong.messages import notify
from dougong_prepaid.domain import Rules
from dougong_prepaid.models import EnergyAccount
from dougong_prepaid.services.residents import people_in
from dougong_prepaid.services.rules import rules

AT_ONCE = 200


def warn(scope: Scope) -> int:
    """Warn the people of rooms whose balance is low or used up; return how many rooms.

    Once per time that it falls below; a top-up above the limit makes the next warning possible.
    """
    now = rules(scope)
    query = select(EnergyAccount).where(
        EnergyAccount.closed_on.is_(None),
        EnergyAccount.counted.is_not(None),
        or_(
            (EnergyAccount.balance < now.warn_below) & EnergyAccount.warned_at.is_(None),
            (EnergyAccount.balance <= 0) & EnergyAccount.empty_at.is_(None),
            (EnergyAccount.balance >= now.warn_below) & EnergyAccount.warned_at.is_not(None),
            (EnergyAccount.balance > 0) & EnergyAccount.empty_at.is_not(None),
        ),
    )
    query = query.order_by(EnergyAccount.id).limit(AT_ONCE).with_for_update(of=EnergyAccount)
    accounts = scope.session.scalars(query).all()
    warned = sum(_look(scope, account, now) for account in accounts)
    scope.session.flush()
    return warned


def _look(scope: Scope, account: EnergyAccount, now: Rules) -> bool:
    is_low, is_empty = account.balance < now.warn_below, account.balance <= 0
    is_newly_empty = is_empty and account.empty_at is None
    is_newly_low = is_low and account.warned_at is None
    account.warned_at = (account.warned_at or scope.now) if is_low else None
    account.empty_at = (account.empty_at or scope.now) if is_empty else None
    if is_newly_empty:
        _tell(scope, account, "prepaid:empty", now)
    elif is_newly_low:
        _tell(scope, account, "prepaid:low", now)
    return is_newly_empty or is_newly_low


def _tell(scope: Scope, account: EnergyAccount, template: str, now: Rules) -> None:
    context = {
        "room": account.room.code,
        "balance": f"{account.balance:,.2f}",
        "until": ""
        if account.empty_at is None
        else f"{earliest(scope, account, now):%Y-%m-%d %H:%M}",
    }
    for person in people_in(scope, account.room_id):
        notify(scope, person, template, context, link="prepaid/my/")


def earliest(scope: Scope, account: EnergyAccount, now: Rules) -> datetime:
    """Return the first moment at which an empty account's supply may be cut, in local time."""
    at = ((account.empty_at or scope.now) + now.grace).astimezone(scope.zone)
    if at.hour < now.cut_from:
        return at.replace(hour=now.cut_from, minute=0, second=0, microsecond=0)
    if at.hour >= now.cut_to:
        at += timedelta(days=1)
        return at.replace(hour=now.cut_from, minute=0, second=0, microsecond=0)
    return at
