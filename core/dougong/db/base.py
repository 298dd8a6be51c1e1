"""The three kinds of table, and the declarative bases that kernel and plugins build on.

A model says once whose rows it holds: ``InCommunity``, ``InGroup`` or ``OnPlatform``. Keys, foreign
keys, schema, row-level security, grants and audit follow from that.
"""

import time
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from os import urandom
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Numeric,
    Text,
    Uuid,
    event,
    text,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedColumn,
    mapped_column,
    object_session,
    registry,
)

from dougong.db.columns import EncryptedField, Ref

KERNEL_SCHEMA = "dougong"

PLACES = {
    "community_id": f"{KERNEL_SCHEMA}.community.id",
    "group_id": f"{KERNEL_SCHEMA}.property_group.id",
}
METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_1_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

TYPES: dict[Any, Any] = {
    UUID: Uuid(),
    datetime: DateTime(timezone=True),
    date: Date(),
    Decimal: Numeric(18, 6),
    str: Text(),
}


def uuid7(at: datetime | None = None) -> UUID:
    """Return a version 7 UUID: sortable by the time of its making, or by ``at``."""
    milliseconds = int(at.timestamp() * 1000) if at else time.time_ns() // 1_000_000
    random = int.from_bytes(urandom(10))
    return UUID(
        int=(milliseconds << 80)
        | (7 << 76)
        | ((random >> 64 & 0xFFF) << 64)
        | (2 << 62)
        | (random & 0x3FFF_FFFF_FFFF_FFFF)
    )


class Row:
    """What every table has: a schema, a kind, an id made by the client.

    __named_by__: relations that ``__str__`` needs, loaded together with what is listed.
    __anchor__: a mandatory ``ref`` to a row of the same place, for tables that are written in bulk.
    Its foreign key holds the place too, so the place gets none of its own: a row is checked once
    less, and belongs to a place that exists because what it hangs on does.
    __building_path__: how a row reaches its building (`dougong.db.buildings`). Where a model says
    nothing, its rows lie where the record lies that they cannot be without; None says on purpose
    that they belong to the whole community.
    __monthly_by__: the instant by whose month (UTC) the rows lie in partitions of their own; see
    ``dougong.db.partitions``. It is part of the primary key then, after the id; no foreign key can
    lead to such a table.
    """

    __schema__: ClassVar[str]
    __kind__: ClassVar[str]
    __key_column__: ClassVar[str | None] = None
    __audited__: ClassVar[bool] = True
    __building_path__: ClassVar[str | None] = None
    __named_by__: ClassVar[tuple[str, ...]] = ()
    __anchor__: ClassVar[str | None] = None
    __monthly_by__: ClassVar[str | None] = None
    __encrypted__: ClassVar[dict[str, EncryptedField]] = {}
    # What a valid row needs beside its mandatory columns, for suites that write rows themselves: a
    # value by attribute, ``...`` for one guessed from the column, None for one that stays empty.
    __sample__: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        if "__tablename__" in cls.__dict__:
            _complete(cls)
        super().__init_subclass__(**arguments)

    def local(self, at: datetime) -> str:
        """Return an instant to the minute on the clocks of the place, for a record's name.

        A row outside of a session says it in UTC.
        """
        session = object_session(self)
        scope = session.info.get("scope") if session is not None else None
        return f"{at.astimezone(scope.zone) if scope else at:%Y-%m-%d %H:%M}"


class InCommunity(Row):
    """Rows of one community; the primary key is ``(community_id, id)``."""

    __kind__ = "community"
    __key_column__ = "community_id"

    community_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-20)
    id: Mapped[UUID] = mapped_column(
        primary_key=True, default=uuid7, server_default=text("uuidv7()"), sort_order=-19
    )


class InGroup(Row):
    """Rows of a property group: templates, staff, roles; the key is ``(group_id, id)``."""

    __kind__ = "group"
    __key_column__ = "group_id"

    group_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-20)
    id: Mapped[UUID] = mapped_column(
        primary_key=True, default=uuid7, server_default=text("uuidv7()"), sort_order=-19
    )


class OnPlatform(Row):
    """Rows of the installation; the application's database role has no grant on them."""

    __kind__ = "platform"

    id: Mapped[UUID] = mapped_column(
        primary_key=True, default=uuid7, server_default=text("uuidv7()"), sort_order=-19
    )


def plugin_of_module(module: str) -> str:
    """Return the id of the plugin that a module belongs to; ``dougong`` for the kernel."""
    top = module.partition(".")[0]
    return top.removeprefix("dougong_") if top.startswith("dougong_") else "dougong"


