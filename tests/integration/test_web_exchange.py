"""Exports, imports and the opening workbook over HTTP, on a real database."""

import csv
import io
from datetime import date, datetime
from urllib.parse import unquote

import openpyxl
import pytest
from sqlalchemy import update

from dougong.access.operations import create_user, grant_role, start_session
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.tenancy.models import Person
from dougong.web.app import SESSION_COOKIE, create_app


@pytest.fixture(scope="module")
def app(installation):
    return create_app(installation)


@pytest.fixture
def manager(app, installation, place):
    """Return a browser of the community's manager."""
    return browser(app, installation, place, "community_manager", place.community_id)


def browser(app, installation, place, role, community_id):
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"x{place.group_id.hex[-12:]}{role}", "王经理")
        grant_role(
            session,
            Actor.system(),
            user.id,
            role,
            group_id=place.group_id,
            community_id=community_id,
        )
        token = start_session(session, user)
    client = app.test_client()
    client.set_cookie(SESSION_COOKIE, token)
    client.base = f"/c/{place.community_id}/admin"
    return client


def in_scope(installation, place):
    return installation.scope(Actor.system("test"), community=place.community_id)


def workbook(answer):
    assert answer.status_code == 200, answer.text
    return openpyxl.load_workbook(io.BytesIO(answer.data))


# --- export ---------------------------------------------------------------------------------------


def test_a_workbook_has_typed_cells_the_lists_columns_order_and_filters(manager, place):
    address = f"{manager.base}/dougong/room/export.xlsx"
    query = "columns=code,built_area,state,building&sort=-code&q=1-"
    answer = manager.get(f"{address}?{query}")
    sheet = workbook(answer).active
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == ("房屋", "建筑面积（㎡）", "状态", "楼栋")
    assert rows[1:] == [("1-1-201", 91.5, "入住", "1栋"), ("1-1-101", 89.5, "入住", "1栋")]
    assert isinstance(rows[1][1], float)
    assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref == "A1:D3"
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
    from dougong.web.admin import exports

    monkeypatch.setattr(exports, "LIMIT", 3)
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
