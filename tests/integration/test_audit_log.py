"""Every write leaves an event in its own transaction, and the sealer chains them."""

from dougong.audit.sealing import seal_everything
from dougong.db.scope import Actor
from dougong.tenancy.models import Building, Person, Room
from sqlalchemy import select, text


def events(installation, chain, **where):
    conditions = "".join(f" and {name} = :{name}" for name in where)
    with installation.platform() as session:
        return session.execute(
            text(
                "select id, operation, row_id, verb, body::jsonb as body from dougong.audit_event"
                f" where chain_id = :chain{conditions} order by txid, id"
            ),
            {"chain": chain, **where},
        ).all()


def test_a_row_leaves_its_image_and_a_change_what_it_changed(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        building = Building(code="9", name="9栋")
        scope.session.add(building)
        scope.session.flush()
        building.name = "九栋"
    made, changed = events(installation, place.community_id, row_id=str(building.id))
    assert (made.operation, made.body["new"]["name"]) == ("INSERT", "9栋")
    assert (changed.operation, changed.body["old"]["name"]) == ("UPDATE", "9栋")
    assert changed.body["new"] == {"name": "九栋"}
    assert changed.body["table"] == "dougong.building"
