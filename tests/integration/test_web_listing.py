"""Paging, order and counting of lists, on every kind of column, in a community and in a group."""

from datetime import date
from decimal import Decimal
from time import monotonic

import pytest
from sqlalchemy import event, func, select, text

from dougong.db.scope import Actor
from dougong.tenancy.models import Building, Person, Room
from dougong.web.admin import ground, listing, registry, searching

assert ground  # It declares the views.
SORTS = ("code", "floor", "built_area", "state", "old_code", "sort_key")


@pytest.fixture
def rooms(installation, place):
    """Return how many rooms there are: 45 in the first community, 45 in the second."""
    for community in (place.community_id, place.other_community_id):
        with installation.scope(Actor.system(), community=community) as scope:
            building = Building(code="z", name="z", sort_key="z")
            scope.session.add(building)
            scope.session.flush()
            have = len(place.room_ids) if community == place.community_id else 0
            scope.session.add_all(
                Room(
                    building_id=building.id,
                    code=f"z-{n}",
                    sort_key=f"z{n % 7}",
                    floor=n % 5 if n % 3 else None,
                    built_area=Decimal(n % 4),
                    old_code=f"o{n % 2}" if n % 2 else None,
                )
                for n in range(45 - have)
            )
    return 45


def walk(scope, view, **wish):
    """Return what every page shows from the first to the last, and the same backwards."""
    there, page = [], listing.load(scope, view, listing.Wish(size=20, **wish))
    there += page.records
    while page.next and len(there) < 500:
        page = listing.load(scope, view, listing.Wish(size=20, after=page.next, **wish))
        there += page.records
    back = list(page.records)
    while page.previous:
        page = listing.load(scope, view, listing.Wish(size=20, before=page.previous, **wish))
        back = [*page.records, *back]
        if len(back) >= len(there):
            break
    return there, back


@pytest.mark.parametrize("direction", ["", "-"])
@pytest.mark.parametrize("key", SORTS)
@pytest.mark.parametrize("where", ["community", "group"])
def test_pages_show_every_row_once_in_order(installation, place, rooms, where, key, direction):
    view = registry.view_of(Room)
    here = {where: place.community_id if where == "community" else place.group_id}
    with installation.scope(place.actor("*", communities=None), **here) as scope:
        there, back = walk(scope, view, sort=f"{direction}{key}")
    assert len({r.id for r in there}) == len(there) == rooms * (1 if where == "community" else 2)
    assert [r.id for r in back] == [r.id for r in there]
    values = [getattr(r, key) for r in there]
    filled = [v for v in values if v is not None]
    assert filled == sorted(filled, reverse=bool(direction))
    empty = len(values) - len(filled)
    ends = values[:empty] if direction else values[len(filled) :]
    assert set(ends) <= {None}


def test_a_long_list_sorts_by_what_an_index_keeps_in_order(installation, place, monkeypatch):
    view = registry.view_of(Room)
    assert {"id", "code"} <= listing.sortable(view)
    assert "floor" not in listing.sortable(view)
    with installation.scope(place.actor("*"), community=place.community_id) as scope:
        short = listing.load(scope, view, listing.Wish(sort="floor"))
        monkeypatch.setattr(listing, "COUNT_LIMIT", 2)
        long = listing.load(scope, view, listing.Wish(sort="floor"))
        code = listing.load(scope, view, listing.Wish(sort="-code"))
    assert (short.order, short.sortable) == ("floor", None)
    assert long.order.lstrip("-") in ("sort_key", "id") and "floor" not in long.sortable
    assert code.order == "-code"
    assert (long.total, long.is_capped) == (2, True)


def test_a_list_never_counts_or_skips_a_whole_table(installation, place):
    seen: list[str] = []
    engine = installation.databases.engine("app")

    def note(conn, cursor, statement, parameters, context, executemany):
        seen.append(statement.lower())

    event.listen(engine, "before_cursor_execute", note)
    try:
        with installation.scope(place.actor("*"), community=place.community_id) as scope:
            walk(scope, registry.view_of(Room))
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert not [s for s in seen if " offset " in s]
    assert all("limit" in s for s in seen if "count(" in s)


def test_a_group_page_reads_the_index_of_each_community(installation, place, rooms):
    """Not all rows of all communities, to sort them: the plan stops after a page of each."""
    view = registry.view_of(Room)
    with installation.scope(place.actor("*", communities=None), group=place.group_id) as scope:
        query = listing._page_query(scope, view, [], "code", False, 21)
        compiled = str(query.compile(dialect=scope.session.connection().dialect)).lower()
        assert "lateral" in compiled and compiled.count("limit") == 2
        found = scope.session.scalars(query).unique().all()
    codes = [room.code for room in found]
    assert codes == sorted(codes) and len(codes) == 21


def test_two_chinese_characters_are_found_anywhere_in_a_name(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        scope.session.add_all(Person(name=name) for name in ("王伟一", "王伟", "王芳", "李王伟"))
        scope.session.flush()
        found = listing.load(scope, registry.view_of(Person), listing.Wish(words="王伟"))
    assert sorted(r.name for r in found.records) == ["李王伟", "王伟", "王伟一"]


def test_a_date_in_a_cursor_is_read_back():
    assert listing._typed(_Column(date), "2026-11-24") == date(2026, 11, 24)
    assert listing._typed(_Column(bool), "False") is False


class _Column:
    def __init__(self, python):
        self.type = type("Kind", (), {"python_type": python})


# --- searching ------------------------------------------------------------------------------------


def search(installation, place, model, words, where="community"):
    scopes = {"community": {"community": place.community_id}, "group": {"group": place.group_id}}
    view = registry.view_of(model)
    with installation.scope(Actor.system(), **scopes[where]) as scope:
        page = listing.load(scope, view, listing.Wish(words=words, size=100))
        return sorted(str(record) for record in page.records)


@pytest.mark.parametrize("where", ["community", "group"])
def test_any_part_of_a_text_is_found_in_either_case(installation, place, rooms, where):
    at = 1 if where == "community" else 2
    assert search(installation, place, Room, "-39", where) == ["z-39"] * at
    assert search(installation, place, Room, "Z-3", where)[0] == "z-3"
    assert search(installation, place, Room, "no such room", where) == []


def test_of_more_rows_than_the_window_beginnings_are_still_found(
    installation, place, rooms, monkeypatch
):
    monkeypatch.setattr(searching, "WINDOW", 10)
    assert len(search(installation, place, Room, "z-")) == 41, "beginnings, however old"
    assert len(search(installation, place, Room, "-")) == 10, "any part, of the newest only"


def test_a_filter_that_would_read_everything_is_stopped_and_said(
    installation, place, rooms, monkeypatch
):
    view = registry.view_of(Room)
    monkeypatch.setattr(listing, "PATIENCE_MS", 200)
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        monkeypatch.setitem(
            listing._lengths, (view.name(), scope.url_part), (1_000_000, monotonic())
        )
        with installation.platform() as other:
            other.execute(text("lock table dougong.room in access exclusive mode"))
            page = listing.load(scope, view, listing.Wish(filters={"state": "occupied"}))
        assert page.is_slow and list(page.records) == []
        assert scope.session.scalar(select(func.count()).select_from(Room)) == rooms
        page = listing.load(scope, view, listing.Wish(filters={"state": "occupied"}))
        assert not page.is_slow
        timeout = scope.session.scalar(text("show statement_timeout"))
        assert timeout != "200ms"
