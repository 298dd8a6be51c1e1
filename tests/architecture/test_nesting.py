"""Control flow is nested three deep at most, in kernel and plugins."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 3
FLOW = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.Match,
)
APART = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def children(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Yield what stands in a node, and whether it is an ``elif``, which nests no deeper."""
    for name, value in ast.iter_fields(node):
        each = value if isinstance(value, list) else [value]
        is_elif = isinstance(node, ast.If) and name == "orelse" and len(each) == 1
        for child in each:
            if isinstance(child, ast.AST) and not isinstance(child, APART):
                yield child, is_elif and isinstance(child, ast.If)


def depth(node: ast.AST) -> int:
    """Return how deep control flow is nested inside of a function, nested functions apart."""
    return max(
        (
            depth(child) + (isinstance(child, FLOW) and not is_elif)
            for child, is_elif in children(node)
        ),
        default=0,
    )


def functions() -> Iterator[tuple[str, ast.AST]]:
    for top in ("core/dougong", "plugins", "plugin_repo"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if "tests" in path.parts or "migrations" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{path.relative_to(ROOT)}:{node.name}", node


def test_control_flow_is_nested_three_deep_at_most():
    deep = {name for name, node in functions() if depth(node) > LIMIT}
    assert deep == set(), "return early, or give the inner part a name"


def test_the_depth_counts_what_is_nested_and_an_elif_as_its_if():
    code = (
        "def f():\n if a: pass\n elif b:\n  for c in d:\n   while e: pass\n else:\n  with g: pass\n"
    )
    assert depth(ast.parse(code).body[0]) == 3
    deeper = code.replace("while e: pass", "while e:\n    if h: pass")
    assert depth(ast.parse(deeper).body[0]) == 4
