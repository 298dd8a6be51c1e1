"""Every write leaves an event in its own transaction; seals and witnesses betray who meddles."""

import json
import threading

import psycopg
import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError

from dougong.audit.checkpoints import (
    read_witness,
    signing_key,
    witness_files,
    write_checkpoint,
)
from dougong.audit.sealing import chained, run, seal_once
from dougong.audit.timeline import image_before, timeline
from dougong.audit.verification import Fault, snapshot, verify
from dougong.db import insert_rows
from dougong.db.migrator import measured
from dougong.db.scope import Actor
from dougong.errors import Conflict, NotFound
from dougong.privacy.erasure import erase_person
from dougong.services import change, create, delete
from dougong.tenancy.models import Building, Person

pytestmark = pytest.mark.usefixtures("own_witness")

SYSTEM = Actor.system("test")


def events(installation, chain, **where):
    conditions = "".join(f" and {name} = :{name}" for name in where)
    with installation.platform() as session:
        return session.execute(
            text(
                "select id, operation, row_id, verb, body::jsonb as body from dougong.audit_event"
                f" where chain_id = :chain{conditions} order by txid, id"
            ),
            {"chain": chain, **where},
        ).all()


def verified(installation, only, connection=None, **options):
    paths = installation.settings.paths
    lines, public = read_witness(witness_files(paths)[0]), signing_key(paths).public
    if connection is not None:
        return verify(connection, lines, public, only=only, **options)
    with snapshot(installation) as opened:
        return verify(opened, lines, public, only=only, **options)


