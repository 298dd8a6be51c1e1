"""How soon repairs are answered and done in each way to dispatch, on a day of a 3,000-room estate.

Usage: python bench/dispatch.py [--seed N] [--days N] — one JSON line per mode; no database, no
network. The same seed gives the same day and the same figures.

The day is recorded once (when each report comes in, what it is, where, how long the work takes)
and then lived through in every mode by the same people with the product's own rules: `assign`
decides in the automatic modes as it does in the product. What differs is only who gets which order
and when. What people do is a model: grabbers look every few minutes and like what is near; a
dispatcher handles one order at a time and takes breaks; whoever is busy finishes first.
"""

import argparse
import heapq
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from dougong_repairs.domain.assignment import Job, Worker, assign, distance_m
from dougong_repairs.domain.kinds import Category, DispatchMode, Urgency

OPENS, CLOSES = 7 * 60, 22 * 60
BUILDINGS = [(east * 90, south * 70) for east in range(6) for south in range(4)]
REPORTS_A_DAY = 62
METRES_A_MINUTE = 75
GRAB_MINUTES = 10
# Share of reports by trade, and minutes of work: median and how far it spreads.
TRADES = {
    Category.PLUMBING: (0.31, 45),
    Category.ELECTRICAL: (0.20, 35),
    Category.DOORS_WINDOWS: (0.15, 40),
    Category.ACCESS_PARKING: (0.12, 30),
    Category.PUBLIC_AREA: (0.11, 35),
    Category.OTHER: (0.05, 50),
    Category.ELEVATOR: (0.03, 60),
    Category.FIRE_SAFETY: (0.03, 45),
}
URGENCIES = {
    Urgency.EMERGENCY: 0.03,
    Urgency.URGENT: 0.17,
    Urgency.NORMAL: 0.60,
    Urgency.LOW: 0.20,
}
RANK = {urgency: rank for rank, urgency in enumerate(URGENCIES)}
# Reports by hour of the day: the peaks after getting up and after work.
HOURS = (0.2, 0.1, 0.1, 0.1, 0.1, 0.3, 1, 3, 5, 5, 4, 3, 2, 2, 3, 3, 3, 4, 6, 6, 4, 3, 1, 0.4)
CREW = (
    ("plumber", {Category.PLUMBING: 3, Category.DOORS_WINDOWS: 2, Category.PUBLIC_AREA: 1}),
    ("plumber 2", {Category.PLUMBING: 3, Category.OTHER: 2, Category.PUBLIC_AREA: 2}),
    ("electrician", {Category.ELECTRICAL: 3, Category.ACCESS_PARKING: 2, Category.PLUMBING: 1}),
    ("electrician 2", {Category.ELECTRICAL: 3, Category.FIRE_SAFETY: 2, Category.ELEVATOR: 1}),
    ("weak current", {Category.ACCESS_PARKING: 3, Category.ELECTRICAL: 2, Category.FIRE_SAFETY: 2}),
    ("lifts, fire", {Category.ELEVATOR: 3, Category.FIRE_SAFETY: 3, Category.ELECTRICAL: 1}),
    ("joiner", {Category.DOORS_WINDOWS: 3, Category.OTHER: 3, Category.PUBLIC_AREA: 2}),
    (
        "all-rounder",
        dict.fromkeys(Category, 1) | {Category.PUBLIC_AREA: 3, Category.PLUMBING: 2},
    ),
)


@dataclass(frozen=True)
class Report:
    """One report of the recorded day: minute, what, how urgent, where, and minutes of work."""

    key: str
    at: float
    category: Category
    urgency: Urgency
    place: tuple[int, int]
    work: float


@dataclass
class Hand:
    """A technician who lives through the day: his queue, where he is, until when he is busy."""

    worker: Worker
    queue: list[Report] = field(default_factory=list)
    free_at: float = OPENS
    given: int = 0


