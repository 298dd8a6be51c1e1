"""What a group says of its roles' columns: who sees which, who may only read them.

Beyond what the roles and plugins say themselves; `dougong.db.clearance` puts all of it together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func, or_, select

from dougong.access.models import Role, RoleClearance, RoleGrant
from dougong.db.clearance import LEVELS, PERSONAL
from dougong.db.scope import Scope
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MOST_SAID = 2_000


@dataclass(frozen=True)
class RoleLine:
    """A role as the page shows it. said: what this group says of columns, by full name."""

    role: Role
    holders: int
    said: Mapping[str, str]


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
            each.role_id: each.clearance
            for each in session.scalars(
                select(RoleClearance).where(RoleClearance.group_id == scope.group_id)
            )
        }
        session.expunge_all()
    return [RoleLine(r, holders.get(r.id, 0), said.get(r.id, {})) for r in roles]


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


def _row(session: "Session", group_id: UUID, role_id: UUID) -> RoleClearance:
    row = session.scalars(
        select(RoleClearance)
        .where(RoleClearance.group_id == group_id, RoleClearance.role_id == role_id)
        .with_for_update()
    ).first()
    if row is None:
        row = RoleClearance(group_id=group_id, role_id=role_id, clearance={})
        session.add(row)
    return row
