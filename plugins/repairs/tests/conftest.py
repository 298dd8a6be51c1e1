"""People of a community for the tests of repairs."""

import pytest

from dougong.db import uuid7
from dougong.db.scope import Actor, Grant
from dougong.services import create
from dougong.tenancy.operations import set_setting
from dougong_repairs import services
from dougong_repairs.domain.kinds import Category
from dougong_repairs.models import Technician, TechnicianSkill, WorkOrder


def _actor(place, name, *permissions, person=None):
    where = {"group_id": place.group_id, "communities": frozenset({place.community_id})}
    persons = {place.community_id: person} if person else {}
    grant = Grant(frozenset(permissions), **where)
    return Actor(uuid7(), name, grants=(grant,), persons=persons)


@pytest.fixture
def owner(place):
    """Return the owner of the first room; the second's with ``owner(1)``."""
    made = {}

    def of(number=0):
        person = place.person_ids[number]
        return made.setdefault(
            number, _actor(place, f"业主{number}", "repairs.portal", person=person)
        )

    return of


@pytest.fixture
def dispatcher(place):
    return _actor(place, "调度员", "repairs.*")


@pytest.fixture
def worker(place):
    return _actor(place, "刘师傅", "repairs.work_order.work")


@pytest.fixture
def colleague(place):
    return _actor(place, "王师傅", "repairs.work_order.work")


@pytest.fixture
def enter(installation, place):
    """Return a function that opens a scope of the community for an actor, the system's unsaid."""

    def opened(actor=None):
        return installation.scope(actor or Actor.system("test"), community=place.community_id)

    return opened


@pytest.fixture
def technicians(enter):
    """Return the ids of two technicians who can do everything, by name."""
    with enter() as scope:
        made = {}
        for name in ("刘师傅", "王师傅"):
            technician = create(scope, Technician, {"name": name})
            made[name] = technician.id
            for category in Category:
                values = {"technician_id": technician.id, "category": category, "level": 2}
                create(scope, TechnicianSkill, values)
        return made


def report(enter, owner, **values):
    with enter(owner()) as scope:
        said = {"text": "水龙头漏水", "category": Category.PLUMBING, **values}
        return services.report_repair(scope, **said).id


def order_of(scope, id):
    return scope.get(WorkOrder, id, lock=True)


def finished(enter, owner, worker, technicians):
    id = report(enter, owner)
    with enter() as scope:
        services.dispatch_order(scope, order_of(scope, id), technicians["刘师傅"])
    with enter(worker) as scope:
        services.start_order(scope, order_of(scope, id))
        services.finish_order(scope, order_of(scope, id), "换了阀芯")
    return id


def set_mode(installation, place, mode):
    with installation.access() as session:
        set_setting(session, place.community_id, "repairs.dispatch_mode", mode)
