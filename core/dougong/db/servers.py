"""Connections: one engine per database role, and the making of roles and database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from dougong.db.beginning import BeginningConnection, bind_scope_to_transactions
from dougong.db.scope import ScopeKey, install_criteria

LOGINS = ("migrator", "app", "access", "platform", "backup")


class ScopedSession(Session):
    """The session of one scope: community criteria and personal values work in it."""


install_criteria(ScopedSession)


@dataclass
class Databases:
    """The engines of one installation.

    server: libpq keywords without user and password. passwords: by role name (``app``, …).
    """

    server: str
    passwords: Mapping[str, str] = field(repr=False)
    scope_key: ScopeKey
    pool_size: int = 10
    _engines: dict[str, Engine] = field(default_factory=dict)

    def conninfo(self, role: str) -> str:
        """Return libpq keywords for a login as ``role``."""
        return make_conninfo(self.server, user=f"dougong_{role}", password=self.passwords[role])

    def engine(self, role: str) -> Engine:
        """Return the pooled engine of a role; the application's sends scopes with BEGIN."""
        engine = self._engines.get(role)
        if engine is None:
            engine = self._engines[role] = self._make(role)
        return engine

    def _make(self, role: str) -> Engine:
        keywords: dict[str, Any] = {
            **conninfo_to_dict(self.conninfo(role)),
            "application_name": f"dougong {role}",
        }
        pool: dict[str, Any] = (
            {"poolclass": NullPool}
            if role in ("migrator", "backup")
            else {"pool_size": self.pool_size, "max_overflow": self.pool_size, "pool_timeout": 10}
        )
        engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: BeginningConnection.connect(**keywords),
            hide_parameters=True,
            pool_pre_ping=False,
            **pool,
        )
        bind_scope_to_transactions(engine, self.scope_key)
        return engine

    @cached_property
    def sessions(self) -> sessionmaker[ScopedSession]:
        """Return the maker of sessions for scopes."""
        return sessionmaker(class_=ScopedSession, expire_on_commit=False, autoflush=True)

    def dispose(self) -> None:
        """Close every pooled connection."""
        for engine in self._engines.values():
            engine.dispose()


def create_database(
    superuser_dsn: str, passwords: Mapping[str, str], database: str = "dougong"
) -> None:
    """Make roles, passwords and the database as a superuser; safe to run again."""
    with psycopg.connect(make_conninfo(superuser_dsn, dbname="postgres"), autocommit=True) as link:
        link.execute(files("dougong.db").joinpath("sql/roles.sql").read_text())
        for role in LOGINS:
            link.execute(
                sql.SQL("alter role {} login password {}").format(
                    sql.Identifier(f"dougong_{role}"), sql.Literal(passwords[role])
                )
            )
        known = link.execute("select 1 from pg_database where datname = %s", [database]).fetchone()
        if known is None:
            link.execute(
                sql.SQL("create database {} owner dougong_owner").format(sql.Identifier(database))
            )
        link.execute(
            sql.SQL("revoke all on database {} from public").format(sql.Identifier(database))
        )
        link.execute(
            sql.SQL("grant connect on database {} to {}").format(
                sql.Identifier(database),
                sql.SQL(", ").join(sql.Identifier(f"dougong_{role}") for role in LOGINS),
            )
        )
    with psycopg.connect(make_conninfo(superuser_dsn, dbname=database), autocommit=True) as link:
        link.execute("create extension if not exists btree_gist")
        link.execute("revoke all on schema public from public")
        link.execute("grant usage on schema public to public")
        link.execute("create schema if not exists dougong authorization dougong_owner")


def is_away(error: BaseException) -> bool:
    """Tell whether an error means that the database cannot be reached, or went down meanwhile.

    SQLSTATE 08 is a lost connection, 57P a shutdown or crash; a lost socket carries no state.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or state is None or state.startswith(("08", "57P"))
