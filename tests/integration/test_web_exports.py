"""Exports over HTTP: what stands in the files, who may have them, long ones, and the log."""

import csv
import io
import json
import re
import sys
from datetime import date, datetime
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update

from dougong.access.models import Role
from dougong.access.operations import create_user, grant_role, start_session
from dougong.db.scope import Actor
from dougong.exchange import ExportFile
from dougong.jobs.process import queue_app
from dougong.tenancy.models import Person
from dougong.web.admin import exports
from dougong.web.app import SESSION_COOKIE, create_app

sys.path.insert(0, str(Path(__file__).parent))
from test_web_exchange import browser, csrf, in_scope, workbook
from test_web_exchange_jobs import work

SYSTEM = Actor.system("test")


@pytest.fixture(scope="module")
def app(installation):
    queue_app(installation)
    return create_app(installation)


@pytest.fixture
def manager(app, installation, place):
    return browser(app, installation, place, "community_manager", place.community_id)


# --- at once --------------------------------------------------------------------------------------


def test_a_workbook_has_typed_cells_the_lists_columns_order_and_filters(manager, place):
    address = f"{manager.base}/dougong/room/export.xlsx"
    query = "columns=code,built_area,state,building&sort=-code&q=1-1-"
    answer = manager.get(f"{address}?{query}")
    sheet = workbook(answer).active
    rows = list(sheet.iter_rows(values_only=True))
    # The last column is what fees adds to the view.
    assert rows[0] == ("房号", "建筑面积（㎡）", "状态", "楼栋", "逾期欠费")
    assert [row[:4] for row in rows[1:]] == [
        ("1-1-201", 91.5, "入住", "1栋"),
        ("1-1-101", 89.5, "入住", "1栋"),
    ]
    assert isinstance(rows[1][1], float)
    assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref == "A1:E3"
    header = answer.headers["Content-Disposition"]
    assert "房屋" in unquote(header.partition("filename*=UTF-8''")[2])
    assert answer.headers["Content-Length"] == str(len(answer.data))


def test_dates_and_flags_keep_their_type_and_relations_their_name(manager):
    sheet = workbook(manager.get(f"{manager.base}/dougong/ownership/export.xlsx")).active
    first = list(sheet.iter_rows(min_row=2, max_row=2, values_only=True))[0]
    assert isinstance(first[3], datetime) and first[3].date() == date(2020, 1, 1)
    assert first[0] in ("1-1-101", "2-1-101", "1-1-201", "2-1-201") and first[2] == 1
    people = workbook(manager.get(f"{manager.base}/dougong/person/export.xlsx")).active
    assert people.cell(2, 5).value is False


def test_personal_values_are_masked_in_both_files(manager):
    for kind in ("xlsx", "csv"):
        answer = manager.get(f"{manager.base}/dougong/person/export.{kind}")
        if kind == "xlsx":
            cells = [c for row in workbook(answer).active.iter_rows(values_only=True) for c in row]
            text = " ".join(map(str, cells))
        else:
            text = answer.data.decode("utf-8-sig")
        assert "138****0001" in text and "13800130001" not in text


def test_csv_opens_in_excel_and_runs_no_formula(manager, installation, place):
    with in_scope(installation, place) as scope:
        scope.session.execute(
            update(Person)
            .where(Person.id == place.person_ids[0])
            .values(name='=HYPERLINK("http://x","看")', note="-2+3\x01")
        )
    answer = manager.get(f"{manager.base}/dougong/person/export.csv")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert "手机号" in rows[0]
    cells = [cell for row in rows for cell in row]
    assert '\'=HYPERLINK("http://x","看")' in cells and "'-2+3" in cells
    sheet = workbook(manager.get(f"{manager.base}/dougong/person/export.xlsx")).active
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


