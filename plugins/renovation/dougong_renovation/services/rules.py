"""The community's rules: hours, deposit, days."""

from datetime import timedelta
from decimal import Decimal

from dougong.db import Scope
from dougong.errors import Invalid
from dougong.i18n import N_
from dougong.workdays import announced_days
from dougong_renovation.domain.hours import WorkHours, parse_days, parse_spans

HOURS = "08:00-12:00, 14:00-18:00"


def work_hours(scope: Scope) -> WorkHours:
    """Return a community's hours for noise; raises Invalid when its settings cannot be read."""
    try:
        return WorkHours(
            parse_spans(str(scope.setting("renovation.work_hours", HOURS))),
            bool(scope.setting("renovation.quiet_weekends", True)),
            parse_days(str(scope.setting("renovation.quiet_days", ""))),
            announced_days() if scope.setting("renovation.quiet_holidays", True) else {},
        )
    except ValueError as error:
        raise Invalid(
            N_(
                "The settings of renovation name hours or days that cannot be read: %(words)s."
                " Write 08:00-12:00, 14:00-18:00 and 2027-02-06, 2027-06-07."
            ),
            words=str(error),
        ) from error


def usual_deposit(scope: Scope) -> Decimal:
    """Return the deposit that the community asks for, in yuan; 0 where the ledger is off."""
    if "ledger" not in scope.enabled:
        return Decimal(0)
    return Decimal(str(scope.setting("renovation.deposit", "2000.00")))


def hold(scope: Scope) -> timedelta:
    """Return how long a deposit is kept after the acceptance."""
    return timedelta(days=int(scope.setting("renovation.hold_days", 30)))


def longest(scope: Scope) -> timedelta:
    """Return how long a permit may run at most."""
    return timedelta(days=int(scope.setting("renovation.longest_days", 90)))
