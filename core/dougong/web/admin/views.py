"""What a plugin declares about a model's pages, and what follows from its columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sqlalchemy import inspect as sa_inspect

from dougong.db.scope import Scope
from dougong.i18n import LazyText, bilingual
from dougong.services import Service, permission_of, plugin_of_module
from dougong.web.admin import registry
from dougong.web.admin.columns import Column, columns_of, plain_number, show, tone


@dataclass(frozen=True)
class RecordAction:
    """A service offered as a button on a record, and on many at once when ``bulk``.

    states: values of the record's ``state`` in which its page offers it; empty for all.
    """

    service: Service
    confirm: bool = False
    bulk: bool = False
    states: tuple[str, ...] = ()

    def is_offered(self, record: Any) -> bool:
        """Tell whether the record's page offers the action now; the service decides again."""
        return not self.states or record.state in self.states

    @property
    def key(self) -> str:
        return self.service.name.rpartition(".")[2]

    @property
    def record_argument(self) -> str:
        """Return the service's argument that is the record."""
        return next(iter(self.service.models))

    @property
    def inputs(self) -> list[str]:
        """Return the arguments that someone must fill in."""
        return [n for n in self.service.parameters if n != self.record_argument]


def action(
    function: Callable[..., Any],
    *,
    confirm: bool = False,
    bulk: bool = False,
    states: Sequence[str] = (),
) -> RecordAction:
    """Offer a service as a button.

    confirm: ask first. bulk: also for the selected rows. states: only in these states.
    """
    return RecordAction(function.service, confirm, bulk, tuple(states))  # type: ignore[attr-defined]


def _check_states(model: Any, actions: Sequence[RecordAction]) -> None:
    """Raise ValueError when an action is offered in a state that the model does not know."""
    named = {state for action in actions for state in action.states}
    known = set(model.__table__.c.state.type.enums) if named else set()
    if unknown := named - known:
        raise ValueError(f"{model.__name__} has no state {', '.join(sorted(unknown))}")


class RecordView:
    """The pages of one model: list, form, details, import, export; subclass it with ``model=``.

    columns: attributes of the list; relations under their own name. filters: what can be filtered
    by. search: text columns and personal values that the search field looks in. actions: services
    offered as buttons. form: attributes that people fill in, all writable ones when unsaid.
    inline: attributes that can be changed in the list. order: ``serial`` or ``-serial``.
    title: English and Chinese. section: another plugin's id or a heading of its own in
    the menu. can_create, can_change, can_delete: False for what only services do. attach_with: the
    verb whose permission lets files be attached, where that is not ``change``.
    said: words for columns that hold codes, by column: a function of scope and record.
    empty: what to do so that the list fills, for whoever sees it empty; English and Chinese.
    """

    model: ClassVar[Any]
    columns: ClassVar[Sequence[str]] = ()
    filters: ClassVar[Sequence[str]] = ()
    search: ClassVar[Sequence[str]] = ()
    actions: ClassVar[Sequence[RecordAction]] = ()
    form: ClassVar[Sequence[str] | None] = None
    order: ClassVar[str] = "-id"
    inline: ClassVar[Sequence[str]] = ()
    title: ClassVar[tuple[str, str] | LazyText | None] = None
    section: ClassVar[str | LazyText] = ""
    icon: ClassVar[str] = "list"
    said: ClassVar[Mapping[str, Callable[[Scope, Any], Any]]] = {}
    empty: ClassVar[tuple[str, str] | LazyText | None] = None
    can_create: ClassVar[bool] = True
    can_change: ClassVar[bool] = True
    can_delete: ClassVar[bool] = True
    attach_with: ClassVar[str] = "change"
    can_import: ClassVar[bool] = True
    in_menu: ClassVar[bool] = True
    menu_order: ClassVar[int] = 100

    def __init_subclass__(cls, model: Any = None, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if model is not None:
            cls.model = model
            if isinstance(cls.title, tuple):
                cls.title = bilingual(*cls.title)
            if isinstance(cls.empty, tuple):
                cls.empty = bilingual(*cls.empty)
            _check_states(model, cls.actions)
            registry.add_view(cls)

    @classmethod
    def name(cls) -> str:
        """Return ``<plugin>.<model>``, the view's address and the stem of its permissions."""
        return permission_of(cls.model, "x").rpartition(".")[0]

    @classmethod
    def plugin(cls) -> str:
        return plugin_of_module(cls.model.__module__)

    @classmethod
    def label(cls) -> str:
        """Return what people call the model: the view's title, or its name in words."""
        if cls.title is not None:
            return str(cls.title)
        return str(LazyText(cls.model.__tablename__.replace("_", " ").capitalize()))

    @classmethod
    def is_mapped(cls) -> bool:
        """Tell whether the model is still there: a plugin that was unloaded takes it along."""
        return sa_inspect(cls.model, raiseerr=False) is not None

    @classmethod
    def may(cls, scope: Scope, verb: str) -> bool:
        """Tell whether the actor may do ``verb`` on this model here."""
        if cls.plugin() not in scope.enabled or not cls.is_mapped():
            return False
        offered = {"create": cls.can_create, "change": cls.can_change, "delete": cls.can_delete}
        if verb == "attach":
            verb = cls.attach_with
            offered.pop("create")
        is_group_table = cls.model.__kind__ != "community"
        if verb in offered and scope.community_id is None and not is_group_table:
            return False
        return offered.get(verb, True) and scope.may(f"{cls.name()}.{verb}")

    @classmethod
    def all_columns(cls) -> dict[str, Column]:
        """Return every column that may be shown, by key; relations under their own name."""
        known = cls.__dict__.get("_columns")
        if known is None:
            known = columns_of(cls.model)
            known |= {key: replace(known[key], said=said) for key, said in cls.said.items()}
            cls._columns = known  # type: ignore[attr-defined]
        return known

    @classmethod
    def seen_columns(cls, scope: Scope) -> dict[str, Column]:
        """Return the columns that are there for the actor's roles; pages know no others."""
        levels = scope.restrictions(cls.model)
        known = cls.all_columns()
        if not levels:
            return known
        return {k: c for k, c in known.items() if levels.get(c.attribute) != "hide"}

    @classmethod
    def shown(cls, scope: Scope, wanted: Sequence[str] = ()) -> list[Column]:
        """Return the columns of the list: those wanted, else the declared ones, else the first."""
        known = cls.seen_columns(scope)
        keys = [k for k in wanted if k in known] or list(cls.columns) or list(known)[:7]
        return [known[key] for key in keys if key in known]

    @classmethod
    def inline_keys(cls, scope: Scope) -> list[str]:
        """Return the columns whose cells the actor may change in the list."""
        if scope.community_id is None or not cls.may(scope, "change"):
            return []
        levels, known = scope.restrictions(cls.model), cls.all_columns()
        return [k for k in cls.inline if k in known and known[k].attribute not in levels]

    @classmethod
    def form_keys(cls) -> list[str]:
        """Return the attributes of the form, relations by their id column."""
        from dougong.services.inputs import writable_columns

        known = writable_columns(cls.model)
        if cls.form is None:
            return list(known)
        return [k if k in known else f"{k}_id" for k in cls.form]


__all__ = [
    "Column",
    "RecordAction",
    "RecordView",
    "action",
    "plain_number",
    "show",
    "tone",
]
