"""An erased person is gone from tables, archives, the log and logins; old data goes in time."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from dougong.access.models import User, UserPerson
from dougong.audit.checkpoints import read_witness, signing_key, witness_files, write_checkpoint
from dougong.audit.sealing import seal_once
from dougong.audit.timeline import timeline
from dougong.audit.verification import verify
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import NotAllowed, NotFound
from dougong.messages.models import Message, MessageAttachment
from dougong.privacy.erasure import ERASED, erase_person, ledger_file, replay
from dougong.privacy.retention import let_go, let_go_in, overdue
from dougong.tenancy.models import Family, Ownership, Person

SYSTEM = Actor.system("test")
LOG = "dougong.audit_event"
NAME, NOTE = "金丝雀甲", "住在顶楼养了三只金丝雀"


@pytest.fixture
def canary(installation, place):
    """Return a person with a name, phone, note, message, family and login of its own."""
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = Person(name=NAME, phone="13700007777", id_number="11010519491231002X", note=NOTE)
        scope.session.add(person)
        scope.session.flush()
        message = Message(
            person_id=person.id,
            template="dougong:test",
            locale="zh_Hans_CN",
            subject="您好",
            body="您的账单",
            created_at=scope.now,
        )
        relative = place.person_ids[0]
        gone = Family(
            person_id=person.id, relative_id=relative, relation="金丝雀表亲", from_on=scope.today
        )
        kin = Family(
            person_id=person.id, relative_id=relative, relation="金丝雀母女", from_on=scope.today
        )
        scope.session.add_all([message, gone, kin])
        scope.session.flush()
        scope.session.add(
            MessageAttachment(
                message_id=message.id, filename="a", media_type="text/plain", content="附"
            )
        )
        scope.session.delete(gone)
    with installation.access() as session:
        user = User(id=uuid7(), login=f"canary-{person.id}", name=NAME, password_hash="x")
        session.add(user)
        session.flush()
        session.add(
            UserPerson(user_id=user.id, community_id=place.community_id, person_id=person.id)
        )
    return person.id


def words_in(session, table, community_id):
    """Return how many rows of a community hold the canary's words."""
    owner = "chain_id" if table == LOG else "community_id"
    query = f"select count(*) from {table} t where {owner} = :c and t::text like '%金丝雀%'"
    return session.scalar(text(query).bindparams(c=community_id))


def erase(installation, place, person_id, actor=SYSTEM):
    return erase_person(installation, actor, place.community_id, person_id, "本人要求")


def test_an_erased_person_is_nowhere_in_clear(installation, place, canary):
    here = place.community_id
    with installation.platform() as session:
        assert words_in(session, "dougong.person", here) and words_in(session, LOG, here)
    entry = erase(installation, place, canary)
    assert entry.emptied["dougong.person.phone"] == 1
    assert entry.emptied["dougong.family.relation"] == 1
    assert entry.emptied["dougong.message_attachment.content"] == 1
    with installation.platform() as session:
        for table in ("dougong.person", "dougong.family", LOG):
            assert words_in(session, table, here) == 0
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = scope.get(Person, canary)
        assert (person.name, person.phone, person.id_number, person.note) == (ERASED,) + (None,) * 3
        found = scope.session.scalars(
            select(Person).where(Person.phone.matches(scope, "13700007777"))
        ).all()
        assert found == []
        assert all(entry.is_erased for entry in timeline(scope, person))


def user_of(session, person):
    return session.scalar(select(UserPerson.user_id).where(UserPerson.person_id == person))


def test_a_login_that_leads_nowhere_else_ends(installation, place, canary):
    with installation.access() as session:
        user = user_of(session, canary)
    erase(installation, place, canary)
    with installation.access() as session:
        found = session.get(User, user)
        assert (found.login, found.name, found.is_active) == (f"erased-{user}", ERASED, False)
        assert found.password_hash is None and user_of(session, canary) is None


def test_the_log_still_verifies_after_an_erasure(installation, place, canary):
    seal_once(installation)
    write_checkpoint(installation)
    erase(installation, place, canary)
    seal_once(installation)
    write_checkpoint(installation)
    paths = installation.settings.paths
    with installation.databases.engine("platform").connect() as connection:
        report = verify(
            connection,
            read_witness(witness_files(paths)[0]),
            signing_key(paths).public,
            only=place.community_id,
        )
    assert [f for f in report.findings if f.chain_id == place.community_id] == []


