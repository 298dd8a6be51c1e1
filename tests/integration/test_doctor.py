"""`dougong doctor`: what goes wrong in the field is found, and only then."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from dougong.access.operations import create_user, grant_role, start_session
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor, ScopeKey
from dougong.doctor import database, examine, machine, work
from dougong.doctor.commands import doctor
from dougong.installation import Installation
from dougong.messages import notify
from dougong.tenancy.models import Person
from dougong.testing.budgets import watched
from dougong.testing.factories import make_place
from dougong.testing.planting import workshop
from dougong.web.app import create_app
from dougong.webhooks.models import WebhookSubscription

SYSTEM = Actor.system("test")


@pytest.fixture(scope="module")
def sick(test_server, kernel_database):
    """An installation of its own, to make ill."""
    with workshop(test_server, template=kernel_database) as made:
        yield made


def wrong(findings):
    return [f for f in findings if not f.is_well]


def platform(installation, statement, **values):
    with installation.platform() as session:
        session.execute(text(statement), values)


def as_superuser(server, installation, *statements):
    import psycopg

    name = installation.settings.database.rpartition("dbname=")[2]
    with psycopg.connect(server.dsn(database=name), autocommit=True) as link:
        for statement in statements:
            link.execute(statement)


def test_a_sound_database_has_nothing_wrong(sick):
    for check in (database.clock, database.protection, database.scopes, database.migrations,
                  database.upkeep, work.plugins, work.keyring, work.jobs, work.events,
                  work.messages, work.webhooks):  # fmt: skip
        assert wrong(check(sick)) == [], check.__name__


def test_every_finding_says_what_to_do(sick):
    found = examine(sick)
    assert len(found) > 15
    assert all(f.repair for f in found)
    assert all("failed; send its message" not in f.repair for f in found)


@pytest.mark.parametrize(
    ("spoil", "mend"),
    [
        (
            "drop policy scope_select on dougong.building",
            "create policy scope_select on dougong.building for select to dougong_app using"
            " (community_id = any ((select dougong.reading_communities())::uuid[]))",
        ),
        (
            "alter table dougong.room no force row level security",
            "alter table dougong.room force row level security",
        ),
        ("create table dougong.leak (id int)", "drop table dougong.leak"),
        (
            "grant select on dougong.user to dougong_app",
            "revoke all on dougong.user from dougong_app",
        ),
    ],
    ids=["policy", "force", "unknown table", "grant"],
)
def test_a_database_that_was_changed_by_hand_is_found(test_server, sick, spoil, mend):
    spoil, mend = (s.replace("dougong.user ", 'dougong."user" ') for s in (spoil, mend))
    as_superuser(test_server, sick, spoil)
    try:
        assert len(wrong(database.protection(sick))) == 1
    finally:
        as_superuser(test_server, sick, mend)
    assert wrong(database.protection(sick)) == []


@pytest.mark.parametrize(
    ("spoil", "mend", "told"),
    [
        (
            "update pg_index set indisvalid = false where indexrelid ="
            " 'dougong.ix_job_state'::regclass",
            "update pg_index set indisvalid = true where indexrelid ="
            " 'dougong.ix_job_state'::regclass",
            "ix_job_state",
        ),
        (
            "update pg_database set datcollversion = '0.1' where datname = current_database()",
            "update pg_database set datcollversion ="
            " pg_database_collation_actual_version(oid) where datname = current_database()",
            "",
        ),
    ],
    ids=["index", "sorting"],
)
def test_what_creeps_up_on_a_database_is_found(test_server, sick, spoil, mend, told):
    as_superuser(test_server, sick, spoil)
    try:
        [finding] = wrong(database.upkeep(sick))
        assert told in finding.detail
    finally:
        as_superuser(test_server, sick, mend)
    assert wrong(database.upkeep(sick)) == []


def test_messages_and_webhooks_that_do_not_arrive_are_found(sick):
    place = make_place(sick)
    with sick.scope(SYSTEM, community=place.community_id) as scope:
        note = {"subject": "停水", "body": "九点"}
        notify(scope, scope.get(Person, place.person_ids[0]), "dougong:free", note)
        scope.session.add(WebhookSubscription(name="ERP", url="https://erp.example", secret="x"))
    assert wrong(work.messages(sick)) == wrong(work.webhooks(sick)) == []
    insert = (
        "insert into dougong.message_delivery (community_id, id, message_id, channel, rank, state,"
        " due_at, attempts, detail)"
        " select community_id, uuidv7(), id, :s, 1, :s, :at, 1, '550 no such box'"
        " from dougong.message"
    )
    now = datetime.now(UTC)
    platform(sick, insert, s="waiting", at=now - timedelta(hours=1))
    platform(sick, insert, s="failed", at=now)
    late, failed = wrong(work.messages(sick))
    assert "550 no such box" in failed.detail
    platform(sick, "delete from dougong.message_delivery")
    platform(sick, "update dougong.webhook_subscription set failing_since = now()")
    [finding] = wrong(work.webhooks(sick))
    assert "ERP" in finding.detail


def test_a_scope_key_of_another_database_is_found(sick):
    make_place(sick)
    assert wrong(database.scopes(sick)) == []
    other = Installation.open(sick.settings)
    other.databases = replace(sick.databases, scope_key=ScopeKey(b"x" * 32), _engines={})
    try:
        assert "scope refused" in wrong(database.scopes(other))[0].detail
    finally:
        other.close()


def test_work_that_stands_still_is_found(sick, test_server):
    place = make_place(sick)
    assert wrong(work.workers(sick))
    insert = (
        "insert into dougong.job (community_id, id, service, arguments, mac, state, asked_at,"
        " ended_at) values (:c, uuidv7(), 'x', '{}', '', :s, :a, :a)"
    )
    platform(sick, insert, c=place.community_id, s="waiting", a=datetime(2020, 1, 1, tzinfo=UTC))
    assert len(wrong(work.jobs(sick))) == 1
    platform(sick, insert, c=place.community_id, s="failed", a=datetime.now(UTC))
    assert len(wrong(work.jobs(sick))) == 2
    platform(sick, "delete from dougong.job")
    aged = "update dougong.audit_event set at = at - interval '1 hour'"
    as_superuser(test_server, sick, aged)
    assert any("sealed" in f.repair or "seal" in f.repair for f in wrong(work.audit(sick)))


def test_keys_that_others_may_read_are_found(sick):
    path = sick.settings.paths.keys / "scope.key"
    before = [f.detail for f in wrong(machine.keys(sick.settings))]
    path.chmod(0o644)
    try:
        after = [f.detail for f in wrong(machine.keys(sick.settings))]
    finally:
        path.chmod(0o600)
    assert before == []
    assert "scope.key" in after[0]


def test_a_full_disk_is_found(sick, monkeypatch):
    monkeypatch.setattr(machine, "LEAST_FREE_GB", 10**6)
    assert wrong(machine.disk(sick.settings))


def test_a_database_that_is_away_is_one_finding(sick):
    away = replace(sick.settings, database="host=/nowhere dbname=none")
    runner = CliRunner()
    os.environ["DOUGONG_DATABASE"], os.environ["DOUGONG_HOME"] = away.database, str(away.paths.home)
    try:
        result = runner.invoke(doctor, ["--json"])
    finally:
        del os.environ["DOUGONG_DATABASE"], os.environ["DOUGONG_HOME"]
    assert result.exit_code == 1
    assert [json.loads(line)["is_well"] for line in result.output.splitlines()] == [False]


def test_the_command_tells_people_and_programs(sick):
    said = CliRunner().invoke(doctor, [], obj=sick)
    assert said.exit_code == 1
    assert "✔" in said.output and "✖" in said.output and "⚠" in said.output
    told = CliRunner().invoke(doctor, ["--json"], obj=sick)
    lines = [json.loads(line) for line in told.output.splitlines()]
    assert {"title", "level", "is_well", "detail", "repair"} == set(lines[0])


def test_the_page_shows_the_same_to_who_may_see_it(installation, place):
    browser = create_app(installation).test_client()
    tokens = {}
    with installation.access() as session:
        ship_roles(session)
        for login, role in (("system", "system_administrator"), ("worker", "technician")):
            user = create_user(session, f"{login}{place.community_id.hex[-8:]}", "张三")
            grant_role(session, SYSTEM, user.id, role, group_id=place.group_id)
            tokens[login] = start_session(session, user)
    browser.set_cookie("dougong_session", tokens["system"])
    address = f"/c/{place.community_id}/health"
    with watched() as seen:
        shell = browser.get(address)
    assert f'hx-get="{address}/findings"' in shell.get_data(as_text=True)
    assert len(seen.statements) <= 6
    page = browser.get(f"{address}/findings")
    assert page.status_code == 200
    assert "PostgreSQL 18" in page.text
    browser.set_cookie("dougong_session", tokens["worker"])
    assert browser.get(address).status_code == 403
    assert browser.get(f"{address}/findings").status_code == 403
