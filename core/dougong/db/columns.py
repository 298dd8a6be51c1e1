"""Column types and declarations: money, states, references, encrypted values, labels."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Index, LargeBinary, TypeDecorator, and_
from sqlalchemy import Enum as SqlEnum
from sqlalchemy.orm import (
    MappedColumn,
    foreign,
    mapped_column,
    object_session,
    relationship,
    remote,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import ColumnElement

from dougong.capabilities import refuse_undeclared
from dougong.i18n import LazyText, bilingual

if TYPE_CHECKING:
    from dougong.db.scope import Scope

FEN = Decimal("0.01")


class _MoneyComparator(TypeDecorator.Comparator[Any], BigInteger.Comparator[Any]):  # type: ignore[name-defined,misc]
    """Keeps sums and differences of money money: SQLAlchemy would make them plain integers."""

    def _adapt_expression(self, op: Any, other_comparator: Any) -> Any:
        if op in (operators.add, operators.sub) and isinstance(other_comparator.type, Money):
            return op, self.type
        return super()._adapt_expression(op, other_comparator)


class Money(TypeDecorator[Decimal]):
    """Decimal yuan in Python, bigint fen in the database.

    Refuses a value that is not a whole number of fen: rounding belongs to the rule that made it.
    In SQL, sums and differences of money are money again.
    """

    impl = BigInteger
    cache_ok = True
    comparator_factory = _MoneyComparator

    def process_bind_param(self, value: Any, dialect: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, float):
            raise TypeError("money is Decimal yuan, never float")
        fen = Decimal(value) * 100
        if fen != fen.to_integral_value():
            raise ValueError(f"{value} yuan is not a whole number of fen")
        return int(fen)

    def process_result_value(self, value: int | None, dialect: Any) -> Decimal | None:
        return None if value is None else (Decimal(value) / 100).quantize(FEN)

    @property
    def python_type(self) -> type[Decimal]:
        return Decimal


@dataclass(frozen=True)
class Ref:
    """A reference to a row of the same community or group."""

    target: str
    ondelete: str | None
    index: bool


def label(english: str, chinese: str) -> dict[str, LazyText]:
    """Return a column's ``info`` with its label in both languages."""
    return {"label": bilingual(english, chinese)}


def labels(**pairs: tuple[str, str]) -> dict[str, LazyText]:
    """Return labels of enum members by name: ``labels(RUNNING=("Running", "运行"))``."""
    return {name: bilingual(*pair) for name, pair in pairs.items()}


def money(*, info: dict[str, Any] | None = None, **arguments: Any) -> MappedColumn[Any]:
    """Declare a column of Decimal yuan, stored as bigint fen."""
    return mapped_column(Money(), info=info or {}, **arguments)


def state(
    members: type[StrEnum], *, info: dict[str, Any] | None = None, **arguments: Any
) -> MappedColumn[Any]:
    """Declare a state or kind: a StrEnum stored as text with a CHECK constraint.

    A ``LABELS`` dictionary beside the members, or ``label`` on the enum, names them for people.
    """
    kind = SqlEnum(
        members,
        native_enum=False,
        create_constraint=True,
        length=40,
        values_callable=lambda e: [member.value for member in e],
        name=_snake(members.__name__),
    )
    return mapped_column(kind, info=info or {}, **arguments)


def ref(
    target: str,
    *,
    ondelete: str | None = None,
    index: bool = True,
    info: dict[str, Any] | None = None,
    **arguments: Any,
) -> MappedColumn[Any]:
    """Declare a reference to ``schema.table``, within the same community or group.

    ondelete: None (RESTRICT) or ``CASCADE``; SET NULL is refused because Citus refuses it.
    """
    if ondelete not in (None, "CASCADE"):
        raise ValueError("a reference is RESTRICT or CASCADE")
    return mapped_column(info={**(info or {}), "ref": Ref(target, ondelete, index)}, **arguments)


def to_one(column: Any, target: Any, **arguments: Any) -> Any:
    """Return the relationship that follows ``column``, a ``ref``, to ``target``.

    target: the class, or a callable that returns it. There is no way back: the other class
    learns nothing of this one.
    """

    def model() -> Any:
        return target if isinstance(target, type) else target()

    def join() -> ColumnElement[bool]:
        there, here = model().__table__.c, column.column
        table = here.table.c
        key = next((k for k in ("community_id", "group_id") if k in there and k in table), None)
        # The pair of ids comes first: Flask-Admin reads whether a relation is optional from it.
        pair = remote(there.id) == foreign(here)
        return pair if key is None else and_(pair, remote(there[key]) == table[key])

    return relationship(model, primaryjoin=join, lazy="select", passive_deletes="all", **arguments)


