"""Notices: written, addressed, published, read, withdrawn."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from dougong.db import Scope, uuid7
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Building, Room
from dougong_participation.errors import WrongState
from dougong_participation.models import (
    Audience,
    Notice,
    NoticeBuilding,
    NoticeRead,
    NoticeState,
)
from dougong_participation.services.people import lives_in, me

CODES = re.compile(r"[\s,，、;；]+")


@service("notice.address", title=("Choose buildings", "指定楼栋"))
def address_notice(scope: Scope, notice: Notice, building_codes: str = "") -> Notice:
    """Say which buildings a notice is for, by their codes; without any it is for everybody.

    building_codes: ``1, 3、5``. Raises Invalid naming the codes that are no building here.
    """
    codes = [code for code in CODES.split(building_codes.strip()) if code]
    found = scope.session.scalars(select(Building).where(Building.code.in_(codes))).all()
    unknown = sorted(set(codes) - {building.code for building in found})
    if unknown:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={
                "building_codes": gettext("No such building: %(codes)s", codes="、".join(unknown))
            },
        )
    scope.session.execute(delete(NoticeBuilding).where(NoticeBuilding.notice_id == notice.id))
    scope.session.add_all(NoticeBuilding(notice_id=notice.id, building_id=b.id) for b in found)
    notice.audience = Audience.BUILDINGS if found else Audience.EVERYBODY
    scope.session.flush()
    return notice


@service("notice.publish", title=("Publish", "发布"))
def publish_notice(scope: Scope, notice: Notice) -> Notice:
    """Show a notice to its audience from now on. Raises WrongState when it is out already."""
    if notice.state is NoticeState.PUBLISHED:
        raise WrongState(N_("This notice is published already."))
    if notice.expires_on is not None and notice.expires_on <= scope.today:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"expires_on": gettext("This day is over.")},
        )
    notice.state, notice.published_at = NoticeState.PUBLISHED, scope.now
    notice.publisher = scope.actor.name[:120]
    scope.session.flush()
    scope.emit("notice_published", notice_id=notice.id)
    return notice


@service("notice.withdraw", title=("Withdraw", "撤回"))
def withdraw_notice(scope: Scope, notice: Notice) -> Notice:
    """Hide a published notice again; what was read stays known. Raises WrongState."""
    if notice.state is not NoticeState.PUBLISHED:
        raise WrongState(N_("Only a published notice can be withdrawn."))
    notice.state = NoticeState.WITHDRAWN
    return notice


def my_notices(
    scope: Scope, *, limit: int = 50, before: UUID | None = None
) -> Sequence[tuple[Notice, bool]]:
    """Return the notices for the actor with whether he read them: pinned first, then newest.

    before: the last one of the page above.
    """
    person = me(scope)
    query = (
        select(Notice, _is_read(person))
        .where(is_for(scope, person))
        .order_by(Notice.is_pinned.desc(), Notice.published_at.desc(), Notice.id.desc())
        .limit(limit)
    )
    if before is not None:
        last = scope.get(Notice, before)
        query = query.where(
            or_(
                Notice.published_at < last.published_at,
                and_(Notice.published_at == last.published_at, Notice.id < last.id),
            ),
            Notice.is_pinned.is_(False),
        )
    return [(notice, is_read) for notice, is_read in scope.session.execute(query)]


@service("notice.read", title=("Read", "阅读"), permission="participation.portal")
def read_notice(scope: Scope, notice_id: UUID) -> Notice:
    """Return a notice for the actor and remember that he opened it; raises NotFound."""
    person = me(scope)
    query = select(Notice).where(Notice.id == notice_id, is_for(scope, person))
    notice = scope.session.scalars(query).first()
    if notice is None:
        raise NotFound(N_("This notice was withdrawn, or is not for you."))
    scope.session.execute(
        insert(NoticeRead)
        .values(
            id=uuid7(),
            community_id=scope.community_id,
            notice_id=notice.id,
            person_id=person,
            read_at=scope.now,
        )
        .on_conflict_do_nothing()
    )
    return notice


def unread_query(scope: Scope, person_id: UUID) -> Select[int]:
    """Return the query of how many notices for a person he has not opened."""
    query = select(func.count()).where(is_for(scope, person_id), ~_is_read(person_id))
    return query.select_from(Notice)


def is_for(scope: Scope, person_id: UUID) -> ColumnElement[bool]:
    """Return the condition that a notice is out, not over, and for this person."""
    buildings = select(Room.building_id).where(lives_in(scope, person_id))
    addressed = exists().where(
        NoticeBuilding.community_id == Notice.community_id,
        NoticeBuilding.notice_id == Notice.id,
        NoticeBuilding.building_id.in_(buildings),
    )
    return and_(
        Notice.state == NoticeState.PUBLISHED,
        or_(Notice.expires_on.is_(None), Notice.expires_on > scope.today),
        or_(Notice.audience == Audience.EVERYBODY, addressed),
    )


def read_counts(scope: Scope, notices: Sequence[Any]) -> Mapping[UUID, str]:
    """Return how many people opened each of some notices, as texts by notice id."""
    query = (
        select(NoticeRead.notice_id, func.count())
        .where(NoticeRead.notice_id.in_([notice.id for notice in notices]))
        .group_by(NoticeRead.notice_id)
    )
    return {notice: str(count) for notice, count in scope.session.execute(query)}


def _is_read(person_id: UUID) -> ColumnElement[bool]:
    return exists().where(
        NoticeRead.community_id == Notice.community_id,
        NoticeRead.notice_id == Notice.id,
        NoticeRead.person_id == person_id,
    )
