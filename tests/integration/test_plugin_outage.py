"""A database that goes away is nobody's fault: plugins at work meanwhile are not quarantined."""

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from dougong.db.scope import Actor
from dougong.db.servers import is_away
from dougong.plugins import operations
from dougong.testing.factories import make_place
from dougong.testing.planting import plant_small, workshop

SYSTEM = Actor.system("test")
HOOK = """
from sqlalchemy import func, select, text
from dougong.hookspecs import hookimpl

ENDED = select(func.pg_terminate_backend(func.pg_backend_pid()))

@hookimpl
def dashboard_cards(scope):
    {}
"""


def lost(cause: Exception) -> OperationalError:
    return OperationalError("select 1", {}, cause)


def times_failed(installation, error) -> int:
    plugins, counted = installation.plugins, []
    before = plugins.standing("meters")
    plugins_failures = plugins.failures_until_quarantine
    plugins.failures_until_quarantine = 10**6
    try:
        for _ in range(3):
            plugins.failed("meters", "job meters.test", error)
        from dougong.plugins.operations import repairs

        counted = [r for r in repairs(installation) if r.point == "job meters.test"]
    finally:
        plugins.failures_until_quarantine = plugins_failures
    assert plugins.standing("meters") == before
    return len(counted)


def test_a_lost_database_is_not_counted_against_a_plugin(installation):
    assert times_failed(installation, lost(psycopg.errors.AdminShutdown())) == 0
    assert times_failed(installation, lost(psycopg.errors.CrashShutdown())) == 0
    assert times_failed(installation, lost(psycopg.OperationalError("server closed"))) == 0


def test_a_fault_of_its_own_is(installation):
    assert times_failed(installation, lost(psycopg.errors.QueryCanceled())) == 1


@pytest.mark.parametrize(
    "line",
    [
        "scope.session.execute(ENDED)",
        "scope.session.execute(text('select 1')), scope.session.execute(ENDED)",
        "yield ENDED",
    ],
    ids=["first statement", "second statement", "in rounds"],
)
def test_a_connection_lost_within_a_hook_is_told_to_who_asked(
    test_server, kernel_database, tmp_path, line
):
    plant_small(tmp_path, "lifts", hooks=HOOK.format(line))
    with workshop(test_server, tmp_path, template=kernel_database) as installation:
        operations.install(installation, SYSTEM, "lifts")
        community = make_place(installation).community_id
        with (
            pytest.raises(OperationalError) as caught,
            installation.scope(SYSTEM, community=community) as scope,
        ):
            scope.ask("dashboard_cards")
        assert is_away(caught.value)
        assert not operations.repairs(installation)
        with installation.scope(SYSTEM, community=community) as scope:
            assert scope.session.connection().exec_driver_sql("select 1").scalar() == 1
