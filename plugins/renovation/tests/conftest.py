"""People of a community for the tests of renovation, and a renovation as far as it is wanted."""

import io
from datetime import timedelta
from decimal import Decimal

import pytest

from dougong.db import uuid7
from dougong.db.scope import Actor, Grant
from dougong_renovation import services
from dougong_renovation.domain.works import DocumentKind
from dougong_renovation.models import RefundWay

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)
PAPERS = (DocumentKind.OWNERSHIP, DocumentKind.IDENTITY, DocumentKind.PLAN)


@pytest.fixture
def owner(place):
    """Return the n-th person as an actor who owns or lives there."""

    def of(number=0):
        where = {"group_id": place.group_id, "communities": frozenset({place.community_id})}
        persons = {place.community_id: place.person_ids[number]}
        grant = Grant(frozenset({"renovation.portal"}), **where)
        return Actor(uuid7(), f"业主{number}", grants=(grant,), persons=persons)

    return of


@pytest.fixture
def staff(place):
    """Return staff with these permissions."""

    def of(*permissions):
        where = {"group_id": place.group_id, "communities": frozenset({place.community_id})}
        grant = Grant(frozenset(permissions), **where)
        return Actor(uuid7(), "前台", grants=(grant,))

    return of


@pytest.fixture
def enter(installation, place):
    """Return a function that opens a scope of the community for an actor, the system's unsaid."""

    def opened(actor=None):
        return installation.scope(actor or Actor.system("test"), community=place.community_id)

    return opened


@pytest.fixture
def apply(place):
    """Return a function that applies for the first room, with papers."""

    def made(scope, works=("surfaces",), papers=PAPERS, **more):
        days = {"starts_on": scope.today, "ends_on": scope.today + timedelta(days=30)}
        plan = services.Plan(works, **{**days, **more})
        applied = services.submit_for(scope, place.room_ids[0], place.person_ids[0], plan)
        for kind in papers:
            services.add_document(scope, applied, kind, "纸.jpg", io.BytesIO(JPEG))
        return applied

    return made


@pytest.fixture
def permitted(apply):
    """Return a function that brings a renovation of the first room to its permit."""

    def made(scope, deposit=Decimal(2000), **more):
        applied = apply(scope, **more)
        services.agree_application(scope, applied, deposit=deposit)
        services.sign_on_paper(scope, applied)
        if deposit:
            services.take_deposit(scope, applied, RefundWay.POS)
        return services.permit_application(scope, applied)

    return made
