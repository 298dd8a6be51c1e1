"""Programs read and write records with a bearer token."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from dougong.access import issue_token, revoke_token
from dougong.access.models import User
from dougong.access.operations import grant_role
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Invalid, NotAllowed, NotFound
from dougong.installation import Installation
from dougong.plugins.operations import write_enablement
from dougong.tenancy.operations import bump_version
from dougong.testing.programs import Program, make_login, make_program
from dougong.web.api import commands
from dougong.web.app import create_app

METER = {"serial": "W-001", "commodity": "water", "installed_on": "2026-01-01"}
METERS = "/v1/meters/meter"


@pytest.fixture
def program(app, installation, place):
    return make_program(app, installation, place)


def make_meters(program, count):
    return [
        program.call("POST", METERS, {**METER, "serial": f"W-{n:03}"}).json for n in range(count)
    ]


# --- reading and writing --------------------------------------------------------------------------


def test_a_program_creates_and_reads_a_meter(program):
    made = program.call("POST", METERS, METER)
    assert made.status_code == 201, made.text
    assert made.json["serial"] == "W-001"
    assert made.json["multiplier"] == "1.0000"
    assert made.headers["Location"] == f"{program.base}{METERS}/{made.json['id']}"
    read = program.call("GET", f"{METERS}/{made.json['id']}")
    assert read.json == made.json
    assert read.headers["ETag"] == made.headers["ETag"]


def test_a_list_is_walked_by_cursor_in_any_order(program):
    made = make_meters(program, 7)
    for sort, expected in (
        ("id", [m["serial"] for m in made]),
        ("-serial", sorted((m["serial"] for m in made), reverse=True)),
        ("removed_on", [m["serial"] for m in made]),
    ):
        seen, cursor = [], ""
        while cursor is not None:
            page = program.call("GET", f"{METERS}?limit=3&sort={sort}{cursor}").json
            seen += [item["serial"] for item in page["items"]]
            cursor = page["next"] and f"&cursor={page['next']}"
        assert seen == expected
    stale = program.call("GET", f"{METERS}?limit=3&sort=id").json["next"]
    assert program.call("GET", f"{METERS}?sort=serial&cursor={stale}").status_code == 422


def test_filters_narrow_a_list_and_fields_choose_columns(program):
    make_meters(program, 2)
    program.call("POST", METERS, {**METER, "serial": "E", "commodity": "electricity"})
    ask = lambda query: program.call("GET", f"{METERS}?fields=serial&{query}").json  # noqa: E731
    assert [m["serial"] for m in ask("commodity=electricity,gas")["items"]] == ["E"]
    assert len(ask("installed_on.from=2026-01-01&installed_on.to=2026-01-01")["items"]) == 3
    assert ask("installed_on.from=2026-01-02")["items"] == []
    assert set(ask("serial=E")["items"][0]) == {"id", "serial"}


@pytest.mark.parametrize(
    "query",
    ["serail=E", "commodity=wood", "limit=0", "limit=x", "cursor=x", "sort=nothing", "fields=",
     "serial=a&serial=b", "building_id=1", "installed_on.from=yesterday", "serial=%00"],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(program, query):
    answer = program.call("GET", f"{METERS}?{query}")
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert answer.json["errors"]


def test_wrong_fields_are_named(program):
    body = {"serial": "x" * 41, "commodity": "wood", "multiplier": 40, "colour": "red"}
    answer = program.call("POST", METERS, body)
    assert answer.status_code == 422
    assert set(answer.json["errors"]) == {
        "serial", "commodity", "multiplier", "colour", "installed_on"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"null", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"serial": NaN}', "application/json", 422),
        (b'{"serial": "\\ud800"}', "application/json", 400),
        (b"serial=1", "application/x-www-form-urlencoded", 415),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
    ],
)
def test_a_body_that_is_not_json_is_refused(program, body, content_type, status):
    client = program.app.test_client(use_cookies=False)
    answer = client.post(
        f"{program.base}{METERS}",
        data=body,
        content_type=content_type,
        headers={"Authorization": f"Bearer {program.token}"},
    )
    assert answer.status_code == status, answer.text


def test_a_change_touches_what_it_names(program):
    made = program.call("POST", METERS, METER)
    address = f"{METERS}/{made.json['id']}"
    changed = program.call("PATCH", address, {"multiplier": "40"})
    assert changed.json == {**made.json, "multiplier": "40.0000"}
    assert changed.headers["ETag"] != made.headers["ETag"]
    assert program.call("PATCH", address, {"serial": None}).status_code == 422
    assert program.call("PATCH", address, {"state": "removed"}).status_code == 422


def test_a_change_of_an_older_version_is_refused(program):
    made = program.call("POST", METERS, METER)
    address, tag = f"{METERS}/{made.json['id']}", made.headers["ETag"]
    assert program.call("PATCH", address, {"digits": 5}, If_Match=tag).status_code == 200
    late = program.call("PATCH", address, {"digits": 6}, If_Match=tag)
    assert (late.status_code, late.json["title"]) == (412, "changed_meanwhile")
    assert program.call("DELETE", address, If_Match=tag).status_code == 412
    now = program.call("GET", address)
    assert now.json["digits"] == 5
    assert program.call("GET", address, If_None_Match=now.headers["ETag"]).status_code == 304
    for match in ('W/"nothing"', "nonsense", ""):
        assert program.call("DELETE", address, If_Match=match).status_code == 412
    weak = f'"other", W/{now.headers["ETag"]}'
    assert program.call("PATCH", address, {"digits": 5}, If_Match=weak).status_code == 200
    assert program.call("PATCH", address, {"digits": 5}, If_Match="*").status_code == 200
    assert program.call("DELETE", address, If_Match=now.headers["ETag"]).status_code == 204
    assert program.call("GET", address).status_code == 404


def test_what_is_still_used_is_not_deleted(program, place):
    answer = program.call("DELETE", f"/v1/dougong/building/{place.building_ids[0]}")
    assert (answer.status_code, answer.json["title"]) == (409, "conflict")
    assert program.call("GET", f"/v1/dougong/building/{place.building_ids[0]}").status_code == 200


def test_a_double_is_a_conflict_and_a_foreign_reference_does_not_exist(program, place):
    program.call("POST", METERS, METER)
    assert program.call("POST", METERS, METER).status_code == 409
    answer = program.call("POST", METERS, {**METER, "serial": "2", "room_id": str(uuid7())})
    assert answer.status_code == 422


# --- services -------------------------------------------------------------------------------------


def test_a_service_is_called_with_json(program):
    meter = program.call("POST", METERS, METER).json["id"]
    body = {"meter": meter, "value": "12.5", "read_at": "2026-02-01T08:00:00+08:00"}
    answer = program.call("POST", "/v1/meters/reading.record", body)
    assert answer.status_code == 200, answer.text
    assert answer.json["result"]["value"] == "12.5000"
    assert answer.json["result"]["read_at"] == "2026-02-01T00:00:00Z"
    backwards = {**body, "value": "3", "read_at": "2026-03-01T00:00:00Z"}
    refused = program.call("POST", "/v1/meters/reading.record", backwards)
    assert (refused.status_code, set(refused.json["errors"])) == (422, {"value"})
    naive = {**body, "read_at": "2026-02-01T08:00:00"}
    assert program.call("POST", "/v1/meters/reading.record", naive).status_code == 422
    assert program.call("GET", "/v1/meters/reading.record").status_code == 405
    assert program.call("POST", "/v1/meters/reading.forget", {}).status_code == 404


# --- repeating ------------------------------------------------------------------------------------


def test_a_repeated_write_gives_the_same_answer_and_does_nothing_again(program):
    first = program.call("POST", METERS, METER, Idempotency_Key="k1")
    again = program.call("POST", METERS, METER, Idempotency_Key="k1")
    assert again.status_code == first.status_code == 201
    assert again.json == first.json
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(program.call("GET", METERS).json["items"]) == 1
    other = program.call("POST", METERS, {**METER, "serial": "2"}, Idempotency_Key="k1")
    assert (other.status_code, other.json["title"]) == (409, "idempotency_key")
    gone = program.call("DELETE", f"{METERS}/{first.json['id']}", Idempotency_Key="k2")
    repeated = program.call("DELETE", f"{METERS}/{first.json['id']}", Idempotency_Key="k2")
    assert (gone.status_code, repeated.status_code) == (204, 204)


def test_a_failed_write_leaves_its_key_free(program):
    wrong = program.call("POST", METERS, {**METER, "commodity": "wood"}, Idempotency_Key="k1")
    assert wrong.status_code == 422
    assert program.call("POST", METERS, METER, Idempotency_Key="k1").status_code == 201


def test_a_key_belongs_to_its_owner_and_community(app, installation, place, program):
    colleague = make_program(app, installation, place)
    elsewhere = make_program(app, installation, place, community=place.other_community_id)
    program.call("POST", METERS, METER, Idempotency_Key="k")
    other = {**METER, "serial": "2"}
    assert colleague.call("POST", METERS, other, Idempotency_Key="k").status_code == 201
    assert elsewhere.call("POST", METERS, METER, Idempotency_Key="k").status_code == 201


def test_the_same_write_at_once_happens_once(program):
    def write(_):
        return program.call("POST", METERS, METER, Idempotency_Key="at once")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(write, range(8)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.json["id"] for a in answers}) == 1


def test_a_remembered_answer_is_ciphertext(program, installation, place):
    body = {"name": "王小明", "phone": "13912345678"}
    made = program.call("POST", "/v1/dougong/person", body, Idempotency_Key="p")
    assert made.status_code == 201
    with installation.platform() as session:
        stored = session.execute(
            text("select body from dougong.idempotent_answer where community_id = :c"),
            {"c": place.community_id},
        ).scalar_one()
    assert "王".encode() not in bytes(stored)


# --- personal values ------------------------------------------------------------------------------


def test_personal_values_are_masked_by_clearance(app, installation, place, program):
    person = f"/v1/dougong/person/{place.person_ids[0]}"
    assert program.call("GET", person).json["phone"] == "138****0000"
    found = program.call("GET", "/v1/dougong/person?phone=13800130001&fields=name").json["items"]
    assert [p["name"] for p in found] == ["业主1"]
    sent_back = program.call("PATCH", person, {"phone": "138****0000"})
    assert (sent_back.status_code, set(sent_back.json["errors"])) == (422, {"phone"})
    changed = program.call("PATCH", person, {"phone": "13700001111"})
    assert changed.json["phone"] == "137****1111"


def test_the_inside_of_the_database_is_not_shown(program, place):
    shown = program.call("GET", f"/v1/dougong/person/{place.person_ids[0]}").json
    assert not {"phone_sealed", "phone_index", "phone_tail"} & set(shown)


# --- who may --------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_said(app, place):
    client = app.test_client(use_cookies=False)
    answer = client.get(f"/c/{place.community_id}/api/v1/meters/meter")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.content_type == "application/problem+json"


def test_a_token_holds_no_more_than_it_asked_for_and_its_owner_has(app, installation, place):
    reader = make_program(app, installation, place, permissions=["meters.meter.view"])
    assert reader.call("GET", METERS).status_code == 200
    assert reader.call("POST", METERS, METER).status_code == 403
    assert reader.call("GET", "/v1/dougong/person").status_code == 403
    greedy = make_program(app, installation, place, role="technician", permissions=["*"])
    assert greedy.call("GET", METERS).status_code == 200
    assert greedy.call("GET", "/v1/dougong/person").status_code == 403


def test_a_token_works_only_where_it_was_issued_for(app, installation, place):
    manager = make_login(installation, place, "community_manager")
    token, _ = issue_token(
        installation, manager, "t", ["*"], communities=[place.other_community_id]
    )
    assert Program(app, f"c/{place.community_id}", token).call("GET", METERS).status_code == 404


def test_a_foreign_community_looks_like_none(app, program, place):
    foreign = Program(app, f"c/{place.other_community_id}", program.token)
    nowhere = Program(app, f"c/{uuid7()}", program.token)
    for other in (foreign, nowhere):
        for path in ("/openapi.json", METERS, "/v1/nothing/here"):
            assert other.call("GET", path).status_code == 404
        assert other.call("POST", METERS, METER).status_code == 404


def test_a_revoked_token_ends_at_once(app, installation, place):
    actor = make_login(installation, place, "community_manager")
    token, row = issue_token(installation, actor, "t", ["*"])
    program = Program(app, f"c/{place.community_id}", token)
    assert program.call("GET", METERS).status_code == 200
    with pytest.raises(NotFound):
        revoke_token(installation, make_login(installation, place, "technician"), row.id)
    revoke_token(installation, actor, row.id)
    assert program.call("GET", METERS).status_code == 401


def test_tokens_are_issued_by_people_with_sense(installation, place):
    actor = make_login(installation, place, "technician")
    for wrong in (
        {"permissions": []},
        {"permissions": ["everything; drop"]},
        {"permissions": ["*"], "lifetime": timedelta(days=800)},
        {"permissions": ["*"], "name": ""},
    ):
        with pytest.raises(Invalid):
            issue_token(installation, actor, **{"name": "t", **wrong})
    with pytest.raises(NotAllowed):
        issue_token(installation, Actor(actor.user_id, "t", kind="token"), "t", ["*"])


def test_tokens_are_issued_and_revoked_on_the_command_line(app, installation, place, monkeypatch):
    actor = make_login(installation, place, "community_manager")
    with installation.access() as session:
        login = session.get_one(User, actor.user_id).login
    monkeypatch.setattr(Installation, "open", lambda **_: Installation(
        installation.settings, installation.databases, installation.plugins
    ))  # fmt: skip
    monkeypatch.setattr(Installation, "close", lambda self: None)

    def run(*arguments):
        return CliRunner().invoke(commands.token, arguments)

    made = run("issue", login, "--name", "ERP", "--permission", "meters.*").stdout.strip()
    program = Program(app, f"c/{place.community_id}", made)
    assert program.call("GET", METERS).status_code == 200
    listed = run("list", login).stdout.split()
    assert listed[2:] == ["ERP", "meters.*"]
    assert run("revoke", login, listed[0]).exit_code == 0
    assert program.call("GET", METERS).status_code == 401
    assert run("issue", "nobody", "--name", "x", "--permission", "*").exit_code == 1


def test_a_program_that_runs_wild_is_slowed_down(program, monkeypatch):
    monkeypatch.setattr("dougong.web.api.limits.DEFAULT_PER_MINUTE", 5)
    statuses = [program.call("GET", METERS).status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    refused = program.call("GET", METERS)
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["RateLimit-Limit"] == "5"


def test_the_limit_holds_for_all_web_processes_together(installation, program, monkeypatch):
    monkeypatch.setattr("dougong.web.api.limits.DEFAULT_PER_MINUTE", 40)
    other = Installation.open(installation.settings)
    second = Program(create_app(other), program.base.strip("/").removesuffix("/api"), program.token)
    statuses = [
        each.call("GET", METERS).status_code for _ in range(30) for each in (program, second)
    ]
    other.close()
    # Nothing is refused too early, and the two together get what one would get.
    assert statuses[:38] == [200] * 38
    assert 38 <= statuses.count(200) <= 48, "the bucket, and what flowed in meanwhile"


# --- places ---------------------------------------------------------------------------------------


def test_a_plugin_that_is_off_is_not_there(installation, place, program):
    assert METERS in program.call("GET", "/openapi.json").json["paths"]
    with installation.access() as session:
        session.execute(
            text("delete from dougong.plugin_enablement where community_id = :c"),
            {"c": place.community_id},
        )
        bump_version(session, place.community_id)
    assert program.call("GET", METERS).status_code == 404
    assert program.call("POST", "/v1/meters/reading.record", {}).status_code == 404
    left = program.call("GET", "/openapi.json").json["paths"]
    assert {path.split("/")[2] for path in left} == {"dougong"}
    with installation.access() as session:
        write_enablement(session, "meters", place.community_id, None)
        bump_version(session, place.community_id)
    assert program.call("GET", METERS).status_code == 200


def test_a_group_reads_all_its_communities_and_writes_its_own_rows(app, installation, place):
    manager = make_login(installation, place, "community_manager")
    with installation.access() as session:
        grant_role(
            session, Actor.system(), manager.user_id, "group_manager", group_id=place.group_id
        )
    token, _ = issue_token(installation, manager, "t", ["*"])
    for community in (place.community_id, place.other_community_id):
        Program(app, f"c/{community}", token).call("POST", METERS, METER)
    group = Program(app, f"g/{place.group_id}", token)
    listed = group.call("GET", METERS).json["items"]
    assert {m["community_id"] for m in listed} == {
        str(place.community_id), str(place.other_community_id)
    }  # fmt: skip
    assert group.call("POST", METERS, METER).status_code == 403
    assert group.call("PATCH", f"{METERS}/{listed[0]['id']}", {"digits": 4}).status_code == 403
    region = group.call("POST", "/v1/dougong/region", {"name": "华南"})
    assert region.status_code == 201, region.text
    community = Program(app, f"c/{place.community_id}", token)
    assert community.call("GET", f"/v1/dougong/region/{region.json['id']}").status_code == 200
    renamed = community.call("PATCH", f"/v1/dougong/region/{region.json['id']}", {"name": "x"})
    assert renamed.status_code == 403
    document = group.call("GET", "/openapi.json").json
    assert "post" not in document["paths"][METERS]
    assert "post" in document["paths"]["/v1/dougong/region"]


def test_the_document_speaks_both_languages(program):
    def label(language):
        document = program.call("GET", "/openapi.json", Accept_Language=language).json
        return document["components"]["schemas"]["MetersMeter"]["properties"]["digits"]["title"]

    assert (label("zh-CN"), label("en")) == ("整数位数", "Digits before the point")


def test_every_write_is_audited_with_its_verb(program, installation, place):
    meter = program.call("POST", METERS, METER).json["id"]
    with installation.access() as session:
        verbs = session.execute(
            text("select verb, body from dougong.audit_event where row_id = :id"), {"id": meter}
        ).all()
    assert [v.verb for v in verbs] == ["meters.meter.create"]
    assert json.loads(verbs[0].body)