@dataclass
class Day:
    """What the modes change: who waits, whose turn it is, when the dispatcher is free."""

    hands: list[Hand]
    waiting: list[Report] = field(default_factory=list)
    turn: int = 0
    desk_free_at: float = OPENS
    started: dict[str, float] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)


def recorded_day(seed: int) -> list[Report]:
    """Return the reports of one day, by minute."""
    chance = Random(seed)
    made = []
    for number in range(REPORTS_A_DAY):
        hour = chance.choices(range(24), HOURS)[0]
        category = chance.choices(list(TRADES), [share for share, _ in TRADES.values()])[0]
        urgency = chance.choices(list(URGENCIES), list(URGENCIES.values()))[0]
        work = max(8.0, chance.lognormvariate(0, 0.5) * TRADES[category][1])
        at = hour * 60 + chance.random() * 60
        made.append(Report(str(number), at, category, urgency, chance.choice(BUILDINGS), work))
    return sorted(made, key=lambda report: report.at)


def crew() -> list[Hand]:
    """Return the technicians as they begin the day, spread over the estate."""
    return [
        Hand(Worker(name, name, skills, at=BUILDINGS[number * 3]))
        for number, (name, skills) in enumerate(CREW)
    ]


def seen(hand: Hand, now: float) -> Worker:
    """Return a technician as the rule sees him at a minute."""
    load = len(hand.queue) + (hand.free_at > now)
    return replace(hand.worker, load=load, done_today=hand.given)


def give(hand: Hand, report: Report) -> None:
    hand.queue.append(report)
    hand.queue.sort(key=lambda waits: (RANK[waits.urgency], waits.at))
    hand.given += 1


def grab(day: Day, now: float, chance: Random) -> None:
    """Let everybody who is free take what he likes: near, and known; urgency hardly counts."""
    for hand in chance.sample(day.hands, len(day.hands)):
        mine = [r for r in day.waiting if hand.worker.skills.get(r.category, 0)]
        if not mine or hand.queue or hand.free_at > now or chance.random() > 0.34:
            continue
        liked = min(
            mine,
            key=lambda r: (
                (distance_m(hand.worker.at, r.place) or 0)
                - 120 * hand.worker.skills[r.category]
                - 150 * (r.urgency is Urgency.EMERGENCY)
            ),
        )
        day.waiting.remove(liked)
        give(hand, liked)


def by_hand(day: Day, now: float, chance: Random) -> None:
    """Let the dispatcher give away one order at a time: the right trade, the shortest queue."""
    if now < day.desk_free_at or not day.waiting:
        return
    report = min(day.waiting, key=lambda r: (RANK[r.urgency], r.at))
    able = [h for h in day.hands if h.worker.skills.get(report.category, 0) >= 2] or day.hands
    give(min(able, key=lambda h: (len(h.queue), chance.random())), report)
    day.waiting.remove(report)
    day.desk_free_at = now + chance.uniform(3, 9)


def in_turn(day: Day, now: float, chance: Random) -> None:
    """Give each order to the next in turn who can do it, whatever he has to do."""
    for report in list(day.waiting):
        for step in range(len(day.hands)):
            hand = day.hands[(day.turn + step) % len(day.hands)]
            if hand.worker.skills.get(report.category, 0):
                give(hand, report)
                day.waiting.remove(report)
                day.turn = (day.turn + step + 1) % len(day.hands)
                break


def automatic(day: Day, now: float, chance: Random) -> None:
    """Let the product's rule solve the batch that waits."""
    _assign(day, now, day.waiting)


def hybrid(day: Day, now: float, chance: Random) -> None:
    """Let people grab for some minutes, then the rule decide; emergencies do not wait."""
    late = [
        r
        for r in day.waiting
        if r.urgency is Urgency.EMERGENCY or now - max(r.at, OPENS) >= GRAB_MINUTES
    ]
    _assign(day, now, late)
    grab(day, now, chance)


