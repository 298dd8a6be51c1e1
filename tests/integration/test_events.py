"""Events: written with the business transaction, delivered to each subscriber at least once."""

import signal

import pytest
from sqlalchemy import text

from dougong.db.scope import Actor
from dougong.errors import Invalid
from dougong.events import EventState, emit_many
from dougong.events.delivery import deliver
from dougong.plugins.operations import disable, install, quarantine, release
from dougong.testing.factories import make_place
from dougong.testing.planting import rows, workshop
from dougong.testing.probe import plant_probe, wait_for, worker

SYSTEM = Actor.system("test")


@pytest.fixture(scope="module")
def stop(tmp_path_factory):
    return tmp_path_factory.mktemp("stop") / "stop"


@pytest.fixture(scope="module")
def probe(test_server, kernel_database, tmp_path_factory, stop):
    folder = tmp_path_factory.mktemp("plugins")
    plant_probe(folder)
    patch = pytest.MonkeyPatch()
    patch.setenv("PROBE_STOPS", str(stop))
    with workshop(test_server, folder, template=kernel_database) as made:
        made.plugins.failures_until_quarantine = 1000
        install(made, SYSTEM, "probe")
        yield made
    patch.undo()


@pytest.fixture
def here(probe):
    return make_place(probe)


def state_walk(probe, here, count=1):
    with probe.scope(SYSTEM, community=here.community_id) as scope:
        emit_many(scope, "probe.walked", [{"number": n} for n in range(count)])


def heard(probe, here):
    query = (
        "select ids ->> 'number' from dougong.outbox_event"
        " where community_id = :c and name = 'probe.heard' order by id"
    )
    return [int(row[0]) for row in rows(probe, query, c=here.community_id)]


def deliveries(probe, here):
    query = "select state, attempts from dougong.event_delivery where community_id = :c order by id"
    return rows(probe, query, c=here.community_id)


def make_due(probe, here):
    with probe.platform() as session:
        session.execute(
            text("update dougong.event_delivery set due_at = now() where community_id = :c"),
            {"c": here.community_id},
        )


def test_a_fact_of_a_transaction_that_rolls_back_never_was(probe, here):
    with (
        pytest.raises(RuntimeError),
        probe.scope(SYSTEM, community=here.community_id) as scope,
    ):
        scope.emit("probe.walked", number=1)
        raise RuntimeError
    assert deliver(probe, here.community_id) == 0
    assert rows(probe, "select 1 from dougong.outbox_event where community_id = :c",
                c=here.community_id) == []  # fmt: skip


def test_a_fact_reaches_who_subscribes_once(probe, here):
    state_walk(probe, here, 3)
    assert deliver(probe, here.community_id) == 3
    assert deliver(probe, here.community_id) == 0
    assert heard(probe, here) == [0, 1, 2]


def test_a_fact_is_the_calling_plugins(probe, here):
    with probe.scope(SYSTEM, community=here.community_id) as scope:
        scope.call("probe.round.tell_time")
        scope.emit("noticed")
    names = rows(probe, "select name from dougong.outbox_event where community_id = :c order by id",
                 c=here.community_id)  # fmt: skip
    assert names == [("probe.told",), ("dougong.noticed",)]


def test_a_group_page_states_no_facts(probe, here):
    with pytest.raises(Invalid), probe.scope(SYSTEM, group=here.group_id) as scope:
        scope.emit("walked")


def test_a_subscriber_that_fails_is_asked_again_and_nothing_of_it_stays(probe, here, stop):
    state_walk(probe, here)
    stop.touch()
    assert deliver(probe, here.community_id) == 0
    assert deliveries(probe, here) == [("waiting", 1)]
    assert heard(probe, here) == []
    assert deliver(probe, here.community_id) == 0, "not due yet"
    stop.unlink()
    make_due(probe, here)
    assert deliver(probe, here.community_id) == 1
    assert deliveries(probe, here) == [("delivered", 2)]
    assert heard(probe, here) == [0]


def test_a_fact_that_waits_holds_up_no_other(probe, here, stop, tmp_path):
    state_walk(probe, here)
    with probe.platform() as session:
        session.execute(
            text("update dougong.event_delivery set attempts = 8 where community_id = :c"),
            {"c": here.community_id},
        )
    stop.touch()
    with worker(probe, tmp_path / "log"):
        wait_for(lambda: deliveries(probe, here) == [("waiting", 9)], 60)
        stop.unlink()
        state_walk(probe, here)
        wait_for(lambda: deliveries(probe, here) == [("waiting", 9), ("delivered", 1)], 60)


def test_a_plugin_that_was_switched_off_misses_nothing_it_wants(probe, here):
    state_walk(probe, here)
    disable(probe, SYSTEM, "probe", here.community_id)
    assert deliver(probe, here.community_id) == 0
    assert deliveries(probe, here) == [(EventState.SKIPPED.value, 0)]


def test_facts_wait_for_a_plugin_in_quarantine(probe, here):
    state_walk(probe, here)
    quarantine(probe, SYSTEM, "probe", "trial")
    try:
        assert deliver(probe, here.community_id) == 0
        assert deliveries(probe, here) == [("waiting", 0)]
    finally:
        release(probe, SYSTEM, "probe")
    make_due(probe, here)
    assert deliver(probe, here.community_id) == 1


def test_a_killed_worker_delivers_every_fact_once(probe, here, tmp_path):
    log, count = tmp_path / "log", 300
    state_walk(probe, here, count)
    with worker(probe, log) as process:
        wait_for(lambda: len(heard(probe, here)) >= 5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 0 < len(heard(probe, here)) < count
    with worker(probe, log):
        wait_for(lambda: len(heard(probe, here)) >= count)
    assert heard(probe, here) == list(range(count))
