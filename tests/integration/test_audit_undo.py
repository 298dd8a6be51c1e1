"""A deletion or a change is taken back from the log's image, unless somebody went on since."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from dougong.audit.timeline import timeline, undo
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Conflict, NotAllowed, NotFound
from dougong.i18n import use_locale
from dougong.messages.models import Message, MessageAttachment
from dougong.privacy import rotation
from dougong.privacy.erasure import erase_person
from dougong.services import change, create, delete
from dougong.tenancy.models import Building, Person, Room

SYSTEM = Actor.system("test")


@pytest.fixture
def here(installation, place):
    """Return a way to open a scope in the place's first community."""

    def opened(actor=SYSTEM):
        return installation.scope(actor, community=place.community_id)

    return opened


def last_event(installation, row_id):
    with installation.platform() as session:
        return session.execute(
            text(
                "select id, operation, body::jsonb as body from dougong.audit_event"
                " where row_id = :r order by id desc limit 1"
            ).bindparams(r=str(row_id))
        ).one()


def test_a_deleted_record_comes_back_whole(installation, here):
    with here() as scope:
        values = {"name": "张三", "phone": "13912345678", "note": "常住"}
        person = create(scope, Person, values).id
    with here() as scope:
        delete(scope, scope.get(Person, person))
    with here() as scope:
        again = undo(scope, last_event(installation, person).id)
        assert (again.id, again.name, again.phone, again.note) == (person, *values.values())
        found = scope.session.scalars(
            select(Person).where(Person.phone.matches(scope, "13912345678"))
        ).all()
        assert found == [again]
    event = last_event(installation, person)
    assert event.operation == "INSERT" and event.body["verb"] == "dougong.person.create"
    assert event.body["reason"].startswith("undo ")


def test_what_went_with_a_deleted_record_comes_back_too(installation, here, place):
    with here() as scope:
        message = Message(
            person_id=place.person_ids[0],
            template="dougong:test",
            locale="en",
            subject="Bill",
            body="Your bill",
            created_at=datetime.now(UTC),
        )
        scope.session.add(message)
        scope.session.flush()
        part = MessageAttachment(
            message_id=message.id, filename="a", media_type="text/plain", content="x"
        )
        scope.session.add(part)
    with here() as scope:
        delete(scope, scope.get(Message, message.id))
    with here() as scope:
        assert scope.session.get(MessageAttachment, (place.community_id, part.id)) is None
        undo(scope, last_event(installation, message.id).id)
        assert scope.get(MessageAttachment, part.id).content == "x"


def test_a_change_is_put_back_column_by_column(installation, here, place):
    room = place.room_ids[0]
    with here() as scope:
        before = scope.get(Room, room).built_area
        change(scope, scope.get(Room, room), {"built_area": Decimal("100.10"), "floor": 7})
    event = last_event(installation, room).id
    with here() as scope:
        change(scope, scope.get(Room, room), {"old_code": "A-1"})
    with here() as scope:
        again = undo(scope, event)
        assert (again.built_area, again.floor, again.old_code) == (before, 1, "A-1")
    with here() as scope:
        again = undo(scope, last_event(installation, room).id)
        assert (again.built_area, again.floor) == (Decimal("100.10"), 7)


def test_a_personal_value_is_put_back_even_under_a_new_key(installation, here, place, monkeypatch):
    person = place.person_ids[0]
    with here() as scope:
        change(scope, scope.get(Person, person), {"phone": "13911112222"})
    event = last_event(installation, person).id
    monkeypatch.setattr(rotation, "FRESH_S", 0.1)
    rotation.rotate(installation, [place.community_id])
    with here() as scope:
        assert undo(scope, event).phone == "13800130000"
    installation.keyring.destroy(place.community_id, 1)
    with here() as scope, pytest.raises(Conflict):
        undo(scope, event)


def test_who_went_on_since_is_not_overwritten(installation, here, place):
    room = place.room_ids[0]
    with here() as scope:
        change(scope, scope.get(Room, room), {"floor": 7})
    event = last_event(installation, room).id
    with here() as scope:
        change(scope, scope.get(Room, room), {"floor": 9})
    with here() as scope, pytest.raises(Conflict, match="changed since"):
        undo(scope, event)
    with here() as scope:
        assert scope.get(Room, room).floor == 9


def test_what_is_there_again_is_not_made_twice(installation, here):
    with here() as scope:
        building = create(scope, Building, {"code": "7", "name": "7栋"}).id
    with here() as scope:
        delete(scope, scope.get(Building, building))
    event = last_event(installation, building).id
    with here() as scope:
        undo(scope, event)
    with here() as scope, pytest.raises(Conflict):
        undo(scope, event)
    with here() as scope, pytest.raises(Conflict):
        undo(scope, last_event(installation, building).id)


def test_a_verb_of_its_own_is_not_undone(installation, here, place):
    with here() as scope:
        scope.session.execute(text("update dougong.room set floor = 12 where code = '1-1-101'"))
    room = place.room_ids[0]
    with here() as scope, pytest.raises(Conflict):
        undo(scope, last_event(installation, room).id)


def test_undoing_needs_the_permission_and_stays_in_its_community(installation, here, place):
    room = place.room_ids[0]
    with here() as scope:
        change(scope, scope.get(Room, room), {"floor": 7})
    event = last_event(installation, room).id
    with here(place.actor("dougong.room.view")) as scope, pytest.raises(NotAllowed):
        undo(scope, event)
    with (
        installation.scope(SYSTEM, community=place.other_community_id) as scope,
        pytest.raises(NotFound),
    ):
        undo(scope, event)
    with installation.scope(SYSTEM, group=place.group_id) as scope, pytest.raises(NotAllowed):
        undo(scope, event)
    with here() as scope, pytest.raises(NotFound):
        undo(scope, uuid7())


def test_an_erased_person_does_not_come_back(installation, here, place):
    person = place.person_ids[0]
    with here() as scope:
        change(scope, scope.get(Person, person), {"phone": "13911112222"})
    event = last_event(installation, person).id
    erase_person(installation, SYSTEM, place.community_id, person, "本人要求")
    with here() as scope, pytest.raises(Conflict):
        undo(scope, event)


def test_the_timeline_speaks_both_languages(installation, here, place):
    with here() as scope:
        person = create(scope, Person, {"name": "李四", "is_protected": True})
        change(scope, person, {"is_protected": False})
        scope.session.flush()
        told = {}
        for locale in ("en", "zh_Hans_CN"):
            with use_locale(locale):
                entry = last_change(installation, scope, person)
                told[locale] = [(c.label, c.old, c.new) for c in entry.changes]
    assert told == {
        "en": [("Protected household", "yes", "no")],
        "zh_Hans_CN": [("重点照护", "是", "否")],
    }


def last_change(installation, scope, person):
    scope.session.commit()
    return timeline(scope, person)[0]
