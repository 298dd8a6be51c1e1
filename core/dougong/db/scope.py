"""The scope: who acts, where, in which transaction.

Everything that touches rows gets one. It is sent to PostgreSQL with the BEGIN of the transaction,
signed (`dougong.db.beginning`), and row-level security reads nothing else; the ORM criteria below
are the second layer.
"""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Result, event, select
from sqlalchemy.orm import Session, UOWTransaction

from dougong.db.base import InCommunity, InGroup, Row
from dougong.db.narrowing import narrow
from dougong.db.together import answer_alone, fetch_together
from dougong.errors import NotAllowed, NotFound, StepUpRequired
from dougong.i18n import N_

if TYPE_CHECKING:
    from dougong.db.vault import Vault

T = TypeVar("T")
PROOF_LENGTH = timedelta(minutes=5)
# What the three administrations do: never part of a wide pattern, always granted by its name.
RESERVED = (
    "dougong.audit.",
    "dougong.keys.",
    "dougong.plugin.",
    "dougong.role.",
    "dougong.session.",
    "dougong.user.",
)
NOBODY = UUID(int=0)


@dataclass(frozen=True)
class Grant:
    """A bundle of permissions within a part of the organisation.

    permissions: full names, ``*`` for all but the administrations' own (``RESERVED``), ``lifts.*``,
    ``lifts.lift.*``, ``*.view``; ``**`` for everything, which only the system itself holds.
    group_id: None for the platform.
    communities: None for every community of the group. buildings: None for every building.
    clearance: class of personal values → ``full``, ``mask`` or ``hide``; a column's full name →
    ``write``, ``read`` or ``hide`` (`dougong.db.clearance`). rules: full names of the record rules
    that the role chooses (`dougong.db.rules`). limits: yuan that may be approved at most, by full
    name of the permission. stands_in_for: whose right it is, for as long as he is away.
    """

    permissions: frozenset[str]
    group_id: UUID | None = None
    communities: frozenset[UUID] | None = None
    buildings: frozenset[UUID] | None = None
    clearance: Mapping[str, str] = field(default_factory=dict)
    role: str = ""
    rules: frozenset[str] = frozenset()
    limits: Mapping[str, str] = field(default_factory=dict)
    stands_in_for: UUID | None = None
    stands_in_name: str = ""

    def reaches(self, group_id: UUID | None, community_id: UUID | None) -> bool:
        """Tell whether the grant holds in this community, or anywhere in the group."""
        if self.group_id is not None and group_id is not None and self.group_id != group_id:
            return False
        if community_id is None or self.communities is None:
            return True
        return community_id in self.communities

    def allows(self, permission: str) -> bool:
        """Tell whether the bundle holds ``permission``."""
        if permission in self.permissions or "**" in self.permissions:
            return True
        parts = permission.split(".")
        if permission.startswith(RESERVED):
            return f"{parts[0]}.{parts[1]}.*" in self.permissions
        wider = [f"{'.'.join(parts[:n])}.*" for n in range(1, len(parts))]
        return not self.permissions.isdisjoint(["*", *wider, f"*.{parts[-1]}"])

    def limit_of(self, permission: str) -> Decimal | None:
        """Return how much may be approved in yuan, None without a limit."""
        most = self.limits.get(permission)
        return None if most is None else Decimal(most)


@dataclass(frozen=True)
class Actor:
    """Who acts: a signed-in user, an API token, a job, a device, or the system itself.

    stepped_up_at: when he last proved that it is he. waits_for: ``proof`` or ``enrolment`` of a
    second factor while the session may do nothing else. named: the permissions that a token names.
    """

    user_id: UUID | None
    name: str
    kind: str = "user"
    grants: tuple[Grant, ...] = ()
    persons: Mapping[UUID, UUID] = field(default_factory=dict)
    locale: str | None = None
    session_id: UUID | None = None
    stepped_up_at: datetime | None = None
    waits_for: str = ""
    named: frozenset[str] = frozenset()

    @classmethod
    def system(cls, name: str = "system") -> "Actor":
        """Return the actor of migrations, schedules and the command line: it may everything."""
        return cls(None, name, kind="system", grants=(Grant(frozenset({"**"})),))

    def may(
        self, permission: str, group_id: UUID | None = None, community_id: UUID | None = None
    ) -> bool:
        """Tell whether any grant that reaches the place allows ``permission``."""
        return any(
            grant.allows(permission) and grant.reaches(group_id, community_id)
            for grant in self.grants
        )

    def require_proof(self, act: str) -> None:
        """Raise StepUpRequired unless he proved within five minutes that it is he.

        Who has no session (jobs, the command line) is not asked; a token must name ``act`` in full.
        """
        if self.kind == "token" and act not in self.named:
            raise StepUpRequired(
                N_("A token may only do this when it names %(act)s in full."), act=act
            )
        if self.session_id is None:
            return
        proved = self.stepped_up_at
        if proved is None or datetime.now(UTC) - proved > PROOF_LENGTH:
            raise StepUpRequired(N_("Show again that it is you: this needs a fresh proof."))


