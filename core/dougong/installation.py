"""The running system: settings, databases, plugins, keys. Every process opens one."""

import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from dougong.db.embedded import EmbeddedPostgres
from dougong.db.migrator import Migrator, import_kernel_models
from dougong.db.scope import Actor, Claim, Scope, ScopeKey
from dougong.db.servers import Databases
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.plugins import Plugins
from dougong.services import call
from dougong.settings import Settings
from dougong.tenancy import rules as _rules  # noqa: F401 - declares record rules
from dougong.tenancy.operations import (
    GROUP_ZONE,
    CommunityFacts,
    GroupFacts,
    community_facts,
    group_facts,
    setting,
)

Places = Mapping[UUID, Mapping[str, frozenset[UUID] | None]]


class Installation:
    """What one process knows of Dougong; made by ``Installation.open``."""

    def __init__(self, settings: Settings, databases: Databases, plugins: Plugins) -> None:
        self.settings = settings
        self.databases = databases
        self.plugins = plugins
        self.migrator = Migrator(databases)
        self.settings_of_places: dict[UUID, tuple[int, dict[str, Any]]] = {}
        self._enablements: dict[UUID, tuple[tuple[int, int], Places]] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, settings: Settings | None = None, *, load: bool = True) -> "Installation":
        """Return the installation that ``settings`` (the environment by default) describes.

        load: import the installed plugins; False for commands that only look after the database.
        """
        settings = settings or Settings.from_environment()
        import_kernel_models()
        plugins = Plugins.discover(settings)
        installation = cls(settings, open_databases(settings), plugins)
        if load:
            plugins.load(installation)
        return installation

    @cached_property
    def keyring(self) -> Any:
        """Return the data and index keys of communities, groups and the platform."""
        from dougong.privacy import open_keyring

        return open_keyring(self)

    # --- transactions -----------------------------------------------------------------------

    @contextmanager
    def scope(
        self,
        actor: Actor,
        *,
        community: UUID | None = None,
        group: UUID | None = None,
        group_write: bool = False,
        facts: CommunityFacts | None = None,
    ) -> Iterator[Scope]:
        """Open a transaction of ``actor`` in one community, or across a group's communities.

        It commits at the end of the block and rolls back on an error. A group scope reads every
        community that the actor's grants reach and writes none; with ``group_write`` it writes
        the group's own rows (templates, staff, roles). Raises NotFound for a place that is not
        there or not the actor's. facts: of the community, by who has just read them.
        """
        place, readable = self._place(actor, community, group, facts)
        group_id = place.group_id if isinstance(place, CommunityFacts) else place.id
        claim = Claim(
            group_id=group_id,
            community_id=community,
            readable=readable,
            actor_id=actor.user_id,
            group_write=group_write and community is None,
        )
        with self._session("app", claim) as session:
            yield Scope(
                session=session,
                actor=actor,
                installation=self,
                group_id=group_id,
                community_id=community,
                readable=readable,
                places=self._enabled(place),
                zone=place.zone if isinstance(place, CommunityFacts) else GROUP_ZONE,
                place=place,
            )

    @contextmanager
    def access(self, actor: Actor | None = None) -> Iterator[Session]:
        """Open a transaction of the access role: users, sessions, grants, plugin state."""
        with self._session("access", Claim(actor_id=actor.user_id if actor else None)) as session:
            yield session

    @contextmanager
    def looking_up(self) -> Iterator[Connection]:
        """Open a connection of the access role for reads that stand alone: one trip each."""
        with self.databases.engine("access").connect() as plain:
            yield plain.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def platform(self, actor: Actor | None = None) -> Iterator[Session]:
        """Open a transaction of the platform role, which sees every community.

        For kernel work that has no community: set-up, sealing, fan-out. Never for a request.
        """
        with self._session("platform", Claim(actor_id=actor.user_id if actor else None)) as session:
            yield session

    @contextmanager
    def _session(self, role: str, claim: Claim) -> Iterator[Session]:
        with (
            self.databases.engine(role).connect() as plain,
            plain.execution_options(claim=claim) as connection,
            self.databases.sessions(bind=connection) as session,
        ):
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    # --- what a scope does through us ---------------------------------------------------------

    def call(self, scope: Scope, service: str, arguments: Mapping[str, Any]) -> Any:
        """Call a service by its full name; see ``dougong.services.call``."""
        return call(scope, service, arguments)

    def emit(self, scope: Scope, name: str, ids: Mapping[str, Any]) -> None:
        """Write a past fact to the outbox; see ``dougong.events.emit``."""
        from dougong.events import emit

        emit(scope, name, **ids)

    def enqueue(self, scope: Scope, service: str, arguments: Mapping[str, Any]) -> Any:
        """Enqueue a service as a job; see ``dougong.jobs.enqueue``."""
        from dougong.jobs import enqueue

        return enqueue(scope, service, **arguments)

    def setting(self, scope: Scope, name: str, default: Any) -> Any:
        """Return a run-time setting, else the default that its plugin's manifest declares.

        See ``dougong.tenancy.operations.setting``.
        """
        if default is None:
            default = self.plugins.default_of(name)
        return setting(scope, name, default)

    # --- places -----------------------------------------------------------------------------

    def _place(
        self,
        actor: Actor,
        community: UUID | None,
        group: UUID | None,
        facts: CommunityFacts | None,
    ) -> tuple[CommunityFacts | GroupFacts, tuple[UUID, ...]]:
        if community is not None:
            if facts is None or facts.id != community:
                with self.looking_up() as connection:
                    facts = community_facts(connection, community)
            if not _reaches(actor, facts):
                raise NotFound(N_("There is no such community."))
            return facts, (community,)
        if group is None:
            raise ValueError("a scope needs a community or a group")
        with self.looking_up() as connection:
            whole = group_facts(connection, group)
        readable = tuple(c.id for c in whole.communities if _reaches(actor, c))
        if not readable and not any(g.group_id in (None, group) for g in actor.grants):
            raise NotFound(N_("There is no such property group."))
        return whole, readable

    def _enabled(self, place: CommunityFacts | GroupFacts) -> Places:
        """Return the plugins enabled in each community; cached until the place's version moves."""
        known = self._enablements.get(place.id)
        version = (place.version, self.plugins.generation)
        if known is None or known[0] != version:
            with self.access() as session:
                known = (version, self.plugins.enablement(session, place))
            self._enablements[place.id] = known
        return known[1]

    # --- life -------------------------------------------------------------------------------

    def migrate(self, report: Any = None) -> None:
        """Bring kernel and installed plugins to the code's state, in order of dependency."""
        self.plugins.migrate(self, report)

    def close(self) -> None:
        """Give back every connection."""
        self.databases.dispose()


def _reaches(actor: Actor, facts: CommunityFacts) -> bool:
    return any(g.reaches(facts.group_id, facts.id) for g in actor.grants) or (
        facts.id in actor.persons
    )


def embedded_server(settings: Settings) -> EmbeddedPostgres | None:
    """Return the embedded server of an installation, None when it uses another one."""
    if settings.database:
        return None
    return EmbeddedPostgres(settings.paths.home, settings.paths.keys)


def open_databases(settings: Settings) -> Databases:
    """Return the engines; the embedded server must run already."""
    server = embedded_server(settings) or EmbeddedPostgres(settings.paths.home, settings.paths.keys)
    keywords = settings.database or f"host={server.socket} dbname=dougong"
    return Databases(keywords, server.passwords(), scope_key(settings))


def scope_key(settings: Settings) -> ScopeKey:
    """Return the key that signs scopes, made at the first call."""
    path = settings.paths.keys / "scope.key"
    if not path.exists():
        temporary = path.with_suffix(f".{secrets.token_hex(4)}")
        temporary.touch(mode=0o600)
        temporary.write_bytes(secrets.token_bytes(32))
        with suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return ScopeKey(path.read_bytes())
