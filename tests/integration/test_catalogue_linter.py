"""The catalogue linter finds nothing in what we ship, and every fault that is planted.

Each fault is made and linted in one transaction that is rolled back; what only a superuser can do
is done as one.
"""

import psycopg
import pytest
from sqlalchemy import create_engine, text

from dougong.db.linter import lint
from dougong.db.protection import protection

HERE = "(select dougong.writing_community())"
METER = "meters.meter"
# The table of a model, partitioned: its own name holds, as do those of its parts.
PARTITIONED = """
    alter table meters.meter rename to whole;
    create table meters.meter (like meters.whole, primary key (community_id, id))
        partition by range (id);
    create table meters.meter_old partition of meters.meter default;
"""
PART = "meters.meter_old"

# By what must be said of it: (place, fault): the statement that plants it.
POLICIES = {
    (
        "dougong.room",
        "not enabled and forced",
    ): "alter table dougong.room no force row level security",
    (METER, "not enabled and forced"): "alter table meters.meter disable row level security",
    ("dougong.room", "lacks the policies scope_delete"): "drop policy scope_delete on dougong.room",
    (METER, "policy open, which the kernel did not make"): (
        "create policy open on meters.meter for select to dougong_app using (true)"
    ),
    (METER, "the policy scope_select says"): (
        "alter policy scope_select on meters.meter using (community_id is not null)"
    ),
    (METER, "the policy scope_insert says"): (
        "alter policy scope_insert on meters.meter with check (true)"
    ),
    (METER, "the policy scope_update says"): (
        f"alter policy scope_update on meters.meter using (community_id = {HERE} or serial = 'x')"
    ),
    (METER, "the policy scope_delete says “for delete to PUBLIC"): (
        "alter policy scope_delete on meters.meter to public"
    ),
    (METER, "says “for all to dougong_app"): (
        "drop policy scope_delete on meters.meter;"
        f"create policy scope_delete on meters.meter to dougong_app using (community_id = {HERE})"
    ),
    (METER, "says “restrictive, for delete"): (
        "drop policy scope_delete on meters.meter;"
        "create policy scope_delete on meters.meter as restrictive for delete to dougong_app"
        f" using (community_id = {HERE})"
    ),
}
GRANTS = {
    ("dougong.setting", "dougong_app has the privilege select"): (
        "grant select on dougong.setting to dougong_app"
    ),
    (METER, "PUBLIC has the privilege select"): "grant select on meters.meter to public",
    (METER, "dougong_app has the privilege truncate"): (
        "grant truncate on meters.meter to dougong_app"
    ),
    (METER, "references, trigger"): "grant references, trigger on meters.meter to dougong_app",
    (METER, "update (serial)"): "grant update (serial) on meters.meter to dougong_access",
    (METER, "dougong_app lacks the privilege delete"): (
        "revoke delete on meters.meter from dougong_app"
    ),
    (METER, "may pass its privileges on"): (
        "grant select on meters.meter to dougong_app with grant option"
    ),
    ("dougong.audit_event", "has the privilege delete, update"): (
        "grant update, delete on dougong.audit_event to dougong_platform"
    ),
    ("dougong.scope_key", "dougong_app has the privilege select"): (
        "grant select on dougong.scope_key to dougong_app"
    ),
    ("dougong.procrastinate_jobs", "dougong_app has the privilege select"): (
        "grant select on dougong.procrastinate_jobs to dougong_app"
    ),
    ("dougong.procrastinate_jobs_id_seq", "dougong_app has the privilege usage"): (
        "grant usage on sequence dougong.procrastinate_jobs_id_seq to dougong_app"
    ),
    ("meters.alembic_version", "dougong_app has the privilege update"): (
        "grant update on meters.alembic_version to dougong_app"
    ),
}
OBJECTS = {
    ("meters.rogue", "in no model"): "create table meters.rogue (id int)",
    ("meters.all_meters", "not security_invoker"): (
        "create view meters.all_meters as select * from meters.meter"
    ),
    ("meters.seen", "PUBLIC has the privilege select"): (
        "create view meters.seen with (security_invoker) as select 1 as one;"
        "grant select on meters.seen to public"
    ),
    ("meters.kept", "is a materialised view"): (
        "create materialized view meters.kept as select * from meters.meter"
    ),
    ("meters.counter", "is a sequence"): "create sequence meters.counter",
    (METER, "number is numbered by one counter"): (
        "alter table meters.meter add number bigint generated always as identity"
    ),
    (METER, "enums (mood)"): (
        "create type meters.mood as enum ('good'); alter table meters.meter add mood meters.mood"
    ),
    (METER, "has the rule quiet"): (
        "create rule quiet as on delete to meters.meter do instead nothing"
    ),
}
PARTITIONS = {
    (PART, "not enabled and forced"): PARTITIONED,
    (METER, "not enabled and forced"): PARTITIONED,
    (PART, "dougong_backup lacks the privilege select"): PARTITIONED,
    (PART, "dougong_app has the privilege select"): (
        f"{PARTITIONED} grant select on {PART} to dougong_app"
    ),
    (PART, "policy open, which the kernel did not make"): (
        f"{PARTITIONED} create policy open on {PART} using (true)"
    ),
    (PART, "has the trigger shout"): (
        f"{PARTITIONED} create trigger shout after insert on {PART}"
        " execute function dougong.audit_rows()"
    ),
    (PART, "lacks community_id"): f"{PARTITIONED} create unique index on {PART} (serial)",
    ("meters.loose_part", "a partition of meters.loose, which is in no model"): (
        "create table meters.loose (id int) partition by range (id);"
        "create table meters.loose_part partition of meters.loose default"
    ),
}
TRIGGERS = {
    ("dougong.room", "lacks the audit's trigger audit_update"): (
        "drop trigger audit_update on dougong.room"
    ),
    ("dougong.building", "lacks the audit's trigger audit_delete"): (
        "create or replace trigger audit_delete after delete on dougong.building"
        " referencing old table as old_rows for each statement when (false)"
        " execute function dougong.audit_rows()"
    ),
    (METER, "audit_insert does not fire always"): (
        "alter table meters.meter enable trigger audit_insert"
    ),
    (METER, "has the trigger shout"): (
        "create trigger shout after insert on meters.meter execute function dougong.audit_rows()"
    ),
    ("dougong.audit_event", "has the trigger shout"): (
        "create trigger shout after insert on dougong.audit_event"
        " execute function dougong.audit_rows()"
    ),
}
KEYS = {
    (METER, "its primary key is (id, community_id)"): (
        "alter table meters.meter drop constraint pk_meter cascade,"
        " add primary key (id, community_id)"
    ),
    ("dougong.room", "lacks community_id"): (
        "create unique index on dougong.room (old_code) where false"
    ),
    ("dougong.room", "community_id does not come first in the unique"): (
        "create unique index on dougong.room (old_code, community_id) where false"
    ),
    ("dougong.room", "does not compare community_id with ="): (
        "alter table dougong.room add constraint apart"
        " exclude using gist (community_id with <>, id with =)"
    ),
    ("dougong.unit", "sets null or default"): (
        "alter table dougong.unit add constraint loose foreign key (community_id, building_id)"
        " references dougong.building (community_id, id) on delete set null not valid"
    ),
    ("dougong.unit", "or cascades an update"): (
        "alter table dougong.unit add constraint loose foreign key (community_id, building_id)"
        " references dougong.building (community_id, id) on update cascade not valid"
    ),
    ("dougong.unit", "dougong.building, without community_id"): (
        "create unique index lone on dougong.building (id);"
        "alter table dougong.unit add constraint loose foreign key (building_id)"
        " references dougong.building (id) not valid"
    ),
    (
        "dougong.unit",
        "does not begin with community_id → community_id (building_id → community_id",
    ): (
        "alter table dougong.unit add constraint loose foreign key (building_id, community_id)"
        " references dougong.building (community_id, id) not valid"
    ),
    (METER, "a platform table"): (
        "alter table meters.meter add foreign key (id) references dougong.user (id) not valid"
    ),
    ("dougong.staff", "a community's table from outside of it"): (
        "alter table dougong.staff add foreign key (group_id, id)"
        " references dougong.building (community_id, id) not valid"
    ),
    (METER, "leads to ledger.account, which the manifest does not depend on"): (
        "alter table meters.meter add foreign key (community_id, id)"
        " references ledger.account (community_id, id) not valid"
    ),
}
FUNCTIONS = {
    ("meters.peek", "without a safe search_path"): (
        "create function meters.peek() returns int language sql security definer as 'select 1'"
    ),
    ("meters.glance", "it runs as the owner, past every policy"): (
        "create function meters.glance() returns int language sql security definer"
        " set search_path = pg_catalog, pg_temp as 'select 1'"
    ),
    ("dougong.enter", "PUBLIC may execute it"): (
        "grant execute on procedure dougong.enter(text) to public"
    ),
    ("dougong.audit_append", "without a safe search_path"): (
        "alter function dougong.audit_append(uuid, text, text, text, text, json)"
        " set search_path = public, pg_temp"
    ),
    ("dougong.audit_rows", "is not SECURITY DEFINER"): (
        "alter function dougong.audit_rows() security invoker"
    ),
    ("dougong.writing_community", "does not do what the kernel's SQL says"): (
        "create or replace function dougong.writing_community() returns uuid language sql stable"
        " return '00000000-0000-0000-0000-000000000001'::uuid"
    ),
    ("dougong.audit_change", "does not do what the kernel's SQL says"): (
        "create or replace function dougong.audit_change(schema_name text, table_name text,"
        " before jsonb, after jsonb, was bytea, is_now bytea) returns void language plpgsql"
        " set search_path = pg_catalog, pg_temp as 'begin end'"
    ),
    ("dougong.reading_group", "is declared i, not s"): (
        "alter function dougong.reading_group() immutable"
    ),
    ("dougong.audit_redact", "is missing"): "drop function dougong.audit_redact(uuid)",
    ("dougong.extra", "a function that the kernel did not make"): (
        "create function dougong.extra() returns int language sql return 1"
    ),
}
RIGHTS = {
    ("meters", "dougong_app has the right create on the schema"): (
        "grant create on schema meters to dougong_app"
    ),
    (
        "meters",
        "PUBLIC has the right usage on the schema",
    ): "grant usage on schema meters to public",
    ("meters", "dougong_backup may not use the schema"): (
        "revoke usage on schema meters from dougong_backup"
    ),
    ("meters", "PUBLIC gets SELECT on whatever dougong_owner makes"): (
        "alter default privileges in schema meters grant select on tables to public"
    ),
    ("every schema", "dougong_app gets INSERT on whatever"): (
        "alter default privileges grant insert on tables to dougong_app"
    ),
    ("archive_old", "dougong_app may still use a schema that is put aside"): (
        "create schema archive_old; grant usage on schema archive_old to dougong_app"
    ),
    ("{database}", "dougong_app has the right TEMPORARY on the database"): (
        "grant temporary on database {database} to dougong_app"
    ),
}
BY_SUPERUSER = {
    (METER, "belongs to postgres, not dougong_owner"): (
        "alter table meters.meter owner to postgres"
    ),
    ("dougong.audit_key", "belongs to postgres, not dougong_owner"): (
        "alter function dougong.audit_key(jsonb) owner to postgres"
    ),
    (
        METER,
        "foreign keys' triggers are switched off",
    ): "alter table meters.meter disable trigger all",
    ("dougong_app", "bypasses row-level security"): "alter role dougong_app bypassrls",
    ("dougong_access", "has more rights"): "alter role dougong_access createrole",
    ("dougong_app", "is a member of dougong_owner"): "grant dougong_owner to dougong_app",
    ("dougong_owner", "can sign in"): "alter role dougong_owner login",
    ("public", "PUBLIC may create in the schema"): "grant create on schema public to public",
    ("public.leak", "lies in the schema that everybody uses"): "create table public.leak (id int)",
    ("backtrace_functions", "dougong_app may set the parameter that holds the scope"): (
        "grant set on parameter backtrace_functions to dougong_app"
    ),
}
AS_OWNER = POLICIES | GRANTS | OBJECTS | PARTITIONS | TRIGGERS | KEYS | FUNCTIONS | RIGHTS
MENDED = {**POLICIES, **GRANTS}