def test_others_keep_their_data(installation, place, canary):
    erase(installation, place, canary)
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        others = scope.session.scalars(select(Person).where(Person.id != canary)).all()
        assert sorted(p.phone for p in others) == [f"1380013000{n}" for n in range(4)]


def test_erasing_needs_its_permission_and_a_person(installation, place, canary):
    with pytest.raises(NotAllowed):
        erase(installation, place, canary, place.actor("dougong.person.change"))
    with pytest.raises(NotFound):
        erase(installation, place, uuid7())


def test_a_restored_backup_forgets_no_erasure(installation, place, canary, superuser):
    entry = erase(installation, place, canary)
    assert str(canary) in ledger_file(installation).read_text()
    superuser.execute("delete from dougong.erasure where id = %s", [entry.id])
    superuser.execute("update dougong.person set name = %s where id = %s", [NAME, canary])
    assert replay(installation, SYSTEM) == [canary]
    assert replay(installation, SYSTEM) == []
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        assert scope.get(Person, canary).name == ERASED


@pytest.fixture
def superuser(test_server, installation):
    """Return a connection that may do everything, each statement for itself."""
    import psycopg

    with psycopg.connect(test_server.dsn(), autocommit=True) as connection:
        yield connection


# --- time ---------------------------------------------------------------------------------------


def test_personal_data_goes_when_its_time_is_over(installation, place, canary):
    zone = "Asia/Shanghai"
    here = place.community_id
    with installation.scope(SYSTEM, community=here) as scope:
        today = scope.today
        left = place.person_ids[1]
        scope.session.scalars(
            select(Ownership).where(Ownership.person_id == left)
        ).one().to_on = date(2021, 6, 1)
        message = scope.session.scalars(select(Message).where(Message.person_id == canary)).one()
        message.created_at -= timedelta(days=500)
    assert let_go_in(installation, here, zone, date(2024, 5, 31)) == {}
    done = let_go_in(installation, here, zone, today)
    assert done["dougong.person.phone"] == 1 and done["dougong.message.body"] == 1
    assert done["dougong.message_attachment.content"] == 1
    with installation.scope(SYSTEM, community=here) as scope:
        assert (scope.get(Person, left).name, scope.get(Person, left).phone) == (ERASED, None)
        assert scope.get(Person, place.person_ids[2]).phone == "13800130002"
        assert scope.get(Person, canary).name == NAME
        assert scope.get(Message, message.id).body == ""
        assert timeline(scope, scope.get(Person, left))[0].is_erased
    assert let_go_in(installation, here, zone, today) == {}


def test_who_never_had_a_tie_goes_after_the_making(installation, place, canary):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        today = scope.today
        scope.session.execute(text("delete from dougong.family"))
    late = today.replace(year=today.year + 3) + timedelta(days=1)
    done = let_go_in(installation, place.community_id, "Asia/Shanghai", late)
    assert done["dougong.person.name"] == 1
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        assert scope.get(Person, canary).name == ERASED


def test_what_is_overdue_can_be_counted_without_touching_it(installation, place, canary):
    far = date(2040, 1, 1)
    counted = overdue(installation, far, community=place.community_id)
    assert counted["dougong.message.subject"] >= 1
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        assert scope.get(Person, canary).name == NAME
    early = date(2000, 1, 1)
    assert let_go(installation, early, community=place.community_id) == {}
    assert overdue(installation, far, community=uuid4()) == {}


def test_the_worker_lets_go_and_the_admin_erases_by_services(installation, place, canary):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        assert scope.call("dougong.personal.retain") == {}
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        done = scope.call("dougong.person.erase", person_id=canary, reason="本人要求")
    assert done["emptied"]["dougong.person.phone"] == 1
    actor = place.actor("dougong.person.change")
    with (
        installation.scope(actor, community=place.community_id) as scope,
        pytest.raises(NotAllowed),
    ):
        scope.call("dougong.person.erase", person_id=place.person_ids[0], reason="x")