@pytest.fixture
def superuser(test_server, installation):
    """Return a connection that may do everything, and whose doings are undone."""
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(test_server.dsn())
    )
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def test_a_row_leaves_its_image_and_a_change_what_it_changed(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        building = create(scope, Building, {"code": "9", "name": "9栋"})
        change(scope, building, {"name": "九栋"})
    made, changed = events(installation, place.community_id, row_id=str(building.id))
    assert (made.operation, made.body["new"]["name"]) == ("INSERT", "9栋")
    assert (changed.operation, changed.body["old"]["name"]) == ("UPDATE", "9栋")
    assert changed.body["new"] == {"name": "九栋"}
    assert (made.verb, changed.verb) == ("dougong.building.create", "dougong.building.change")


def test_raw_sql_does_not_escape_the_log(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        scope.session.execute(text("update dougong.room set floor = floor + 30"))
    found = [
        e
        for e in events(installation, place.community_id, table_name="room")
        if e.operation == "UPDATE"
    ]
    assert len(found) == 4 and all(e.body["new"]["floor"] > 30 for e in found)


def test_many_rows_leave_one_digest(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        codes = [f"x{n}" for n in range(60)]
        columns = {"code": codes, "name": codes, "sort_key": codes}
        insert_rows(scope, Building, columns)
    bulk = [
        e for e in events(installation, place.community_id, table_name="building") if not e.row_id
    ]
    assert len(bulk) == 1
    assert bulk[0].body["rows"] == 60 and bulk[0].body["net"][0] == 60


def test_what_one_statement_for_one_row_leaves_out_is_logged_too(installation, sealed, superuser):
    superuser.exec_driver_sql("set timezone = 'Asia/Shanghai'")
    here, building = sealed.community_id, str(sealed.building_ids[0])
    columns = "(community_id, id, code, name, sort_key)"
    made = (
        f"insert into dougong.building {columns} select %s, uuidv7(), %s::text || n, 'x', 'x' from"
    )
    superuser.exec_driver_sql(f"{made} generate_series(1, 50) n", (here, "a"))
    superuser.exec_driver_sql(f"{made} generate_series(1, 51) n", (here, "b"))
    own = "update dougong.building set {} where community_id = %s and code = 'a7'"
    for change_ in ("name = name", "name = 'y'", "id = uuidv7()"):
        superuser.exec_driver_sql(own.format(change_), (here,))
    superuser.exec_driver_sql("update dougong.building set name = 'z' where id = %s", (building,))
    found = superuser.exec_driver_sql(
        "select operation, body::jsonb as body, abs(extract(epoch from at - (body::json ->> 'at')"
        "::timestamptz)) as apart from dougong.audit_event where chain_id = %s"
        " and txid = pg_current_xact_id() order by id",
        (here,),
    ).all()
    assert [e.operation for e in found] == ["INSERT"] * 51 + ["UPDATE"] * 3
    assert [e.body["new"]["code"] for e in found[:50]] == [f"a{n}" for n in range(1, 51)]
    assert found[50].body["rows"] == 51 and "new" not in found[50].body
    assert [set(e.body["new"]) for e in found[51:]] == [{"name"}, {"id"}, {"name"}]
    assert all(e.apart == 0 and e.body["at"].endswith("+00:00") for e in found)
    assert all(e.body["net"][0] == 0 for e in found[51:])
    assert verified(installation, here, superuser).findings == []


def test_what_rolls_back_leaves_no_event(installation, place):
    before = len(events(installation, place.community_id))
    with (
        pytest.raises(RuntimeError),
        installation.scope(SYSTEM, community=place.community_id) as scope,
    ):
        create(scope, Building, {"code": "9", "name": "9栋"})
        raise RuntimeError
    assert len(events(installation, place.community_id)) == before


def test_personal_values_are_ciphertext_in_the_log(installation, place):
    found = events(installation, place.community_id, table_name="person")
    assert found and all("1380013" not in json.dumps(e.body) for e in found)


WRITING_THE_LOG = {
    "insert into dougong.audit_event (id) values (uuidv7())": ("app", "platform"),
    "update dougong.audit_event set body = '{}'": ("app", "platform", "access"),
    "delete from dougong.audit_event": ("app", "platform", "access"),
    "truncate dougong.audit_event": ("app", "platform", "access"),
    "select body from dougong.audit_event": ("app",),
    "update dougong.audit_link set seq = 1": ("app", "platform", "access"),
    "delete from dougong.audit_pending": ("app", "access"),
    "select dougong.audit_redact(uuidv7())": ("app", "access"),
    "select dougong.audit_append(uuidv7(), 'a', 'b', 'c', 'd', '{}')": ("app", "platform"),
    "alter table dougong.room disable trigger all": ("app", "platform", "access"),
}


@pytest.mark.parametrize(
    ("statement", "role"), [(s, role) for s, roles in WRITING_THE_LOG.items() for role in roles]
)
def test_no_role_of_the_application_can_write_the_log(installation, place, statement, role):
    with (
        pytest.raises(DBAPIError, match="permission denied|must be owner"),
        installation.databases.engine(role).begin() as connection,
    ):
        connection.exec_driver_sql(statement)


def test_an_untouched_log_verifies(installation, sealed):
    report = verified(installation, sealed.community_id)
    assert report.findings == [] and report.entries > 10 and report.checkpoints >= 1


MEDDLING = {
    "a changed body": (
        "update dougong.audit_event set body = replace(body, '业主0', '业主9')"
        " where chain_id = %(c)s and body like '%%业主0%%'",
        Fault.CHANGED,
    ),
    "a changed column": (
        "update dougong.audit_event set verb = 'x' where id in (select id from dougong.audit_link"
        " where chain_id = %(c)s and seq = 3)",
        Fault.CHANGED,
    ),
    "a body that is no JSON any more": (
        "update dougong.audit_event set body = replace(body, '\"row\"', 'A') where id in"
        " (select id from dougong.audit_link where chain_id = %(c)s and seq = 3)",
        Fault.CHANGED,
    ),
    "a net that is no number": (
        'update dougong.audit_event set body = (body::jsonb || \'{"net": ["x", true, 1.5]}\')::text'
        " where id in (select id from dougong.audit_link where chain_id = %(c)s and seq = 3)",
        Fault.CHANGED,
    ),
    "a deleted event": (
        "delete from dougong.audit_event where id in (select id from dougong.audit_link"
        " where chain_id = %(c)s and seq = 3)",
        Fault.DELETED,
    ),
    "a deleted link": (
        "delete from dougong.audit_link where chain_id = %(c)s and seq = 4",
        Fault.DELETED,
    ),
    "a swapped pair": (
        "update dougong.audit_link l set body_hash = o.body_hash, hash = o.hash"
        " from dougong.audit_link o where l.chain_id = %(c)s and o.chain_id = l.chain_id"
        " and l.seq in (3, 4) and o.seq = 7 - l.seq",
        Fault.CHANGED,
    ),
    "a cut tail": (
        "with t as (delete from dougong.audit_link where chain_id = %(c)s and seq > 5 returning id)"
        ", h as (update dougong.audit_head set seq = 5, hash = (select hash from dougong.audit_link"
        " where chain_id = %(c)s and seq = 5) where id = %(c)s)"
        " delete from dougong.audit_event where id in (select id from t)",
        Fault.TRUNCATED,
    ),
    "an event put in": (
        'insert into dougong.audit_event select (json_populate_record(e, \'{"id":'
        ' "019dbc00-0000-7000-8000-000000000001"}\')).* from dougong.audit_event e'
        " where chain_id = %(c)s limit 1",
        Fault.INSERTED,
    ),
    "an image emptied without an erasure": (
        "update dougong.audit_event set body = ((body::jsonb - 'new')"
        ' || \'{"erasure": "019dbc00-0000-7000-8000-000000000001"}\')::text where id in'
        " (select id from dougong.audit_link where chain_id = %(c)s and seq = 3)",
        Fault.CHANGED,
    ),
}


@pytest.mark.parametrize("case", MEDDLING)
def test_meddling_by_the_superuser_is_found(installation, sealed, superuser, case):
    statement, fault = MEDDLING[case]
    assert superuser.exec_driver_sql(statement, {"c": sealed.community_id}).rowcount > 0
    found = verified(installation, sealed.community_id, superuser).findings
    assert fault in {f.fault for f in found}


UNLOGGED = {
    "a changed row": ("update dougong.room set floor = 77 where id = %(r)s", "as many rows"),
    "a deleted row": ("delete from dougong.room where id = %(r)s", "-1 rows"),
    "a row put in": (
        "insert into dougong.room select (jsonb_populate_record(r, jsonb_build_object("
        "'id', uuidv7(), 'code', 'x', 'path', 'x'))).* from dougong.room r where id = %(r)s",
        "+1 rows",
    ),
}


@pytest.mark.parametrize("case", UNLOGGED)
def test_what_was_written_past_the_triggers_is_found_after_they_are_back(
    installation, sealed, superuser, case
):
    statement, told = UNLOGGED[case]
    room = str(sealed.room_ids[-1])
    superuser.exec_driver_sql("alter table dougong.room disable trigger all")
    assert superuser.exec_driver_sql(statement, {"r": room}).rowcount == 1
    superuser.exec_driver_sql("alter table dougong.room enable trigger all")
    for name in ("insert", "update", "delete"):
        superuser.exec_driver_sql(f"alter table dougong.room enable always trigger audit_{name}")
    found = verified(installation, sealed.community_id, superuser).findings
    assert [(f.fault, f.chain_id) for f in found] == [(Fault.UNLOGGED, sealed.community_id)]
    assert told in found[0].detail and "dougong.room" in found[0].detail
    assert (room in found[0].detail) is (case != "a row put in")


def test_a_session_that_calls_itself_a_replica_is_logged_too(installation, sealed, superuser):
    superuser.exec_driver_sql("set local session_replication_role = replica")
    superuser.exec_driver_sql(
        "update dougong.room set floor = 77 where id = %s", (sealed.room_ids[-1],)
    )
    event = superuser.exec_driver_sql(
        "select body::jsonb from dougong.audit_event where row_id = %s order by id desc limit 1",
        (str(sealed.room_ids[-1]),),
    ).scalar_one()
    assert (event["new"], event["login"]) == ({"floor": 77}, "postgres")
    assert verified(installation, sealed.community_id, superuser).findings == []


def test_a_truncated_table_is_found(installation, sealed, superuser):
    superuser.exec_driver_sql("truncate dougong.webhook_delivery, dougong.webhook_subscription")
    superuser.exec_driver_sql("truncate dougong.building cascade")
    found = verified(installation, sealed.community_id, superuser).findings
    assert {f.fault for f in found} == {Fault.UNLOGGED}
    assert any("dougong.building holds -" in f.detail for f in found)


def test_bulk_changes_and_rows_that_change_their_place_keep_the_balance(
    installation, sealed, superuser
):
    here, there = sealed.community_id, sealed.other_community_id
    with installation.scope(SYSTEM, community=here) as scope:
        codes = [f"x{n}" for n in range(60)]
        insert_rows(scope, Building, {"code": codes, "name": codes, "sort_key": codes})
        scope.session.execute(
            text("update dougong.building set name = name || '号' where code ~ 'x'")
        )
        scope.session.execute(text("delete from dougong.building where code ~ 'x[0-4]'"))
    superuser.exec_driver_sql("set timezone = 'Asia/Shanghai'")
    superuser.exec_driver_sql(
        "update dougong.building set community_id = %s where community_id = %s and code = 'x59'",
        (there, here),
    )
    for community in (here, there):
        assert verified(installation, community, superuser).findings == []


def test_a_migration_that_gives_rows_another_shape_keeps_the_balance(
    installation, sealed, superuser
):
    statements = measured(
        [
            "alter table dougong.room add column colour text default 'red'",
            "update dougong.room set floor = floor + 1",
            'alter table if exists only dougong."room" drop column colour',
        ],
        ['dougong."room"', 'dougong."building"'],
    )
    assert len(statements) == 6 and "remeasure" in statements[-1]
    for statement in statements[:4]:
        superuser.exec_driver_sql(statement)
    superuser.exec_driver_sql(statements[-1])
    assert verified(installation, sealed.community_id, superuser).findings == []
    superuser.exec_driver_sql("alter table dougong.room add column smell text default 'none'")
    found = verified(installation, sealed.community_id, superuser).findings
    assert [f.fault for f in found] == [Fault.UNLOGGED]


def test_what_is_left_of_an_emptied_image_cannot_be_changed_either(installation, place, superuser):
    person = place.person_ids[0]
    erase_person(installation, SYSTEM, place.community_id, person, "test")
    seal_once(installation)
    write_checkpoint(installation)
    assert verified(installation, place.community_id, superuser).findings == []
    superuser.exec_driver_sql(
        'update dougong.audit_event set body = replace(body, \'"operation": "INSERT"\','
        " '\"operation\": \"insert\"') where row_id = %s and operation = 'INSERT'"
        " and table_name = 'person'",
        (str(person),),
    )
    found = verified(installation, place.community_id, superuser).findings
    assert Fault.CHANGED in {f.fault for f in found}
    assert any("emptied" in f.detail for f in found)


def test_a_chain_written_anew_is_found_by_the_witness_alone(installation, sealed, superuser):
    rewrite(superuser, sealed.community_id)
    unwitnessed = verify(superuser, [], bytes(32), only=sealed.community_id)
    assert unwitnessed.findings == []
    found = verified(installation, sealed.community_id, superuser).findings
    assert Fault.REWRITTEN in {f.fault for f in found}


def rewrite(superuser, chain):
    """Change an event and compute the whole chain anew, as a superuser can."""
    rows = superuser.exec_driver_sql(
        "select l.id, l.chain_id, e.body from dougong.audit_link l join dougong.audit_event e"
        " using (id) where l.chain_id = %s order by seq",
        (chain,),
    ).all()
    body = rows[2][2].replace('"reason" : ""', '"reason" : "because"')
    superuser.exec_driver_sql(
        "update dougong.audit_event set body = %s where id = %s", (body, rows[2][0])
    )
    rows[2] = (rows[2][0], rows[2][1], body)
    heads = {}
    for link in chained(heads, rows):
        superuser.exec_driver_sql(
            "update dougong.audit_link set body_hash = %s, hash = %s where id = %s",
            (link.body_hash, link.hash, link.event_id),
        )
    superuser.exec_driver_sql(
        "update dougong.audit_head set hash = %s where id = %s", (heads[chain][1], chain)
    )


def test_verification_since_the_last_checkpoint_reads_only_what_came_after(installation, sealed):
    with installation.scope(SYSTEM, community=sealed.community_id) as scope:
        create(scope, Building, {"code": "9", "name": "9栋"})
    seal_once(installation)
    report = verified(installation, sealed.community_id, since_checkpoint=True)
    assert (report.entries, report.findings) == (1, [])


def test_a_forged_checkpoint_is_refused(installation, sealed):
    paths = installation.settings.paths
    lines = read_witness(witness_files(paths)[0])
    lines[-1] = {**lines[-1], "chains": 0}
    with installation.databases.engine("platform").connect() as connection:
        report = verify(connection, lines, signing_key(paths).public, only=sealed.community_id)
    assert report.first.fault is Fault.WITNESS


def test_an_event_that_commits_late_is_sealed_late(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as slow:
        late = create(slow, Building, {"code": "8", "name": "8栋"})
        with installation.scope(SYSTEM, community=place.other_community_id) as quick:
            create(quick, Building, {"code": "9", "name": "9栋"})
        seal_once(installation)
    seal_once(installation)
    with installation.platform() as session:
        linked = session.execute(
            text(
                "select count(l.id), count(e.id) from dougong.audit_event e left join"
                " dougong.audit_link l on l.id = e.id where e.chain_id = any(:chains)"
            ),
            {"chains": [place.community_id, place.other_community_id]},
        ).one()
    assert linked[0] == linked[1]
    assert events(installation, place.community_id, row_id=str(late.id))


def test_the_sealer_seals_within_a_second_and_signs(installation, place):
    stop = threading.Event()
    worker = threading.Thread(target=run, args=(installation, stop))
    file = witness_files(installation.settings.paths)[0]
    lines = len(read_witness(file)) if file.exists() else 0
    worker.start()
    try:
        with installation.scope(SYSTEM, community=place.community_id) as scope:
            create(scope, Building, {"code": "9", "name": "9栋"})
        stop.wait(1.2)
        with installation.platform() as session:
            waiting = session.scalar(
                text(
                    "select count(*) from dougong.audit_pending p join dougong.audit_event e"
                    " using (id) where e.chain_id = :c"
                ).bindparams(c=place.community_id)
            )
    finally:
        stop.set()
        worker.join()
    assert waiting == 0
    assert len(read_witness(witness_files(installation.settings.paths)[0])) == lines + 1


def test_the_timeline_says_who_changed_what_and_masks_personal_values(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = scope.session.scalars(select(Person).where(Person.name == "业主0")).one()
        change(scope, person, {"phone": "13912345678", "note": "常住"})
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = scope.get(Person, person.id)
        newest, made = timeline(scope, person)
        assert newest.verb == "dougong.person.change"
        by_column = {c.column: c for c in newest.changes}
        assert set(by_column) == {"phone", "note"}
        assert (by_column["phone"].old, by_column["phone"].new) == ("138****0000", "139****5678")
        assert (by_column["note"].label, by_column["note"].new) == ("备注", "常住")
        assert {c.column: c.new for c in made.changes}["name"] == "业**"


def test_a_deleted_row_can_be_made_again_from_its_image(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = create(scope, Person, {"name": "张三", "phone": "13912345678"})
        delete(scope, person)
    deleted = events(installation, place.community_id, row_id=str(person.id))[-1]
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        image = image_before(scope, deleted.id)
        again = image.model(**image.values)
        scope.session.add(again)
        scope.session.flush()
        assert (again.id, again.phone) == (person.id, "13912345678")
        with pytest.raises(Conflict):
            image_before(
                scope, events(installation, place.community_id, row_id=str(person.id))[0].id
            )
    with (
        pytest.raises(NotFound),
        installation.scope(SYSTEM, community=place.other_community_id) as scope,
    ):
        image_before(scope, deleted.id)