@dataclass(frozen=True)
class ScopeKey:
    """The secret under which scopes are signed; the database holds the same key as two pads."""

    secret: bytes = field(repr=False)

    @cached_property
    def pads(self) -> tuple[bytes, bytes]:
        """Return HMAC's inner and outer pad for SHA-256 (block of 64 bytes)."""
        block = self.secret.ljust(64, b"\0")
        return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)

    @cached_property
    def _halves(self) -> tuple[Any, Any]:
        # `hmac` begins anew at every call: ten times as long as copying what the pads have begun.
        inner, outer = self.pads
        return hashlib.sha256(inner), hashlib.sha256(outer)

    def sign(self, text: str) -> str:
        """Return ``text`` with its MAC before it, ready for ``dougong.enter``."""
        inside, outside = (half.copy() for half in self._halves)
        inside.update(text.encode())
        outside.update(inside.digest())
        return outside.hexdigest() + text


@dataclass(frozen=True)
class Claim:
    """What the database is told: the part of a scope that row-level security reads."""

    group_id: UUID | None = None
    community_id: UUID | None = None
    readable: tuple[UUID, ...] = ()
    actor_id: UUID | None = None
    group_write: bool = False

    @cached_property
    def value(self) -> str:
        """Return what ``dougong.enter`` keeps for the policies; empty where nothing is claimed."""
        ids = (
            self.group_id,
            self.community_id,
            self.actor_id,
            self.group_id if self.group_write else None,
        )
        if not (any(ids) or self.readable):
            return ""
        return "_".join(
            ("dougong", *(i.hex if i else "" for i in ids), ",".join(i.hex for i in self.readable))
        )


def enablement_of(
    places: Mapping[UUID, Mapping[str, frozenset[UUID] | None]],
) -> Mapping[str, frozenset[UUID] | None]:
    """Return the plugins that are on in any of the places: id → their buildings, None for all."""
    if len(places) == 1:
        return next(iter(places.values()))
    found: dict[str, frozenset[UUID] | None] = {}
    for switched in places.values():
        for plugin, buildings in switched.items():
            before = found.get(plugin, frozenset())
            found[plugin] = None if None in (buildings, before) else buildings | before  # type: ignore[operator]
    return found


