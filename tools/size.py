"""Count the kernel's logical lines: statements of Python, docstrings apart.

Usage: python tools/size.py [--markdown]. Prints a table by area; with --markdown the rows of the
tables in docs/explanation/size.md.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

CORE = Path(__file__).parents[1] / "core/dougong"
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


def main() -> None:
    """Print the tables."""
    for areas in ((*KERNEL, REST), APART):
        found = sizes(areas)
        for area, (work, proof) in found.items():
            print(f"| {area} | {work} | {proof} |")
        work, proof = (sum(pair[i] for pair in found.values()) for i in (0, 1))
        print(f"| together | {work} | {proof} |\n")


if __name__ == "__main__":
    sys.exit(main())
