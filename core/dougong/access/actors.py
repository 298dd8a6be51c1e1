"""Turns a session's or token's secret into the Actor that everything else asks."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from dougong.access.factors import must_have_factor
from dougong.db.scope import Actor, Grant
from dougong.services.approvals import stand_in_permissions
from dougong.tenancy.operations import COMMUNITY, TODAY, CommunityFacts, facts_in

if TYPE_CHECKING:
    from dougong.installation import Installation

IDLE = timedelta(minutes=30)
TOUCH = timedelta(minutes=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
RESIDENT = frozenset({"*.portal"})
MASKED = {"*": "mask"}

RIGHTS = f"""
    (select coalesce(json_agg(json_build_object(
        'permissions', r.permissions, 'role', r.key, 'rules', r.rules,
        'clearance', r.clearance || coalesce(o.clearance, '{{}}'),
        'limits', r.limits || coalesce(o.limits, '{{}}'),
        'for', h.stands_in_for, 'for_name', h.name,
        'group', coalesce(t.group_id, r.group_id), 'community', t.community_id,
        'buildings', t.building_ids,
        'region', (select json_agg(c.id) from dougong.community c
                   where t.region_id is not null and c.group_id = t.group_id
                     and c.region_id = t.region_id),
        'has_region', t.region_id is not null)
        order by h.stands_in_for nulls first, t.id), '[]')
     from (select u.id as holder, null::uuid as stands_in_for, null as name, null::uuid as group_id
           union all
           select d.user_id, d.user_id, away.name, d.group_id
           from dougong.delegation d join dougong."user" away on away.id = d.user_id
           where d.to_user_id = u.id and d.ended_at is null and away.is_active
             and d.from_on <= {TODAY} and d.to_on > {TODAY}) h
       join dougong.role_grant t
         on t.user_id = h.holder and (h.group_id is null or t.group_id = h.group_id)
       join dougong.role r on r.id = t.role_id
       left join dougong.role_clearance o
         on o.role_id = r.id and o.group_id = coalesce(t.group_id, r.group_id)
     where true
       and (t.from_on is null or t.from_on <= {TODAY})
       and (t.to_on is null or t.to_on > {TODAY})) as grants,
    (select coalesce(
        json_object_agg(p.community_id, json_build_array(p.person_id, c.group_id)), '{{}}')
     from dougong.user_person p join dougong.community c on c.id = p.community_id
     where p.user_id = u.id) as persons
"""
BY_SESSION = text(
    f"""
    select u.id, u.name, u.locale, s.id as session_id, s.seen_at, s.stepped_up_at,
        s.begun_by, s.is_second,
        u.is_totp_confirmed or exists (
            select from dougong.passkey k where k.user_id = u.id) as has_factor,
        (select to_json(c) from ({COMMUNITY.text} where c.id = cast(:community as uuid)) c)
            as place,
        {RIGHTS}
    from dougong.sign_in_session s join dougong."user" u on u.id = s.user_id
    where s.token_hash = :hash and s.revoked_at is null and s.ends_at > :now
      and s.seen_at > :idle and u.is_active
    """
)
BY_TOKEN = text(
    f"""
    select u.id, u.name, u.locale, null as session_id, t.permissions, t.community_ids,
        t.id as token_id,
        (select at from dougong.api_token_use used where used.id = t.id) as last_used_at, {RIGHTS}
    from dougong.api_token t join dougong."user" u on u.id = t.user_id
    where t.token_hash = :hash and t.revoked_at is null and t.ends_at > :now and u.is_active
    """
)
BY_USER = text(
    f"""
    select u.id, u.name, u.locale, null as session_id, {RIGHTS}
    from dougong."user" u where u.id = :user and u.is_active
    """
)


def hash_of(token: str) -> bytes:
    """Return what is stored of a token; 32 random bytes need no salt."""
    return hashlib.sha256(token.encode()).digest()


def actor_for_session(installation: "Installation", token: str) -> Actor | None:
    """Return who is signed in with this cookie, None when nobody is. One statement.

    A session ends after 30 minutes without a request and 12 hours after sign-in.
    """
    return session_at(installation, token, None)[0]


def session_at(
    installation: "Installation", token: str, community_id: UUID | None
) -> tuple[Actor | None, CommunityFacts | None]:
    """Return who is signed in, and the facts of the community they ask for, in one statement.

    Whether they may be there is not looked at: opening a scope does that.
    """
    now = datetime.now(UTC)
    given = {"hash": hash_of(token), "now": now, "idle": now - IDLE, "community": community_id}
    with installation.looking_up() as connection:
        row = connection.execute(BY_SESSION, given).mappings().first()
    if row is None:
        return None, None
    if row["seen_at"] < now - TOUCH:
        with installation.access() as session:
            session.execute(
                text("update dougong.sign_in_session set seen_at = :now where id = :id"),
                {"now": now, "id": row["session_id"]},
            )
    actor, place = _actor(row, "user"), row["place"]
    actor = replace(actor, waits_for=_waits_for(row, actor))
    return actor, facts_in(place) if place else None


def _waits_for(row: RowMapping, actor: Actor) -> str:
    """Return what a session lacks before it may do anything: a second factor, shown or set up."""
    if row["has_factor"]:
        return "" if row["is_second"] else "proof"
    if row["begun_by"] in ("console", "grace") or not must_have_factor(actor):
        return ""
    return "enrolment"


def actor_for_token(installation: "Installation", token: str) -> Actor | None:
    """Return the program behind a bearer token, None when it is unknown or over."""
    now = datetime.now(UTC)
    with installation.access() as session:
        row = session.execute(BY_TOKEN, {"hash": hash_of(token), "now": now}).mappings().first()
        if row is not None and (row["last_used_at"] or LONG_AGO) < now - TOUCH:
            session.execute(
                text(
                    "insert into dougong.api_token_use (id, at) values (:id, :now)"
                    " on conflict (id) do update set at = excluded.at"
                ),
                {"now": now, "id": row["token_id"]},
            )
    if row is None:
        return None
    whole = _actor(row, "token")
    wanted = frozenset(row["permissions"])
    places = row["community_ids"] and frozenset(UUID(c) for c in row["community_ids"])
    grants = tuple(
        narrowed
        for grant in whole.grants
        if (narrowed := _narrowed(grant, wanted, places)) is not None
    )
    return Actor(whole.user_id, whole.name, "token", grants, locale=whole.locale, named=wanted)


def resolve_actor(installation: "Installation", user_id: UUID) -> Actor | None:
    """Return a user as actor without a session: for jobs that act in someone's name."""
    with installation.access() as session:
        row = session.execute(BY_USER, {"user": user_id}).mappings().first()
    return _actor(row, "user") if row else None


