"""Record rules: which rows of a model an actor sees, as SQL, each with a reason for people."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dougong.i18n import LazyText, bilingual

if TYPE_CHECKING:
    from dougong.db.scope import Scope

Condition = Callable[["Scope"], Any]
RULES: dict[type, list["RecordRule"]] = {}


@dataclass(frozen=True)
class RecordRule:
    """One rule: rows for which the condition does not hold are not there for this actor.

    condition: called with the scope; returns an SQL condition on the model, or None when the rule
    does not narrow this actor. reason: what someone reads who asks why he cannot see a row.
    """

    model: type
    name: str
    reason: LazyText
    condition: Condition


def record_rule(model: type, reason: tuple[str, str]) -> Callable[[Condition], Condition]:
    """Declare the decorated function as a rule of ``model``; reason: English and Chinese.

    All rules of a model hold together. They narrow every ORM query, reads and bulk writes alike;
    row-level security stays beneath them.
    """

    def declare(condition: Condition) -> Condition:
        name = condition.__name__
        rules = RULES.setdefault(model, [])
        rules[:] = [rule for rule in rules if rule.name != name]
        rules.append(RecordRule(model, name, bilingual(*reason), condition))
        return condition

    return declare
