"""Votes of the owners: exact counting, one ballot per share, proxies, paper, secrecy; revenue."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from dougong.db import uuid7
from dougong.db.scope import Actor, Grant
from dougong.errors import Conflict, Invalid, NotFound
from dougong.messages.models import Message
from dougong.services import create
from dougong.tenancy.models import Ownership, Person, Room, RoomKind
from dougong.tenancy.operations import set_setting
from dougong_participation import services
from dougong_participation.domain.voting import Choice, Matter, Right, tally, with_silence
from dougong_participation.errors import WrongState
from dougong_participation.models import (
    BallotWay,
    PublicRevenue,
    RevenueKind,
    Vote,
    VoteRight,
    VoteState,
)

FOR, AGAINST, ABSTAIN = Choice.IN_FAVOUR, Choice.AGAINST, Choice.ABSTAIN


def rights(*rows):
    """Return rights of (owners, area, choice); owners of one row share its room equally."""
    names, made = {}, []
    for owners, area, choice in rows:
        room, held = uuid7(), owners.split("+") if owners else [None]
        for name in held:
            owner = names.setdefault(name, uuid7()) if name else None
            made.append(Right(room, owner, Decimal(area) / len(held), choice))
    return made


def test_exactly_two_thirds_by_area_and_owners_is_a_quorum():
    votes = rights(("a", 100, FOR), ("b", 100, FOR), ("c", 100, None))
    assert tally(votes, Matter.ORDINARY).has_quorum
    short = rights(("a", 100, FOR), ("b", "99.99", FOR), ("c", "100.01", None))
    assert not tally(short, Matter.ORDINARY).has_quorum
    few = rights(("a", 100, FOR), ("b", 10, None), ("c", 10, None))
    assert not tally(few, Matter.ORDINARY).has_quorum


def test_half_is_not_more_than_half_and_three_quarters_are_enough():
    half = rights(("a", 50, FOR), ("b", 50, AGAINST))
    assert not tally(half, Matter.ORDINARY).is_passed
    more = rights(("a", "50.01", FOR), ("c", 1, FOR), ("b", "49.99", AGAINST))
    assert tally(more, Matter.ORDINARY).is_passed
    assert not tally(more, Matter.GRAVE).is_passed
    exact = rights(("a", 30, FOR), ("b", 30, FOR), ("c", 15, FOR), ("d", 25, ABSTAIN))
    assert tally(exact, Matter.GRAVE).is_passed


def test_by_area_alone_or_by_owners_alone_nothing_passes():
    rich = rights(("a", 900, FOR), ("b", 10, AGAINST), ("c", 10, AGAINST))
    assert not tally(rich, Matter.ORDINARY).is_passed
    many = rights(("a", 900, AGAINST), ("b", 10, FOR), ("c", 10, FOR))
    assert not tally(many, Matter.ORDINARY).is_passed


def test_who_owns_several_rooms_and_the_developer_count_once():
    votes = rights(("a", 10, FOR), ("a", 10, FOR), ("", 30, FOR), ("", 30, FOR), ("b", 5, None))
    found = tally(votes, Matter.ORDINARY)
    assert (found.total.owners, found.joined.owners) == (3, 2)
    assert found.joined.area == 80


def test_owners_of_one_room_are_one_owner_and_their_areas_count_apart():
    room, one, other = uuid7(), uuid7(), uuid7()
    split = [Right(room, one, Decimal(60), FOR), Right(room, other, Decimal(40), AGAINST)]
    found = tally(split, Matter.ORDINARY)
    assert found.total.owners == 1
    assert (found.by[FOR].area, found.by[AGAINST].area) == (60, 40)
    assert (found.by[FOR].owners, found.by[AGAINST].owners) == (1, 0)
    even = [Right(room, one, Decimal(50), FOR), Right(room, other, Decimal(50), AGAINST)]
    assert tally(even, Matter.ORDINARY).by[ABSTAIN].owners == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "a+b", "d", ""]),
            st.decimals(1, 500, places=2),
            st.sampled_from([FOR, AGAINST, ABSTAIN, None]),
        ),
        max_size=30,
    )
)
def test_every_area_and_owner_is_counted_once(rows):
    listed = rights(*rows)
    found = tally(listed, Matter.GRAVE)
    assert sum(w.area for w in found.by.values()) == found.joined.area <= found.total.area
    assert sum(w.owners for w in found.by.values()) == found.joined.owners <= found.total.owners
    assert found.total.area == sum((r.area for r in listed), Decimal(0))
    assert tally(reversed(listed), Matter.GRAVE) == found


def test_silence_follows_the_majority_only_where_it_is_one_by_area_and_by_owners():
    said = rights(("a", 60, FOR), ("b", 50, FOR), ("c", 40, AGAINST), ("d", 100, None))
    assert not tally(said, Matter.ORDINARY).has_quorum
    counted = tally(with_silence(said), Matter.ORDINARY)
    assert counted.is_passed
    assert (counted.by[FOR].area, counted.by[FOR].owners) == (Decimal(210), 3)
    assert counted.joined == counted.total
    split = rights(("a", 90, FOR), ("b", 30, AGAINST), ("c", 40, AGAINST), ("d", 100, None))
    assert tally(with_silence(split), Matter.ORDINARY).by[ABSTAIN].area == Decimal(100)
    assert tally(with_silence(rights(("a", 1, None))), Matter.GRAVE).by[ABSTAIN].owners == 1


# --- on a real database ---------------------------------------------------------------------------


@pytest.fixture
def owner(place):
    def of(number):
        person = place.person_ids[number]
        where = {"group_id": place.group_id, "communities": frozenset({place.community_id})}
        grant = Grant(frozenset({"participation.portal"}), **where)
        persons = {place.community_id: person}
        return Actor(uuid7(), f"业主{number}", grants=(grant,), persons=persons)

    return of


@pytest.fixture
def enter(installation, place):
    def opened(actor=None):
        return installation.scope(actor or Actor.system("test"), community=place.community_id)

    return opened


@pytest.fixture
def opened(enter):
    """Return the id of a vote that is open; every room has an area."""
    return _open(enter)


def _open(enter):
    with enter() as scope:
        for number, room in enumerate(scope.session.scalars(select(Room).order_by(Room.sort_key))):
            room.built_area = Decimal(80 + number)
        scope.session.flush()
        values = {"title": "更换电梯", "text": "使用维修资金更换 1 号电梯", "matter": "grave"}
        vote = create(scope, Vote, {**values, "closes_on": scope.today})
        return services.open_vote(scope, vote).id


def test_the_roll_holds_every_room_and_what_is_unsold_is_the_developer_s(enter, opened):
    with enter() as scope:
        listed = scope.session.scalars(select(VoteRight)).all()
        rooms = scope.session.scalars(select(Room)).all()
        assert {right.room_id for right in listed} == {room.id for room in rooms}
        assert sum(r.area for r in listed) == sum(room.built_area for room in rooms)
        owned = set(scope.session.scalars(select(Ownership.room_id)))
        assert {r.room_id for r in listed if r.person_id is None} == {
            room.id for room in rooms if room.id not in owned
        }


def test_parking_counts_where_the_rules_of_the_community_say_so(installation, enter, place):
    garage = uuid7()
    with enter() as scope:
        room = scope.get(Room, place.room_ids[0])
        scope.session.add(
            Room(
                id=garage,
                building_id=room.building_id,
                code="P-001",
                sort_key="P-001",
                room_kind=RoomKind.PARKING,
                built_area=Decimal("12.72"),
            )
        )
    assert garage not in _rooms_of(enter, _open(enter))
    with installation.access() as session:
        set_setting(session, place.group_id, "participation.counts_parking", True)
    assert garage in _rooms_of(enter, _open(enter))


def _rooms_of(enter, vote):
    with enter() as scope:
        query = select(VoteRight.room_id).where(VoteRight.vote_id == vote)
        return scope.session.scalars(query).all()


@pytest.mark.parametrize("counts", [False, True], ids=["as usual", "by a local rule"])
def test_silence_counts_only_by_a_local_rule(enter, opened, counts):
    with enter() as scope:
        values = {"title": "x", "text": "x", "closes_on": scope.today, "counts_silence": counts}
        vote = services.open_vote(scope, create(scope, Vote, values))
        listed = scope.session.scalars(select(VoteRight).where(VoteRight.vote_id == vote.id)).all()
        services.enter_paper(scope, listed[-1], FOR)
        vote.closes_on = scope.today - timedelta(days=1)
        services.close_vote(scope, vote)
        assert vote.result["is_passed"] is counts
        assert (vote.result["joined"] == vote.result["total"]) is counts


def test_a_vote_without_areas_is_not_opened(enter):
    with enter() as scope:
        scope.session.scalars(select(Room).limit(1)).one().built_area = None
        scope.session.flush()
        vote = create(scope, Vote, {"title": "x", "text": "x", "closes_on": scope.today})
        with pytest.raises(Conflict):
            services.open_vote(scope, vote)


def test_a_share_votes_once_online_by_proxy_or_on_paper(enter, owner, place, opened):
    with enter(owner(0)) as scope:
        assert services.cast_vote(scope, opened, FOR) >= 1
    with enter(owner(0)) as scope, pytest.raises(WrongState):
        services.cast_vote(scope, opened, AGAINST)
    with enter(owner(1)) as scope:
        with pytest.raises(Invalid):
            services.entrust_vote(scope, opened, place.person_ids[1])
        services.entrust_vote(scope, opened, place.person_ids[0])
    with enter(owner(0)) as scope:
        assert services.cast_vote(scope, opened, AGAINST) >= 1
    with enter(owner(1)) as scope:
        with pytest.raises(WrongState):
            services.cast_vote(scope, opened, FOR)
        with pytest.raises(WrongState):
            services.entrust_vote(scope, opened, place.person_ids[0])
    with enter() as scope:
        listed = scope.session.scalars(select(VoteRight)).all()
        ways = {r.person_id: (r.choice, r.way) for r in listed if r.cast_at}
        assert ways[place.person_ids[0]] == ("in_favour", BallotWay.ONLINE)
        assert ways[place.person_ids[1]] == ("against", BallotWay.PROXY)
        left = next(r for r in listed if r.cast_at is None)
        services.enter_paper(scope, left, ABSTAIN)
        with pytest.raises(WrongState):
            services.enter_paper(scope, left, FOR)
        sealed = scope.session.scalars(
            text("select choice from participation.vote_right where choice is not null")
        ).all()
        assert not any(b"favour" in bytes(value) or b"against" in bytes(value) for value in sealed)


def test_a_proxy_votes_for_each_as_he_was_told_and_is_found_by_name_and_phone(
    enter, owner, place, opened
):
    with enter() as scope:
        proxy = scope.get(Person, place.person_ids[0])
        proxy.name, proxy.phone = "代表人", "13900001111"
        rights = scope.session.scalars(select(VoteRight)).all()
        total = tally([Right(r.room_id, r.person_id, r.area) for r in rights], Matter.GRAVE).total
    for number in (1, 2):
        with enter(owner(number)) as scope:
            for name, phone in (("代表人", "13900002222"), ("别人", "13900001111"), ("", "1")):
                with pytest.raises(Invalid):
                    services.entrust_by_name(scope, opened, name, phone)
            services.entrust_by_name(scope, opened, " 代表人 ", "139 0000 1111")
    with enter() as scope:
        told = scope.session.scalars(
            select(Message.person_id).where(Message.template == "participation:vote_entrusted")
        ).all()
        assert told == [place.person_ids[0]] * 2
    with enter(owner(2)) as scope:
        services.take_back_proxy(scope, opened)
        with pytest.raises(NotFound):
            services.take_back_proxy(scope, opened)
    with enter(owner(0)) as scope:
        assert services.cast_vote(scope, opened, AGAINST, place.person_ids[1]) >= 1
        with pytest.raises(NotFound):
            services.cast_vote(scope, opened, FOR, place.person_ids[2])
        assert services.cast_vote(scope, opened, FOR, place.person_ids[0]) >= 1
    with enter(owner(1)) as scope, pytest.raises(WrongState):
        services.take_back_proxy(scope, opened)
    with enter() as scope:
        found = services.turnout(scope, scope.get(Vote, opened))
        cast = [r for r in scope.session.scalars(select(VoteRight)) if r.cast_at]
        assert found.total == total
        assert found.joined.area == sum(r.area for r in cast)
        assert found.by[FOR].area == sum(r.area for r in cast if r.person_id == place.person_ids[0])
        assert found.by[AGAINST].area == found.joined.area - found.by[FOR].area


def test_a_stranger_has_no_right(enter, owner, place, opened):
    with enter() as scope:
        scope.session.execute(
            text("delete from participation.vote_right where person_id = :person"),
            {"person": place.person_ids[0]},
        )
    with enter(owner(0)) as scope, pytest.raises(NotFound):
        services.cast_vote(scope, opened, FOR)


@pytest.mark.parametrize("is_secret", [False, True], ids=["open", "secret"])
def test_a_count_is_frozen_and_printed(enter, opened, is_secret):
    with enter() as scope:
        vote = scope.get(Vote, opened, lock=True)
        vote.is_secret = is_secret
        with pytest.raises(WrongState):
            services.close_vote(scope, vote)
        for right in scope.session.scalars(select(VoteRight)).all():
            services.enter_paper(scope, right, FOR)
        services.close_vote(scope, vote)
        assert vote.state is VoteState.CLOSED
        assert vote.result["is_passed"] and vote.result["has_quorum"]
        assert vote.result["by"]["in_favour"] == vote.result["total"]
        rooms = scope.session.scalars(select(VoteRight.id)).all()
        assert len(services.ballots(scope, vote)) == (0 if is_secret else len(rooms))
        assert services.print_vote(scope, vote).content.startswith(b"%PDF")
        with pytest.raises(WrongState):
            services.close_vote(scope, vote)


def test_owners_see_what_was_disclosed_and_what_is_left(enter, owner):
    with enter() as scope:
        values = {"title": "电梯广告", "booked_on": scope.today, "kind": RevenueKind.INCOME}
        earned = create(scope, PublicRevenue, {**values, "amount": Decimal("1200.50")})
        values |= {"kind": RevenueKind.EXPENSE, "title": "更换单元门"}
        spent = create(scope, PublicRevenue, {**values, "amount": Decimal("200.25")})
        hidden = create(scope, PublicRevenue, {**values, "amount": Decimal(7)})
        for entry in (earned, spent):
            services.disclose_revenue(scope, entry)
        with pytest.raises(WrongState):
            services.disclose_revenue(scope, earned)
        year = scope.today.year
    with enter(owner(0)) as scope:
        seen = {entry.id for entry in services.disclosed_revenue(scope, year)}
        assert seen == {earned.id, spent.id}
        assert hidden.id not in seen
        assert services.balance_of_revenue(scope) == Decimal("1000.25")
        assert services.disclosed_revenue(scope, year - 1) == []


def test_after_its_last_day_a_vote_takes_no_ballot(enter, owner, opened):
    with enter() as scope:
        scope.get(Vote, opened).closes_on = scope.today - timedelta(days=1)
    with enter(owner(0)) as scope, pytest.raises(WrongState):
        services.cast_vote(scope, opened, FOR)
