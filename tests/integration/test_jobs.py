"""Jobs: enqueued in the caller's transaction, run by a real worker, done once."""

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from dougong import limits
from dougong.access.operations import create_user, grant_role
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid, NotAllowed, NotFound
from dougong.events.queue import is_genuine, sign
from dougong.jobs import RUN, Job, JobState, cancel, recent, retry, submit
from dougong.jobs.running import MOST_STARTS, Ended, Refused, run_job
from dougong.jobs.schedules import last_due, run_schedules
from dougong.plugins.operations import disable, install
from dougong.testing.factories import make_place
from dougong.testing.planting import rows, workshop
from dougong.testing.probe import plant_probe, wait_for, worker

SYSTEM = Actor.system("test")
LONG_S = 90


@pytest.fixture(scope="module")
def probe(test_server, kernel_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    plant_probe(folder)
    with workshop(test_server, folder, template=kernel_database) as made:
        install(made, SYSTEM, "probe")
        yield made


@pytest.fixture
def here(probe):
    return make_place(probe)


def enqueue(probe, here, service="probe.round.walk", actor=SYSTEM, **arguments):
    with probe.scope(actor, community=here.community_id) as scope:
        return scope.enqueue(service, **arguments)


def job_of(probe, here, job_id):
    with probe.scope(SYSTEM, community=here.community_id) as scope:
        return scope.get(Job, job_id)


def as_owner(probe, *statements):
    with probe.databases.engine("migrator").begin() as connection:
        connection.execute(text("set local role dougong_owner"))
        for statement in statements:
            connection.execute(text(statement))


def states(probe, here):
    query = "select state, count(*) from dougong.job where community_id = :c group by state"
    return dict(rows(probe, query, c=here.community_id))


def run_here(probe, here, job_id):
    run_job(probe, here.community_id, job_id, job_of(probe, here, job_id).mac.hex())


def traces(probe, here, name="probe.walked"):
    query = "select ids ->> 'number' from dougong.outbox_event where community_id = :c and name=:n"
    return [row[0] for row in rows(probe, query, c=here.community_id, n=name)]


# --- enqueueing -----------------------------------------------------------------------------------


def queued(probe, here):
    query = (
        "select count(*) from dougong.procrastinate_jobs"
        " where args ->> 'community' = :c and task_name = 'dougong.job'"
    )
    return rows(probe, query, c=str(here.community_id))[0][0]


def test_a_job_of_a_transaction_that_rolls_back_never_was(probe, here, tmp_path):
    with (
        pytest.raises(RuntimeError),
        probe.scope(SYSTEM, community=here.community_id) as scope,
    ):
        scope.enqueue("probe.round.walk", number=1, path=str(tmp_path / "f"))
        raise RuntimeError
    assert states(probe, here) == {}
    assert queued(probe, here) == 0
    enqueue(probe, here, number=1, path=str(tmp_path / "f"))
    assert states(probe, here) == {"waiting": 1}
    assert queued(probe, here) == 1


def test_wrong_arguments_are_refused_when_the_job_is_enqueued(probe, here):
    with pytest.raises(Invalid):
        enqueue(probe, here, number="many", path="f")


def test_a_group_page_enqueues_nothing(probe, here):
    with pytest.raises(Invalid), probe.scope(SYSTEM, group=here.group_id) as scope:
        scope.enqueue("probe.round.tell_time")


def test_who_may_not_call_the_service_may_not_enqueue_it(probe, here):
    with pytest.raises(NotAllowed):
        enqueue(probe, here, "probe.round.tell_time", actor=here.actor("*.view"))


def test_the_application_role_can_put_jobs_in_and_nothing_else(probe, here):
    for statement in (
        "select * from dougong.procrastinate_jobs",
        "delete from dougong.procrastinate_jobs",
        "select dougong.procrastinate_fetch_job_v2(null, 1)",
        "insert into dougong.procrastinate_workers default values",
    ):
        with pytest.raises(Exception, match="permission denied"):
            rows(probe, statement, role="app")


# --- running --------------------------------------------------------------------------------------


def test_a_killed_worker_loses_nothing_and_doubles_nothing(probe, here, tmp_path):
    count, file, log = 30, tmp_path / "steps", tmp_path / "worker.log"
    with probe.scope(SYSTEM, community=here.community_id) as scope:
        for number in range(count):
            arguments = {"number": number, "path": str(file), "pause": 0.15}
            submit(scope, "probe.round.walk", arguments, lock="")
    with worker(probe, log) as process:
        wait_for(lambda: file.exists() and len(file.read_text().splitlines()) >= 8)
        process.send_signal(signal.SIGKILL)
        process.wait()
    cut = len(file.read_text().splitlines())
    done_before = states(probe, here).get("done", 0)
    assert 0 < done_before < cut < count
    with worker(probe, log):
        wait_for(lambda: states(probe, here) == {"done": count})
    assert sorted(map(int, traces(probe, here))) == list(range(count)), "every effect once"
    lines = file.read_text().splitlines()
    assert set(map(int, lines)) == set(range(count))
    assert len(lines) == count + cut - done_before, "what was cut short ran again"
    assert queued(probe, here) == 0


def test_jobs_with_the_same_lock_run_one_at_a_time_in_a_community(probe, tmp_path):
    places = [make_place(probe), make_place(probe)]
    for here in places:
        for number in range(4):
            enqueue(probe, here, number=number, path=str(tmp_path / "f"), pause=0.1)
    with worker(probe, tmp_path / "log"):
        wait_for(lambda: all(states(probe, p) == {"done": 4} for p in places))
    spans = "select started_at, ended_at from dougong.job where community_id = :c order by 1"
    for here in places:
        times = rows(probe, spans, c=here.community_id)
        assert all(a[1] <= b[0] for a, b in zip(times, times[1:], strict=False))
    first, second = (rows(probe, spans, c=p.community_id) for p in places)
    assert first[0][0] < second[-1][1] and second[0][0] < first[-1][1], "communities side by side"


def test_a_job_that_is_to_start_later_holds_up_nobody(probe, here, tmp_path):
    later = datetime.now(UTC) + timedelta(hours=1)
    arguments = {"number": 1, "path": str(tmp_path / "f"), "pause": 0.0}
    with probe.scope(SYSTEM, community=here.community_id) as scope:
        submit(scope, "probe.round.walk", arguments, at=later)
    now = enqueue(probe, here, number=2, path=str(tmp_path / "f"))
    with worker(probe, tmp_path / "log"):
        wait_for(lambda: job_of(probe, here, now).state is JobState.DONE, LONG_S)
    assert traces(probe, here) == ["2"]


def test_a_job_whose_end_the_queue_did_not_learn_holds_up_nobody(probe, here, tmp_path):
    """As when the connection breaks at that moment: the worker lives on, the job is not marked."""
    forget = (
        "create function public.forget() returns trigger language plpgsql as"
        " $$begin raise exception 'the line broke'; end$$",
        "create trigger forget before delete on dougong.procrastinate_jobs"
        " for each row when (old.status = 'doing') execute function public.forget()",
    )
    as_owner(probe, *forget)
    first = enqueue(probe, here, number=1, path=str(tmp_path / "f"))
    second = enqueue(probe, here, number=2, path=str(tmp_path / "f"))
    log = tmp_path / "log"
    with worker(probe, log) as process:
        try:
            wait_for(lambda: "the line broke" in log.read_text(), LONG_S)
        finally:
            as_owner(probe, "drop function public.forget() cascade")
        wait_for(lambda: job_of(probe, here, second).state is JobState.DONE, LONG_S)
        assert process.poll() is None
    assert job_of(probe, here, first).state is JobState.DONE
    assert traces(probe, here) == ["1", "2"]


def test_a_job_that_stumbles_is_tried_again_with_growing_pauses(probe, here, tmp_path):
    job_id = enqueue(probe, here, "probe.round.stumble", path=str(tmp_path / "tries"))
    with worker(probe, tmp_path / "log"):
        wait_for(lambda: job_of(probe, here, job_id).error is not None)
        assert job_of(probe, here, job_id).error == "RuntimeError", "never what a fault quotes"
        wait_for(lambda: job_of(probe, here, job_id).state is JobState.DONE)
    job = job_of(probe, here, job_id)
    assert (job.attempts, job.error) == (3, None)


def test_a_job_whose_answer_is_no_is_not_tried_again_until_somebody_says_so(probe, here, tmp_path):
    job_id = enqueue(probe, here, "probe.round.refuse")
    with worker(probe, tmp_path / "log"):
        wait_for(lambda: job_of(probe, here, job_id).state is JobState.FAILED)
        assert job_of(probe, here, job_id).attempts == 1
        with probe.scope(SYSTEM, community=here.community_id) as scope:
            retry(scope, job_id)
        wait_for(lambda: job_of(probe, here, job_id).state is JobState.FAILED)
    assert job_of(probe, here, job_id).error == "It is closed."


@pytest.mark.parametrize("where", ["in the database", "in Python", "outside of Python"])
def test_a_job_that_overruns_is_ended_and_given_up_after_a_second_try(probe, here, tmp_path, where):
    job_id = enqueue(probe, here, "probe.round.hang", where=where)
    ends = []
    while job_of(probe, here, job_id).state is not JobState.FAILED and len(ends) < 3:
        with worker(probe, tmp_path / "log") as process:
            wait_for(
                lambda: (
                    job_of(probe, here, job_id).state is JobState.FAILED
                    or process.poll() is not None
                )
            )
            ends.append(process.poll())
    job = job_of(probe, here, job_id)
    assert (job.state, job.attempts) == (JobState.FAILED, 2)
    assert "longer than 1 s" in job.error or "超过 1 秒" in job.error
    assert traces(probe, here, "probe.told") == [], "nothing of it stays"
    assert (limits.EXIT_CODE in ends) == (where == "outside of Python")
    with worker(probe, tmp_path / "log"):
        wait_for(lambda: queued(probe, here) == 0)
    with probe.access() as session:
        session.execute(text("delete from dougong.plugin_failure where plugin = 'probe'"))


def test_a_job_that_kills_its_workers_is_not_tried_for_ever(probe, here, tmp_path):
    job_id = enqueue(probe, here, number=1, path=str(tmp_path / "f"))
    with probe.platform() as session:
        session.execute(
            text("update dougong.job set attempts = :most where id = :i"),
            {"most": MOST_STARTS, "i": job_id},
        )
    with pytest.raises(Refused):
        run_here(probe, here, job_id)
    job = job_of(probe, here, job_id)
    assert job.state is JobState.FAILED
    assert "has died" in job.error or "异常退出" in job.error
    assert not (tmp_path / "f").exists()


def test_a_second_run_of_a_job_changes_nothing(probe, here, tmp_path):
    job_id = enqueue(probe, here, number=7, path=str(tmp_path / "f"))
    run_here(probe, here, job_id)
    run_here(probe, here, job_id)
    assert traces(probe, here) == ["7"]
    job = job_of(probe, here, job_id)
    assert (job.state, job.result, job.done, job.total, job.message) == (
        JobState.DONE, 7, 1, 2, "half",
    )  # fmt: skip


def test_two_runs_at_the_same_time_have_one_effect(probe, here, tmp_path):
    job_id = enqueue(probe, here, number=7, path=str(tmp_path / "f"))
    from dougong.jobs import running

    with probe.scope(SYSTEM, community=here.community_id) as scope:
        scope.call("probe.round.walk", number=7, path=str(tmp_path / "f"))
        running._finish(scope, job_id, 7)
    with pytest.raises(Ended), probe.scope(SYSTEM, community=here.community_id) as scope:
        scope.call("probe.round.walk", number=7, path=str(tmp_path / "f"))
        running._finish(scope, job_id, 7)
    assert traces(probe, here) == ["7"]


def test_a_job_of_a_plugin_that_was_switched_off_does_not_run(probe, here, tmp_path):
    job_id = enqueue(probe, here, number=7, path=str(tmp_path / "f"))
    disable(probe, SYSTEM, "probe", here.community_id)
    with pytest.raises(NotFound):
        run_here(probe, here, job_id)
    assert job_of(probe, here, job_id).state is JobState.FAILED


# --- in whose name --------------------------------------------------------------------------------


def a_user(probe, here, role="technician"):
    with probe.access() as session:
        ship_roles(session)
        user = create_user(session, f"u{uuid4().hex[:8]}", "张三")
        grant_role(
            session, SYSTEM, user.id, role,
            group_id=here.group_id, community_id=here.community_id,
        )  # fmt: skip
        return user.id


def test_a_job_runs_as_who_asked_for_it(probe, here):
    user_id = a_user(probe, here)
    asking = here.actor("probe.round.tell_time", user_id=user_id)
    job_id = enqueue(probe, here, "probe.round.tell_time", actor=asking)
    run_here(probe, here, job_id)
    query = "select ids ->> 'by' from dougong.outbox_event where community_id = :c"
    assert rows(probe, query, c=here.community_id) == [("job",)]


def test_a_job_of_a_user_who_is_gone_does_not_run(probe, here):
    user_id = a_user(probe, here)
    asking = here.actor("probe.round.tell_time", user_id=user_id)
    job_id = enqueue(probe, here, "probe.round.tell_time", actor=asking)
    with probe.access() as session:
        session.execute(
            text('update dougong."user" set is_active = false where id = :u'), {"u": user_id}
        )
    with pytest.raises(NotAllowed):
        run_here(probe, here, job_id)


# --- forgeries ------------------------------------------------------------------------------------


def test_a_payload_counts_for_its_task_and_arguments_only(probe):
    key = probe.databases.scope_key
    payload = {"community": "a", "job": "b"}
    good = {**payload, "mac": sign(key, RUN, payload)}
    assert is_genuine(key, RUN, good)
    assert not is_genuine(key, "dougong.deliver", good)
    assert not is_genuine(key, RUN, {**good, "community": "b"})
    assert not is_genuine(key, RUN, {**good, "more": "x"})
    assert not is_genuine(key, RUN, payload)


def test_the_worker_refuses_what_others_put_into_the_queue(probe, here, tmp_path):
    job_id = enqueue(probe, here, number=1, path=str(tmp_path / "f"))
    foreign = make_place(probe)
    forged = {"community": str(here.community_id), "job": str(job_id), "digest": "00", "mac": "00"}
    moved = "update dougong.procrastinate_jobs set args = jsonb_set(args, '{community}', :c)"
    put = (
        "select dougong.procrastinate_defer_jobs_v1(array[row('default', :task, 0, null, null,"
        " cast(:args as jsonb), null)]::dougong.procrastinate_job_to_defer_v1[])"
    )
    with probe.databases.engine("app").begin() as connection:
        connection.execute(text(put), {"task": RUN, "args": json.dumps(forged)})
    with probe.platform() as session:
        session.execute(
            text(f"{moved} where args ->> 'community' = :here and args ->> 'mac' <> '00'"),
            {"c": json.dumps(str(foreign.community_id)), "here": str(here.community_id)},
        )
    log = tmp_path / "log"
    with worker(probe, log):
        wait_for(lambda: log.read_text().count("a forged payload was refused") >= 2)
    assert not (tmp_path / "f").exists()
    assert job_of(probe, here, job_id).state is JobState.WAITING


def test_a_row_that_was_changed_is_refused(probe, here, tmp_path):
    job_id = enqueue(probe, here, number=1, path=str(tmp_path / "f"))
    digest = job_of(probe, here, job_id).mac.hex()
    with probe.scope(SYSTEM, community=here.community_id) as scope:
        changed = {"number": 2, "path": str(tmp_path / "f"), "pause": 0.0}
        scope.get(Job, job_id).arguments = changed
    with pytest.raises(Refused):
        run_job(probe, here.community_id, job_id, digest)
    assert not (tmp_path / "f").exists()
    with probe.scope(SYSTEM, community=here.community_id) as scope:
        scope.get(Job, job_id).state = JobState.FAILED
    with pytest.raises(Conflict), probe.scope(SYSTEM, community=here.community_id) as scope:
        retry(scope, job_id)


# --- the jobs page --------------------------------------------------------------------------------


def test_the_page_reads_its_place_and_needs_the_permission(probe, here, tmp_path):
    job_id = enqueue(probe, here, number=1, path=str(tmp_path / "f"))
    viewer = here.actor("dougong.job.view")
    with probe.scope(viewer, community=here.community_id) as scope:
        assert [job.id for job in recent(scope)] == [job_id]
    with probe.scope(viewer, group=here.group_id) as scope:
        assert [job.id for job in recent(scope)] == [job_id]
    with probe.scope(SYSTEM, community=here.other_community_id) as scope:
        assert recent(scope) == []
    with (
        pytest.raises(NotAllowed),
        probe.scope(here.actor("meters.*"), community=here.community_id) as scope,
    ):
        recent(scope)
    with pytest.raises(NotAllowed), probe.scope(viewer, community=here.community_id) as scope:
        cancel(scope, job_id)


def test_a_cancelled_job_does_not_run(probe, here, tmp_path):
    job_id = enqueue(probe, here, number=1, path=str(tmp_path / "f"))
    with probe.scope(SYSTEM, community=here.community_id) as scope:
        cancel(scope, job_id)
    run_here(probe, here, job_id)
    assert not (tmp_path / "f").exists()
    assert job_of(probe, here, job_id).state is JobState.CANCELLED


def test_a_running_job_stops_when_it_tells_its_progress(probe, here, tmp_path):
    job_id = enqueue(probe, here, number=1, path=str(tmp_path / "f"))
    with probe.platform() as session:
        session.execute(
            text("update dougong.job set is_cancel_wanted = true where id = :i"), {"i": job_id}
        )
    with pytest.raises(Exception, match="cancelled"):
        run_here(probe, here, job_id)
    assert job_of(probe, here, job_id).state is JobState.CANCELLED
    assert traces(probe, here) == []


# --- schedules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "zone", "due"),
    [
        ("2026-11-24T00:29+00:00", "Asia/Shanghai", "2026-11-23T00:30+00:00"),
        ("2026-11-24T00:30+00:00", "Asia/Shanghai", "2026-11-24T00:30+00:00"),
        ("2026-11-24T00:31+00:00", "Asia/Urumqi", "2026-11-23T02:30+00:00"),
        ("2026-03-29T06:31+00:00", "Europe/Berlin", "2026-03-29T06:30+00:00"),
    ],
    ids=["before", "at", "another zone", "first day of summer time"],
)
def test_schedules_follow_the_clock_of_the_community(now, zone, due):
    found = last_due("30 8 * * *", zone, datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(due)


def test_a_schedule_fires_once_per_community_and_day(probe, here):
    at = lambda day, hour: datetime(2030, 1, day, hour, tzinfo=UTC)  # noqa: E731
    run_schedules(probe, at(1, 0))
    assert states(probe, here) == {}, "what was due before the plugin was on is not made up for"
    for moment in (at(1, 1), at(1, 2), at(1, 23)):
        run_schedules(probe, moment)
    assert states(probe, here) == {"waiting": 1}
    run_schedules(probe, at(5, 1))
    assert states(probe, here) == {"waiting": 2}, "days that were missed are made up for once"
    disable(probe, SYSTEM, "probe", here.other_community_id)
    run_schedules(probe, at(6, 1))
    query = "select count(*) from dougong.job where community_id = :c"
    assert rows(probe, query, c=here.other_community_id) == [(2,)]
    assert rows(probe, query, c=here.community_id) == [(3,)]


def test_the_queue_in_the_database_is_the_one_that_the_library_expects():
    import procrastinate.schema

    ours = Path("core/dougong/db/sql/jobs.sql").read_text()
    theirs = procrastinate.schema.SchemaManager.get_schema()
    assert theirs[theirs.index("-- Enums") :].strip() in ours
