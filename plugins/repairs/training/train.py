"""Trains the triage model from the grammars and the hand-written sentences, in plain Python.

Usage: python train.py — writes dougong_repairs/triage_model.json.
The same sentences give the same model.
"""

import json
import math
from collections import Counter
from pathlib import Path
from random import Random

from generate import generated, messed, sections

from dougong_repairs.domain.triage import CATEGORIES, GRADES, MODEL, features, softmax

HERE = Path(__file__).parent
PER_CLASS, HAND_WEIGHT, MESSED, EPOCHS, RATE, SHRINK, RAREST = 190, 6, 3, 8, 0.12, 2e-5, 3
SCALE = 100
OUTPUTS = len(CATEGORIES) + len(GRADES)
WRITTEN = ("sentences.txt", "wordy.txt", "dev.txt", "hard.txt", "odd.txt")
Example = tuple[list[str], int, int]


def examples() -> list[Example]:
    """Return what is trained on: generated sentences once, those written by hand several times."""
    names, grades = [c.value for c in CATEGORIES], [u.value for u in GRADES]
    rows = list(generated(PER_CLASS))
    by_hand = [row for name in WRITTEN for row in sections(HERE / name)]
    chance = Random(HAND_WEIGHT)
    rows += by_hand * (HAND_WEIGHT - MESSED)
    rows += [(a, b, messed(text, chance)) for a, b, text in by_hand * MESSED]
    made = [
        (sorted(features(text)), names.index(category), grades.index(urgency))
        for category, urgency, text in rows
    ]
    counted = Counter(name for seen, _, _ in made for name in seen)
    known = {name for name, count in counted.items() if count >= RAREST}
    return [([name for name in seen if name in known], a, b) for seen, a, b in made]


def train(made: list[Example], seed: int = 7) -> dict[str, list[float]]:
    """Return weights by feature: logistic regression by AdaGrad; the bias is the feature ""."""
    chance = Random(seed)
    weights = {name: [0.0] * OUTPUTS for seen, _, _ in made for name in seen}
    weights[""] = [0.0] * OUTPUTS
    past = {name: [1e-2] * OUTPUTS for name in weights}
    for _ in range(EPOCHS):
        chance.shuffle(made)
        for seen, category, urgency in made:
            kept = [name for name in seen if chance.random() > 0.15]
            _step(weights, past, ["", *kept], category, urgency)
    return weights


def _step(weights, past, seen, category, urgency) -> None:
    norm = 1 / math.sqrt(len(seen))
    rows = [weights[name] for name in seen]
    scores = [sum(column) for column in zip(*rows, strict=True)]
    cut = len(CATEGORIES)
    errors = softmax(scores[:cut]) + softmax(scores[cut:])
    errors[category] -= 1
    errors[cut + urgency] -= 1
    slopes = [error * norm for error in errors]
    squares = [slope * slope for slope in slopes]
    for name, row in zip(seen, rows, strict=True):
        sums = past[name]
        for at in range(OUTPUTS):
            sums[at] += squares[at]
            row[at] -= RATE * (slopes[at] / math.sqrt(sums[at]) + SHRINK * row[at])


def main() -> None:
    weights = train(examples())
    bias = [round(value * SCALE) for value in weights.pop("")]
    kept = {
        name: [round(value * SCALE) for value in row]
        for name, row in sorted(weights.items())
        if max(map(abs, row)) * SCALE >= 4
    }
    model = {"scale": SCALE, "bias": bias, "weights": kept}
    text = json.dumps(model, ensure_ascii=False, separators=(",", ":"))
    MODEL.write_text(text + "\n", encoding="utf-8")
    print(f"{len(kept)} features, {len(text.encode()) // 1024} KB")


if __name__ == "__main__":
    main()
