"""Personal values open only where they were sealed, and equal values are found."""

from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong.db.ciphers import (
    DataKey,
    IndexKey,
    Place,
    Suite,
    TamperedCiphertext,
    blind_index,
    key_id_of,
    mask,
    normalise,
    open_sealed,
    seal,
    tail_tag,
)

KEYS = {
    Suite.AES_256_GCM: DataKey(7, Suite.AES_256_GCM, bytes(range(32))),
    Suite.SM4_GCM: DataKey(7, Suite.SM4_GCM, bytes(range(16))),
}
PLACE = Place(UUID(int=1), "dougong.person", "phone", UUID(int=2))
suites = pytest.mark.parametrize("suite", list(Suite), ids=lambda s: s.name)


def opener(suite):
    return lambda key_id: {7: KEYS[suite]}[key_id]


@suites
@given(plain=st.text(max_size=60))
def test_what_is_sealed_opens_again(suite, plain):
    envelope = seal(KEYS[suite], PLACE, plain)
    assert open_sealed(opener(suite), PLACE, envelope) == plain
    assert key_id_of(envelope) == 7
    assert len(envelope) == 1 + 1 + 4 + 12 + len(plain.encode()) + 16


@suites
def test_equal_values_have_unequal_envelopes(suite):
    assert len({seal(KEYS[suite], PLACE, "13812340000") for _ in range(100)}) == 100


@suites
@given(data=st.data())
def test_a_changed_byte_is_refused(suite, data):
    envelope = bytearray(seal(KEYS[suite], PLACE, "13812340000"))
    at = data.draw(st.integers(0, len(envelope) - 1))
    envelope[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TamperedCiphertext):
        open_sealed(opener(suite), PLACE, bytes(envelope))


@suites
@given(cut=st.integers(1, 45))
def test_a_cut_envelope_is_refused(suite, cut):
    envelope = seal(KEYS[suite], PLACE, "13812340000")
    with pytest.raises(TamperedCiphertext):
        open_sealed(opener(suite), PLACE, envelope[:-cut])


@suites
def test_ciphertexts_that_change_places_are_refused(suite):
    chance, refused = Random(5), 0
    scopes, rows = [uuid4() for _ in range(4)], [uuid4() for _ in range(12)]
    places = [
        Place(scope, table, column, row)
        for scope in scopes
        for table in ("dougong.person", "dougong.staff")
        for column in ("phone", "id_number")
        for row in rows
    ]
    sealed = {place: seal(KEYS[suite], place, str(n)) for n, place in enumerate(places)}
    for _ in range(1000):
        here, there = chance.sample(places, 2)
        with pytest.raises(TamperedCiphertext):
            open_sealed(opener(suite), here, sealed[there])
        refused += 1
    assert refused == 1000
    assert open_sealed(opener(suite), places[3], sealed[places[3]]) == "3"


def test_parts_of_a_place_cannot_slide_into_each_other():
    row = UUID(int=2)
    left = Place(UUID(int=1), "dougong.person", "phone", row)
    right = Place(UUID(int=1), "dougong.personp", "hone", row)
    assert left.bound(7) != right.bound(7)


def test_a_destroyed_key_opens_nothing():
    with pytest.raises(TamperedCiphertext):
        open_sealed(lambda _: (_ for _ in ()).throw(LookupError), PLACE, seal(KEYS[1], PLACE, "x"))


def test_a_suite_cannot_be_switched_under_a_key():
    envelope = bytearray(seal(KEYS[Suite.AES_256_GCM], PLACE, "x"))
    envelope[1] = Suite.SM4_GCM
    with pytest.raises(TamperedCiphertext):
        open_sealed(opener(Suite.AES_256_GCM), PLACE, bytes(envelope))


def test_a_key_does_not_show_its_secret():
    assert "secret" not in repr(KEYS[Suite.SM4_GCM])
    assert "secret" not in repr(IndexKey(Suite.SM4_GCM, b"x" * 32))


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        ("phone", "+86 138-1234-0000", "13812340000"),
        ("phone", "１３８１２３４００００", "13812340000"),
        ("phone", "0086 13812340000", "13812340000"),
        ("phone", "+852 5123 4567", "+85251234567"),
        ("id_number", " 11010119900307123x ", "11010119900307123X"),
        ("name", "Ａnna ", "anna"),
    ],
    ids=["prefix and dashes", "full width", "long prefix", "Hong Kong", "lower x", "other"],
)
def test_ways_of_writing_become_one(kind, written, meant):
    assert normalise(kind, written) == meant


@given(st.text(alphabet="0123456789 -+", max_size=20))
def test_normalising_twice_changes_nothing(written):
    once = normalise("phone", written)
    if not once.startswith(("+86", "0086")):
        assert normalise("phone", once) == once


@suites
def test_blind_indexes_depend_on_key_table_column_and_kind(suite):
    key, other = IndexKey(suite, b"k" * 32), IndexKey(suite, b"o" * 32)
    value = "13812340000"
    made = {
        blind_index(key, "dougong.person", "phone", "exact", value),
        blind_index(other, "dougong.person", "phone", "exact", value),
        blind_index(key, "dougong.staff", "phone", "exact", value),
        blind_index(key, "dougong.person", "id_number", "exact", value),
        blind_index(key, "dougong.person", "phone", "tail", value),
        blind_index(key, "dougong.person", "phone", "exact", "13812340001"),
    }
    assert len(made) == 6 and all(len(tag) == 18 for tag in made)
    assert blind_index(key, "dougong.person", "phone", "exact", value) in made
    assert len(tail_tag(key, "dougong.person", "phone", "0000")) == 4
    later = IndexKey(suite, b"k" * 32, 258)
    assert tail_tag(later, "dougong.person", "phone", "0000")[:2] == bytes([1, 2])


def test_the_two_suites_index_differently():
    tags = {blind_index(IndexKey(s, b"k" * 32), "t", "c", "exact", "1") for s in Suite}
    assert len(tags) == 2


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("phone", "13812340000", "138****0000"),
        ("phone", "110", "******"),
        ("id_number", "110101199003071234", "1101**********1234"),
        ("name", "张三", "张*"),
        ("name", "欧阳小明", "欧***"),
        ("all", "anything", "******"),
        ("phone", None, ""),
    ],
)
def test_masks_show_just_enough_to_recognise(kind, value, shown):
    assert mask(kind, value) == shown
