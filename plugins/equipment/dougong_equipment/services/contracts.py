"""Warns of the last days of contractors: of their contract and of their qualification."""

from collections.abc import Iterator
from datetime import date, timedelta

from sqlalchemy import or_, select

from dougong.db import Scope
from dougong.i18n import gettext
from dougong.messages import notify
from dougong_equipment.domain.recurrence import warning_level
from dougong_equipment.models import Contractor, ContractorWarning, Watcher

WARNED_DAYS = 30
URGENT_LEVEL = 3


def warn_of_contracts(scope: Scope) -> int:
    """Tell watchers that a contract or a qualification ends; return how many warnings.

    At 30, 7 and 1 day and when it is over, each once for each last day; who slept through two
    levels gets the louder one. A new contract with a later last day begins anew.
    """
    soon = scope.today + timedelta(days=WARNED_DAYS)
    query = select(Contractor).where(
        or_(Contractor.ends_on <= soon, Contractor.licensed_until_on <= soon)
    )
    ending = [pair for each in scope.session.scalars(query) for pair in _ends(each, soon)]
    if not ending:
        return 0
    ids = {each.id for each, _, _ in ending}
    known = select(ContractorWarning).where(ContractorWarning.contractor_id.in_(ids))
    warned = {(w.contractor_id, w.what, w.until_on): w for w in scope.session.scalars(known)}
    watchers = scope.session.execute(select(Watcher.user_id, Watcher.level)).all()
    told = 0
    for each, what, until_on in ending:
        warning = warned.get((each.id, what, until_on))
        if warning is None:
            warning = ContractorWarning(contractor_id=each.id, what=what, until_on=until_on)
            warning.level = 0
            scope.session.add(warning)
        level = warning_level(until_on, scope.today)
        if level > warning.level:
            warning.level = level
            told += 1
            _tell(scope, warning, each, [w.user_id for w in watchers if w.level <= level])
    scope.session.flush()
    return told


def _ends(each: Contractor, soon: date) -> Iterator[tuple[Contractor, str, date]]:
    if each.ends_on is not None and each.ends_on <= soon:
        yield each, "contract", each.ends_on
    if each.licensed_until_on is not None and each.licensed_until_on <= soon:
        yield each, "licence", each.licensed_until_on


def _tell(scope: Scope, warning: ContractorWarning, each: Contractor, users: list) -> None:
    what = gettext("contract") if warning.what == "contract" else gettext("qualification")
    for user_id in users:
        notify(
            scope,
            user_id,
            "equipment:contract_ends",
            {
                "contractor": each.name,
                "what": what,
                "until_on": warning.until_on.isoformat(),
                "days": abs((warning.until_on - scope.today).days),
                "is_over": warning.level == 4,
            },
            key=f"equipment contract {each.id} {warning.what} {warning.until_on} {warning.level} "
            f"{user_id}",
            is_urgent=warning.level >= URGENT_LEVEL,
            link=f"admin/equipment/contractor/{each.id}/",
        )