def _assign(day: Day, now: float, reports: list[Report]) -> None:
    by_key = {report.key: report for report in reports}
    jobs = [Job(r.key, r.category, r.urgency, r.place) for r in reports]
    names = {hand.worker.key: hand for hand in day.hands}
    for choice in assign([seen(hand, now) for hand in day.hands], jobs):
        give(names[choice.worker], by_key[choice.job])
        day.waiting.remove(by_key[choice.job])


MODES: dict[DispatchMode, Callable[[Day, float, Random], None]] = {
    DispatchMode.GRAB: grab,
    DispatchMode.ASSIGN: by_hand,
    DispatchMode.ROTATE: in_turn,
    DispatchMode.AUTOMATIC: automatic,
    DispatchMode.HYBRID: hybrid,
}


def live(reports: list[Report], mode: DispatchMode, seed: int) -> Day:
    """Live through the day in a mode, minute by minute, until every order is done."""
    chance, day = Random(seed), Day(crew())
    coming = [(report.at, n, report) for n, report in zip(count(), reports, strict=False)]
    heapq.heapify(coming)
    now = 0.0
    while coming or day.waiting or any(hand.queue for hand in day.hands):
        while coming and coming[0][0] <= now:
            day.waiting.append(heapq.heappop(coming)[2])
        if now % 1440 >= OPENS or any(r.urgency is Urgency.EMERGENCY for r in day.waiting):
            MODES[mode](day, now, chance)
        for hand in day.hands:
            _work(day, hand, now)
        now += 1
    return day


def _work(day: Day, hand: Hand, now: float) -> None:
    """Let a technician who is free go to his next order; nights are for emergencies."""
    if hand.free_at > now or not hand.queue:
        return
    is_open = OPENS <= now % 1440 < CLOSES
    if not is_open and hand.queue[0].urgency is not Urgency.EMERGENCY:
        return
    report = hand.queue.pop(0)
    way = (distance_m(hand.worker.at, report.place) or 0) / METRES_A_MINUTE + 3
    # Whoever is not trained for it takes longer.
    slower = {3: 1.0, 2: 1.15, 1: 1.6}.get(hand.worker.skills.get(report.category, 0), 2.0)
    day.started[report.key] = now + way
    day.done[report.key] = hand.free_at = now + way + report.work * slower
    hand.worker = replace(hand.worker, at=report.place)


def figures(reports: list[Report], day: Day) -> dict[str, float]:
    """Return minutes until somebody is there and until it is done: median, p90, of the urgent."""

    def spread(times: dict[str, float], chosen: list[Report]) -> tuple[float, float]:
        taken = sorted(times[r.key] - r.at for r in chosen)
        return statistics.median(taken), taken[int(0.9 * (len(taken) - 1))]

    pressing = [r for r in reports if r.urgency in (Urgency.EMERGENCY, Urgency.URGENT)]
    daytime = [r for r in reports if r.at >= OPENS]
    respond, resolve = spread(day.started, daytime), spread(day.done, daytime)
    return {
        "respond_median": respond[0],
        "respond_p90": respond[1],
        "resolve_median": resolve[0],
        "resolve_p90": resolve[1],
        "urgent_respond_median": spread(day.started, pressing)[0],
        "urgent_respond_p90": spread(day.started, pressing)[1],
        "most_orders_of_one": max(hand.given for hand in day.hands),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--days", type=int, default=15, help="so many days; medians over them")
    given = parser.parse_args()
    for mode in MODES:
        found = []
        for number in range(given.days):
            reports = recorded_day(given.seed + number)
            found.append(figures(reports, live(reports, mode, given.seed + number)))
        told = {name: round(statistics.median(f[name] for f in found), 1) for name in found[0]}
        print(json.dumps({"mode": mode.value, "unit": "min", "days": given.days, **told}))


if __name__ == "__main__":
    main()
