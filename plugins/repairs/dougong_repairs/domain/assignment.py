"""Who gets which order: a batch is solved at once, and every choice says why.

The cost of a pair is a sum of plain terms, so that people can follow it. Urgent orders weigh more,
so that they get the better pair when technicians are few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dougong_repairs.domain.kinds import Category, Urgency

IMPOSSIBLE = 10**9
LEAVE_OPEN = 400
SKILL_COST = {3: 0, 2: 15, 1: 40}
LOAD_COST = 30
FAIR_COST = 6
METRES_PER_POINT = 20
MOST_DISTANCE_COST = 90
WEIGHT = {Urgency.EMERGENCY: 4, Urgency.URGENT: 2, Urgency.NORMAL: 1, Urgency.LOW: 1}


@dataclass(frozen=True)
class Worker:
    """A technician as the rule sees him.

    skills: 1 (can help) to 3 (trained). load: open orders in his hands. room: how many more he may
    get. done_today: finished or given to him today. is_on_call: off shift, but he gets
    emergencies. at: metres east and north, None when unknown.
    """

    key: str
    name: str
    skills: Mapping[Category, int]
    load: int = 0
    capacity: int = 4
    done_today: int = 0
    is_on_shift: bool = True
    is_on_call: bool = False
    at: tuple[int, int] | None = None


@dataclass(frozen=True)
class Job:
    """An order that waits: what it needs, how soon, and where."""

    key: str
    category: Category
    urgency: Urgency
    at: tuple[int, int] | None = None


@dataclass(frozen=True)
class Term:
    """One reason for or against a pair: what it is, the figure behind it, and its cost."""

    kind: str
    figure: int
    cost: int


@dataclass(frozen=True)
class Choice:
    """That an order goes to a technician, with the terms that spoke, best first."""

    job: str
    worker: str
    terms: tuple[Term, ...] = field(default=())

    @property
    def cost(self) -> int:
        return sum(term.cost for term in self.terms)


def distance_m(one: tuple[int, int] | None, other: tuple[int, int] | None) -> int | None:
    """Return the way between two places in metres, along the paths of a block."""
    if one is None or other is None:
        return None
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def terms_of(worker: Worker, job: Job, extra: int = 0) -> tuple[Term, ...] | None:
    """Return what speaks for and against a pair, None when it is impossible.

    extra: orders of the same batch that he would have before this one.
    """
    skill = worker.skills.get(job.category, 0)
    is_called = worker.is_on_call and job.urgency is Urgency.EMERGENCY
    if skill < 1 or not (worker.is_on_shift or is_called):
        return None
    load = worker.load + extra
    way = distance_m(worker.at, job.at)
    far = 0 if way is None else min(MOST_DISTANCE_COST, way // METRES_PER_POINT)
    weight = WEIGHT[job.urgency]
    terms = (
        Term("skill", skill, SKILL_COST[min(skill, 3)] * weight),
        Term("load", load, load * load * LOAD_COST // 2 * weight),
        Term("distance", -1 if way is None else way, far * weight),
        Term("fairness", worker.done_today + extra, (worker.done_today + extra) * FAIR_COST),
    )
    return tuple(sorted(terms, key=lambda term: term.cost))


def assign(workers: Sequence[Worker], jobs: Sequence[Job]) -> list[Choice]:
    """Return who gets which order at the least cost together; what fits nobody stays open.

    A technician is as many columns as he may take orders; each further one costs more.
    """
    able = [w for w in workers if w.is_on_shift or w.is_on_call]
    columns = [(w, n) for w in able for n in range(max(0, w.capacity - w.load))]
    if not jobs or not columns:
        return []
    costs = [
        [_cost(worker, job, extra) for worker, extra in columns]
        + [LEAVE_OPEN * WEIGHT[job.urgency]] * len(jobs)
        for job in jobs
    ]
    chosen = _least(costs)
    return [
        Choice(job.key, columns[at][0].key, terms_of(columns[at][0], job, columns[at][1]) or ())
        for job, row, at in zip(jobs, costs, chosen, strict=True)
        if at < len(columns) and row[at] < IMPOSSIBLE
    ]


def _cost(worker: Worker, job: Job, extra: int) -> int:
    terms = terms_of(worker, job, extra)
    return IMPOSSIBLE if terms is None else sum(term.cost for term in terms)


def _least(costs: Sequence[Sequence[int]]) -> list[int]:
    """Return the column of each row at the least total cost; never more rows than columns.

    The shortest augmenting path of the Hungarian method (Jonker and Volgenant), cubic in the rows.
    """
    rows, columns = len(costs), len(costs[0])
    u, v = [0] * (rows + 1), [0] * (columns + 1)
    match = [0] * (columns + 1)
    for row in range(1, rows + 1):
        match[0] = row
        _augment(costs, u, v, match)
    chosen = [0] * rows
    for column in range(1, columns + 1):
        if match[column]:
            chosen[match[column] - 1] = column - 1
    return chosen


def _augment(costs: Sequence[Sequence[int]], u: list[int], v: list[int], match: list[int]) -> None:
    """Give the row at column 0 a column, moving others along the cheapest path."""
    size = len(v)
    least, way, used = [IMPOSSIBLE * 4] * size, [0] * size, [False] * size
    at = 0
    while match[at]:
        used[at] = True
        row, delta, following = match[at], IMPOSSIBLE * 4, 0
        for column in range(1, size):
            if used[column]:
                continue
            reduced = costs[row - 1][column - 1] - u[row] - v[column]
            if reduced < least[column]:
                least[column], way[column] = reduced, at
            if least[column] < delta:
                delta, following = least[column], column
        for column in range(size):
            if used[column]:
                u[match[column]] += delta
                v[column] -= delta
            else:
                least[column] -= delta
        at = following
    while at:
        match[at] = match[way[at]]
        at = way[at]
