"""The two weights of Chinese type that every document is set in, prepared once.

The font package ships Noto Sans SC as one variable TrueType font. A variable font is slow to embed
and CFF outlines make large PDFs, so Regular and Bold are cut from it as plain TrueType fonts: both
cover 30,890 characters, rare names included, and need no fonts on the system. ``make setup`` runs
``python -m dougong.documents.fonts``; a process that finds none prepares them itself.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from dougong.errors import Conflict
from dougong.i18n import N_

PACKAGE = "justmytype_intl_cjk"
VARIABLE_FONT = "fonts/ofl/notosanssc/NotoSansSC[wght].ttf"
LICENCE = "fonts/ofl/notosanssc/OFL.txt"
EXPECTED_SHA256 = "a3041811a78c361b1de50f953c805e0244951c21c5bd412f7232ef0d899af0da"
FAMILY = "Dougong Sans"
WEIGHTS = {"Regular": 400, "Bold": 700}
# Kept: vertical forms, kerning and character variants; dropped: what only a text editor reads.
UNUSED_TABLES = ("BASE", "STAT", "gasp", "prep", "vhea", "vmtx")


def font_files(folders: tuple[Path, ...] | None = None) -> dict[str, Path]:
    """Return the prepared font file of each weight, preparing them when they are missing.

    folders: where to look, in order; they are made in the first one that can be written. By
    default beside the code, in ``share/dougong/fonts`` of the Python environment, because they
    are a product of the installed package and not of an installation's data.
    Raises Conflict when the font package is missing or is not the one that was examined.
    """
    folders = folders or default_folders()
    for folder in folders:
        if found := _prepared(folder):
            return found
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return _prepare(folder)
    raise Conflict(
        N_("The fonts for documents cannot be stored: %(folder)s is not writable."),
        folder=str(folders[0]),
    )


def default_folders() -> tuple[Path, ...]:
    """Return the environment's folder for fonts, then the person's cache for a read-only one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(sys.prefix) / "share/dougong/fonts", cache / "dougong/fonts")


@lru_cache(maxsize=1)
def characters() -> frozenset[int]:
    """Return the code points that the shipped fonts can print."""
    from fontTools.ttLib import TTFont

    with TTFont(font_files()["Regular"], lazy=True) as font:
        return frozenset(font.getBestCmap())


def missing_characters(text: str) -> str:
    """Return the characters of ``text`` that no shipped font has, each once, in order."""
    known = characters()
    return "".join(dict.fromkeys(c for c in text if ord(c) not in known and c.isprintable()))


def are_prepared(folder: Path) -> bool:
    """Tell whether the fonts lie in ``folder``."""
    return _prepared(folder) is not None


def _prepared(folder: Path) -> dict[str, Path] | None:
    found = {weight: folder / _file_name(weight) for weight in WEIGHTS}
    return found if all(path.is_file() for path in found.values()) else None


def _file_name(weight: str) -> str:
    # The name carries the source, so that a new font package is never mistaken for the old one.
    return f"DougongSans-{weight}-{EXPECTED_SHA256[:8]}.ttf"


def _prepare(folder: Path) -> dict[str, Path]:
    with _locked(folder):
        if found := _prepared(folder):
            return found
        source = _variable_font()
        (folder / "OFL.txt").write_bytes((_package_folder() / LICENCE).read_bytes())
        # Not forked: the process that lacks its fonts may be a server full of threads.
        with ProcessPoolExecutor(len(WEIGHTS), mp_context=get_context("spawn")) as pool:
            cut = [
                pool.submit(_cut, source, weight, folder / _file_name(name))
                for name, weight in WEIGHTS.items()
            ]
            for each in cut:
                each.result()
    return {weight: folder / _file_name(weight) for weight in WEIGHTS}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _variable_font() -> Path:
    path = _package_folder() / VARIABLE_FONT
    if not path.is_file() or sha256(path.read_bytes()).hexdigest() != EXPECTED_SHA256:
        raise Conflict(N_("%(file)s is not the font that Dougong was made for."), file=path.name)
    return path


def _package_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise Conflict(N_("The font package %(package)s is not installed."), package=PACKAGE)
    return Path(spec.origin).parent


def _cut(source: Path, weight: int, target: Path) -> None:
    """Write one weight of the variable font as a plain TrueType font of our family name."""
    from fontTools.ttLib import TTFont
    from fontTools.varLib.instancer import OverlapMode, instantiateVariableFont

    font = TTFont(source)
    instantiateVariableFont(
        font, {"wght": weight}, inplace=True, overlap=OverlapMode.KEEP_AND_DONT_SET_FLAGS
    )
    for table in UNUSED_TABLES:
        if table in font:
            del font[table]
    style = "Bold" if weight >= 600 else "Regular"
    font["OS/2"].usWeightClass = weight
    for record in list(font["name"].names):
        if record.nameID not in (0, 13, 14):
            font["name"].removeNames(nameID=record.nameID)
    for name_id, value in {
        1: FAMILY,
        2: style,
        3: f"{FAMILY} {style} cut from Noto Sans SC",
        4: f"{FAMILY} {style}",
        6: f"{FAMILY.replace(' ', '')}-{style}",
    }.items():
        font["name"].setName(value, name_id, 3, 1, 0x409)
    temporary = target.with_suffix(".tmp")
    font.save(temporary, reorderTables=None)
    temporary.replace(target)


if __name__ == "__main__":
    for _weight, _path in font_files().items():
        print(f"{_weight}: {_path} ({_path.stat().st_size / 1e6:.1f} MB)")
