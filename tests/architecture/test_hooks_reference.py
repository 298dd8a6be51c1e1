"""Every hook is documented with its exact arguments, answered by a real plugin, and asked."""

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest

from dougong.hookspecs import hookimpl
from dougong.plugins.hooks import Hooks
from dougong.plugins.reference import hooks_reference, specifications

ROOT = Path(__file__).parents[2]
HOOKS = specifications()
IMPLEMENTED = {
    node.name
    for path in [*ROOT.glob("plugins/*/dougong_*/hooks.py"), *ROOT.glob("plugin_repo/*/*/hooks.py")]
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef)
    and any("hookimpl" in ast.unparse(d) for d in node.decorator_list)
}


def test_the_page_is_generated_from_the_hooks():
    page = (ROOT / "docs/reference/hooks.md").read_text()
    assert page == hooks_reference(), "run python -m dougong.plugins.reference"


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_explains_itself_every_argument_and_its_result(name):
    said = inspect.getdoc(HOOKS[name]) or ""
    for argument in inspect.signature(HOOKS[name]).parameters:
        assert f"{argument}:" in said, f"{name} does not explain {argument}"
    assert "Called" in said or "called" in said, f"{name} does not say when it is called"
    assert "Result:" in said or said.startswith("Return"), f"{name} does not say its result"


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_answered_by_a_real_plugin(name):
    assert name in IMPLEMENTED


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_asked_by_somebody_and_hands_over_its_arguments(name):
    folders = (ROOT / "core", ROOT / "plugins")
    sources = [p for f in folders for p in f.rglob("*.py") if p.name != "hookspecs.py"]
    assert any(f'"{name}"' in path.read_text() for path in sources), "nobody asks it"
    arguments = list(inspect.signature(HOOKS[name]).parameters)
    made = ModuleType("made")
    source = f"def {name}({', '.join(arguments)}):\n    return [{', '.join(arguments)}]\n"
    exec(source, made.__dict__)
    setattr(made, name, hookimpl(getattr(made, name)))
    hooks = Hooks()
    hooks.register("plugin", made)
    [found] = hooks.implementations(name)
    assert found.call({argument: argument for argument in arguments}) == arguments
