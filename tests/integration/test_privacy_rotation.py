"""Keys rotate while people read and write: nobody notices, nothing is lost."""

import threading
import time
from random import Random

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from dougong.db import insert_rows
from dougong.db.ciphers import key_id_of
from dougong.db.scope import Actor
from dougong.privacy import keyring, rotation
from dougong.privacy.commands import keys_commands, privacy_commands
from dougong.privacy.models import KeyState
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


def key_states(installation, community):
    rows = installation.keyring.rows()
    return {r.number: r.state for r in rows if r.scope_id == community and r.purpose == "data"}


def test_every_value_is_sealed_anew_and_the_old_key_retires(installation, crowd, monkeypatch):
    monkeypatch.setattr(rotation, "FRESH_S", 0.2)
    here = crowd.community_id
    done = rotation.rotate(installation, [here], batch=100)
    assert (done.values, done.broken) == (604, [])
    assert key_ids(installation, here) == {2}
    assert key_states(installation, here) == {1: KeyState.RETIRED, 2: KeyState.CURRENT}
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
        calls.append(arguments[3].table)
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
    assert listed.count(here) == 3 and "wrapped" not in listed
    run.invoke(keys_commands, ["destroy", "--older-than", "0", "--yes"], obj=installation)
    states = key_states(installation, crowd.community_id)
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
    for words in (["replay"], ["alarms"], ["notice"], ["lint"], ["retention", "--dry-run"]):
        done = run.invoke(privacy_commands, words, obj=installation)
        assert done.exit_code in (0, 1) and done.exception is None or words == ["lint"], done.output
    missing = run.invoke(
        privacy_commands, ["export", "--community", "无", person, "x"], obj=installation
    )
    assert missing.exit_code == 1 and "无" in missing.output
