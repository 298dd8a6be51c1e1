"""Plugins that hang or are slow: cancelled where that is possible, named where it is not."""

import threading
import time

import pytest

from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.plugins import operations
from dougong.plugins.models import PluginState
from dougong.plugins.watching import read_usage, report_hanging, write_usage
from dougong.testing.budgets import watched
from dougong.testing.factories import make_place
from dougong.testing.planting import plant_small, rows, workshop

SYSTEM = Actor.system("test")
GOOD = """
from dougong.hookspecs import Card, hookimpl

@hookimpl
def dashboard_cards(scope):
    return [Card("good", "1")]
"""
SLEEPS_IN_SQL = """
from dougong.hookspecs import Card, hookimpl
from sqlalchemy import text

@hookimpl
def dashboard_cards(scope):
    scope.session.execute(text("update dougong.building set name = 'half'"))
    scope.session.execute(text("select pg_sleep(60)"))
"""
MANY_STATEMENTS = """
from dougong.hookspecs import Card, hookimpl
from sqlalchemy import text

@hookimpl
def dashboard_cards(scope):
    while True:
        scope.session.execute(text("select pg_sleep(0.01)"))
"""
WAITS = """
from dougong.hookspecs import Card, hookimpl
from threading import Event
go, started = Event(), Event()

@hookimpl
def dashboard_cards(scope):
    started.set()
    go.wait(60)
    return [Card("late", "1")]
"""
ASKS = """
from dougong.hookspecs import Card, hookimpl

@hookimpl
def dashboard_cards(scope):
    scope.ask("search_records", words="xx", limit=1)
    return [Card("asking", "1")]
"""
SLOW_SEARCH = """
import time
from dougong.hookspecs import Card, hookimpl

@hookimpl
def search_records(scope, words, limit):
    time.sleep(0.3)
"""


@pytest.fixture
def shop(test_server, kernel_database, tmp_path):
    """Return a function that installs small plugins and opens a place where they are on."""
    made = []

    def open_shop(**plugins):
        for plugin, hooks in plugins.items():
            plant_small(tmp_path, plugin, hooks=hooks)
        made.append(workshop(test_server, tmp_path, template=kernel_database))
        installation = made[0].__enter__()
        for plugin in plugins:
            operations.install(installation, SYSTEM, plugin)
        installation.place = make_place(installation)
        return installation

    yield open_shop
    for each in made:
        each.__exit__(None, None, None)


def titles(installation):
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        return [card.title for cards in scope.ask("dashboard_cards") for card in cards]


def deadline(installation, plugin, seconds, name="dashboard_cards"):
    spent = installation.plugins.usage.of(plugin, f"hook {name}")
    spent.deadline_s = spent.patience_s = seconds
    spent.budget_s = seconds / 5


@pytest.mark.parametrize("hooks", [SLEEPS_IN_SQL, MANY_STATEMENTS], ids=["one", "many"])
def test_statements_of_a_hook_end_at_its_deadline(shop, hooks):
    installation = shop(lifts=hooks, pumps=GOOD)
    deadline(installation, "lifts", 0.5)
    started = time.monotonic()
    assert titles(installation) == ["good"]
    assert time.monotonic() - started < 30, "not the sixty seconds that it wanted"
    assert rows(installation, "select count(*) from dougong.building where name = 'half'") == [(0,)]
    for _ in range(installation.plugins.failures_until_quarantine - 1):
        assert titles(installation) == ["good"]
    assert installation.plugins.standing("lifts").state == PluginState.QUARANTINED


def test_the_callers_own_timeout_is_back_after_a_hook(shop):
    installation = shop(lifts=SLEEPS_IN_SQL.replace("pg_sleep(60)", "1").replace("half", "x"))
    show = "show statement_timeout"
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        session = scope.session
        before = session.connection().exec_driver_sql(show).scalar()
        scope.ask("dashboard_cards")
        assert session.connection().exec_driver_sql(show).scalar() == before
        session.connection().exec_driver_sql("set local statement_timeout = '1500ms'")
        scope.ask("dashboard_cards")
        assert session.connection().exec_driver_sql(show).scalar() == "1500ms"


def test_a_loop_that_cannot_be_stopped_is_named_while_it_runs(shop):
    installation = shop(lifts=WAITS, pumps=GOOD)
    import dougong_lifts.hooks as planted

    deadline(installation, "lifts", 0.2)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(titles(installation)), name="request-7")
    thread.start()
    assert planted.started.wait(30)
    until = time.monotonic() + 30
    while not report_hanging(installation) and time.monotonic() < until:
        time.sleep(0.05)
    [issue] = operations.repairs(installation)
    assert (issue.plugin, issue.point) == ("lifts", "hook dashboard_cards")
    assert "request-7" in issue.reason and "since" in issue.reason
    assert report_hanging(installation) == 0, "it is told once"
    planted.go.set()
    thread.join(30)
    assert seen == [["late", "good"]], "an answer that comes late still counts"


