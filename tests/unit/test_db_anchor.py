"""A table written in bulk is anchored: its place is proved by a reference, not checked again."""

from importlib import import_module
from uuid import UUID

import pytest
from sqlalchemy.orm import Mapped

from dougong.db import InCommunity, plugin_base, ref
from dougong.db.base import METADATA

PLACES = ("dougong.community", "dougong.property_group")


@pytest.fixture
def base():
    made = plugin_base("ghost")
    yield made
    tables = [t for t in made.metadata.tables.values() if t.schema == "ghost"]
    made.registry.dispose(cascade=True)
    for table in tables:
        made.metadata.remove(table)


def references(table):
    """Return the columns of each foreign key and the table that it leads to."""
    return {
        (tuple(c.name for c in key.columns), key.elements[0].target_fullname.rpartition(".")[0])
        for key in table.foreign_key_constraints
    }


def test_the_anchor_carries_the_place_and_the_place_needs_no_key_of_its_own(base):
    class Sheet(InCommunity, base):
        __tablename__ = "sheet"
        __anchor__ = "room_id"
        room_id: Mapped[UUID] = ref("dougong.room")

    assert references(Sheet.__table__) == {(("community_id", "room_id"), "dougong.room")}


@pytest.mark.parametrize("name", ["room_id", "parent_id", "title", "gone"])
def test_what_may_be_empty_or_lead_nowhere_is_no_anchor(base, name):
    with pytest.raises(TypeError, match="mandatory ref"):

        class Sheet(InCommunity, base):
            __tablename__ = "sheet"
            __anchor__ = name
            room_id: Mapped[UUID | None] = ref("dougong.room")
            parent_id: Mapped[UUID] = ref("ghost.sheet")
            title: Mapped[str]


def test_every_row_belongs_to_a_place_that_exists():
    import_module("dougong.db.migrator").import_kernel_models()
    import_module("dougong_fees.models")
    for name, table in sorted(METADATA.tables.items()):
        if table.info["kind"] in ("community", "group"):
            assert _ends_at_a_place(table), name


def _ends_at_a_place(table, seen=()):
    """Tell whether mandatory references with the place in them lead to the place itself."""
    assert table not in seen, "anchored in a circle"
    if any(target in PLACES and len(columns) == 1 for columns, target in references(table)):
        return True
    mandatory = [
        target
        for columns, target in references(table)
        if columns[0] in ("community_id", "group_id")
        and not any(table.c[column].nullable for column in columns)
        and target != table.fullname
    ]
    return any(_ends_at_a_place(METADATA.tables[each], (*seen, table)) for each in mandatory)