def _actor(row: RowMapping, kind: str) -> Actor:
    return Actor(
        user_id=row["id"],
        name=row["name"],
        kind=kind,
        grants=(
            *_grants(row["grants"]),
            *(_resident(UUID(c), UUID(group)) for c, (_, group) in row["persons"].items()),
        ),
        persons={UUID(c): UUID(person) for c, (person, _) in row["persons"].items()},
        locale=row["locale"],
        session_id=row["session_id"],
        stepped_up_at=row.get("stepped_up_at"),
    )


def _grants(entries: list[dict[str, Any]]) -> Iterator[Grant]:
    """Yield what a user holds himself, and what he may approve for those whom he stands in for."""
    for entry in entries:
        grant = _grant(entry)
        if entry["for"] is None:
            yield grant
            continue
        away = UUID(entry["for"])
        narrowed = _narrowed(grant, stand_in_permissions(), None)
        if narrowed is not None:
            named = {"stands_in_for": away, "stands_in_name": entry["for_name"]}
            yield replace(narrowed, clearance=MASKED, **named)


def _grant(entry: dict[str, Any]) -> Grant:
    communities: frozenset[UUID] | None = None
    if entry["community"]:
        communities = frozenset({UUID(entry["community"])})
    elif entry["has_region"]:
        communities = frozenset(UUID(c) for c in entry["region"] or ())
    buildings = entry["buildings"]
    return Grant(
        permissions=frozenset(entry["permissions"]),
        group_id=UUID(entry["group"]) if entry["group"] else None,
        communities=communities,
        buildings=None if buildings is None else frozenset(UUID(b) for b in buildings),
        clearance=entry["clearance"],
        role=entry["role"],
        rules=frozenset(entry["rules"]),
        limits=entry["limits"],
    )


def _resident(community_id: UUID, group_id: UUID) -> Grant:
    """Return what everybody may do who lives or owns here: use the portal."""
    return Grant(RESIDENT, group_id, frozenset({community_id}), role="resident")


def _narrowed(grant: Grant, wanted: frozenset[str], places: frozenset[UUID] | None) -> Grant | None:
    """Return the part of a grant that a token asks for, None when nothing is left."""
    asked = Grant(wanted)
    kept = {p for p in wanted if grant.allows(p)} | {
        p for p in grant.permissions if asked.allows(p)
    }
    communities = grant.communities
    if places is not None:
        communities = places if communities is None else places & communities
    if not kept or communities == frozenset():
        return None
    return replace(grant, permissions=frozenset(kept), communities=communities)