def test_exporting_needs_its_permission(app, installation, place):
    desk = browser(app, installation, place, "front_desk", place.community_id)
    assert desk.get(f"{desk.base}/dougong/room/").status_code == 200
    assert desk.get(f"{desk.base}/dougong/room/export.xlsx").status_code == 403
    assert "export.xlsx" not in desk.get(f"{desk.base}/dougong/room/").text
    cashier = browser(app, installation, place, "cashier", place.community_id)
    assert cashier.get(f"{cashier.base}/dougong/room/export.csv").status_code == 200
    foreign = f"/c/{place.other_community_id}/admin/dougong/room/export.csv"
    assert cashier.get(foreign).status_code == 404


def test_a_group_exports_with_the_community(app, installation, place):
    client = browser(app, installation, place, "group_manager", None)
    answer = client.get(f"/g/{place.group_id}/admin/dougong/room/export.csv")
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert rows[0][-1] == "小区" and rows[1][-1].startswith("翠湖花园")
    entities = client.get(f"/g/{place.group_id}/admin/dougong/legal_entity/export.xlsx")
    assert entities.status_code == 200


def test_too_many_rows_are_refused_in_words(manager, monkeypatch):
    from dougong.web.admin import exporting

    monkeypatch.setattr(exporting, "LIMIT", 3)
    answer = manager.get(f"{manager.base}/dougong/room/export.xlsx")
    assert answer.status_code == 422 and "3" in answer.text


def test_an_export_needs_few_statements_however_many_rows(manager, installation):
    seen = statements_of(
        installation, lambda: manager.get(f"{manager.base}/dougong/ownership/export.csv")
    )
    assert len(seen) <= 7, seen


def statements_of(installation, act):
    from sqlalchemy import event

    act()
    seen: list[str] = []

    def note(conn, cursor, statement, parameters, context, executemany):
        seen.append(statement)

    engines = [installation.databases.engine(role) for role in ("app", "access", "platform")]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
    return seen


# --- in the log, in clear, by a worker ------------------------------------------------------------


def exports_of(installation, place):
    query = text("select * from dougong.export where group_id = :g order by at")
    with installation.platform() as session:
        return session.execute(query, {"g": place.group_id}).all()


def logged(installation, place, verb):
    query = text(
        "select body from dougong.audit_event where chain_id = :c and verb = :v order by id"
    )
    with installation.platform() as session:
        rows = session.execute(query, {"c": place.community_id, "v": verb}).scalars()
        return [json.loads(row) for row in rows]


def test_every_export_is_in_the_log_before_the_file(app, manager, installation, place):
    manager.get(f"{manager.base}/dougong/person/export.csv?q=13800130001&is_protected=false")
    (found,) = exports_of(installation, place)
    assert (found.view, found.kind, found.rows, found.is_clear) == (
        "dougong.person", "csv", 1, False,
    )  # fmt: skip
    assert set(found.personal) >= {"name", "phone", "id_number"}
    assert found.filters == {"is_protected": "false"}
    (event,) = logged(installation, place, "dougong.export_file.make")
    assert event["new"]["view"] == "dougong.person" and event["new"]["rows"] == 1
    assert "13800130001" not in json.dumps(event), "what was searched for is sealed"
    assert UUID(event["actor"]) == found.user_id
    log = manager.get(f"{manager.base}/audit")
    assert log.status_code == 403, "the one who exports does not read the log"
    auditor = browser(app, installation, place, "audit_administrator", place.community_id)
    page = auditor.get(f"{auditor.base}/audit?verb=dougong.export").text
    assert "导出列表" in page and "手机号" in page and "×1" in page and "脱敏" in page


def clear_eyed(app, installation, place):
    """Return a browser of someone whose role shows personal values."""
    with installation.access() as session:
        role = Role(
            key=f"r{uuid4().hex[:8]}", group_id=place.group_id, name="Trusted", name_zh="受托"
        )
        role.permissions, role.clearance = ["*"], {"*": "full"}
        session.add(role)
        session.flush()
        user = create_user(session, f"u{uuid4().hex[:8]}", "何主任")
        grant_role(session, SYSTEM, user.id, role.key, group_id=place.group_id,
                   community_id=place.community_id)  # fmt: skip
        token = start_session(session, user)
    client = app.test_client()
    client.set_cookie(SESSION_COOKIE, token)
    client.base = f"/c/{place.community_id}/admin"
    return client


