"""Second persons: what one asks for and another decides, by the same rules in every plugin.

A service that decides says so with ``@service(…, approves=Approval(…))``. The kernel then refuses
who asked, and who stands in for him; keeps to what a role may approve at most; lets nothing be
approved that waited too long; and lists what waits, of all plugins, on one page.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import String, cast, literal, null, select, text, union_all

from dougong.db.base import plugin_of_module
from dougong.db.columns import Money
from dougong.db.narrowing import place_condition, rule_condition
from dougong.db.rules import RULES
from dougong.db.scope import Grant, Scope
from dougong.errors import Conflict, NotAllowed, OwnRequest
from dougong.i18n import N_, gettext

if TYPE_CHECKING:
    from dougong.services import Service

DAYS = 60
SHOWN = 30
VIEW = "dougong.approval.view"


@dataclass(frozen=True)
class Approval:
    """What a service decides of its record, by names of the record's columns.

    asked_by: the login that asked, None where the system did. waiting: the states in which it
    waits. amount: yuan that it is about. about: what people recognise it by. refuse: the plugin's
    service that says no, such as ``waiver.refuse``. is_request: the record was made by asking, so
    that its age is how long it waits. asked_name: who asked, where his login may be none of this
    group's any more, or never was.
    """

    asked_by: str
    waiting: Sequence[str]
    amount: str | None = None
    about: str | None = None
    refuse: str | None = None
    is_request: bool = True
    asked_name: str | None = None
    state: str = "state"

    def guard(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` with its record locked and checked before it runs."""
        signature = inspect.signature(function)
        record = list(signature.parameters)[1]

        @wraps(function)
        def decide(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs)
            scope, found = given.args[0], given.arguments[record]
            found = scope.get(type(found), found.id, lock=True)
            given.arguments[record] = found
            self.check(scope, name, found)
            return function(*given.args, **given.kwargs)

        return decide

    def check(self, scope: Scope, name: str, record: Any) -> None:
        """Raise unless the actor may decide this record now.

        OwnRequest for who asked, Conflict when it waited too long, NotAllowed beyond his limit.
        """
        from dougong.services import find

        asked_by = getattr(record, self.asked_by)
        if asked_by is not None and asked_by == scope.actor.user_id:
            raise OwnRequest(N_("Another person must decide this: you asked for it yourself."))
        if self.is_request and self._has_lapsed(scope, record):
            raise Conflict(N_("This waited too long and has lapsed. Refuse it, and ask again."))
        able = _able(scope, find(name).permission)
        if not able:
            return  # within another verb, which was allowed
        free = [g for g in able if asked_by is None or g.stands_in_for != asked_by]
        if not free:
            raise OwnRequest(N_("You stand in for who asked for this: a third person decides."))
        amount = getattr(record, self.amount) if self.amount else None
        used = _within(free, find(name).permission, amount)
        if used.stands_in_for is not None and not scope.reason:
            _note_stand_in(scope, used)

    def _has_lapsed(self, scope: Scope, record: Any) -> bool:
        return getattr(record, self.state) in self.waiting and scope.now >= lapses_at(
            scope, record.id
        )


def _able(scope: Scope, permission: str) -> list[Grant]:
    """Return the grants by which the actor decides here; none where another verb is trusted to."""
    return [
        grant
        for grant in scope.actor.grants
        if grant.allows(permission) and grant.reaches(scope.group_id, scope.community_id)
    ]


def _within(grants: Sequence[Grant], permission: str, amount: Decimal | None) -> Grant:
    """Return the grant by which an amount is approved, one of the actor's own if any will do."""
    limits = [(grant, grant.limit_of(permission)) for grant in grants]
    fitting = [g for g, most in limits if most is None or amount is None or abs(amount) <= most]
    if not fitting:
        raise NotAllowed(
            N_("You may approve up to %(most)s yuan; this is about %(amount)s yuan."),
            most=f"{max(most for _, most in limits if most is not None):,.2f}",
            amount=f"{amount:,.2f}",
        )
    return min(fitting, key=lambda grant: grant.stands_in_for is not None)


