"""What many people say in the same words: frequent phrases of Chinese texts."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product

SHORTEST, LONGEST, MOST = 2, 6, 5
# A phrase that begins or ends with one of these is cut in the wrong place or says nothing.
_EDGES = set("的了是在和也都很就不没有我你他们这那个一上下来去到为把被让吗呢吧啊又还要会能请对与")
_RUNS = re.compile("[\u4e00-\u9fff]+")


def _phrases(text: str) -> Iterator[str]:
    """Yield what may be a phrase: a piece of a run that neither begins nor ends with a filler."""
    for run, size in product(_RUNS.findall(text), range(SHORTEST, LONGEST + 1)):
        for at in range(len(run) - size + 1):
            gram = run[at : at + size]
            if gram[0] not in _EDGES and gram[-1] not in _EDGES:
                yield gram


def frequent_phrases(texts: Sequence[str], least: int = 2) -> list[tuple[str, list[int]]]:
    """Return phrases that at least ``least`` texts share, with the texts' positions.

    At most five, what is said most and longest first; none is part of another. A text counts once
    however often it repeats a phrase.
    """
    said: dict[str, set[int]] = defaultdict(set)
    for number, text in enumerate(texts):
        for phrase in _phrases(text):
            said[phrase].add(number)
    shared = [(gram, where) for gram, where in said.items() if len(where) >= least]
    shared.sort(key=lambda each: (-len(each[1]) * (len(each[0]) - 1), each[0]))
    chosen: list[tuple[str, list[int]]] = []
    for gram, where in shared:
        if len(chosen) == MOST:
            break
        if not any(_overlap(gram, other) for other, _ in chosen):
            chosen.append((gram, sorted(where)))
    return chosen


def _overlap(one: str, other: str) -> bool:
    """Tell whether two phrases share two characters in a row: they are about the same words."""
    return any(one[at : at + 2] in other for at in range(len(one) - 1))
