"""People and equipment of a community for the tests of the plugin."""

import pytest
from sqlalchemy import select

from dougong.db import uuid7
from dougong.db.scope import Actor, Grant
from dougong.services import create
from dougong_equipment.domain.kinds import EquipmentState
from dougong_equipment.models import Checklist, ChecklistItem, Equipment, EquipmentKind
from dougong_equipment.services import ledger


def _actor(place, name, *permissions):
    where = {"group_id": place.group_id, "communities": frozenset({place.community_id})}
    return Actor(uuid7(), name, grants=(Grant(frozenset(permissions), **where),))


@pytest.fixture
def engineer(place):
    return _actor(place, "王工", "equipment.*", "dougong.device_command.approve")


@pytest.fixture
def second(place):
    return _actor(place, "李工", "equipment.*", "dougong.device_command.approve")


@pytest.fixture
def worker(place):
    permissions = ("equipment.maintenance_task.work", "equipment.inspection_round.walk",
                   "equipment.fault.report")  # fmt: skip
    return _actor(place, "刘师傅", *permissions)


@pytest.fixture
def enter(installation, place):
    """Return a function that opens a scope of the community for an actor, the system's unsaid."""

    def opened(actor=None):
        return installation.scope(actor or Actor.system("test"), community=place.community_id)

    return opened


@pytest.fixture
def stand(enter, place):
    """Return a function that puts up equipment of a kind and returns its id."""

    def made(name="1# 生活给水泵", kind="生活给水泵", **more):
        with enter() as scope:
            ledger.add_kinds(scope)
            query = select(EquipmentKind.id).where(EquipmentKind.name == kind)
            values = {"name": name, "kind_id": scope.session.scalars(query).one(), **more}
            values.setdefault("building_id", place.building_ids[0])
            found = create(scope, Equipment, values)
            found.state = EquipmentState.IN_USE
            return found.id

    return made


@pytest.fixture
def checklist(enter):
    """Return the id of a checklist: a pressure with limits, and whether it leaks."""
    with enter() as scope:
        made = create(scope, Checklist, {"name": "水泵保养"})
        for values in (
            {"title": "压力", "kind": "number", "lowest": "0.3", "highest": "0.5", "uom": "MPa"},
            {"title": "无渗漏", "kind": "check", "position": 2},
        ):
            create(scope, ChecklistItem, {"checklist_id": made.id, **values})
        return made.id
