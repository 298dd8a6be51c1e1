"""Promises about what people read: Chinese and English, and templates that keep to the policy."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from jinja2 import Environment, TemplateSyntaxError

from dougong import i18n
from dougong.testing.promises import Subject, promise

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
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")
INLINE = (
    (re.compile(r"<script(?![^>]*\b(nonce|src)=)", re.IGNORECASE), "an inline script"),
    (re.compile(r"<[a-z][^>]*\sstyle=", re.IGNORECASE), "an inline style"),
    (re.compile(r"<[a-z][^>]*\son[a-z]+=", re.IGNORECASE), "an event handler"),
    (re.compile(r"\|\s*safe\b"), "the filter safe"),
    (re.compile(r"(src|href)=[\"']https?://", re.IGNORECASE), "something from another site"),
)


def catalogue(locale: Path) -> dict[str, str]:
    """Return the Chinese of every text in a distribution's catalogues."""
    return {_first(entry.id): _first(entry.string) for entry in _entries(locale)}


def _entries(locale: Path) -> Iterator[Message]:
    for po in sorted((locale / "zh_Hans_CN/LC_MESSAGES").glob("*.po")):
        with po.open("rb") as source:
            yield from (entry for entry in read_po(source) if entry.id)


def _first(text: Any) -> str:
    return text[0] if isinstance(text, list | tuple) else text


def _of_many(text: Any) -> str:
    return text[-1] if isinstance(text, list | tuple) else text


@promise
def every_text_has_its_chinese(subject: Subject) -> Iterator[str]:
    known = {
        **i18n.inline_translations(),
        **catalogue(i18n.KERNEL_LOCALE),
        **catalogue(subject.folder / "locale"),
    }
    found = extract_from_dir(
        subject.folder, METHODS, keywords=KEYWORDS, options_map={"**": {"newstyle_gettext": "true"}}
    )
    for file, line, message, _comments, _context in found:
        text = _first(message)
        if text and not known.get(text):
            yield f"{file}:{line}: {text!r} has no Chinese"


@promise
def every_purpose_has_its_chinese(subject: Subject) -> Iterator[str]:
    known = {**catalogue(i18n.KERNEL_LOCALE), **catalogue(subject.folder / "locale")}
    for name, said in subject.manifest.personal.items():
        if not known.get(said.purpose):
            yield f"{name}: the purpose {said.purpose!r} has no Chinese"


@promise
def what_is_filled_in_survives_translation(subject: Subject) -> Iterator[str]:
    for entry in _entries(subject.folder / "locale"):
        # Chinese has one form for one and many: it says the number, as the English of many does.
        english, chinese = _of_many(entry.id), _first(entry.string)
        if chinese and set(PLACEHOLDER.findall(english)) != set(PLACEHOLDER.findall(chinese)):
            yield f"{english!r} and {chinese!r} fill in different things"


@promise
def its_templates_keep_to_the_content_policy(subject: Subject) -> Iterator[str]:
    for path, text in subject.templates.items():
        if "documents" in path.parts or "messages" in path.parts:
            continue
        for pattern, what in INLINE:
            for found in pattern.finditer(text):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{subject.where(path)}:{line} holds {what}"


@promise
def its_templates_can_be_read(subject: Subject) -> Iterator[str]:
    parser = Environment(autoescape=True, extensions=["jinja2.ext.i18n"])
    for path, text in subject.templates.items():
        try:
            parser.parse(text)
        except TemplateSyntaxError as error:
            yield f"{subject.where(path)}:{error.lineno}: {error.message}"
