"""An uninstalled plugin still keeps people: its archive is erased, and sealed anew."""

import pytest
from sqlalchemy import select, text

from dougong.audit.verification import snapshot, verify
from dougong.db.ciphers import Place as SealedPlace
from dougong.db.ciphers import key_id_of, open_sealed
from dougong.db.scope import Actor
from dougong.plugins.archive import restore, uninstall
from dougong.plugins.operations import enable, install
from dougong.privacy import rotation
from dougong.privacy.erasure import ERASED, erase_person
from dougong.testing.factories import make_place
from dougong.testing.planting import plant, workshop

SYSTEM = Actor.system("test")
PERSON = """    person_id: Mapped[UUID | None] = ref("dougong.person", info=label("Who", "谁"))
    receiver: Mapped"""
SQL = (
    "person_id UUID, CONSTRAINT fk_item_person_id FOREIGN KEY(community_id, person_id)"
    " REFERENCES dougong.person (community_id, id), receiver VARCHAR(80)"
)
DECLARED = """[personal."item.receiver"]
purpose = "know who fetched the item"
basis = "contract"
retention = "P1Y"

[permissions]"""


@pytest.fixture
def lost(test_server, kernel_database, tmp_path):
    """Return an installation with a plugin whose items name people, and a place that uses it."""
    plant(
        tmp_path,
        "lost_items",
        replace={
            "models.py": ("    receiver: Mapped", PERSON),
            "migrations/versions/0001_initial.sql": ("receiver VARCHAR(80)", SQL),
            "manifest.toml": ("[permissions]", DECLARED),
        },
    )
    with workshop(test_server, tmp_path / "lost_items", template=kernel_database) as installation:
        install(installation, SYSTEM, "lost_items")
        place = make_place(installation)
        enable(installation, SYSTEM, "lost_items", place.community_id)
        yield installation, place


def write_items(installation, place):
    from dougong_lost_items.models import Item

    with installation.scope(SYSTEM, community=place.community_id) as scope:
        for person, phone in zip(place.person_ids[:2], ("13700001111", "13700002222"), strict=True):
            scope.session.add(
                Item(
                    name="伞",
                    person_id=person,
                    finder_phone=phone,
                    receiver=f"领取人{phone}",
                    found_on=scope.today,
                )
            )


def archived(installation):
    with installation.platform() as session:
        schema = session.scalar(
            text("select archive_schema from dougong.plugin_archive where restored_at is null")
        )
        return session.execute(text(f"select * from {schema}.item order by receiver")).all()


def test_an_archive_forgets_an_erased_person_and_no_other(lost):
    installation, place = lost
    write_items(installation, place)
    uninstall(installation, SYSTEM, "lost_items")
    entry = erase_person(installation, SYSTEM, place.community_id, place.person_ids[0], "本人要求")
    assert any(name.endswith(".item") for name in entry.emptied)
    other, mine = archived(installation)
    assert (mine.finder_phone, mine.finder_phone_index, mine.receiver) == (None, None, None)
    assert other.receiver == "领取人13700002222" and other.finder_phone
    with installation.platform() as session:
        left = session.scalar(
            text(
                "select count(*) from dougong.audit_event where chain_id = :c"
                " and body like '%领取人13700001111%'"
            ).bindparams(c=place.community_id)
        )
    assert left == 0 and ERASED
    assert unlogged(installation, place) == []
    assert restore(installation, SYSTEM, "lost_items").changed == ("item",)
    assert unlogged(installation, place) == []


def unlogged(installation, place):
    with snapshot(installation) as connection:
        return verify(connection, [], bytes(32), only=place.community_id).findings


def test_an_archive_is_sealed_anew_with_the_rest(lost, monkeypatch):
    installation, place = lost
    monkeypatch.setattr(rotation, "FRESH_S", 0.1)
    write_items(installation, place)
    here = place.community_id
    uninstall(installation, SYSTEM, "lost_items")
    rotation.rotate(installation, [here])
    rotation.destroy_older(installation, 0)
    _first, other = archived(installation)
    sealed = bytes(other.finder_phone)
    assert key_id_of(sealed) == 2
    spot = SealedPlace(here, "lost_items.item", "finder_phone", other.id)
    plain = open_sealed(lambda key_id: installation.keyring.key(here, key_id), spot, sealed)
    assert plain == "13700002222"
    restore(installation, SYSTEM, "lost_items")
    from dougong_lost_items.models import Item

    with installation.scope(SYSTEM, community=here) as scope:
        assert scope.get(Item, other.id).finder_phone == "13700002222"
        found = scope.session.scalars(
            select(Item).where(Item.finder_phone.matches(scope, "13700002222"))
        ).one()
        assert found.id == other.id and bytes(found.finder_phone_index)[:2] == b"\0\2"
