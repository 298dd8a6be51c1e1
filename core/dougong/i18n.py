"""Chinese and English for people, English msgids in the code.

Every distribution keeps catalogues in ``locale/zh_Hans_CN/LC_MESSAGES``: one ``.po`` per area, all
of them merged, the kernel's last so that it wins. Labels of columns carry both languages beside
the column (``label("Room", "房屋")``) and serve as translations too. Outside a request the locale
is the one set by ``use_locale``; the default is Chinese.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from dougong.errors import Sayable

LOCALES = ("zh_Hans_CN", "en")
DEFAULT_LOCALE = "zh_Hans_CN"
KERNEL_LOCALE = Path(__file__).with_name("locale")

_locale: ContextVar[str] = ContextVar("locale", default=DEFAULT_LOCALE)
_folders: list[Path] = []
_inline: dict[str, str] = {}
_loaded: dict[str, Translations] = {}
_lock = threading.Lock()


def N_(message: str) -> str:
    """Mark ``message`` for the catalogue and return it unchanged."""
    return message


def current_locale() -> str:
    """Return the locale in force, ``zh_Hans_CN`` or ``en``."""
    return _locale.get()


@contextmanager
def use_locale(locale: str | None) -> Iterator[None]:
    """Speak ``locale`` inside the block; an unknown one means the default."""
    token = _locale.set(best_locale(locale))
    try:
        yield
    finally:
        _locale.reset(token)


def best_locale(wanted: str | None) -> str:
    """Return the supported locale nearest to a tag such as ``zh-CN`` or ``en_GB``."""
    if wanted and wanted.lower().startswith("en"):
        return "en"
    return DEFAULT_LOCALE


def add_catalogues(folder: Path) -> None:
    """Add a distribution's ``locale`` folder, also at run time."""
    with _lock:
        if folder not in _folders:
            _folders.append(folder)
            _loaded.clear()


def compile_catalogues(folder: Path) -> int:
    """Write the ``.mo`` beside every ``.po`` under ``folder`` that changed; return how many."""
    written = 0
    for po in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        mo = po.with_suffix(".mo")
        if mo.exists() and mo.stat().st_mtime >= po.stat().st_mtime:
            continue
        with po.open("rb") as source:
            catalogue = read_po(source, locale=po.parent.parent.name)
        temporary = mo.with_suffix(f".{threading.get_ident()}.tmp")
        with temporary.open("wb") as target:
            write_mo(target, catalogue)
        temporary.replace(mo)
        written += 1
    return written


def translations(locale: str | None = None) -> Translations:
    """Return the merged translations of ``locale`` (the one in force by default)."""
    locale = locale or current_locale()
    found = _loaded.get(locale)
    if found is None:
        with _lock:
            found = _loaded[locale] = _merge(locale)
    return found


def _merge(locale: str) -> Translations:
    merged = Translations()
    for folder in [*_folders, KERNEL_LOCALE]:
        compile_catalogues(folder)
        for mo in sorted((folder / locale / "LC_MESSAGES").glob("*.mo")):
            with mo.open("rb") as source:
                merged.merge(found := Translations(source, domain=mo.stem))
            # Merging leaves the plural rule behind: Chinese has one form for every number.
            merged.plural = found.plural  # type: ignore[attr-defined]
    return merged


def gettext(message: str, /, **parameters: Any) -> str:
    """Return ``message`` in the locale in force, with its ``%(name)s`` filled in."""
    locale = current_locale()
    text = translations(locale).gettext(message) if message else ""
    if text == message and locale == DEFAULT_LOCALE:
        text = _inline.get(message, message)
    return text % parameters if parameters else text


def ngettext(singular: str, plural: str, num: int, /, **parameters: Any) -> str:
    """Return the form for ``num``, which is available as ``%(num)s``."""
    text = translations().ngettext(singular, plural, num)
    return text % {"num": num, **parameters}


def pgettext(context: str, message: str, /, **parameters: Any) -> str:
    """Return ``message`` as it is meant in ``context``."""
    text = str(translations().pgettext(context, message))
    return text % parameters if parameters else text


_ = gettext


class LazyText:
    """A text that is translated when it is shown, so that it may stand in a class body."""

    __slots__ = ("chinese", "message", "parameters")

    def __init__(
        self, message: str, parameters: dict[str, Any] | None = None, chinese: str | None = None
    ) -> None:
        self.message = message
        self.parameters = parameters or {}
        self.chinese = chinese

    def __str__(self) -> str:
        if self.chinese is not None and current_locale() == DEFAULT_LOCALE:
            return self.chinese
        return gettext(self.message, **self.parameters)

    def __repr__(self) -> str:
        return f"LazyText({self.message!r})"

    def __html__(self) -> str:
        from markupsafe import escape

        return str(escape(str(self)))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash(self.message)

    def __len__(self) -> int:
        return len(str(self))

    def __contains__(self, part: str) -> bool:
        return part in str(self)

    def __add__(self, other: object) -> str:
        return str(self) + str(other)

    def __mod__(self, parameters: Any) -> str:
        return str(self) % parameters

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(str(self), name)


def lazy_gettext(message: str, /, **parameters: Any) -> LazyText:
    """Return ``message`` as a text that is translated when shown."""
    return LazyText(message, parameters)


def bilingual(english: str, chinese: str | None = None) -> LazyText:
    """Return a lazy text whose Chinese stands beside it in the code.

    The Chinese at this place is what is shown, whatever the same English means elsewhere: an open
    door (打开) is no open bill (待支付).
    """
    if chinese is not None:
        _inline.setdefault(english, chinese)
    return LazyText(english, chinese=chinese)


def inline_translations() -> dict[str, str]:
    """Return the English → Chinese pairs that stand in the code."""
    return dict(_inline)


def translate_error(error: Sayable) -> str:
    """Return what happened, in the locale in force."""
    return gettext(error.message, **error.parameters)


if __name__ == "__main__":
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    compile_catalogues(KERNEL_LOCALE)
    for entry in entry_points(group="dougong.plugins"):
        spec = find_spec(entry.value)
        if spec and spec.origin:
            compile_catalogues(Path(spec.origin).parent / "locale")
