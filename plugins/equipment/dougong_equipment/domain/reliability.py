"""How reliable equipment is, and when replacing it costs less than keeping it.

Failures of repaired equipment follow a power law, the mean number by age t being (t/θ)^β: β above 1
means that it wears out. Source: Crow (1974), AMSAA TR-138; Barlow and Hunter (1960) for the age at
which purchase plus minimal repairs, per year of use, cost least.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

# What is known before anything failed: gentle wear, as strong as this many failures.
PRIOR_SHAPE, PRIOR_WEIGHT = 2.0, 3.0
LOWEST_SHAPE = 1.05


@dataclass(frozen=True)
class Reliability:
    """Hours between breakdowns and to repair, and the share of time that it ran; None: unknown.

    still_h: hours that it stood still, over all breakdowns.
    """

    mtbf_h: float | None
    mttr_h: float | None
    availability: float | None
    breakdowns: int
    still_h: float = 0.0


def reliability(span_h: float, repairs_h: Sequence[float]) -> Reliability:
    """Return the figures of one span. span_h: hours looked at; repairs_h: of each breakdown.

    MTBF is running time per breakdown: the time that it stood still does not count.
    """
    count, still = len(repairs_h), sum(repairs_h)
    if not count or span_h <= 0:
        return Reliability(None, None, 1.0 if span_h > 0 else None, count)
    running = max(0.0, span_h - still)
    return Reliability(running / count, still / count, running / span_h, count, still)


@dataclass(frozen=True)
class Wear:
    """A fitted power law. shape: β. scale_y: θ in years."""

    shape: float
    scale_y: float

    def failures(self, age_y: float) -> float:
        """Return the mean number of failures up to an age."""
        return (age_y / self.scale_y) ** self.shape if age_y > 0 else 0.0


def fit(failures_y: Sequence[float], age_y: float) -> Wear | None:
    """Return the power law of failures at these ages, in years, seen up to ``age_y``.

    The shape leans on what is known of equipment in general while failures are few. None when
    nothing failed, or the age is not positive.
    """
    ages = [age for age in failures_y if 0 < age <= age_y]
    if not ages or age_y <= 0:
        return None
    # 1/β is a mean of logarithms; the prior joins it as so many further ones of its own mean.
    logs = sum(log(age_y / age) for age in ages)
    weight = len(ages) + PRIOR_WEIGHT
    shape = max(LOWEST_SHAPE, weight / (logs + PRIOR_WEIGHT / PRIOR_SHAPE))
    return Wear(shape, age_y / len(ages) ** (1 / shape))


@dataclass(frozen=True)
class Forecast:
    """When to replace. years_left: 0 when it is time. age_y: at replacement.

    reason: ``cost`` when repairs grow dearer than a new one, ``life`` when its design life ends
    first. next_year: how many failures the next year brings, on average.
    """

    age_y: float
    years_left: float
    reason: str
    shape: float | None
    next_year: float
    failures: int


def forecast(
    failures_y: Sequence[float], age_y: float, life_y: float, price: float, repair: float
) -> Forecast:
    """Return when to replace equipment of an age.

    life_y: its design life. price: of a new one; repair: of one failure, on average, both in yuan.
    Without a failure, a price or a cost, the design life alone decides.
    """
    wear = fit(failures_y, age_y)
    ends = max(life_y, age_y)
    if wear is None or price <= 0 or repair <= 0:
        return Forecast(ends, max(0.0, life_y - age_y), "life", None, 0.0, len(failures_y))
    cheapest = wear.scale_y * (price / (repair * (wear.shape - 1))) ** (1 / wear.shape)
    is_cost = cheapest < life_y
    when = min(cheapest, life_y)
    next_year = wear.failures(age_y + 1) - wear.failures(age_y)
    return Forecast(
        max(when, age_y),
        max(0.0, when - age_y),
        "cost" if is_cost else "life",
        wear.shape,
        next_year,
        len(failures_y),
    )


def survival(failures: float) -> float:
    """Return the chance of no failure where so many are expected."""
    return exp(-failures)
