"""Rows of another community cannot be read or written, whatever the application forgets."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from dougong.access.operations import grant_role
from dougong.db.beginning import begin_statement
from dougong.db.migrator import Migrator
from dougong.db.scope import Actor, Claim, ScopeKey
from dougong.tenancy.models import Building, Person, Room
from dougong.testing.people import make_login, sign_in
from dougong.web.app import SESSION_COOKIE, create_app


def test_a_scope_sees_only_its_own_rooms(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert len(scope.session.scalars(select(Room)).all()) == 4
        assert scope.session.execute(text("select count(*) from dougong.room")).scalar() == 4
    with installation.scope(Actor.system(), community=place.other_community_id) as scope:
        assert scope.session.execute(text("select count(*) from dougong.room")).scalar() == 0


def test_a_row_of_another_community_cannot_be_written(installation, place):
    with (
        pytest.raises(DBAPIError, match="row-level security"),
        installation.scope(Actor.system(), community=place.community_id) as scope,
    ):
        scope.session.execute(
            text(
                "insert into dougong.building (community_id, id, code, name, sort_key)"
                " values (:c, uuidv7(), 'x', 'x', '')"
            ),
            {"c": place.other_community_id},
        )


FORGERIES = {
    "set_config": "select set_config('backtrace_functions', '{value}', true)",
    "set_config_for_the_session": "select set_config('backtrace_functions', '{value}', false)",
    "set": "set backtrace_functions = '{value}'",
    "set_by_a_function": "create function pg_temp.f() returns bigint language sql"
    " set backtrace_functions = '{value}' as 'select 1::bigint'",
    "set_for_the_role": "alter role dougong_app set backtrace_functions = '{value}'",
    "wrong_signature": "call dougong.enter('{zeros};' || pg_backend_pid()"
    " || ';9999999999;{value}')",
}


@pytest.mark.parametrize("forgery", sorted(FORGERIES))
def test_injected_sql_cannot_switch_the_scope(installation, place, forgery):
    wanted = Claim(place.group_id, place.community_id, (place.community_id,)).value
    statement = FORGERIES[forgery].format(value=wanted, zeros="0" * 64)
    with (
        pytest.raises(DBAPIError) as refused,
        installation.scope(Actor.system(), community=place.other_community_id) as scope,
    ):
        scope.session.execute(text(statement))
    assert refused.value.orig.sqlstate == "42501"


@pytest.mark.parametrize("spoilt", ["signature", "backend", "expired", "this transaction has one"])
def test_a_scope_is_good_for_one_backend_one_minute_and_one_transaction(
    installation, place, spoilt, monkeypatch
):
    """Also a scope that the application signed, which injected SQL never sees."""
    claim = Claim(place.group_id, place.community_id, (place.community_id,))
    key = installation.databases.scope_key
    with installation.databases.engine("app").connect() as connection:
        raw = connection.connection.driver_connection
        backend = raw.pgconn.backend_pid + (spoilt == "backend")
        with monkeypatch.context() as patch:
            if spoilt == "expired":
                patch.setattr("time.time", lambda: datetime.now(UTC).timestamp() - 90)
            statement = begin_statement(claim, key, backend).decode().partition("; ")[2]
        if spoilt == "signature":
            statement = statement.replace(place.community_id.hex, place.other_community_id.hex)
        if spoilt == "this transaction has one":
            connection.exec_driver_sql(statement)
        with pytest.raises(DBAPIError, match=f"scope refused: {spoilt}"):
            connection.exec_driver_sql(statement)


def test_what_takes_the_scope_away_shows_nothing(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        scope.session.execute(text("reset all"))
        assert scope.session.execute(text("select count(*) from dougong.room")).scalar() == 0


def test_a_group_scope_reads_its_communities_and_writes_none(installation, place):
    with installation.scope(Actor.system(), group=place.group_id) as scope:
        assert len(scope.session.scalars(select(Room)).all()) == 4
        changed = scope.session.execute(text("update dougong.room set floor = 99")).rowcount
        assert changed == 0


def test_personal_values_are_ciphertext_in_the_database(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        person = scope.session.scalars(select(Person).order_by(Person.name)).first()
        assert person.phone == "13800130000"
        raw = scope.session.execute(text("select phone from dougong.person")).scalars().all()
        assert all(b"1380013" not in bytes(value) for value in raw)
        found = scope.session.scalars(
            select(Person).where(Person.phone.matches(scope, "+86 138 0013 0001"))
        ).all()
        assert [p.name for p in found] == ["业主1"]
        assert scope.session.scalars(select(Building)).first() is not None


def test_two_tabs_of_one_browser_show_their_own_community_each(installation, place):
    """The place is in the address, never in the session: tabs cannot mix, in any order."""
    app = create_app(installation)
    actor = make_login(installation, place, "community_manager")
    with installation.access() as session:
        grant_role(session, Actor.system(), actor.user_id, "group_manager", group_id=place.group_id)
    marks = {place.community_id: "甲座", place.other_community_id: "乙座"}
    for community, mark in marks.items():
        with installation.scope(Actor.system(), community=community) as scope:
            scope.session.add(Building(code=mark, name=mark))
    cookie = sign_in(app, installation, actor).get_cookie(SESSION_COOKIE).value

    def tab(community):
        client = app.test_client()
        client.set_cookie(SESSION_COOKIE, cookie)
        own, foreign = marks[community], (set(marks.values()) - {marks[community]}).pop()
        wrong = 0
        for _ in range(15):
            page = client.get(f"/c/{community}/admin/dougong/building/").text
            wrong += own not in page or foreign in page
        return wrong

    with ThreadPoolExecutor(4) as tabs:
        assert list(tabs.map(tab, [*marks, *marks])) == [0, 0, 0, 0]


def test_a_transaction_that_begins_on_a_lost_connection_gets_a_new_one(
    installation, place, test_server
):
    """Nothing was sent on it yet, so nothing is lost."""
    claim = Claim(place.group_id, place.community_id, (place.community_id,))
    count = text("select count(*), pg_backend_pid() from dougong.room")
    with installation.databases.engine("app").connect() as connection:
        ours = connection.execution_options(claim=claim)
        rooms, lost = ours.execute(count).one()
        ours.commit()
        with psycopg.connect(test_server.dsn(), autocommit=True) as link:
            link.execute("select pg_terminate_backend(%s, 10000)", [lost])
        with ours.begin():
            again, other = ours.execute(count).one()
        assert (rooms, again) == (4, 4) and other != lost


def test_a_key_that_was_changed_is_the_only_one_from_then_on(installation, place):
    """Also on connections that have planned with the old one."""
    claim = Claim(place.group_id, place.community_id, (place.community_id,))
    count = text("select count(*) from dougong.room")
    with installation.databases.engine("app").connect() as connection:
        ours = connection.execution_options(claim=claim)
        for _ in range(7):
            assert ours.execute(count).scalar() == 4
            ours.commit()
        try:
            install_key(installation, ScopeKey(b"y" * 32))
            with pytest.raises(DBAPIError, match="scope refused: signature"):
                ours.execute(count)
            ours.rollback()
        finally:
            install_key(installation, installation.databases.scope_key)
        assert ours.execute(count).scalar() == 4


def install_key(installation, key):
    databases = replace(installation.databases, scope_key=key, _engines={})
    with databases.engine("migrator").begin() as connection:
        Migrator(databases)._install_scope_key(connection)
