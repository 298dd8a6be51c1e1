"""Writes the hooks reference from the hooks themselves.

Usage: python -m dougong.plugins.reference > docs/reference/hooks.md
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from dougong import hookspecs
from dougong.plugins.usage import DEADLINE_S

HEAD = """# Hooks

Every question that the kernel asks plugins, and every fact that it tells them. This page is
generated from `dougong.hookspecs` by `python -m dougong.plugins.reference`; a test compares them.

A plugin answers in its `hooks.py` and takes the arguments that it needs, by name:

```python
from dougong.hookspecs import Card, hookimpl


@hookimpl
def dashboard_cards(scope):
    return [Card("Items kept", "12", url="lost_property/item/?state=kept")]
```

An implementation runs only where its plugin is switched on, in the caller's transaction, behind a
savepoint of its own: when it raises, what it wrote is undone, the others still answer, and the
failure is counted. Five failures at one point within a minute quarantine the plugin; it is then on
the repairs page with its reason. Its statements end at its deadline; what takes over a fifth of
that is over its budget, and twenty such calls within a minute quarantine as well. `None` means
"nothing to say" and is left out.

## Asking the database

What an answer needs from the database it may *yield*: a select, or several, and is given their
rows. All plugins' selects go out as one statement, so that a page costs as much with fifty plugins
as with five:

```python
@hookimpl
def dashboard_cards(scope):
    if not scope.may("lifts.lift.view"):
        return None
    stopped, late = yield (
        select(func.count()).where(Lift.state == LiftState.STOPPED),
        select(Lift).where(Lift.inspected_on < scope.today).limit(5),
    )
    names = ", ".join(lift.registration for lift in late.scalars())
    return [Card(gettext("Lifts out of service"), str(stopped.scalar_one()), names)]
```

One select is given as one SQLAlchemy result (`.one()`, `.scalars()`, …), several as a list of
them. Columns and records both work; of a record that the session knows, the session's values
count. What depends on an earlier answer is yielded in a further round; there are at most three.
When the statement fails or passes its deadline, each plugin is asked alone and the one to blame is
counted. `dashboard_cards`, `compare_communities`, `portal_cards` and `record_panels` stand on
pages that all plugins share: they ask only so, which the conformance suite checks. A plugin's own
pages may ask as cheaply with `scope.together(select(…), select(…))`.

## Plugins that may be absent

Mark an implementation of a hook that another plugin declares, and that may be absent, with
`@hookimpl(optionalhook=True)`. A plugin declares hooks of its own with `@hookspec` in its
`hookspecs.py` and asks with `scope.ask("room_arrears", room=room)`.
"""
ANSWERS = (
    hookspecs.Card,
    hookspecs.Comparison,
    hookspecs.SearchHit,
    hookspecs.RoomHit,
    hookspecs.OpenWork,
    hookspecs.Panel,
    hookspecs.Event,
    hookspecs.HealthFinding,
)


def specifications() -> dict[str, Callable[..., Any]]:
    """Return the kernel's hooks by name, in the order in which they stand in the module."""
    found = inspect.getmembers(hookspecs, inspect.isfunction)
    specs = {name: f for name, f in found if getattr(f, "dougong_spec", None)}
    return dict(sorted(specs.items(), key=lambda item: item[1].__code__.co_firstlineno))


def hooks_reference() -> str:
    """Return the page, as Markdown."""
    parts = [HEAD, "## The hooks\n"]
    parts += [_hook(name, function) for name, function in specifications().items()]
    parts.append("## What implementations answer with\n")
    parts += [_answer(cls) for cls in ANSWERS]
    return "\n".join(parts)


def _hook(name: str, function: Callable[..., Any]) -> str:
    signature = str(inspect.signature(function)).replace("'", "").replace('"', "")
    signature = re.sub(r"\b(?:dougong|uuid|datetime|collections|typing)(?:\.\w+)*\.", "", signature)
    deadline_s = hookspecs.DEADLINES_S.get(name, DEADLINE_S)
    call = f"```python\n{name}{signature}\n```"
    return f"### {name}\n\n{call}\n\n{_prose(function)}\n\nDeadline: {deadline_s:g} s.\n"


def _prose(thing: Any) -> str:
    """Return a docstring as Markdown, its arguments in code style."""
    text = (inspect.getdoc(thing) or "").replace("``", "`")
    names = {*_argument_names(thing), "Result"}

    def mark(found: re.Match[str]) -> str:
        name = found[1]
        return f"**{name}**: " if name == "Result" else f"`{name}`: " if name in names else found[0]

    return re.sub(r"(?<![\w`])(\w+): ", mark, text)


def _argument_names(thing: Any) -> Iterator[str]:
    if is_dataclass(thing):
        yield from (field.name for field in fields(thing))
    else:
        yield from inspect.signature(thing).parameters


def _answer(cls: Any) -> str:
    inside = ", ".join(
        field.name if field.default is MISSING else f"{field.name}={field.default!r}"
        for field in fields(cls)
    )
    return f"### {cls.__name__}\n\n```python\n{cls.__name__}({inside})\n```\n\n{_prose(cls)}\n"


if __name__ == "__main__":
    print(hooks_reference(), end="")