def test_values_in_clear_need_a_role_and_a_reason(app, manager, installation, place):
    client = clear_eyed(app, installation, place)
    assert "138****0001" in client.get(f"{client.base}/dougong/person/export.csv").text
    address = f"{client.base}/dougong/person/export"
    assert 'name="clear"' in client.get(address).text
    assert 'name="clear"' not in manager.get(address).text
    data = {"csrf_token": csrf(client, address), "kind": "csv", "clear": "true", "query": ""}
    assert client.post(address, data=data).status_code == 422
    answer = client.post(address, data=data | {"reason": "legal", "note": "函 12 号"})
    assert answer.status_code == 200 and "13800130001" in answer.text
    event = logged(installation, place, "dougong.export_file.make")[-1]
    assert (event["new"]["is_clear"], event["new"]["reason"]) == (True, "legal")
    assert event["reason"] == "legal" and event["new"]["note"] == "函 12 号"
    stolen = data | {"csrf_token": csrf(manager, address), "reason": "legal"}
    assert manager.post(address, data=stolen).status_code == 403


def test_a_long_export_is_prepared_sealed_and_told(app, manager, installation, place, monkeypatch):
    monkeypatch.setattr(exports, "AT_ONCE", 2)
    asked = manager.get(f"{manager.base}/dougong/person/export.xlsx?sort=name")
    assert asked.status_code == 303 and "sort=name" in asked.location
    page = manager.get(asked.location)
    query = re.search(r'name="query" value="([^"]*)"', page.text)[1]
    data = {"csrf_token": csrf(manager, asked.location), "kind": "xlsx", "query": query}
    prepared = manager.post(asked.location.partition("?")[0], data=data)
    assert "data-busy>" in manager.get(prepared.location).text
    assert manager.get(f"{prepared.location}download").status_code == 404
    work(installation, place)
    assert "data-busy>" not in manager.get(prepared.location).text
    sheet = workbook(manager.get(f"{prepared.location}download")).active
    cells = [c for row in sheet.iter_rows(values_only=True) for c in row]
    assert "138****0001" in cells and sheet.max_row > 3
    with installation.platform() as session:
        parts = session.execute(text("select sealed from dougong.exchange_part")).scalars().all()
    assert parts and not any(b"PK\x03\x04" in bytes(part) for part in parts)
    other = browser(app, installation, place, "front_desk", place.community_id)
    assert other.get(prepared.location).status_code == 404
    assert other.get(f"{prepared.location}download").status_code == 404
    badge = manager.get(f"/c/{place.community_id}/inbox/badge").text
    assert "badge-count" in badge
    assert exports_of(installation, place)[-1].rows == sheet.max_row - 1
    with in_scope(installation, place) as scope:
        file = scope.session.scalars(select(ExportFile)).one()
        message = scope.session.execute(
            text("select link from dougong.message where user_id = :u"), {"u": file.user_id}
        ).scalar_one()
        assert message == f"admin/exports/{file.id}/"
        file.expires_at = scope.now
    assert manager.get(f"{prepared.location}download").status_code == 404
    with in_scope(installation, place) as scope:
        assert scope.call("dougong.exchange.sweep") == 1


def test_a_groups_long_export_lies_in_one_of_its_communities(app, installation, place, monkeypatch):
    monkeypatch.setattr(exports, "AT_ONCE", 2)
    client = browser(app, installation, place, "group_manager", None)
    address = f"/g/{place.group_id}/admin/dougong/room/export"
    data = {"csrf_token": csrf(client, address), "kind": "csv", "query": ""}
    prepared = client.post(address, data=data)
    assert prepared.status_code == 303
    in_which = type("Where", (), {"community_id": UUID(prepared.location.split("/")[2])})
    work(installation, in_which)
    answer = client.get(f"{prepared.location}download")
    assert "翠湖花园" in answer.data.decode("utf-8-sig")
