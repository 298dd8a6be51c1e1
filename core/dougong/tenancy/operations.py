"""Facts of communities and groups that every request needs, read once and cached by version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from dougong.errors import NotFound
from dougong.i18n import N_

if TYPE_CHECKING:
    from dougong.db.scope import Scope

PLATFORM = UUID(int=0)
# A group's days, such as those of rights, are its offices', wherever the database stands.
GROUP_ZONE = "Asia/Shanghai"
TODAY = f"cast(now() at time zone '{GROUP_ZONE}' as date)"


@dataclass(frozen=True)
class CommunityFacts:
    """What a request needs to know of its community.

    ``version`` moves when any of it changes, or a setting of the community, its group or the
    platform.
    """

    id: UUID
    group_id: UUID
    name: str
    zone: str
    kind: str
    legal_entity_id: UUID | None
    version: int
    group_name: str = ""


@dataclass(frozen=True)
class GroupFacts:
    """What a group-wide page needs to know: the group and its communities by name."""

    id: UUID
    name: str
    version: int
    communities: tuple[CommunityFacts, ...] = ()
    regions: Mapping[UUID, str] = field(default_factory=dict)


# Sums grow with each of their parts, so that one number tells of all.
VERSION = "(select coalesce(sum(v.version), 0)::bigint from dougong.scope_version v where v.id in"
COMMUNITY = text(
    "select c.id, c.group_id, c.name, c.zone, c.kind, c.legal_entity_id,"
    f" {VERSION} (c.id, c.group_id, '{PLATFORM}')) as version, g.name as group_name"
    " from dougong.community c join dougong.property_group g on g.id = c.group_id"
)


GROUP = text(
    "select c.id, g.id as group_id, c.name, c.zone, c.kind, c.legal_entity_id,"
    f" {VERSION} (c.id, g.id, '{PLATFORM}')) as version, g.name as group_name,"
    f" {VERSION} (g.id, '{PLATFORM}')) as group_version"
    " from dougong.property_group g left join dougong.community c on c.group_id = g.id"
    " where g.id = :id order by c.name"
)


def community_facts(session: Session | Connection, community_id: UUID) -> CommunityFacts:
    """Return the facts of one community; raises NotFound. One statement, as the access role."""
    row = (
        session.execute(text(f"{COMMUNITY.text} where c.id = :id"), {"id": community_id})
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound(N_("There is no such community."))
    return CommunityFacts(**row)


def facts_in(row: Mapping[str, Any]) -> CommunityFacts:
    """Return the facts in a row of `COMMUNITY` that another statement brought along as JSON."""
    ids = {k: UUID(v) for k, v in row.items() if v and k in ("id", "group_id", "legal_entity_id")}
    return CommunityFacts(**{**row, **ids})


def group_facts(session: Session | Connection, group_id: UUID) -> GroupFacts:
    """Return the facts of a group and its communities; raises NotFound. One statement."""
    rows = session.execute(GROUP, {"id": group_id}).mappings().all()
    if not rows:
        raise NotFound(N_("There is no such property group."))
    communities = []
    for row in rows:
        facts = dict(row)
        version = facts.pop("group_version")
        communities += [CommunityFacts(**facts)] if facts["id"] is not None else []
    name = rows[0]["group_name"]
    return GroupFacts(group_id, name, version, tuple(communities))


def bump_version(session: Session, *scope_ids: UUID) -> None:
    """Make every process forget what it cached of these communities, groups or the platform."""
    for scope_id in sorted(set(scope_ids)):
        session.execute(
            text(
                "insert into dougong.scope_version (id, version) values (:id, 1)"
                " on conflict (id) do update set version = scope_version.version + 1"
            ),
            {"id": scope_id},
        )


def setting(scope: "Scope", name: str, default: Any = None) -> Any:
    """Return a run-time setting: the community's, else the group's, else the platform's.

    Cached in the scope, and in the process until the place's version moves: one statement reads
    all settings of the three places.
    """
    known: dict[str, Any] | None = getattr(scope, "_settings", None)
    if known is None:
        cache, place = scope.installation.settings_of_places, scope.place
        cached = cache.get(place.id)
        if cached is None or cached[0] != place.version:
            # Read after the version: what changes in between is read again under the next one.
            cached = cache[place.id] = (place.version, _settings(scope))
        known = scope._settings = cached[1]  # type: ignore[attr-defined]
    return known.get(name, default)


def _settings(scope: "Scope") -> dict[str, Any]:
    places = [PLATFORM, scope.group_id, *([scope.community_id] if scope.community_id else [])]
    with scope.installation.access() as session:
        rows = session.execute(
            text("select scope_id, name, value from dougong.setting where scope_id = any(:ids)"),
            {"ids": places},
        ).all()
    by_place = {place: {n: v for s, n, v in rows if s == place} for place in places}
    merged: dict[str, Any] = {}
    for place in places:
        merged |= by_place[place]
    return merged


def set_setting(session: Session, scope_id: UUID, name: str, value: Any) -> None:
    """Set a run-time setting of the platform, a group or a community (as the access role)."""
    from dougong.tenancy.models import Setting

    found = session.query(Setting).filter_by(scope_id=scope_id, name=name).one_or_none()
    if found is None:
        session.add(Setting(scope_id=scope_id, name=name, value=value))
    else:
        found.value = value
    session.flush()
    bump_version(session, scope_id)
