"""A person's data: shown with a reason, copied for the person, erased, let go in time."""

import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Invalid, NotAllowed, NotFound
from dougong.messages.models import Message, MessageAttachment
from dougong.privacy import reveals
from dougong.privacy.reveals import TooManyReveals, alarms, reveal
from dougong.privacy.subjects import export_archive, export_person
from dougong.tenancy.models import Family, Person

SYSTEM = Actor.system("test")


@pytest.fixture
def letters(installation, place):
    """Return a place whose first person has got a message with an attachment, and a family."""
    me, other = place.person_ids[:2]
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        for person, words in ((me, "您的账单"), (other, "别人的账单")):
            message = Message(
                person_id=person,
                template="dougong:test",
                locale="zh_Hans_CN",
                subject=words,
                body=f"{words}已出",
                created_at=datetime.now(UTC),
            )
            scope.session.add(message)
            scope.session.flush()
            scope.session.add(
                MessageAttachment(
                    message_id=message.id,
                    filename="a.txt",
                    media_type="text/plain",
                    content=f"{words}附件",
                )
            )
        scope.session.add(
            Family(person_id=me, relative_id=other, relation="父子", from_on=scope.today)
        )
        scope.get(Person, me).note = "喜欢安静"
    return place


# --- reveals ------------------------------------------------------------------------------------


def test_a_reveal_needs_the_permission_a_reason_and_a_protected_field(installation, place):
    person = place.person_ids[0]
    viewer = place.actor("dougong.person.view")
    with (
        installation.scope(viewer, community=place.community_id) as s,
        pytest.raises(NotAllowed),
    ):
        reveal(s, s.get(Person, person), "phone", "call")
    actor = place.actor(reveals.PERMISSION)
    with installation.scope(actor, community=place.community_id) as s:
        with pytest.raises(Invalid):
            reveal(s, s.get(Person, person), "phone", "curiosity")
        with pytest.raises(NotFound):
            reveal(s, s.get(Person, person), "name", "call")
        assert reveal(s, s.get(Person, person), "phone", "call") == "13800130000"


def test_a_reveal_is_recorded_even_when_the_request_fails(installation, place):
    actor = place.actor(reveals.PERMISSION)
    with (
        pytest.raises(RuntimeError),
        installation.scope(actor, community=place.community_id) as scope,
    ):
        scope.call(
            reveals.PERMISSION,
            table="dougong.person",
            row_id=place.person_ids[0],
            field="phone",
            reason="emergency",
            note="漏水",
        )
        raise RuntimeError
    with installation.platform() as session:
        look = session.execute(
            text("select * from dougong.reveal where user_id = :u").bindparams(u=actor.user_id)
        ).one()
        event = session.execute(
            text(
                "select verb, body::jsonb ->> 'reason' as reason from dougong.audit_event"
                " where table_name = 'reveal' and row_id = :r"
            ).bindparams(r=str(look.id))
        ).one()
    assert (look.field, look.reason, look.note) == ("phone", "emergency", "漏水")
    assert tuple(event) == (reveals.PERMISSION, "emergency")


def test_reveals_are_limited_and_many_raise_an_alarm(installation, place, monkeypatch):
    monkeypatch.setattr(reveals, "PER_HOUR", 3)
    monkeypatch.setattr(reveals, "ALARM_PER_DAY", 3)
    actor = place.actor(reveals.PERMISSION)
    with installation.scope(actor, community=place.community_id) as scope:
        for person in place.person_ids[:3]:
            reveal(scope, scope.get(Person, person), "phone", "call")
        with pytest.raises(TooManyReveals):
            reveal(scope, scope.get(Person, person), "phone", "call")
    assert [a.user_id for a in alarms(installation)].count(actor.user_id) == 1
    other = place.actor(reveals.PERMISSION)
    with installation.scope(other, community=place.community_id) as scope:
        assert reveal(scope, scope.get(Person, place.person_ids[3]), "phone", "call")


def test_nobody_rewrites_who_looked(installation, place):
    for role in ("app", "access", "platform"):
        with (
            pytest.raises(DBAPIError, match="permission denied"),
            installation.databases.engine(role).begin() as connection,
        ):
            connection.exec_driver_sql("delete from dougong.reveal")


# --- a copy for the person ----------------------------------------------------------------------


def test_the_export_holds_every_table_in_clear_and_nothing_of_others(installation, letters):
    person = letters.person_ids[0]
    with installation.scope(SYSTEM, community=letters.community_id) as scope:
        copy = export_person(scope, scope.get(Person, person))
    words = json.dumps(copy, ensure_ascii=False)
    for mine in ("13800130000", "您的账单附件", "喜欢安静", "父子", "1-1-101"):
        assert mine in words
    for foreign in ("13800130001", "别人的账单", "业主1"):
        assert foreign not in words
    row = copy["records"]["dougong.person"][0]
    assert row["phone"] == {"label": "手机号", "value": "13800130000"}


def test_the_export_is_recorded_and_needs_its_permission(installation, letters):
    actor = letters.actor("dougong.person.view")
    with (
        installation.scope(actor, community=letters.community_id) as scope,
        pytest.raises(NotAllowed),
    ):
        export_person(scope, scope.get(Person, letters.person_ids[0]))
    actor = letters.actor("dougong.person.export")
    with installation.scope(actor, community=letters.community_id) as scope:
        export_person(scope, scope.get(Person, letters.person_ids[0]))
    with installation.platform() as session:
        field = session.scalar(
            text("select field from dougong.reveal where user_id = :u").bindparams(u=actor.user_id)
        )
    assert field == "*"


def test_the_archive_opens_and_says_what_it_is_in_both_languages(installation, letters):
    with installation.scope(SYSTEM, community=letters.community_id) as scope:
        raw = export_archive(scope, scope.get(Person, letters.person_ids[0]))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert json.loads(archive.read("person.json"))["person"] == str(letters.person_ids[0])
        told = archive.read("README.txt").decode()
    assert "This archive holds" in told and "个人信息" in told


def test_an_unknown_person_has_no_export(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope, pytest.raises(NotFound):
        scope.call("dougong.person.export", person=uuid7())
