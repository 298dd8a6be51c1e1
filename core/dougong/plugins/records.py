"""Reads and writes the rows about plugins: states, failures, repairs. No decision is made here."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from dougong.i18n import N_
from dougong.plugins.models import Plugin, PluginState, RepairIssue

WINDOW_S = 60
REPAIR_REVOKED = N_("Its maker revoked this version. Install a newer one.")
NO_SCHEMA_YET = ("42P01", "3F000", "42501", "3D000")


@dataclass(frozen=True)
class Standing:
    """Where a plugin stands, and why when that is not simply installed."""

    state: PluginState
    reason: str = ""
    version: str = ""
    content_hash: str | None = None

    @property
    def is_working(self) -> bool:
        return self.state == PluginState.INSTALLED


def read_standings(installation: Any) -> dict[str, Standing] | None:
    """Return the recorded standings by plugin; None when the database has no kernel schema yet."""
    try:
        with installation.access() as session:
            return standings(session)
    except (ProgrammingError, OperationalError) as error:
        if getattr(error.orig, "sqlstate", None) in NO_SCHEMA_YET:
            return None
        raise


def standings(session: Session) -> dict[str, Standing]:
    """Return the recorded standings by plugin."""
    rows = session.execute(
        text("select plugin, state, reason, version, content_hash from dougong.plugin")
    )
    return {
        plugin: Standing(PluginState(state), reason or "", version, content_hash)
        for plugin, state, reason, version, content_hash in rows
    }


def write_standing(session: Session, plugin: str, standing: Standing) -> None:
    """Record where a plugin stands; every process learns it at its next request."""
    values = {
        "version": standing.version,
        "state": standing.state,
        "reason": standing.reason or None,
        "content_hash": standing.content_hash,
        "changed_at": text("now()"),
    }
    session.execute(
        insert(Plugin)
        .values(plugin=plugin, **values)
        .on_conflict_do_update(index_elements=["plugin"], set_=values)
    )
    bump_everything(session)


def name_verb(session: Session, verb: str, reason: str = "") -> None:
    """Name what is being done, for the audit log."""
    session.execute(
        text("select set_config('dougong.verb', :v, true), set_config('dougong.reason', :r, true)"),
        {"v": f"dougong.plugin.{verb}", "r": reason},
    )


def bump_everything(session: Session) -> None:
    """Make every process read again what is enabled, in every community and group."""
    session.execute(
        text(
            "insert into dougong.scope_version (id, version)"
            " select id, 1 from (select id from dougong.community"
            " union all select id from dougong.property_group order by id) places"
            " on conflict (id) do update set version = scope_version.version + 1"
        )
    )


def count_failure(session: Session, plugin: str, point: str, reason: str) -> int:
    """Count a failure; return how many there were at this point in the running window."""
    return session.execute(
        text(
            "insert into dougong.plugin_failure as f"
            " (plugin, point, reason, count, total, since_at, last_at)"
            " values (:plugin, :point, :reason, 1, 1, now(), now())"
            " on conflict (plugin, point) do update set reason = excluded.reason,"
            " total = f.total + 1, last_at = now(),"
            " count = case when f.since_at < now() - make_interval(secs => :window)"
            " then 1 else f.count + 1 end,"
            " since_at = case when f.since_at < now() - make_interval(secs => :window)"
            " then now() else f.since_at end"
            " returning count"
        ),
        {"plugin": plugin, "point": point[:120], "reason": reason, "window": WINDOW_S},
    ).scalar_one()


def open_repair(session: Session, plugin: str, point: str, reason: str, advice: str) -> None:
    """Put something on the repairs page; the same thing twice stays one entry."""
    session.execute(
        insert(RepairIssue)
        .values(plugin=plugin, point=point[:120], reason=reason, advice=advice)
        .on_conflict_do_update(
            index_elements=["plugin", "point"],
            index_where=text("resolved_at is null"),
            set_={"reason": reason, "advice": advice},
        )
    )


def resolve_repairs(session: Session, plugin: str, points: Iterable[str] | None = None) -> None:
    """Take a plugin's entries off the repairs page: those of ``points``, or all."""
    session.execute(
        text(
            "update dougong.repair_issue set resolved_at = now() where plugin = :plugin"
            " and resolved_at is null and (cast(:points as text[]) is null or point = any(:points))"
        ),
        {"plugin": plugin, "points": None if points is None else list(points)},
    )


def enabled_rows(
    session: Session, communities: Iterable[UUID]
) -> list[tuple[UUID, str, list[UUID] | None]]:
    """Return (community, plugin, buildings) of what is switched on and works."""
    rows = session.execute(
        text(
            "select e.community_id, e.plugin, e.building_ids from dougong.plugin_enablement e"
            " join dougong.plugin p on p.plugin = e.plugin and p.state = 'installed'"
            " where e.community_id = any(:communities)"
        ),
        {"communities": list(communities)},
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]
