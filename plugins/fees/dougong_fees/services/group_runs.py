"""A bill run for a whole group: one in each of its communities, each reported for itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import DougongError
from dougong.i18n import translate_error
from dougong.services import service
from dougong.tenancy.models import Community
from dougong_fees.models import BillRun
from dougong_fees.services.runs import create_run

SHOWN = 120


@dataclass(frozen=True)
class CommunityRun:
    """A community's run; or, without one, why there is none. The run is not to be changed."""

    community_id: UUID
    community: str
    run: BillRun | None
    problem: str = ""


@service("bill_run.create_for_group", title=("Bill runs of the group", "集团出账"), is_public=False)
def create_group_runs(
    scope: Scope, name: str, from_on: date, to_on: date, due_on: date
) -> list[CommunityRun]:
    """Start the same run in every community that the scope reads; return each one's outcome.

    Each community has a transaction of its own: what goes wrong in one is told, and the others are
    billed. Repeated, nothing is billed twice; the repeated runs are empty.
    """
    return [
        _start(scope, community, name, from_on, to_on, due_on) for community in communities(scope)
    ]


def communities(scope: Scope) -> Sequence[Community]:
    """Return the communities that the scope reads, by name."""
    query = select(Community).where(Community.id.in_(scope.readable)).order_by(Community.name)
    return scope.session.scalars(query).all()


def _start(
    scope: Scope, community: Community, name: str, from_on: date, to_on: date, due_on: date
) -> CommunityRun:
    try:
        with scope.installation.scope(scope.actor, community=community.id) as part:
            run = create_run(part, name, from_on, to_on, due_on)
            part.session.flush()
            part.session.expunge(run)
    except DougongError as error:
        return CommunityRun(community.id, community.name, None, translate_error(error))
    return CommunityRun(community.id, community.name, run)


def group_runs(scope: Scope) -> list[CommunityRun]:
    """Return the latest runs of all the group's communities, newest first."""
    names = {community.id: community.name for community in communities(scope)}
    query = select(BillRun).order_by(BillRun.from_on.desc(), BillRun.id.desc()).limit(SHOWN)
    return [
        CommunityRun(run.community_id, names.get(run.community_id, ""), run)
        for run in scope.session.scalars(query)
    ]