@pytest.fixture(scope="module")
def owner(installation):
    with installation.databases.engine("migrator").connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def superuser(test_server, installation):
    dsn = test_server.dsn()
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def every_schema(installation):
    plugins = installation.plugins
    return ["dougong", *(plugins.manifest(p).schema for p in plugins.installed)]


def spoil(connection, statement):
    database = connection.scalar(text("select quote_ident(current_database())"))
    connection.exec_driver_sql(statement.replace("{database}", database))
    return database


def assert_found(connection, place, fault):
    findings = lint(connection, "dougong" if place.startswith("dougong") else "meters")
    there = [f for f in findings if f.where == place and fault in f.fault]
    assert there, "\n".join(map(str, findings))
    assert all(f.remedy for f in findings)


def named(case):
    return f"{case[0]} {case[1]}"[:70]


def test_the_linter_finds_nothing_in_what_we_ship(owner, installation):
    assert [str(f) for f in lint(owner, *every_schema(installation))] == []


def test_who_examines_a_running_product_sees_the_same(installation):
    with installation.databases.engine("platform").connect() as connection:
        assert [str(f) for f in lint(connection, *every_schema(installation))] == []
        assert connection.scalar(text("show search_path")) == "dougong"


@pytest.mark.parametrize("case", AS_OWNER, ids=named)
def test_a_planted_fault_is_found(owner, case):
    try:
        database = spoil(owner, AS_OWNER[case])
        assert_found(owner, case[0].replace("{database}", database), case[1])
    finally:
        owner.rollback()


