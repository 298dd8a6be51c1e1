"""Keys are made once, wrapped, renewed and destroyed; values open where they were sealed only."""

import json
from uuid import UUID

import pytest
from sqlalchemy import select, text

from dougong.db import insert_rows
from dougong.db.ciphers import Suite, TamperedCiphertext, key_id_of
from dougong.db.scope import Actor
from dougong.db.vault import Vault
from dougong.errors import Conflict
from dougong.privacy import StoredKeyring, open_keyring
from dougong.privacy.keyring import context_of
from dougong.privacy.models import KeyPurpose, KeyState
from dougong.privacy.providers import KeyFile, KeyProviderError
from dougong.tenancy.models import Person

SYSTEM = Actor.system("test")


def sealed_phone(installation, person_id):
    with installation.platform() as session:
        return session.scalar(
            text("select phone from dougong.person where id = :i").bindparams(i=person_id)
        )


def test_a_phone_is_ciphertext_in_the_database_and_found_again(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = scope.session.scalars(
            select(Person).where(Person.phone.matches(scope, "+86 138 0013 0002"))
        ).one()
        assert (person.name, person.phone) == ("业主2", "13800130002")
        found = scope.session.scalars(
            select(Person).where(Person.phone.ends_with(scope, "0003"))
        ).all()
        assert "13800130003" in [p.phone for p in found]
    raw = bytes(sealed_phone(installation, person.id))
    assert b"1380013" not in raw and key_id_of(raw) == 1


def test_equal_values_of_two_communities_have_different_tags(installation, place):
    tags = []
    for community in (place.community_id, place.other_community_id):
        with installation.scope(SYSTEM, community=community) as scope:
            tags += scope.vault.index_tags(Person.phone.field, Person, "13800130002")
    assert len(set(tags)) == 2


def test_keys_in_the_database_open_only_with_the_wrapping_key(installation, place, tmp_path):
    other = StoredKeyring(installation, KeyFile(tmp_path / "other.json"))
    with pytest.raises(KeyProviderError):
        other.current(place.community_id)


def test_a_wrapped_key_cannot_be_handed_to_another_community(installation, place):
    ring = installation.keyring
    ring.ensure([place.community_id, place.other_community_id])
    rows = {(r.scope_id, r.purpose): r for r in ring.rows()}
    mine = rows[place.community_id, KeyPurpose.DATA]
    for other in (
        (place.other_community_id, KeyPurpose.DATA),
        (place.community_id, KeyPurpose.INDEX),
    ):
        with pytest.raises(KeyProviderError):
            ring.provider.unwrap(mine.wrapped, context_of(rows[other]))


SWAPS = {
    "another row": "update dougong.person d set phone = o.phone from dougong.person o"
    " where d.id = :a and o.id = :b",
    "another column": "update dougong.person d set id_number = o.phone from dougong.person o"
    " where d.id = :a and o.id = :b",
    "a changed byte": "update dougong.person set phone = set_byte(phone, 20,"
    " (get_byte(phone, 20) + 1) % 256) where id = :a and id <> :b",
}


@pytest.mark.parametrize("case", SWAPS)
def test_a_swapped_ciphertext_is_refused(installation, place, case):
    here, there = place.person_ids[:2]
    with installation.platform() as session:
        session.execute(text(SWAPS[case]), {"a": here, "b": there})
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = scope.get(Person, here)
        with pytest.raises(TamperedCiphertext):
            _ = (person.id_number, person.phone)


def test_a_renewed_key_seals_and_the_old_one_still_opens(installation, place):
    ring, here = installation.keyring, place.community_id
    old = ring.current(here).key_id
    ring.renew(here)
    assert ring.current(here).key_id == old + 1
    with installation.scope(SYSTEM, community=here) as scope:
        person = scope.get(Person, place.person_ids[0])
        assert person.phone == "13800130000"
        person.phone = "13900000000"
    assert key_id_of(bytes(sealed_phone(installation, person.id))) == old + 1
    with pytest.raises(Conflict):
        ring.destroy(here, old)
    assert {r.state for r in ring.rows() if r.scope_id == here and r.number == old} >= {
        KeyState.RETIRING
    }


def test_a_destroyed_key_shreds_what_only_it_opens(installation, place):
    ring, here = installation.keyring, place.community_id
    old = ring.current(here).key_id
    ring.renew(here)
    ring.retire(here)
    ring.destroy(here, old)
    with installation.scope(SYSTEM, community=here) as scope:
        person = scope.get(Person, place.person_ids[0])
        with pytest.raises(TamperedCiphertext):
            _ = person.phone


def test_wrapping_anew_leaves_values_as_they_are(installation, place, tmp_path):
    provider = KeyFile(tmp_path / "wrapping.json")
    secret = provider.wrap(b"x" * 32, b"here")
    assert provider.add_version() == 2
    again = provider.wrap(provider.unwrap(secret, b"here"), b"here")
    assert (secret[3], again[3]) == (1, 2)
    with pytest.raises(KeyProviderError):
        provider.unwrap(again, b"there")
    (tmp_path / "wrapping.json").chmod(0o644)
    with pytest.raises(KeyProviderError):
        provider.unwrap(again, b"here")


def test_every_key_of_the_installation_can_be_wrapped_anew(installation, place):
    provider = installation.keyring.provider
    before = sealed_phone(installation, place.person_ids[0])
    version = provider.add_version()
    assert installation.keyring.rewrap() >= 2
    assert all(
        int.from_bytes(row.wrapped[:4]) == version
        for row in installation.keyring.rows()
        if row.wrapped
    )
    assert sealed_phone(installation, place.person_ids[0]) == before
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        assert scope.get(Person, place.person_ids[0]).phone == "13800130000"


def test_the_chinese_suite_seals_and_opens(installation, place):
    ring = StoredKeyring(installation, suite=Suite.SM4_GCM)
    here = UUID(int=place.other_community_id.int ^ 1)
    field, row = Person.phone.field, place.person_ids[0]
    sealed = Vault(ring).seal(field, here, row, "13812340000")
    assert sealed[1] == Suite.SM4_GCM
    record = Person(id=row, community_id=here)
    assert Vault(open_keyring(installation)).open(field, record, sealed) == "13812340000"


def test_no_wrapped_key_lies_in_the_log(installation, place):
    with installation.platform() as session:
        bodies = session.scalars(
            text("select body from dougong.audit_event where table_name = 'data_key'")
        ).all()
    images = [json.loads(b).get("new", {}) for b in bodies]
    kept = [i["wrapped"] for i in images if i.get("wrapped")]
    assert kept and all(k.startswith("sha256:") for k in kept)


def test_bulk_rows_are_sealed_like_single_ones(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        names = [f"批量{n}" for n in range(100)]
        phones = [f"1390001{n:04}" for n in range(100)]
        insert_rows(
            scope,
            Person,
            {"name": names, "phone": phones, "kind": ["person"] * 100, "sort_key": names},
        )
        found = scope.session.scalars(
            select(Person).where(Person.phone.matches(scope, "13900010042"))
        ).one()
        assert (found.name, found.phone) == ("批量42", "13900010042")
