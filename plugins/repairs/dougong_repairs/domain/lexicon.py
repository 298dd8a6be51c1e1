"""The words of each trade and of urgency (``lexicon.toml``), seen beside the characters."""

import re
import tomllib
from pathlib import Path

LEXICON = tomllib.loads((Path(__file__).parents[1] / "lexicon.toml").read_text(encoding="utf-8"))


def _words(text: str) -> re.Pattern[str]:
    return re.compile("|".join(sorted(text.split(), key=len, reverse=True)))


TRADES = {name: _words(text) for name, text in LEXICON["trades"].items()}
URGENCIES = {f"!{name}": _words(text) for name, text in LEXICON["urgencies"].items()}