@pytest.mark.parametrize("case", BY_SUPERUSER, ids=named)
def test_what_a_superuser_spoils_is_found(superuser, case):
    try:
        spoil(superuser, BY_SUPERUSER[case])
        assert_found(superuser, *case)
    finally:
        superuser.rollback()


@pytest.mark.parametrize("case", MENDED, ids=named)
def test_the_next_upgrade_puts_policies_and_grants_back(owner, case):
    try:
        spoil(owner, MENDED[case])
        schema = case[0].partition(".")[0]
        for statement in protection(owner, schema):
            owner.exec_driver_sql(statement, execution_options={"no_parameters": True})
        kernels_own = ("scope_key", "procrastinate", "alembic_version")
        left = [f for f in lint(owner, schema) if not any(k in f.where for k in kernels_own)]
        assert left == []
    finally:
        owner.rollback()


def test_partitions_are_protected_with_the_table_that_they_are_of(owner):
    try:
        coming = [part.strip() for part in PARTITIONED.split(";") if part.strip()]
        for statement in coming:
            owner.exec_driver_sql(statement)
        for statement in protection(None, "meters", coming=coming):
            if ".meter_old" in statement or '"meter_old"' in statement:
                owner.exec_driver_sql(statement)
        assert [str(f) for f in lint(owner, "meters") if f.where == PART] == []
    finally:
        owner.rollback()
