"""Reports how the model does on sentences that it has not seen.

Usage: python evaluate.py [FILE] [--wrong] — held_out.txt unsaid; --wrong lists the mistakes.
"""

import json
import sys
import time
from pathlib import Path

from generate import sections

from dougong_repairs.domain.kinds import Category, Urgency
from dougong_repairs.domain.triage import judge

HERE = Path(__file__).parent


def macro_f1(pairs: list[tuple[str, str]], labels: list[str]) -> float:
    """Return the mean over labels of the harmonic mean of precision and recall."""
    total = 0.0
    for label in labels:
        right = sum(a == b == label for a, b in pairs)
        named = sum(b == label for _, b in pairs) + sum(a == label for a, _ in pairs)
        total += 2 * right / named if named else 0.0
    return total / len(labels)


def report(path: Path, *, shows_wrong: bool = False) -> dict[str, float]:
    """Return accuracy, macro-F1, recall of emergencies and the share of others graded so."""
    rows = list(sections(path))
    begun = time.perf_counter()
    verdicts = [judge(text) for _, _, text in rows]
    took_ms = (time.perf_counter() - begun) * 1000 / len(rows)
    kinds = [(row[0], v.category.value) for row, v in zip(rows, verdicts, strict=True)]
    grades = [(row[1], v.urgency.value) for row, v in zip(rows, verdicts, strict=True)]
    if shows_wrong:
        for (category, urgency, text), v in zip(rows, verdicts, strict=True):
            if (category, urgency) != (v.category.value, v.urgency.value):
                print(f"{category}/{urgency} → {v.category}/{v.urgency} {v.danger} {text}")
    emergencies = [b for a, b in grades if a == "emergency"]
    others = [b for a, b in grades if a != "emergency"]
    return {
        "sentences": len(rows),
        "category_accuracy": sum(a == b for a, b in kinds) / len(rows),
        "category_macro_f1": macro_f1(kinds, [c.value for c in Category]),
        "urgency_accuracy": sum(a == b for a, b in grades) / len(rows),
        "urgency_macro_f1": macro_f1(grades, [u.value for u in Urgency]),
        "emergency_recall": emergencies.count("emergency") / max(1, len(emergencies)),
        "others_graded_emergency": others.count("emergency") / max(1, len(others)),
        "ms_per_text": took_ms,
    }


if __name__ == "__main__":
    files = [Path(name) for name in sys.argv[1:] if not name.startswith("--")]
    for file in files or [HERE / "held_out.txt"]:
        found = report(file, shows_wrong="--wrong" in sys.argv)
        print(json.dumps({name: round(value, 4) for name, value in found.items()}))
