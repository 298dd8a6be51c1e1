"""The demonstration is written whole: its calendar, rounds and forecasts have something to show."""

from random import Random

from sqlalchemy import func, select

from dougong.db.scope import Actor
from dougong_equipment import demonstration
from dougong_equipment.models import Equipment, InspectionRound, MaintenanceTask
from dougong_equipment.services.life import lives


def test_the_demonstration_has_lifts_pumps_tasks_and_rounds(installation, place):
    with installation.scope(Actor.system("demo"), community=place.community_id) as scope:
        demonstration.load(scope, Random(1))
        for model in (MaintenanceTask, InspectionRound):
            assert scope.session.scalar(select(func.count()).select_from(model)) > 20
        lifts = select(Equipment).where(Equipment.registration.startswith("梯"))
        assert all(life.forecast for life in lives(scope, scope.session.scalars(lifts).all()))
