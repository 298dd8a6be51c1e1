"""What a group says of its roles: who sees which columns, and how much a role may approve.

Beyond what the roles and plugins say themselves; `dougong.db.clearance` puts all of it together.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func, or_, select

from dougong.access.models import Role, RoleClearance, RoleGrant
from dougong.db.clearance import LEVELS, PERSONAL
from dougong.db.scope import Scope
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services.approvals import approvals

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MOST_SAID = 2_000
NO_LIMIT = "-"
AMOUNT = re.compile(r"^\d{1,10}(\.\d{1,2})?$", re.ASCII)


@dataclass(frozen=True)
class RoleLine:
    """A role as the page shows it, with what this group says of it.

    said: levels of columns by full name. limits: yuan by permission, None where it has no limit.
    """

    role: Role
    holders: int
    said: Mapping[str, str]
    limits: Mapping[str, str | None]


def role_lines(scope: Scope) -> list[RoleLine]:
    """Return the roles that can be given in this group, the administrations last."""
    scope.require("dougong.role.view")
    with scope.installation.access(scope.actor) as session:
        roles = session.scalars(
            select(Role)
            .where(or_(Role.group_id.is_(None), Role.group_id == scope.group_id))
            .order_by(Role.duty, Role.id)
        ).all()
        counted = session.execute(
            select(RoleGrant.role_id, func.count(RoleGrant.user_id.distinct()))
            .where(RoleGrant.group_id == scope.group_id)
            .group_by(RoleGrant.role_id)
        )
        holders = {row[0]: row[1] for row in counted}
        said = {
            each.role_id: each
            for each in session.scalars(
                select(RoleClearance).where(RoleClearance.group_id == scope.group_id)
            )
        }
        session.expunge_all()
    nothing = RoleClearance(clearance={}, limits={})
    rows = [(role, said.get(role.id, nothing)) for role in roles]
    return [
        RoleLine(role, holders.get(role.id, 0), own.clearance, own.limits) for role, own in rows
    ]


def role_line(scope: Scope, role_id: UUID) -> RoleLine:
    """Return one role of this group; raises NotFound."""
    found = next((line for line in role_lines(scope) if line.role.id == role_id), None)
    if found is None:
        raise NotFound(N_("There is no such role."))
    return found


def say(scope: Scope, role_id: UUID, levels: Mapping[str, str]) -> None:
    """Say what a role may do with columns and classes of personal values in this group.

    levels: by ``<plugin>.<model>.<attribute>`` (``write``, ``read``, ``hide``) or class (``full``,
    ``mask``, ``hide``); an empty level takes back what was said. It holds from the next request.
    """
    scope.require("dougong.role.change")
    role_line(scope, role_id)
    wrong = [
        name
        for name, level in levels.items()
        if level and level not in (LEVELS if name.count(".") == 2 else PERSONAL)
    ]
    if wrong:
        reason = gettext(N_("There is no such level."))
        raise Invalid(N_("Some fields are not right yet."), fields=dict.fromkeys(wrong, reason))
    with scope.installation.access(scope.actor) as session:
        row = _row(session, scope.group_id, role_id)
        merged = {k: v for k, v in {**row.clearance, **levels}.items() if v}
        if len(merged) > MOST_SAID:
            raise Invalid(N_("A role cannot say more than this."))
        row.clearance = merged


def limit(scope: Scope, role_id: UUID, limits: Mapping[str, str]) -> None:
    """Say how much a role may approve in this group, in yuan by permission of the service.

    An empty text takes back what was said, so that the role's own limit holds; ``-`` lifts that
    too. Raises Invalid naming what is no amount.
    """
    scope.require("dougong.role.change")
    scope.actor.require_proof("dougong.role.change")
    role_line(scope, role_id)
    known = {each.permission for each in approvals()}
    wrong = [name for name, most in limits.items() if name not in known or not _is_limit(most)]
    if wrong:
        reason = gettext(N_("An amount in yuan, such as 500.00."))
        raise Invalid(N_("Some fields are not right yet."), fields=dict.fromkeys(wrong, reason))
    with scope.installation.access(scope.actor) as session:
        row = _row(session, scope.group_id, role_id)
        said = {name: _amount(most) for name, most in limits.items() if most}
        row.limits = {k: v for k, v in row.limits.items() if k not in limits} | said


def _is_limit(most: str) -> bool:
    return most in ("", NO_LIMIT) or AMOUNT.match(most) is not None


def _amount(most: str) -> str | None:
    return None if most == NO_LIMIT else f"{Decimal(most):.2f}"


def _row(session: "Session", group_id: UUID, role_id: UUID) -> RoleClearance:
    row = session.scalars(
        select(RoleClearance)
        .where(RoleClearance.group_id == group_id, RoleClearance.role_id == role_id)
        .with_for_update()
    ).first()
    if row is None:
        row = RoleClearance(group_id=group_id, role_id=role_id, clearance={}, limits={})
        session.add(row)
    return row