def test_a_plugin_that_hangs_again_and_again_is_quarantined_before_all_threads_hang(shop):
    installation = shop(lifts=WAITS, pumps=GOOD)
    import dougong_lifts.hooks as planted

    deadline(installation, "lifts", 0.05)
    limit = installation.plugins.failures_until_quarantine
    threads = [threading.Thread(target=titles, args=(installation,)) for _ in range(limit)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while len(installation.plugins.hooks.silenced) == 0 and time.monotonic() < until:
        report_hanging(installation)
        time.sleep(0.05)
    assert installation.plugins.standing("lifts").state == PluginState.QUARANTINED
    assert titles(installation) == ["good"], "the next request does not wait for it"
    planted.go.set()
    for thread in threads:
        thread.join(30)


def test_slow_calls_are_to_be_repaired_and_then_quarantined(shop):
    installation = shop(lifts=SLOW_SEARCH, pumps=GOOD)
    deadline(installation, "lifts", 1.0, "search_records")
    installation.plugins.slow_until_repair, installation.plugins.slow_until_quarantine = 2, 4
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        scope.ask("search_records", words="xx", limit=1)
        assert operations.repairs(installation) == []
        scope.ask("search_records", words="xx", limit=1)
        [issue] = operations.repairs(installation)
        assert issue.point == "hook search_records (time)" and "0.2 s" in issue.reason
        for _ in range(2):
            scope.ask("search_records", words="xx", limit=1)
    assert installation.plugins.standing("lifts").state == PluginState.QUARANTINED
    assert "took" in installation.plugins.standing("lifts").reason


def test_time_counts_for_the_plugin_that_took_it_and_is_written_down(shop):
    installation = shop(pumps=ASKS, lifts=SLOW_SEARCH)
    for _ in range(2):
        assert titles(installation) == ["asking"]
    write_usage(installation)
    titles(installation)
    write_usage(installation)
    write_usage(installation)
    taken = {(t.plugin, t.point): t for t in read_usage(installation)}
    search, cards = taken["lifts", "hook search_records"], taken["pumps", "hook dashboard_cards"]
    assert (search.calls, cards.calls) == (3, 3)
    assert search.mean_ms >= 300 > cards.mean_ms, "waiting for another is not its own time"


def test_a_second_process_adds_to_the_same_figures(shop):
    installation = shop(pumps=GOOD)
    other = Installation.open(installation.settings)
    other.place = installation.place
    for each in (installation, other, other):
        titles(each)
    write_usage(installation)
    write_usage(other)
    assert [(t.plugin, t.calls, t.failures) for t in read_usage(installation)] == [("pumps", 3, 0)]
    other.close()


YIELDS = """
from dougong.hookspecs import Card, hookimpl
from sqlalchemy import Text, cast, func, literal, select

@hookimpl
def dashboard_cards(scope):
    first, second = yield select(literal(1)), select(literal(2))
    third = yield select(literal(first.scalar_one() + second.scalar_one()))
    return [Card("sum", str(third.scalar_one()))]
"""
YIELDS_WRONG = """
from dougong.hookspecs import hookimpl
from sqlalchemy import text

@hookimpl
def dashboard_cards(scope):
    scope.session.execute(text("update dougong.building set name = 'half'"))
    yield text("select 1")
"""
YIELDS_BROKEN = YIELDS.replace("literal(2)", "func.sqrt(literal(-1))")
SLEEP = "select(literal(2)).where(cast(func.pg_sleep({}), Text) == '')"
YIELDS_SLOWLY = YIELDS.replace("select(literal(2))", SLEEP.format(60))
YIELDS_FOREVER = """
from dougong.hookspecs import hookimpl
from sqlalchemy import literal, select

@hookimpl
def dashboard_cards(scope):
    while True:
        yield select(literal(1))
"""


def test_what_many_plugins_yield_is_one_statement_in_each_round(shop):
    installation = shop(lifts=YIELDS, pumps=YIELDS, doors=GOOD)
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        scope.session.connection()
        with watched() as seen:
            answers = scope.ask("dashboard_cards")
    assert [card.value for cards in answers for card in cards] == ["3", "3", "1"]
    assert len(seen.statements) == 2


@pytest.mark.parametrize(
    "hooks", [YIELDS_WRONG, YIELDS_BROKEN, YIELDS_SLOWLY, YIELDS_FOREVER],
    ids=["no select", "broken", "slow", "forever"],
)  # fmt: skip
def test_of_those_that_ask_together_only_the_one_to_blame_is_lost(shop, hooks):
    installation = shop(lifts=hooks, pumps=YIELDS)
    for plugin in ("lifts", "pumps"):
        deadline(installation, plugin, 0.5)
    assert titles(installation) == ["sum"]
    failures = rows(installation, "select plugin, point from dougong.plugin_failure")
    assert failures == [("lifts", "hook dashboard_cards")]
    assert rows(installation, "select count(*) from dougong.building where name = 'half'") == [(0,)]


def test_after_a_slow_round_each_is_asked_alone_so_that_the_slow_one_is_counted(shop):
    slow = YIELDS.replace("select(literal(2))", SLEEP.format(0.3))
    installation, over = shop(lifts=slow, pumps=YIELDS), []
    installation.plugins.usage.on_over = lambda spent, taken_s: over.append(spent.plugin)
    for plugin in ("lifts", "pumps"):
        deadline(installation, plugin, 1.0)
    assert titles(installation) == ["sum", "sum"] and not over
    assert titles(installation) == ["sum", "sum"] and over == ["lifts"]
