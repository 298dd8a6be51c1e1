"""Record rules: which rows of a model an actor sees, as SQL, each with a reason for people."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dougong.db.base import plugin_of_module
from dougong.i18n import LazyText, bilingual

if TYPE_CHECKING:
    from dougong.db.scope import Scope

Condition = Callable[["Scope"], Any]
RULES: dict[type, list["RecordRule"]] = {}


@dataclass(frozen=True)
class RecordRule:
    """One rule: rows for which the condition does not hold are not there for this actor.

    condition: called with the scope; returns an SQL condition on the model, or None when the rule
    does not narrow this actor. reason: what someone reads who asks why he cannot see a row. title:
    None for a rule that always holds; else what it is called where roles choose it.
    """

    model: Any
    name: str
    reason: LazyText
    condition: Condition
    title: LazyText | None = None

    @property
    def full_name(self) -> str:
        """Return ``<plugin>.<table>.<name>``, as roles keep it."""
        plugin = plugin_of_module(self.model.__module__)
        return f"{plugin}.{self.model.__tablename__}.{self.name}"

    @property
    def view(self) -> str:
        """Return the permission to view what the rule is about."""
        return f"{plugin_of_module(self.model.__module__)}.{self.model.__tablename__}.view"


def choosable() -> dict[str, RecordRule]:
    """Return the rules that a role may choose, by full name."""
    rules = (rule for rules in RULES.values() for rule in rules if rule.title is not None)
    return {rule.full_name: rule for rule in rules}


def record_rule(
    model: type, reason: tuple[str, str], title: tuple[str, str] | None = None
) -> Callable[[Condition], Condition]:
    """Declare the decorated function as a rule of ``model``; reason: English and Chinese.

    title: makes it a rule that groups choose for their own roles. It narrows who may view the
    model in a community by such roles only: one role without it shows all rows. Raises TypeError
    for a title on rows that belong to no community.

    All rules of a model hold together. They narrow every ORM query, reads and bulk writes alike;
    row-level security stays beneath them.
    """

    def declare(condition: Condition) -> Condition:
        name, kind = condition.__name__, getattr(model, "__kind__", "community")
        if title is not None and kind != "community":
            raise TypeError(f"{name}: only rows of a community can be narrowed by role")
        rules = RULES.setdefault(model, [])
        rules[:] = [rule for rule in rules if rule.name != name]
        called = bilingual(*title) if title is not None else None
        rules.append(RecordRule(model, name, bilingual(*reason), condition, called))
        return condition

    return declare
