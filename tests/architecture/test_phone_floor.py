"""What owners' pages load runs in the oldest browser of their phones: Chromium 66 in an app.

Source: Chrome Platform Status; esprima parses ES2017, all of which Chromium 66 has.
"""

import re
from pathlib import Path

import esprima
import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES = [*ROOT.glob("core/dougong/**/*.html"), *ROOT.glob("plugins/*/dougong_*/**/*.html")]
LOADED = re.compile(r"""['"]([a-z_]+\.js)['"]""")
LATER = (
    r"(?<!\.)\.(replaceAll|matchAll|flat|flatMap|at|toSorted|findLast|allSettled|fromEntries)\(",
    r"\b(globalThis|structuredClone|queueMicrotask|BigInt|AbortSignal\.timeout)\b",
)


def owners_scripts() -> list[Path]:
    """Return every script that a page in the portal's frame loads, and all scripts of plugins.

    A payment channel names its script in code, so plugins' scripts are taken without looking.
    """
    names = set()
    for template in TEMPLATES:
        text = template.read_text()
        if template.match("portal/frame.html") or 'extends "portal/frame.html"' in text:
            names |= {(template, name) for name in LOADED.findall(text)}
    found = set()
    for template, name in names:
        package = next(p for p in template.parents if p.name.startswith("dougong"))
        places = (package / "static" / name, ROOT / "core/dougong/web/static" / name)
        found.add(next(place for place in places if place.is_file()))
    return sorted({*found, *ROOT.glob("plugins/*/dougong_*/static/*.js")})


def too_new(source: str) -> list[str]:
    """Return what the floor does not understand in a script."""
    try:
        esprima.parseScript(source)
    except esprima.Error as error:
        return [str(error)]
    return [found.group() for rule in LATER for found in re.finditer(rule, source)]


@pytest.mark.parametrize("script", owners_scripts(), ids=lambda path: path.name)
def test_a_script_of_the_owners_pages_runs_in_the_floor(script):
    assert too_new(script.read_text()) == []


@pytest.mark.parametrize(
    "source",
    ["a?.b", "a ?? b", "import x from 'y'", "class A { b = 1 }", "t.replaceAll('a', 'b')"],
)
def test_newer_language_is_found(source):
    assert too_new(source)


# Chromium 66 knows gap in grids only (84 in flexible boxes), and none of these functions and
# selectors; :focus-visible may be lost, its browser draws a ring of its own.
TOO_NEW_STYLE = r"\b(min|max|clamp|color-mix)\(|:(is|where|has)\b|\b(inset|aspect-ratio)\s*:"


def test_the_owners_style_needs_nothing_newer_than_the_floor():
    style = (ROOT / "core/dougong/web/static/portal.css").read_text()
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", style)
    faults = []
    for selector, body in rules:
        if "@supports" in selector:
            continue
        faults += re.findall(TOO_NEW_STYLE, selector + "{" + body)
        if "flex" in body and "gap:" in body:
            faults.append(f"gap in a flexible box: {selector.strip()}")
    assert faults == []


def test_the_frames_own_script_is_among_them():
    assert "portal.js" in [path.name for path in owners_scripts()]