def _note_stand_in(scope: Scope, grant: Grant) -> None:
    """Write into the log for whom the actor decides."""
    scope.session.execute(
        text("select set_config('dougong.reason', :r, true)"),
        {"r": gettext(N_("Standing in for %(name)s"), name=grant.stands_in_name)},
    )


def asked_at(id: UUID) -> datetime:
    """Return when a record was made: its id, a version 7 UUID, begins with the millisecond."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)


def lapses_at(scope: Scope, id: UUID) -> datetime:
    """Return until when a record may be approved (setting ``approvals.days``, 60)."""
    return asked_at(id) + timedelta(days=int(scope.setting("approvals.days", DAYS)))


def approvals() -> Iterator["Service"]:
    """Yield every service that decides what somebody else asked for."""
    from dougong.services import SERVICES

    yield from (each for each in SERVICES.values() if each.approves is not None)


def model_of(service: "Service") -> Any:
    """Return the model whose records a service decides about."""
    return next(iter(service.models.values()))


def stand_in_permissions() -> frozenset[str]:
    """Return what a stand-in needs: to see what waits, to approve it and to refuse it."""
    found = {VIEW}
    for each in approvals():
        model = model_of(each)
        plugin = plugin_of_module(model.__module__)
        found |= {each.permission, f"{plugin}.{model.__tablename__}.view"}
        if each.approves is not None and each.approves.refuse:
            found.add(f"{each.plugin}.{each.approves.refuse}")
    return frozenset(found)


# --- what waits -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """One request that waits for a decision of the actor. amount: yuan, None without one."""

    service: "Service"
    id: UUID
    community_id: UUID
    amount: Decimal | None
    about: str
    asked_by: UUID | None
    asked_name: str = ""

    @property
    def asked_at(self) -> datetime | None:
        """Return since when it waits, None where the record is older than the request."""
        approval = self.service.approves
        return asked_at(self.id) if approval is not None and approval.is_request else None


def waiting(scope: Scope, after: UUID | None = None, most: int = SHOWN) -> list[Waiting]:
    """Return what waits for a decision that the actor may make here, oldest first; one statement.

    It includes what he asked for himself, so that he sees where it stands. after: the id of the
    last one shown.
    """
    known = {each.name: each for each in approvals() if each.plugin in scope.enabled}
    parts = [part for each in known.values() if (part := _part(scope, each)) is not None]
    if not parts:
        return []
    both = union_all(*parts).subquery()
    query = select(both).order_by(both.c.id).limit(most)
    if after is not None:
        query = query.where(both.c.id > after)
    return [
        Waiting(
            known[r.service],
            r.id,
            r.community_id,
            r.amount,
            r.about or "",
            r.asked_by,
            r.asked_name or "",
        )
        for r in scope.session.execute(query)
    ]


def _part(scope: Scope, service: "Service") -> Any:
    """Return the query of what waits for one service; None where the actor may not use it."""
    approval, model = service.approves, model_of(service)
    places = scope.where_may(service.permission)
    if approval is None or not places:
        return None
    amount = getattr(model, approval.amount) if approval.amount else cast(null(), Money())
    about = getattr(model, approval.about) if approval.about else literal("")
    asked_name = getattr(model, approval.asked_name) if approval.asked_name else literal("")
    query = select(
        literal(service.name).label("service"),
        model.id.label("id"),
        model.community_id.label("community_id"),
        amount.label("amount"),
        cast(about, String).label("about"),
        getattr(model, approval.asked_by).label("asked_by"),
        cast(asked_name, String).label("asked_name"),
    ).where(getattr(model, approval.state).in_(approval.waiting), model.community_id.in_(places))
    narrowed = [place_condition(scope, model)]
    narrowed += [rule_condition(scope, rule) for rule in RULES.get(model, ())]
    return query.where(*(each for each in narrowed if each is not None))
