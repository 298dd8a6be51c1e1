"""What a migration's statements lock, and what is risky about them on a table in use."""

import re
from dataclasses import dataclass

from dougong.i18n import N_, LazyText, lazy_gettext

EXCLUSIVE = "ACCESS EXCLUSIVE"
WRITES = "SHARE"
ROWS = "SHARE ROW EXCLUSIVE"
NONE = ""


@dataclass(frozen=True)
class Finding:
    """One statement: the lock that it takes, and a warning when the table may be in use."""

    statement: str
    lock: str
    warning: LazyText | None = None


@dataclass(frozen=True)
class Rule:
    """A form of statement, the lock it takes and what to say about it."""

    pattern: re.Pattern[str]
    lock: str
    warning: str | None = None


def _rule(pattern: str, lock: str, warning: str | None = None) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), lock, warning)


TABLE = r"^\s*alter\s+table\b.*"
RULES = (
    _rule(r"^\s*create\s+(unique\s+)?index\s+concurrently\b", "SHARE UPDATE EXCLUSIVE"),
    _rule(
        r"^\s*create\s+(unique\s+)?index\b",
        WRITES,
        N_("nobody can write while the index is built; build it CONCURRENTLY"),
    ),
    _rule(r"^\s*drop\s+index\s+concurrently\b", "SHARE UPDATE EXCLUSIVE"),
    _rule(r"^\s*drop\s+index\b", EXCLUSIVE, N_("nobody can read or write while it is dropped")),
    _rule(
        TABLE + r"\balter\s+(column\s+)?\S+\s+(set\s+data\s+)?type\b",
        EXCLUSIVE,
        N_("the whole table is rewritten while nobody can read or write"),
    ),
    _rule(
        TABLE + r"\bset\s+not\s+null\b",
        EXCLUSIVE,
        N_("the whole table is read while nobody can use it; add a CHECK NOT VALID first"),
    ),
    _rule(
        TABLE + r"\badd\s+column\b.*\bdefault\s+(uuidv7|gen_random_uuid|random|clock_timestamp)",
        EXCLUSIVE,
        N_("the whole table is rewritten while nobody can read or write"),
    ),
    _rule(
        TABLE + r"\badd\s+column\b.*\bgenerated\s+always\s+as\b.*\bstored\b",
        EXCLUSIVE,
        N_("the whole table is rewritten while nobody can read or write"),
    ),
    _rule(TABLE + r"\bvalidate\s+constraint\b", "SHARE UPDATE EXCLUSIVE"),
    _rule(TABLE + r"\badd\s+constraint\b.*\bforeign\s+key\b.*\bnot\s+valid\b", ROWS),
    _rule(
        TABLE + r"\badd\s+(constraint\s+\S+\s+)?foreign\s+key\b",
        ROWS,
        N_("both tables are read while nobody can write; add it NOT VALID, then validate"),
    ),
    _rule(TABLE + r"\badd\s+constraint\b.*\bnot\s+valid\b", EXCLUSIVE),
    _rule(
        TABLE + r"\badd\s+(constraint\s+\S+\s+)?(check|unique|primary|exclude)\b",
        EXCLUSIVE,
        N_("the whole table is read while nobody can use it"),
    ),
    _rule(
        TABLE + r"\bdrop\s+column\b",
        EXCLUSIVE,
        N_("the data is gone, and the version before can no longer read the table"),
    ),
    _rule(
        TABLE + r"\brename\b",
        EXCLUSIVE,
        N_("the version before, which may still run, no longer finds it"),
    ),
    _rule(r"^\s*alter\s+table\b", EXCLUSIVE),
    _rule(r"^\s*drop\s+table\b", EXCLUSIVE, N_("the data is gone")),
    _rule(r"^\s*truncate\b", EXCLUSIVE, N_("the data is gone")),
    _rule(r"^\s*create\s+(or\s+replace\s+)?trigger\b", ROWS),
    _rule(r"^\s*(create|drop)\s+policy\b", EXCLUSIVE),
    _rule(
        r"^\s*(update|delete\s+from)\b",
        "ROW EXCLUSIVE",
        N_("rows stay locked until the migration ends; fill in data by a job"),
    ),
    _rule(
        r"^\s*do\s+\$",
        "?",
        N_("what runs inside cannot be told beforehand"),
    ),
)
NEW_TABLE = re.compile(r"^\s*create\s+table\s+(?:if\s+not\s+exists\s+)?([\w.\"]+)", re.IGNORECASE)
TARGET = re.compile(
    r"\b(?:table(?:\s+only)?|on|into|update|from)\s+(?:if\s+exists\s+)?([a-z_][\w]*\.\"?\w+\"?)",
    re.IGNORECASE,
)


def examine(statements: list[str]) -> list[Finding]:
    """Return what each statement locks; tables that the same plan creates are nobody's yet."""
    fresh = {_bare(m[1]) for s in statements if (m := NEW_TABLE.match(s))}
    return [_examine(statement, fresh) for statement in statements]


def _examine(statement: str, fresh: set[str]) -> Finding:
    rule = next((r for r in RULES if r.pattern.search(statement)), None)
    if rule is None:
        return Finding(statement, NONE)
    target = TARGET.search(statement)
    is_new = target is not None and _bare(target[1]) in fresh
    warning = lazy_gettext(rule.warning) if rule.warning and not is_new else None
    return Finding(statement, NONE if is_new else rule.lock, warning)


def _bare(name: str) -> str:
    return name.replace('"', "").lower()
