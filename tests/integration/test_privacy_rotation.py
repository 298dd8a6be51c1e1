"""Keys rotate while people read and write: nobody notices, nothing is lost."""

import threading
import time
from random import Random

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from dougong.audit.undoing import undo
from dougong.db import insert_rows
from dougong.db.ciphers import Suite, key_id_of
from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.privacy import keyring, open_keyring, rotation
from dougong.privacy.commands import keys_commands, privacy_commands
from dougong.privacy.models import KeyPurpose, KeyState
from dougong.services import change, create, delete
from dougong.tenancy.models import Person

SYSTEM = Actor.system("test")


@pytest.fixture
def crowd(installation, place):
    """Return a place with three hundred people more."""
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        numbers = range(300)
        columns = {
            "name": [f"人{n}" for n in numbers],
            "sort_key": [""] * 300,
            "kind": ["person"] * 300,
            "phone": [f"1370000{n:04}" for n in numbers],
            "id_number": [f"1101051949{n:04}002X" for n in numbers],
        }
        insert_rows(scope, Person, columns)
    return place


def key_ids(installation, community):
    with installation.platform() as session:
        rows = session.execute(
            text("select phone, id_number from dougong.person where community_id = :c").bindparams(
                c=community
            )
        )
        return {key_id_of(bytes(value)) for row in rows for value in row if value}


def key_states(installation, community, purpose="data"):
    rows = installation.keyring.rows()
    return {r.number: r.state for r in rows if r.scope_id == community and r.purpose == purpose}


def marks(installation, community):
    """Return under which index keys a community's people can be searched."""
    with installation.platform() as session:
        rows = session.execute(
            text(
                "select phone_index, phone_tail, id_number_index from dougong.person"
                " where community_id = :c"
            ).bindparams(c=community)
        )
        return {int.from_bytes(bytes(tag)[:2]) for row in rows for tag in row if tag}


def test_every_value_is_sealed_anew_and_the_old_key_retires(installation, crowd, monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.2)
    here = crowd.community_id
    done = rotation.rotate(installation, [here], batch=100)
    assert (done.values, done.broken) == (604, [])
    assert key_ids(installation, here) == {2}
    for purpose in ("data", "index"):
        states = key_states(installation, here, purpose)
        assert states == {1: KeyState.RETIRED, 2: KeyState.CURRENT}
    assert marks(installation, here) == {2}
    with installation.scope(SYSTEM, community=here) as scope:
        found = scope.session.scalars(
            select(Person).where(Person.phone.matches(scope, "13700000123"))
        ).one()
        assert (found.name, found.phone) == ("人123", "13700000123")


def test_readers_and_writers_do_not_notice(installation, crowd, monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.5)
    monkeypatch.setattr(keyring, "FRESH_S", 0.2)
    here, stop, failures, wrote, reads = crowd.community_id, threading.Event(), [], {}, []

    def work(seed):
        chance = Random(seed)
        try:
            while not stop.is_set():
                with installation.scope(SYSTEM, community=here) as scope:
                    people = scope.session.scalars(
                        select(Person).order_by(Person.id).limit(50).offset(chance.randrange(250))
                    ).all()
                    reads.append(len([p.phone for p in people]))
                    if seed:
                        person = scope.get(Person, chance.choice(people).id, lock=True)
                        person.phone = f"139{chance.randrange(10**8):08}"
                        scope.session.flush()
                        mine = (person.id, person.phone)
                if seed:
                    wrote[mine[0]] = mine[1]
        except Exception as error:  # noqa: BLE001 - reported below
            failures.append(error)

    workers = [threading.Thread(target=work, args=(n,)) for n in (0, 1)]
    for worker in workers:
        worker.start()
    time.sleep(0.2)
    done = rotation.rotate(installation, [here], batch=40)
    stop.set()
    for worker in workers:
        worker.join()
    assert failures == [] and done.broken == []
    assert key_ids(installation, here) == {2} and sum(reads) > 100 and wrote
    with installation.scope(SYSTEM, community=here) as scope:
        lost = [i for i, phone in wrote.items() if scope.get(Person, i).phone != phone]
    assert lost == []


def test_a_rotation_that_was_killed_goes_on_where_it_stopped(installation, crowd, monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.1)
    here, calls = crowd.community_id, []
    whole = rotation._one_batch

    def dying(*arguments):
        calls.append(arguments[2].table)
        if calls.count("dougong.person") == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(rotation, "_one_batch", dying)
    with pytest.raises(KeyboardInterrupt):
        rotation.rotate(installation, [here], batch=100)
    assert key_ids(installation, here) == {1, 2}
    monkeypatch.setattr(rotation, "_one_batch", whole)
    done = rotation.rotate(installation, [here], batch=100)
    assert 0 < done.values < 604 and key_ids(installation, here) == {2}


def test_a_key_in_use_is_not_destroyed(installation, crowd, monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.1)
    here, person = crowd.community_id, crowd.person_ids[0]
    with installation.platform() as session:
        old = session.scalar(
            text("select phone from dougong.person where id = :i").bindparams(i=person)
        )
    rotation.rotate(installation, [here])
    with installation.platform() as session:
        session.execute(
            text("update dougong.person set phone = :old where id = :i"), {"old": old, "i": person}
        )
    assert rotation.destroy_older(installation, 0)[1] >= 1
    with installation.scope(SYSTEM, community=here) as scope:
        assert scope.get(Person, person).phone == "13800130000"


