"""Texts that a community writes itself: sandboxed, with values filled in and nothing else.

Documents and messages let people at a community replace a default wording. Such a text is Jinja
cut down to placeholders, conditions and a few formats: it has no loops, no calls, and sees plain
values only, so that it can neither run away nor reach a record behind a value.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal
from jinja2 import StrictUndefined, TemplateRuntimeError, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dougong.errors import Invalid
from dougong.i18n import N_, current_locale, gettext, ngettext, pgettext

LONGEST = 20_000
ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.Filter,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Test,
    nodes.Keyword,
)
# What a placeholder without a value, or a format on a value of another type, raises.
MISFITS = (TemplateRuntimeError, AttributeError, TypeError, ValueError, ArithmeticError)
FILTERS = frozenset({"day", "instant", "money", "number", "default", "upper", "lower", "trim"})


def fill(source: str, values: Mapping[str, Any], *, zone: str, escape: bool = False) -> str:
    """Return ``source`` with ``values`` filled in, in the locale in force.

    zone: of the instants. escape: for a text that goes into HTML.
    Raises Invalid for a text that `check` refuses and for a placeholder without a value.
    """
    check(source)
    template = environment(escape).from_string(source)
    try:
        return template.render(plain(values), zone=zone)
    except MISFITS as error:
        raise Invalid(
            N_("The text names something that is not known here: %(reason)s"), reason=str(error)
        ) from error


def check(source: str) -> None:
    """Raise Invalid with the line when a text holds more than placeholders and conditions."""
    if len(source) > LONGEST:
        raise Invalid(N_("The text is longer than %(limit)s characters."), limit=LONGEST)
    try:
        tree = environment(False).parse(source)
    except TemplateSyntaxError as error:
        raise Invalid(
            N_("Line %(line)s of the text cannot be read: %(reason)s"),
            line=error.lineno,
            reason=error.message or "",
        ) from error
    for node in tree.find_all(nodes.Node):
        known = not isinstance(node, nodes.Filter) or node.name in FILTERS
        if not isinstance(node, ALLOWED) or not known:
            raise Invalid(
                N_("Line %(line)s of the text does more than fill in values (%(kind)s)."),
                line=node.lineno,
                kind=type(node).__name__.lower(),
            )


def plain(value: Any) -> Any:
    """Return ``value`` reduced to texts, numbers, days, lists and mappings.

    A record becomes its name: what else it holds stays behind.
    """
    if value is None or isinstance(value, bool | int | Decimal | date | datetime):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value)


@lru_cache(maxsize=2)
def environment(escape: bool) -> ImmutableSandboxedEnvironment:
    """Return the sandbox for texts."""
    made = ImmutableSandboxedEnvironment(autoescape=escape, undefined=StrictUndefined)
    made.filters = {name: f for name, f in made.filters.items() if name in FILTERS}
    made.globals = {}
    add_formats(made)
    return made


def add_formats(environment: ImmutableSandboxedEnvironment) -> None:
    """Add the filters ``day``, ``instant``, ``money`` and ``number`` to an environment.

    ``instant`` shows the time of the zone that the rendering context names as ``zone``.
    """
    environment.filters.update(day=day, instant=instant, money=money, number=number)


def add_translation(environment: ImmutableSandboxedEnvironment) -> None:
    """Let an environment's templates speak the locale in force."""
    environment.add_extension("jinja2.ext.i18n")
    install: Callable[..., None] = environment.install_gettext_callables  # type: ignore[attr-defined]
    install(gettext, ngettext, newstyle=True, pgettext=pgettext)


def day(value: date | None) -> str:
    """Return a day as people write it: 2026年11月24日."""
    return format_date(value, "long", locale=current_locale()) if value else ""


@pass_context
def instant(context: Context, value: datetime | None) -> str:
    """Return an instant in the community's time: 2026-11-24 15:30."""
    if value is None:
        return ""
    local = value.astimezone(ZoneInfo(context.get("zone") or "UTC"))
    return format_datetime(local, "yyyy-MM-dd HH:mm", locale=current_locale())


def money(value: Decimal | None) -> str:
    """Return yuan with two places: ¥1,234.50."""
    return "" if value is None else format_currency(value, "CNY", "¤#,##0.00", locale="zh_Hans_CN")


def number(value: Decimal | int | None) -> str:
    """Return a number without the zeros that only fill its column."""
    if value is None:
        return ""
    return format_decimal(value, "#,##0.######", locale=current_locale())
