"""The glossary is law: one word per thing, the field's word."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for top in ("core", "plugins", "plugin_repo", "bench", "tools")
    for path in (ROOT / top).rglob("*.py")
    if "migrations" not in path.parts and "build" not in path.parts
)
# word never used in a name → the word of the glossary
FORBIDDEN = {
    "company_id": "property_group",
    "organization": "property_group",
    "organisation_id": "property_group",
    "house": "room",
    "apartment": "room",
    "customer": "owner, occupant or resident",
    "employee": "staff",
    "ticket": "work_order",
    "fee_config": "fee_item",
    "debt": "arrears",
    "penalty": "late_fee",
    "patrol": "inspection_round",
    "subscription_car": "monthly_pass",
    "guest": "visitor",
    "temp_car": "short_stay_parking",
    "entrance": "unit",
    "tenant": "community",
    "advance_payment": "prepaid",
}
FORBIDDEN_FILES = {"utils", "helpers", "common", "base_utils", "manager", "misc"}


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every name that a module defines, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def test_names_use_the_words_of_the_glossary():
    wrong = []
    for path in SOURCES:
        for name, line in names(ast.parse(path.read_text())):
            parts = f"_{snake(name)}_"
            wrong += [
                f"{path.relative_to(ROOT)}:{line}: {name} (say {right})"
                for word, right in FORBIDDEN.items()
                if f"_{word}_" in parts
            ]
    assert wrong == []


def test_the_names_check_can_fail():
    assert [n for n, _ in names(ast.parse("def close_ticket(house): tenant = 1"))] == [
        "close_ticket",
        "house",
        "tenant",
    ]
    assert "_ticket_" in f"_{snake('CloseTicket')}_"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_has_a_name_that_says_nothing(path):
    assert path.stem not in FORBIDDEN_FILES


def test_modules_classes_and_services_have_docstrings():
    bare = []
    for path in SOURCES:
        if "tests" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        if tree.body and not ast.get_docstring(tree):
            bare.append(f"{path.relative_to(ROOT)}")
        bare += [
            f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
            and not any(getattr(base, "id", "") == "RecordView" for base in node.bases)
        ]
    assert bare == []