def test_a_damaged_value_is_named_and_its_key_is_kept(installation, crowd, monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.1)
    here, person = crowd.community_id, crowd.person_ids[0]
    with installation.platform() as session:
        session.execute(
            text(
                "update dougong.person set phone = set_byte(phone, 25,"
                " (get_byte(phone, 25) + 1) % 256) where id = :i"
            ),
            {"i": person},
        )
    done = rotation.rotate(installation, [here])
    assert set(done.broken) == {f"dougong.person.phone {person}"}
    assert key_states(installation, here) == {1: KeyState.RETIRING, 2: KeyState.CURRENT}


def test_the_command_rotates_lists_and_destroys(installation, crowd, monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.1)
    run, here = CliRunner(), str(crowd.community_id)
    done = run.invoke(keys_commands, ["rotate", "--community", here], obj=installation)
    assert done.exit_code == 0, done.output
    assert "604" in done.output
    listed = run.invoke(keys_commands, ["list", "--json"], obj=installation).output
    assert listed.count(here) == 4 and "wrapped" not in listed
    run.invoke(keys_commands, ["destroy", "--older-than", "0", "--yes"], obj=installation)
    for purpose in ("data", "index"):
        states = key_states(installation, crowd.community_id, purpose)
        assert states == {1: KeyState.DESTROYED, 2: KeyState.CURRENT}


def test_the_command_exports_erases_and_replays(installation, place, tmp_path):
    run, here, person = CliRunner(), str(place.community_id), str(place.person_ids[0])
    where = ["--community", here, person]
    file = tmp_path / "copy.zip"
    done = run.invoke(privacy_commands, ["export", *where, str(file)], obj=installation)
    assert done.exit_code == 0 and file.stat().st_size > 500, done.output
    done = run.invoke(
        privacy_commands, ["erase", *where, "--reason", "本人要求", "--yes"], obj=installation
    )
    assert done.exit_code == 0 and "dougong.person.phone: 1" in done.output, done.output
    retention = ["retention", "--dry-run", "--community"]
    for words in (["replay"], ["alarms"], ["notice"], ["lint"], [*retention, here]):
        done = run.invoke(privacy_commands, words, obj=installation)
        assert done.exit_code in (0, 1) and done.exception is None or words == ["lint"], done.output
    missing = run.invoke(
        privacy_commands, ["export", "--community", "无", person, "x"], obj=installation
    )
    assert missing.exit_code == 1 and "无" in missing.output


def test_search_finds_values_under_the_old_and_the_coming_index_key(installation, crowd):
    ring, here = installation.keyring, crowd.community_id

    def found(phone):
        with installation.scope(SYSTEM, community=here) as scope:
            people = scope.session.scalars(
                select(Person).where(Person.phone.matches(scope, phone))
            ).all()
            tails = scope.session.scalars(
                select(Person).where(Person.phone.ends_with(scope, phone[-4:]))
            ).all()
            return len(people), phone in {p.phone for p in tails}

    def write(phone):
        with installation.scope(SYSTEM, community=here) as scope:
            scope.session.add(Person(name="新", phone=phone))

    ring.announce([here])
    assert len(ring.index_keys([here])[here]) == 2 and marks(installation, here) == {1}
    write("13600000001")
    ring.renew(here)
    write("13600000002")
    assert marks(installation, here) == {1, 2}
    for phone in ("13700000005", "13600000001", "13600000002"):
        assert found(phone) == (1, True)
    with pytest.raises(Conflict):
        ring.destroy(here, 1, KeyPurpose.INDEX)


def test_a_person_put_back_after_a_rotation_is_found_again(installation, crowd, monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.1)
    here = crowd.community_id
    with installation.scope(SYSTEM, community=here) as scope:
        person = create(scope, Person, {"name": "张三", "phone": "13512345678"})
        delete(scope, person)
    rotation.rotate(installation, [here])
    with installation.platform() as session:
        event = session.scalar(
            text(
                "select id from dougong.audit_event where row_id = :r and operation = 'DELETE'"
            ).bindparams(r=str(person.id))
        )
    with installation.scope(SYSTEM, community=here) as scope:
        undo(scope, event)
        found = scope.session.scalars(
            select(Person).where(Person.phone.matches(scope, "13512345678"))
        ).one()
        assert found.id == person.id


def test_rotation_changes_over_to_the_chinese_suite(installation, crowd, monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.1)
    here = crowd.community_id
    (installation.settings.paths.keys / "provider.toml").write_text('suite = "sm"\n')
    try:
        ring = open_keyring(installation)
    finally:
        (installation.settings.paths.keys / "provider.toml").unlink()
    monkeypatch.setattr(installation, "keyring", ring)
    done = rotation.rotate(installation, [here])
    assert done.values == 604 and ring.current(here).suite is Suite.SM4_GCM
    with installation.platform() as session:
        sealed = session.scalars(
            text("select phone from dougong.person where community_id = :c").bindparams(c=here)
        ).all()
    assert {bytes(each)[1] for each in sealed if each} == {Suite.SM4_GCM}
    with installation.scope(SYSTEM, community=here) as scope:
        found = scope.session.scalars(
            select(Person).where(Person.phone.matches(scope, "13700000123"))
        ).one()
        assert (found.name, found.id_number) == ("人123", "11010519490123002X")
        change(scope, found, {"phone": "13588880000"})
    with installation.scope(SYSTEM, community=here) as scope:
        assert scope.get(Person, found.id).phone == "13588880000"