def plugin_base(schema: str) -> type[DeclarativeBase]:
    """Return a declarative base with its own registry, whose tables live in ``schema``."""

    class PluginBase(DeclarativeBase):
        __abstract__ = True
        __schema__ = schema
        registry = registry(metadata=METADATA, type_annotation_map=TYPES)

    PluginBase.__name__ = PluginBase.__qualname__ = f"{schema.title()}Base"
    return PluginBase


if TYPE_CHECKING:

    class KernelBase(DeclarativeBase):
        """The declarative base of the kernel's models; a name that type checkers understand."""

else:
    KernelBase = plugin_base(KERNEL_SCHEMA)


def _complete(cls: type[Row]) -> None:
    """Add schema, composite foreign keys and encrypted columns to a model's declaration."""
    _refuse_base_of_another(cls)
    arguments, options = _table_arguments(cls)
    key = cls.__key_column__
    for name, value in list(cls.__dict__.items()):
        if isinstance(value, EncryptedField):
            arguments += value.install(cls, name, key)
        elif isinstance(value, MappedColumn) and isinstance(value.column.info.get("ref"), Ref):
            arguments += _reference(cls, name, value.column.info["ref"])
    if key is not None and not _is_anchored(cls):
        arguments.append(ForeignKeyConstraint([key], [PLACES[key]]))
    if cls.__monthly_by__ is not None:
        _lie_in_months(cls, cls.__monthly_by__, options)
    options.setdefault("schema", cls.__schema__)
    options["info"] = {
        "kind": cls.__kind__,
        "audited": cls.__audited__,
        **_building_path(cls),
        "monthly_by": cls.__monthly_by__,
        **options.get("info", {}),
    }
    cls.__table_args__ = (*arguments, options)  # type: ignore[attr-defined]


def _is_anchored(cls: type[Row]) -> bool:
    """Tell whether a reference of the model proves its place. Raises TypeError for a wrong one."""
    name = cls.__anchor__
    if name is None:
        return False
    column = cls.__dict__.get(name)
    ref = column.column.info.get("ref") if isinstance(column, MappedColumn) else None
    is_optional = "None" in str(cls.__annotations__.get(name))
    if (
        ref is None
        or is_optional
        or ref.target == f"{cls.__schema__}.{cls.__dict__['__tablename__']}"
    ):
        raise TypeError(f"{cls.__name__}.__anchor__ names a mandatory ref to another table")
    return True


def _building_path(cls: type[Row]) -> dict[str, Any]:
    """Return what a model says of its building, nothing when it says nothing."""
    for each in cls.__mro__:
        if each is Row:
            break
        if "__building_path__" in each.__dict__:
            return {"building_path": each.__dict__["__building_path__"]}
    return {}


def _lie_in_months(cls: Any, name: str, options: dict[str, Any]) -> None:
    """Partition a model's table by the month of one of its instants.

    PostgreSQL wants that in the primary key; the session still knows a row by place and id alone.
    """
    column = cls.__dict__[name].column
    column.primary_key, column.nullable = True, False
    options["postgresql_partition_by"] = f"RANGE ({column.name or name})"
    keys = (cls.__key_column__, "id")
    cls.__mapper_args__ = {
        **cls.__dict__.get("__mapper_args__", {}),
        "primary_key": [each for each in keys if each is not None],
    }


def _refuse_base_of_another(cls: Any) -> None:
    """Keep a plugin's models out of another's registry, where a fault would harm the other."""
    owner = cls.__module__.partition(".")[0]
    others = {mapper.class_.__module__.partition(".")[0] for mapper in cls.registry.mappers}
    if owner.startswith("dougong_") and others - {owner}:
        raise TypeError(f"{cls.__name__} stands on the base of {min(others)}: use plugin_base")


def _table_arguments(cls: type) -> tuple[list[Any], dict[str, Any]]:
    given = cls.__dict__.get("__table_args__", ())
    if isinstance(given, dict):
        return [], dict(given)
    arguments = list(given)
    options = dict(arguments.pop()) if arguments and isinstance(arguments[-1], dict) else {}
    return arguments, options


def _reference(cls: type[Row], name: str, ref: Ref) -> list[Any]:
    key = cls.__key_column__
    table = cls.__dict__["__tablename__"]
    columns, target = [name], [f"{ref.target}.id"]
    if key is not None:
        columns, target = [key, name], [f"{ref.target}.{key}", f"{ref.target}.id"]
    made: list[Any] = [
        ForeignKeyConstraint(columns, target, name=f"fk_{table}_{name}", ondelete=ref.ondelete)
    ]
    if ref.index:
        made.append(Index(f"ix_{table}_{name}", *columns))
    return made


@event.listens_for(Row, "init", propagate=True)
def _give_id(target: Any, args: Any, kwargs: dict[str, Any]) -> None:
    if "id" not in kwargs and hasattr(type(target), "id"):
        kwargs["id"] = uuid7()
