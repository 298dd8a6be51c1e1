"""A bill run for a whole group: one in each of its communities, each reported for itself."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import DougongError
from dougong.i18n import translate_error
from dougong.services import service
from dougong.tenancy.models import Community
from dougong_fees.domain.states import RunState
from dougong_fees.models import BillRun
from dougong_fees.services.runs import approve_run, create_run, publish_run, roll_back_run

SHOWN = 120
# Communities at a time: the database does the work, and a small server has two processors.
AT_ONCE = 2


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
    places = [(community.id, community.name) for community in communities(scope)]
    days = (from_on, to_on, due_on)
    return _for_each(places, lambda *place: [_start(scope, *place, name, days)])


def _for_each(
    places: Iterable[tuple[UUID, str]], act: Callable[[UUID, str], list[CommunityRun]]
) -> list[CommunityRun]:
    """Do something in each community, AT_ONCE at a time; return the outcomes in the same order."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tasks = [pool.submit(copy_context().run, act, *place) for place in places]
        return [outcome for task in tasks for outcome in task.result()]


def communities(scope: Scope) -> Sequence[Community]:
    """Return the communities that the scope reads, by name."""
    query = select(Community).where(Community.id.in_(scope.readable)).order_by(Community.name)
    return scope.session.scalars(query).all()


def _start(
    scope: Scope, community_id: UUID, community: str, name: str, days: tuple[date, date, date]
) -> CommunityRun:
    try:
        with scope.installation.scope(scope.actor, community=community_id) as part:
            run = create_run(part, name, *days)
            part.session.flush()
            part.session.expunge(run)
    except DougongError as error:
        return CommunityRun(community_id, community, None, translate_error(error))
    return CommunityRun(community_id, community, run)


def group_runs(scope: Scope) -> list[CommunityRun]:
    """Return the latest runs of all the group's communities, newest first."""
    names = {community.id: community.name for community in communities(scope)}
    query = select(BillRun).where(BillRun.room_id.is_(None))
    query = query.order_by(BillRun.from_on.desc(), BillRun.id.desc()).limit(SHOWN)
    return [
        CommunityRun(run.community_id, names.get(run.community_id, ""), run)
        for run in scope.session.scalars(query)
    ]


@dataclass(frozen=True)
class GroupRun:
    """The runs of one name and period in several communities, seen and decided as one."""

    name: str
    from_on: date
    to_on: date
    runs: tuple[CommunityRun, ...]

    @property
    def bills(self) -> int:
        return sum(each.run.bills for each in self.runs if each.run)

    @property
    def problems(self) -> int:
        return sum(len(each.run.problems) for each in self.runs if each.run)

    @property
    def amount(self) -> Decimal:
        return sum((each.run.amount for each in self.runs if each.run), Decimal(0))

    @property
    def previous_amount(self) -> Decimal:
        """Return what the runs before came to in these communities, in yuan."""
        return sum((each.run.previous_amount or 0 for each in self.runs if each.run), Decimal(0))

    def states(self) -> dict[RunState, int]:
        """Return how many runs are in each state."""
        return dict(Counter(each.run.state for each in self.runs if each.run))


def together(runs: Sequence[CommunityRun]) -> list[GroupRun]:
    """Return runs put together by name and period, in the order of the first of each."""
    found: dict[tuple[str, date, date], list[CommunityRun]] = defaultdict(list)
    for each in runs:
        if each.run is not None:
            found[each.run.name, each.run.from_on, each.run.to_on].append(each)
    return [GroupRun(*key, tuple(members)) for key, members in found.items()]


@service(
    "bill_run.approve_for_group",
    title=("Approve everywhere", "全部审核"),
    permission="fees.bill_run.approve",
    is_public=False,
)
def approve_group_runs(scope: Scope, name: str, from_on: date, to_on: date) -> list[CommunityRun]:
    """Approve the drafts of one name and period in every community; return each one's outcome.

    Nobody approves what he reckoned himself: such a community tells so, the others go on.
    """
    return _everywhere(scope, (name, from_on, to_on), (RunState.DRAFT,), approve_run)


@service(
    "bill_run.publish_for_group",
    title=("Publish everywhere", "全部发布"),
    permission="fees.bill_run.publish",
    is_public=False,
)
def publish_group_runs(scope: Scope, name: str, from_on: date, to_on: date) -> list[CommunityRun]:
    """Publish the runs of one name and period in every community; return each one's outcome."""
    states = (RunState.DRAFT, RunState.APPROVED)
    return _everywhere(scope, (name, from_on, to_on), states, publish_run)


@service(
    "bill_run.roll_back_for_group",
    title=("Roll back everywhere", "全部撤回"),
    permission="fees.bill_run.roll_back",
    is_public=False,
)
def roll_back_group_runs(
    scope: Scope, name: str, from_on: date, to_on: date, reason: str
) -> list[CommunityRun]:
    """Roll the published runs of one name and period back everywhere; return each one's outcome."""
    states = (RunState.PUBLISHED,)
    act = partial(roll_back_run, reason=reason)
    return _everywhere(scope, (name, from_on, to_on), states, act)


def _everywhere(
    scope: Scope,
    key: tuple[str, date, date],
    states: tuple[RunState, ...],
    act: Callable[[Scope, BillRun], BillRun],
) -> list[CommunityRun]:
    """Do something to each run of a name and period, in a transaction per community."""
    name, from_on, to_on = key
    query = select(BillRun.id, BillRun.community_id).where(
        BillRun.name == name,
        BillRun.from_on == from_on,
        BillRun.to_on == to_on,
        BillRun.room_id.is_(None),
        BillRun.state.in_(states),
    )
    names = {community.id: community.name for community in communities(scope)}
    runs: dict[UUID, list[UUID]] = defaultdict(list)
    for row in scope.session.execute(query.order_by(BillRun.id)):
        runs[row.community_id].append(row.id)
    places = [(place, names.get(place, "")) for place in runs]

    def act_here(place: UUID, community: str) -> list[CommunityRun]:
        return [_act(scope, place, community, run, act) for run in runs[place]]

    outcome = _for_each(places, act_here)
    scope.session.expire_all()
    return outcome


def _act(
    scope: Scope,
    community_id: UUID,
    community: str,
    run_id: UUID,
    act: Callable[[Scope, BillRun], BillRun],
) -> CommunityRun:
    try:
        with scope.installation.scope(scope.actor, community=community_id) as part:
            run = act(part, part.get(BillRun, run_id))
            part.session.flush()
            part.session.refresh(run)
            part.session.expunge(run)
    except DougongError as error:
        return CommunityRun(community_id, community, None, translate_error(error))
    return CommunityRun(community_id, community, run)