@dataclass
class EncryptedField:
    """A personal value kept as ciphertext, with a keyed index for exact and last-four search.

    On an instance it reads and writes plain text; on the class it makes search conditions.
    """

    search: str | None
    mask: str
    info: dict[str, Any]
    name: str = ""
    table: str = ""
    key_column: str | None = None
    is_nullable: bool = True
    columns: tuple[str, ...] = field(default=())

    def install(self, cls: Any, name: str, key_column: str | None) -> list[Any]:
        """Add the columns behind the field to ``cls``; return indexes for them."""
        self.name, self.key_column = name, key_column
        self.table = f"{cls.__schema__}.{cls.__dict__['__tablename__']}"
        annotation = cls.__annotations__.pop(name, "")
        self.is_nullable = "None" in str(annotation) or "Optional" in str(annotation)
        cls.__encrypted__ = {**cls.__encrypted__, name: self}
        info = {**self.info, "encrypted": name, "mask": self.mask}
        sealed = mapped_column(name, LargeBinary, nullable=self.is_nullable, info=info)
        setattr(cls, f"{name}_sealed", sealed)
        made: list[Any] = []
        table = cls.__dict__["__tablename__"]
        for suffix in self.suffixes():
            column = mapped_column(
                f"{name}_{suffix}", LargeBinary, nullable=True, info={"api": "hidden"}
            )
            setattr(cls, f"{name}_{suffix}", column)
            keys = [k for k in (key_column, f"{name}_{suffix}") if k]
            made.append(Index(f"ix_{table}_{name}_{suffix}", *keys))
        return made

    def suffixes(self) -> tuple[str, ...]:
        """Return the search columns' suffixes: ``index`` for exact, ``tail`` for last four."""
        return {None: (), "exact": ("index",), "last4": ("index", "tail")}[self.search]

    def __get__(self, record: Any, owner: Any = None) -> Any:
        if record is None:
            return BoundField(self, owner)
        waiting = record.__dict__.get("_plain", {})
        if self.name in waiting:
            return waiting[self.name]
        sealed = getattr(record, f"{self.name}_sealed")
        if sealed is None:
            return None
        scope = _scope_of(record)
        refuse_undeclared(scope, "personal", f"{self.table}.{self.name}")
        return scope.vault.open(self, record, sealed)

    def __set__(self, record: Any, value: str | None) -> None:
        record.__dict__.setdefault("_plain", {})[self.name] = value or None
        # Touch a mapped attribute, so that the record counts as changed and is flushed.
        setattr(record, f"{self.name}_sealed", b"" if value else None)


@dataclass(frozen=True)
class BoundField:
    """An encrypted field seen from the class: makes search conditions."""

    field: EncryptedField
    model: Any

    @property
    def info(self) -> dict[str, Any]:
        return self.field.info

    def matches(self, scope: "Scope", value: str) -> ColumnElement[bool]:
        """Return the condition that the plain value equals ``value``, after normalising."""
        column = getattr(self.model, f"{self.field.name}_index")
        tags = scope.vault.index_tags(self.field, self.model, value)
        return column.in_(tags)

    def ends_with(self, scope: "Scope", last_four: str) -> ColumnElement[bool]:
        """Return a coarse condition for the last four characters; compare after decrypting."""
        column = getattr(self.model, f"{self.field.name}_tail")
        return column.in_(scope.vault.tail_tags(self.field, self.model, last_four))


def encrypted(
    *, search: str | None = None, mask: str = "all", info: dict[str, Any] | None = None
) -> Any:
    """Declare a personal column that the database holds only as ciphertext.

    search: None, ``exact`` or ``last4`` (exact and the last four characters).
    mask: how it is shown by default: ``phone``, ``id_number``, ``name`` or ``all``.
    """
    return EncryptedField(search=search, mask=mask, info=info or {})


def member_label(member: Enum) -> str:
    """Return what people call an enum member, in the locale in force."""
    named = getattr(type(member), "__labels__", None) or {}
    found = named.get(member.name)
    return str(found) if found is not None else str(bilingual(_words(member.value)))


def _scope_of(record: Any) -> "Scope":
    session = object_session(record)
    if session is None or "scope" not in session.info:
        raise RuntimeError("a personal value can be read only inside its scope")
    return session.info["scope"]


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _words(value: str) -> str:
    return value.replace("_", " ").capitalize()