class Scope:
    """A place, an actor and one transaction; made by ``Installation.scope``."""

    def __init__(
        self,
        *,
        session: Session,
        actor: Actor,
        installation: Any,
        group_id: UUID,
        community_id: UUID | None,
        readable: tuple[UUID, ...],
        places: Mapping[UUID, Mapping[str, frozenset[UUID] | None]],
        zone: str = "Asia/Shanghai",
        place: Any = None,
    ) -> None:
        self.session = session
        self.actor = actor
        self.installation = installation
        self.group_id = group_id
        self.community_id = community_id
        self.readable = readable
        self.places = places
        self.enablement = enablement_of(places)
        self.zone = ZoneInfo(zone)
        self.place = place
        self.progress: Callable[..., None] = lambda done, total, message="": None
        self.reason: str | None = None
        self.narrowed: dict[Any, Any] = {}
        self._allowed: dict[str, bool] = {}
        self._restrictions: dict[Any, Mapping[str, str]] = {}
        session.info["scope"] = self

    # --- what may be done -------------------------------------------------------------------

    @property
    def enabled(self) -> frozenset[str]:
        """Return the ids of the plugins enabled here; the kernel's own id is always among them."""
        return frozenset(self.enablement) | {"dougong"}

    def may(self, permission: str) -> bool:
        """Tell whether the actor may do ``permission`` here; on group pages, anywhere in it."""
        known = self._allowed.get(permission)
        if known is None:
            known = self.actor.may(permission, self.group_id, self.community_id)
            self._allowed[permission] = known
        return known

    def where_may(self, permission: str) -> list[UUID]:
        """Return the communities of this scope in which the actor may do ``permission``."""
        return [c for c in self.readable if self.actor.may(permission, self.group_id, c)]

    def require(self, permission: str) -> None:
        """Raise NotAllowed unless the actor may do ``permission`` here."""
        if not self.may(permission):
            raise NotAllowed(
                N_("You may not do this here (%(permission)s)."), permission=permission
            )

    @cached_property
    def grants_here(self) -> list[list[Grant]]:
        """Return the grants that reach this community; on group pages every such set there is."""
        places: list[UUID | None] = [self.community_id]
        if self.community_id is None and self.readable:
            places = list(self.readable)
        grants = self.actor.grants
        sets = {
            tuple(n for n, g in enumerate(grants) if g.reaches(self.group_id, place))
            for place in places
        }
        return [[grants[n] for n in one] for one in sorted(sets)]

    def clearance(self, field_class: str) -> str:
        """Return ``full``, ``mask`` or ``hide`` for a class of personal values."""
        from dougong.db.clearance import personal_level

        return personal_level(self, field_class)

    def restrictions(self, model: Any) -> Mapping[str, str]:
        """Return ``read`` or ``hide`` by attribute of ``model``; what is not named is writable."""
        known = self._restrictions.get(model)
        if known is None:
            from dougong.db.clearance import column_levels

            known = self._restrictions[model] = column_levels(self, model)
        return known

    @cached_property
    def buildings(self) -> frozenset[UUID] | None:
        """Return the only buildings that the actor's roles reach here, None for all."""
        reaching = [g for g in self.actor.grants if g.reaches(self.group_id, self.community_id)]
        if not reaching or any(g.buildings is None for g in reaching):
            return None
        return frozenset().union(*(g.buildings or frozenset() for g in reaching))

    def buildings_of(self, plugin: str) -> frozenset[UUID] | None:
        """Return the only buildings where ``plugin`` is switched on for the actor, None for all."""
        switched = self.enablement.get(plugin)
        if switched is None:
            return self.buildings
        return switched if self.buildings is None else switched & self.buildings

    # --- where and when ---------------------------------------------------------------------

    @property
    def url_part(self) -> str:
        """Return the scope's part of an address: ``c/<community>`` or ``g/<group>``."""
        return f"c/{self.community_id}" if self.community_id else f"g/{self.group_id}"

    @property
    def locale(self) -> str:
        from dougong.i18n import current_locale

        return current_locale()

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def today(self) -> date:
        """Return the day in the community's time zone."""
        return self.now.astimezone(self.zone).date()

    # --- rows -------------------------------------------------------------------------------

    def get(
        self, model: type[T], id: UUID | str, *, lock: bool = False, options: Sequence[Any] = ()
    ) -> T:
        """Return the row of ``model`` with this id; raises NotFound when it cannot be seen.

        lock: SELECT … FOR UPDATE, for whoever is about to change it. options: of the statement,
        such as ``joinedload``.
        """
        try:
            wanted = id if isinstance(id, UUID) else UUID(str(id))
        except ValueError:
            raise self._missing(model) from None
        query = select(model).where(model.id == wanted)  # type: ignore[attr-defined]
        query = query.options(*options) if options else query
        if lock:
            query = query.with_for_update(of=model).execution_options(populate_existing=True)
        found = self.session.scalars(query).first()
        if found is None:
            raise self._missing(model)
        return found

    @staticmethod
    def _missing(model: type) -> NotFound:
        return NotFound(N_("There is no such record here (%(kind)s)."), kind=model.__name__.lower())

    @cached_property
    def vault(self) -> "Vault":
        """Return what encrypts and decrypts personal values of this scope."""
        from dougong.db.vault import Vault

        return Vault(self.installation.keyring, self)

    # --- doing ------------------------------------------------------------------------------

    def call(self, service: str, /, **arguments: Any) -> Any:
        """Call a service by its full name; models may be given as ids."""
        return self.installation.call(self, service, arguments)

    def ask(self, hook: str, /, **arguments: Any) -> list[Any]:
        """Return the answers of the enabled plugins to ``hook``, each plugin isolated."""
        return self.installation.plugins.hooks.ask(self, hook, **arguments)

    def together(self, *selects: Any) -> list[Result[Any]]:
        """Return the rows of several selects, asked in one statement."""
        return fetch_together(self.session, selects)

    def answer(self, asking: Generator[Any, Any, Any]) -> Any:
        """Return what a generator that yields selects comes to, as a hook's would (``Asks``)."""
        return answer_alone(self.session, asking)

    def emit(self, name: str, /, **ids: Any) -> None:
        """Write a past fact to the outbox, in this transaction."""
        self.installation.emit(self, name, ids)

    def enqueue(self, service: str, /, **arguments: Any) -> Any:
        """Have ``service`` run by a worker after this transaction commits."""
        return self.installation.enqueue(self, service, arguments)

    def setting(self, name: str, default: Any = None) -> Any:
        """Return a run-time setting: the community's, else the group's, else the platform's.

        Where nobody set it, ``default``, or when that is None the manifest's.
        """
        return self.installation.setting(self, name, default)


def install_criteria(session_class: type[Session]) -> None:
    """Add the second layer: ORM criteria by scope, and keys filled in and checked at flush."""
    event.listen(session_class, "do_orm_execute", narrow)
    event.listen(session_class, "before_attach", _claim_row)
    event.listen(session_class, "before_flush", _seal_changed)


def _claim_row(session: Session, record: Any) -> None:
    scope: Scope | None = session.info.get("scope")
    if scope is None or not isinstance(record, Row):
        return
    if isinstance(record, InCommunity) and record.community_id is None:
        if scope.community_id is None:
            raise NotAllowed(N_("Choose a community first; a group page writes no rows."))
        record.community_id = scope.community_id
    elif isinstance(record, InGroup) and record.group_id is None:
        record.group_id = scope.group_id


def _seal_changed(session: Session, context: UOWTransaction, instances: Any) -> None:
    scope: Scope | None = session.info.get("scope")
    for record in [*session.new, *session.dirty]:
        waiting = record.__dict__.pop("_plain", None)
        if not waiting:
            continue
        if scope is None:
            raise RuntimeError("a personal value can be written only inside a scope")
        for name, plain in waiting.items():
            scope.vault.store(record.__encrypted__[name], record, plain)
