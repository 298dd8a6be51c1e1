"""A database that goes away is nobody's fault: plugins at work meanwhile are not quarantined."""

import psycopg
from sqlalchemy.exc import OperationalError


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
