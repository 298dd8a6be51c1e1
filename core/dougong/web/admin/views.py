"""What a plugin declares about a model's pages, and what follows from its columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Enum as SqlEnum
from sqlalchemy import inspect as sa_inspect
from sqlalchemy.orm import RelationshipProperty

from dougong.db import ciphers
from dougong.db.columns import EncryptedField, Money, member_label
from dougong.db.scope import Scope
from dougong.i18n import LazyText, bilingual
from dougong.services import Service, permission_of, plugin_of_module

VIEWS: dict[str, "type[RecordView]"] = {}


@dataclass(frozen=True)
class RecordAction:
    """A service offered as a button on a record, and on many at once when ``bulk``."""

    service: Service
    confirm: bool = False
    bulk: bool = False

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
    function: Callable[..., Any], *, confirm: bool = False, bulk: bool = False
) -> RecordAction:
    """Offer a service as a button. confirm: ask first. bulk: also for the selected rows."""
    return RecordAction(function.service, confirm, bulk)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Column:
    """One attribute of a model as people see it."""

    key: str
    label: Any
    kind: str
    is_sortable: bool
    is_nullable: bool
    members: type[Enum] | None = None
    target: Any = None
    encrypted: EncryptedField | None = None


@dataclass(frozen=True)
class ViewExtension:
    """What another plugin adds to a view: columns of its own, computed for a page at once.

    view: ``dougong.room``. values: called with the scope and the page's records, returns a text by
    record id. The extension is seen only where its plugin is switched on.
    """

    view: str
    key: str
    label: LazyText
    values: Callable[[Scope, Sequence[Any]], Mapping[UUID, str]]
    plugin: str = ""


EXTENSIONS: dict[str, list[ViewExtension]] = {}


def extend_view(plugin: str, extension: ViewExtension) -> None:
    """Add a plugin's extension to another's view."""
    EXTENSIONS.setdefault(extension.view, []).append(
        ViewExtension(extension.view, extension.key, extension.label, extension.values, plugin)
    )


class RecordView:
    """The pages of one model: list, form, details, import, export; subclass it with ``model=``.

    columns: attributes of the list; relations under their own name. filters: what can be filtered
    by. search: text columns and personal values that the search field looks in. actions: services
    offered as buttons. form: attributes that people fill in, all writable ones when unsaid.
    inline: attributes that can be changed in the list. order: ``serial`` or ``-serial``.
    title: English and Chinese. section: another plugin's id or a heading of its own in
    the menu. can_create, can_change, can_delete: False for what only services do.
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
    can_create: ClassVar[bool] = True
    can_change: ClassVar[bool] = True
    can_delete: ClassVar[bool] = True
    can_import: ClassVar[bool] = True
    in_menu: ClassVar[bool] = True
    menu_order: ClassVar[int] = 100

    def __init_subclass__(cls, model: Any = None, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if model is not None:
            cls.model = model
            if isinstance(cls.title, tuple):
                cls.title = bilingual(*cls.title)
            VIEWS[cls.name()] = cls

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
        is_group_table = cls.model.__kind__ != "community"
        if verb in offered and scope.community_id is None and not is_group_table:
            return False
        return offered.get(verb, True) and scope.may(f"{cls.name()}.{verb}")

    @classmethod
    def all_columns(cls) -> dict[str, Column]:
        """Return every column that may be shown, by key; relations under their own name."""
        known = cls.__dict__.get("_columns")
        if known is None:
            known = cls._columns = _columns(cls.model)  # type: ignore[attr-defined]
        return known

    @classmethod
    def shown(cls, wanted: Sequence[str] = ()) -> list[Column]:
        """Return the columns of the list: those wanted, else the declared ones, else the first."""
        known = cls.all_columns()
        keys = [k for k in wanted if k in known] or list(cls.columns) or list(known)[:7]
        return [known[key] for key in keys if key in known]

    @classmethod
    def form_keys(cls) -> list[str]:
        """Return the attributes of the form, relations by their id column."""
        from dougong.services.inputs import writable_columns

        known = writable_columns(cls.model)
        if cls.form is None:
            return list(known)
        return [k if k in known else f"{k}_id" for k in cls.form]


def _columns(model: Any) -> dict[str, Column]:
    mapper = sa_inspect(model)
    relations = {
        f"{r.key}_id": r for r in mapper.relationships if isinstance(r, RelationshipProperty)
    }
    found: dict[str, Column] = {}
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if attribute.key in ("community_id", "group_id") or column.info.get("api") == "hidden":
            continue
        encrypted = column.info.get("encrypted")
        if encrypted:
            field = model.__encrypted__[encrypted]
            found[encrypted] = Column(
                encrypted,
                _label(column, encrypted),
                "encrypted",
                False,
                column.nullable,
                encrypted=field,
            )
        elif attribute.key in relations:
            relation = relations[attribute.key]
            found[relation.key] = Column(
                relation.key,
                _label(column, relation.key),
                "relation",
                False,
                column.nullable,
                target=relation.mapper.class_,
            )
        elif attribute.key != "id":
            members = column.type.enum_class if isinstance(column.type, SqlEnum) else None
            found[attribute.key] = Column(
                attribute.key,
                _label(column, attribute.key),
                _kind(column.type),
                True,
                column.nullable,
                members,
            )
    return found


def _label(column: Any, key: str) -> Any:
    return column.info.get("label") or bilingual(key.replace("_", " ").capitalize())


def _kind(kind: Any) -> str:
    if isinstance(kind, SqlEnum):
        return "state"
    if isinstance(kind, Money):
        return "money"
    try:
        python = kind.python_type
    except NotImplementedError:
        return "text"
    names = {
        bool: "flag",
        date: "day",
        datetime: "instant",
        int: "number",
        Decimal: "number",
        dict: "data",
        list: "data",
        UUID: "id",
        bytes: "data",
    }
    return names.get(python, "text")


def show(scope: Scope, column: Column, record: Any) -> Any:
    """Return a cell's value as people read it; personal values masked unless cleared."""
    if column.encrypted is not None:
        clearance = scope.clearance(column.encrypted.mask)
        plain = getattr(record, column.key) if clearance != "hide" else None
        return ciphers.mask(column.encrypted.mask, plain)
    value = getattr(record, column.key)
    if value is None:
        return ""
    if isinstance(value, Enum):
        return member_label(value)
    if column.kind == "money":
        return f"{value:,.2f}"
    if column.kind == "number":
        return plain_number(value)
    return value


GOOD = "paid settled accepted active installed published done occupied enabled completed resolved"
GOOD += " closed delivered finished online succeeded answered"
WARNING = (
    "suspect draft open unpaid partly_paid waiting pending vacant preview submitted paused late"
)
DANGER = (
    "rejected failed overdue error cancelled voided quarantined removed offline refused unknown"
)
TONES = {
    word: tone
    for words, tone in ((GOOD, "good"), (WARNING, "warning"), (DANGER, "danger"))
    for word in words.split()
}


def tone(value: Any) -> str:
    """Return the colour of a state's pill, from the word; ``info`` for what is neither."""
    return TONES.get(str(getattr(value, "value", value)), "info")


def plain_number(value: Any) -> str:
    """Return a number without trailing zeros, never in exponent form."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


__all__ = [
    "EXTENSIONS",
    "VIEWS",
    "Column",
    "RecordAction",
    "RecordView",
    "ViewExtension",
    "action",
    "extend_view",
    "plain_number",
    "show",
    "tone",
]
