"""Every text is there in Chinese and English; no key is left over from a text that changed."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from dougong import i18n

ROOT = Path(__file__).parents[2]
METHODS = [
    ("**.py", "python"),
    ("**/templates/**.html", "jinja2"),
    ("**/templates/**.txt", "jinja2"),
]
KEYWORDS = {
    "_": None,
    "N_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
DISTRIBUTIONS = {
    "dougong": (ROOT / "core/dougong", ROOT / "locale"),
    **{
        path.parent.name.removeprefix("dougong_"): (path.parent, path.parent / "locale")
        for path in sorted(ROOT.glob("plugins/*/dougong_*/manifest.toml"))
    },
}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")


plurals: dict[str, str] = {}


def messages(folder: Path) -> set[str]:
    found = set()
    for _file, _line, message, _comments, _context in extract_from_dir(
        folder, METHODS, keywords=KEYWORDS, options_map={"**": {"newstyle_gettext": "true"}}
    ):
        found.add(message[0] if isinstance(message, tuple) else message)
    return {m for m in found if m}


def catalogue(locale: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for po in sorted((locale / "zh_Hans_CN/LC_MESSAGES").glob("*.po")):
        with po.open("rb") as source:
            for entry in read_po(source):
                if entry.id:
                    key = entry.id[0] if isinstance(entry.id, tuple) else entry.id
                    if isinstance(entry.id, tuple):
                        plurals[key] = entry.id[1]
                    text = entry.string[0] if isinstance(entry.string, tuple) else entry.string
                    texts[key] = text
    return texts


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_text_has_its_chinese(name):
    folder, locale = DISTRIBUTIONS[name]
    kernel = catalogue(DISTRIBUTIONS["dougong"][1])
    known = {**kernel, **catalogue(locale), **i18n.inline_translations()}
    missing = sorted(m for m in messages(folder) if not known.get(m))
    assert missing == []


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_placeholders_survive_translation(name):
    wrong = {
        key: text
        for key, text in catalogue(DISTRIBUTIONS[name][1]).items()
        if set(PLACEHOLDER.findall(plurals.get(key, key))) != set(PLACEHOLDER.findall(text))
    }
    assert wrong == {}
