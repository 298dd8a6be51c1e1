"""Category and urgency of a Chinese text: a small linear model over characters, and safety words.

The model (`triage_model.json`, trained by ``training/train.py``) sees runs of one to three
characters and the words of each trade; a text takes a fraction of a millisecond. Corrections are
kept as a memory beside the model, not trained into it: a text like a corrected one follows the
correction, and everything else is judged as before, so that nothing is forgotten. What speaks of
danger is an emergency, whatever model and memory say.
"""

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dougong_repairs.domain.kinds import Category, Urgency
from dougong_repairs.domain.lexicon import TRADES, URGENCIES
from dougong_repairs.domain.safety import dangers
from dougong_repairs.domain.script import simplified

MODEL = Path(__file__).parents[1] / "triage_model.json"
CATEGORIES, GRADES = tuple(Category), tuple(Urgency)
LIKE_ENOUGH = 0.5
SURE_ENOUGH = 0.07
LONGEST = 600
_KEPT = re.compile(r"[^\u4e00-\u9fffa-z0]+")


@dataclass(frozen=True)
class Remembered:
    """A text that people put right, as the runs of characters it is made of."""

    grams: frozenset[str]
    category: Category
    urgency: Urgency


@dataclass(frozen=True)
class Verdict:
    """What a text is about and how urgent, how sure (0 to 1), and what spoke for it.

    danger: kind and words of a danger, None without one. evidence: the words that spoke for the
    category. is_remembered: a correction decided.
    """

    category: Category
    urgency: Urgency
    confidence: float
    evidence: tuple[str, ...]
    danger: tuple[str, str] | None = None
    is_remembered: bool = False


def plain(text: str) -> str:
    """Return a text as the model reads it: one width and script, digits as 0, marks gone."""
    folded = simplified(unicodedata.normalize("NFKC", text[:LONGEST]).lower())
    return _KEPT.sub(" ", re.sub(r"\d+", "0", folded)).strip()


def features(text: str) -> set[str]:
    """Return what the model sees of a text: runs of characters, and words of each trade."""
    read = plain(text)
    found = {read[at : at + n] for n in (1, 2, 3) for at in range(len(read) - n + 1)}
    found = {gram for gram in found if " " not in gram}
    for name, pattern in (*TRADES.items(), *URGENCIES.items()):
        words = set(pattern.findall(read))
        if words:
            found.add(f"@{name}")
        if len(words) > 1:
            found.add(f"@{name}+")
    return found | {f"@danger {kind}" for kind, _ in dangers(simplified(text))}


def softmax(scores: Sequence[float]) -> list[float]:
    """Return shares that add up to one."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


class Model:
    """The trained weights: of each feature, one for every category and every urgency."""

    def __init__(self, weights: Mapping[str, Sequence[int]], bias: Sequence[int], scale: int):
        self.weights, self.bias, self.scale = weights, bias, scale

    def scores(self, seen: Iterable[str]) -> list[float]:
        """Return the score of every category, then of every urgency."""
        total = list(self.bias)
        for name in seen:
            row = self.weights.get(name)
            if row is not None:
                total = [a + b for a, b in zip(total, row, strict=True)]
        return [value / self.scale for value in total]

    def evidence(self, seen: Iterable[str], category: Category) -> tuple[str, ...]:
        """Return the words of a text that spoke most for a category, at most three."""
        at = CATEGORIES.index(category)
        spoke = [
            (row[at], name)
            for name in seen
            if len(name) > 1 and name[0] != "@" and (row := self.weights.get(name)) is not None
        ]
        best: list[str] = []
        for weight, name in sorted(spoke, reverse=True)[:12]:
            if weight > 0 and not any(name in other or other in name for other in best):
                best.append(name)
        return tuple(best[:3])


@lru_cache(maxsize=1)
def model() -> Model:
    """Return the shipped model; read once per process."""
    data = json.loads(MODEL.read_text(encoding="utf-8"))
    return Model(data["weights"], data["bias"], data["scale"])


def remember(text: str, category: Category, urgency: Urgency) -> Remembered:
    """Return a corrected text as the memory keeps it."""
    return Remembered(_pairs(text), category, urgency)


def judge(text: str, memory: Sequence[Remembered] = ()) -> Verdict:
    """Return category and urgency of a text. memory: what people put right, in any order."""
    seen = features(text)
    scores = model().scores(seen)
    kinds = softmax(scores[: len(CATEGORIES)])
    grades = softmax(scores[len(CATEGORIES) :])
    share = _recall(text, memory, kinds, grades)
    category = CATEGORIES[kinds.index(max(kinds))]
    danger = next(dangers(simplified(text)), None)
    grade = _grade(grades, danger is not None)
    sure = min(max(kinds), 1.0 if danger else grades[GRADES.index(grade)])
    named = dict.fromkeys(TRADES[category.value].findall(plain(text)))
    evidence = tuple(named)[:3] or model().evidence(seen, category)
    return Verdict(category, grade, round(sure, 2), evidence, danger, share > 0)


def _grade(grades: Sequence[float], is_dangerous: bool) -> Urgency:
    """Return the urgency: danger is an emergency, and a good suspicion of one is as well."""
    if is_dangerous or grades[0] >= SURE_ENOUGH:
        return Urgency.EMERGENCY
    return GRADES[max(range(1, len(GRADES)), key=lambda at: grades[at])]


def _recall(
    text: str, memory: Sequence[Remembered], kinds: list[float], grades: list[float]
) -> float:
    """Mix in the correction that is most like the text; return its share, 0 without one."""
    pairs = _pairs(text) if memory else frozenset()
    like, nearest = 0.0, None
    for known in memory:
        common = len(pairs & known.grams)
        closeness = common / math.sqrt(len(pairs) * len(known.grams)) if common else 0.0
        if closeness > like:
            like, nearest = closeness, known
    if nearest is None or like < LIKE_ENOUGH:
        return 0.0
    share = min(0.95, 0.6 + (like - LIKE_ENOUGH))
    wanted = (CATEGORIES.index(nearest.category), GRADES.index(nearest.urgency))
    for shares, at in zip((kinds, grades), wanted, strict=True):
        shares[:] = [value * (1 - share) + share * (n == at) for n, value in enumerate(shares)]
    return share


def _pairs(text: str) -> frozenset[str]:
    read = plain(text).replace(" ", "")
    return frozenset(read[at : at + 2] for at in range(len(read) - 1))
