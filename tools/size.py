"""Count the kernel's logical lines: statements of Python, docstrings apart.

Usage: python tools/size.py [--write]. Prints tables by area; with --write puts them into
docs/explanation/size.md.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

CORE = Path(__file__).parents[1] / "core/dougong"
PAGE = CORE.parents[1] / "docs/explanation/size.md"
ROWS = r"(?:^\| [\w ]+ \| \d+ \| \d+ \|\n)+"
KERNEL = (
    "db",
    "plugins",
    "tenancy",
    "access",
    "privacy",
    "audit",
    "events",
    "jobs",
    "services",
    "web",
)
APART = (
    "devices",
    "documents",
    "messages",
    "files",
    "webhooks",
    "exchange",
    "backups",
    "supervisor",
    "doctor",
    "demo",
    "testing",
)
REST = "single modules"
PROOFS = {"gate", "gate_crash", "commands", "reference", "scaffold"}


def logical_lines(path: Path) -> int:
    """Return how many statements a file holds; a docstring is none."""
    count = 0
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.stmt) and not _is_docstring(node):
            count += 1
    return count


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def files(area: str) -> Iterator[Path]:
    """Yield the files of an area that run in an installation."""
    found = CORE.glob("*.py") if area == REST else (CORE / area).rglob("*.py")
    for path in sorted(found):
        if "migrations" not in path.parts and "sample" not in path.parts:
            yield path


def sizes(areas: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Return by area the logical lines that work, and those that prove, command and scaffold."""
    found = {}
    for area in areas:
        counted = [(path.stem in PROOFS, logical_lines(path)) for path in files(area)]
        found[area] = (
            sum(lines for is_proof, lines in counted if not is_proof),
            sum(lines for is_proof, lines in counted if is_proof),
        )
    return found


def table(areas: tuple[str, ...]) -> str:
    """Return the rows of a table in Markdown."""
    found = sizes(areas)
    rows = {**found, "together": tuple(map(sum, zip(*found.values(), strict=True)))}
    return "".join(f"| {area} | {work} | {proof} |\n" for area, (work, proof) in rows.items())


def main() -> None:
    """Print the tables, or write them into the page."""
    tables = [table((*KERNEL, REST)), table(APART)]
    if "--write" not in sys.argv:
        print("\n".join(tables))
        return
    following = iter(tables)
    text = re.sub(ROWS, lambda _found: next(following), PAGE.read_text("utf-8"), flags=re.M)
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
