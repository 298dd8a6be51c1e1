"""Imports and the opening workbook over HTTP, on a real database."""

import io
import re
from datetime import date
from decimal import Decimal

import openpyxl
import pytest
import xlsxwriter
from sqlalchemy import text

from dougong.access.operations import create_user, grant_role, start_session
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.tenancy.models import Person, Room
from dougong.web.app import SESSION_COOKIE


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


# --- import ---------------------------------------------------------------------------------------


def csrf(client, path) -> str:
    return re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)[1]


class Wizard:
    """Walks through the import pages as a browser does."""

    def __init__(self, client, path):
        self.client, self.base = client, f"{client.base}/{path}"
        self.token = csrf(client, f"{self.base}/import")

    def upload(self, content: bytes, name="x.csv"):
        data = {"csrf_token": self.token, "file": (io.BytesIO(content), name)}
        self.page = self.client.post(f"{self.base}/import", data=data)
        return self.page

    def fields(self, **changes):
        text = self.page.text
        found = {
            "csrf_token": self.token,
            "draft": re.search(r'name="draft" value="([^"]+)', text)[1],
        }
        for name, body in re.findall(r'<select[^>]* name="([^"]+)">(.*?)</select>', text, re.S):
            chosen = re.search(r'value="([^"]*)" selected', body)
            found[name] = chosen[1] if chosen else ""
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text):
            found.setdefault(name, value)
        return found | changes

    def post(self, step, **changes):
        answer = self.client.post(f"{self.base}/import/{step}", data=self.fields(**changes))
        if step == "check" and answer.status_code == 303:
            answer = self.client.get(answer.headers["Location"])
        if answer.status_code != 303:
            self.page = answer
        return answer


def xlsx(*rows, sheet="Sheet1"):
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def rooms_in(installation, place):
    with in_scope(installation, place) as scope:
        return {r.code: r for r in scope.session.query(Room)}


def test_a_workbook_is_mapped_tried_and_imported(manager, installation, place):
    wizard = Wizard(manager, "dougong/room")
    content = xlsx(
        ["2026年房屋清单"],
        ["房号", "楼栋", "单元", "建筑面积（㎡）", "状态", "无关"],
        ["1-1-901", "1栋", "1单元", 100.25, "空置", "x"],
        ["1-1-902", "1", "1", "88.1㎡", "vacant", None],
        ["2-1-901", "2号楼", "1", 0.1 + 0.2, "已交付", None],
    )
    page = wizard.upload(content, "房屋.xlsx")
    assert page.status_code == 200, page.text
    checked = wizard.post("check")
    assert checked.status_code == 200 and "3" in checked.text
    assert "1-1-901" not in rooms_in(installation, place)
    done = wizard.post("commit")
    assert done.status_code == 303, done.text
    rooms = rooms_in(installation, place)
    assert rooms["1-1-901"].built_area == Decimal("100.25")
    assert rooms["1-1-902"].building_id == place.building_ids[0]
    assert rooms["2-1-901"].built_area == Decimal("0.30")
    assert rooms["1-1-901"].state == "vacant" and rooms["1-1-901"].room_kind == "flat"
    assert rooms["1-1-901"].sort_key == "0001-0001-0901"
    assert manager.get(done.location).status_code == 200


def test_the_same_file_cannot_be_imported_twice_and_can_be_undone(manager, installation, place):
    wizard = Wizard(manager, "dougong/person")
    wizard.upload("姓名,手机号\n赵六,13900000001\n钱七,13900000002\n".encode())
    wizard.post("check")
    fields = wizard.fields()
    first = manager.post(f"{wizard.base}/import/commit", data=fields)
    assert first.status_code == 303
    again = manager.post(f"{wizard.base}/import/commit", data=fields)
    assert again.location == first.location
    page = manager.get(first.location).text
    run = re.search(r'name="run" value="([^"]+)"', page)[1]
    with in_scope(installation, place) as scope:
        assert scope.session.query(Person).filter_by(name="赵六").count() == 1
    data = {"csrf_token": wizard.token, "run": run}
    assert manager.post(f"{wizard.base}/import/undo", data=data).status_code == 303
    with in_scope(installation, place) as scope:
        assert scope.session.query(Person).filter_by(name="赵六").count() == 0


def test_a_gb18030_csv_is_read(manager, installation, place):
    wizard = Wizard(manager, "dougong/person")
    wizard.upload("姓名;手机号;重点照护\n张𠮷;13900000009;是\n".encode("gb18030"))
    wizard.post("check")
    assert wizard.post("commit").status_code == 303
    with in_scope(installation, place) as scope:
        person = scope.session.query(Person).filter_by(name="张𠮷").one()
        assert person.phone == "13900000009" and person.is_protected is True
        assert (
            scope.session.query(Person).filter(Person.phone.matches(scope, "13900000009")).one()
            is person
        )


def test_every_wrong_row_is_named_with_its_reason(manager, installation, place):
    wizard = Wizard(manager, "dougong/room")
    lines = [
        "房号,楼栋,建筑面积",
        "1-1-101,1栋,80",
        "9-9-901,9栋,80",
        "1-1-903,1栋,abc",
        "1-1-904,1栋,1.234",
        "1-1-905,1栋,90",
        "1-1-905,1栋,90",
        "\x00bad,1栋,90",
        "=1+1,1栋,90",
        f"{'9' * 50},1栋,90",
        ",1栋,90",
    ]
    wizard.upload("\n".join(lines).encode())
    page = wizard.post("check")
    assert page.status_code == 200
    problems = wizard.client.post(f"{wizard.base}/import/problems.xlsx", data=wizard.fields())
    rows = list(workbook(problems).active.iter_rows(min_row=2, values_only=True))
    reasons = {row[3]: row[4] for row in rows}
    assert sorted(reasons) == [2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert "9栋" in reasons[3] and "6" in reasons[7]
    assert wizard.post("commit").status_code == 409
    assert "1-1-905" not in rooms_in(installation, place)
    wizard.upload("\n".join(lines).encode())
    wizard.post("check")
    assert wizard.post("commit", good="1").status_code == 303
    assert "1-1-905" in rooms_in(installation, place)


def test_rows_change_the_records_that_their_key_names(manager, installation, place):
    wizard = Wizard(manager, "dougong/room")
    wizard.upload("房号,楼栋,套内面积\n1-1-101,1栋,66.6\n1-1-777,1栋,50\n".encode())
    wizard.post("check", match="code")
    assert wizard.post("commit").status_code == 303
    rooms = rooms_in(installation, place)
    assert rooms["1-1-101"].inner_area == Decimal("66.60")
    assert rooms["1-1-101"].built_area == Decimal("89.50")
    assert "1-1-777" in rooms
    people = Wizard(manager, "dougong/person")
    people.upload("手机号,备注\n13800130002,常客\n".encode())
    people.post("check", match="phone")
    assert people.post("commit").status_code == 303
    with in_scope(installation, place) as scope:
        assert scope.get(Person, place.person_ids[2]).note == "常客"


def test_owners_are_found_by_name_and_phone_and_overlaps_are_refused(manager):
    wizard = Wizard(manager, "dougong/ownership")
    text = "房屋,业主,份额,起始日\n1栋1单元101室,业主1 13800130001,0.5,2024/5/1\n"
    text += "1-1-101,业主0,1,2023年1月1日\n1-1-201,没有此人,1,2024-1-1\n"
    wizard.upload(text.encode())
    wizard.post("check")
    problems = wizard.client.post(f"{wizard.base}/import/problems.xlsx", data=wizard.fields())
    rows = list(workbook(problems).active.iter_rows(min_row=2, values_only=True))
    assert [row[4] for row in rows] == [3, 4]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   \n",
        b"\xd0\xcf\x11\xe0old",
        b"PK\x03\x04rubbish",
        b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256)) * 9,
        b"only a head\n",
        b"x" * (10 * 1024 * 1024 + 1),
        ("姓名\n" + "张三\n" * 20_005).encode(),
    ],
    ids=["empty", "blank", "xls", "broken", "picture", "head", "huge", "many"],
)
def test_files_that_are_no_table_are_refused_in_words(manager, content):
    page = Wizard(manager, "dougong/person").upload(content, "x.xlsx")
    assert page.status_code == 422 and "alert-danger" in page.text


def test_a_formula_counts_with_its_saved_value_and_is_refused_without(manager, installation, place):
    wizard = Wizard(manager, "dougong/person")
    page = wizard.upload(xlsx(["姓名"], ['=CONCAT("a","b")']))
    assert page.status_code == 422 and "A2" in page.text
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["姓名", "备注"])
        sheet.write_formula(1, 0, '=CONCAT("张","三丰")', None, "张三丰")
        sheet.write_formula(1, 1, "=1/0", None, "#DIV/0!")
    wizard.upload(file.getvalue())
    wizard.post("check", **{"column-1": ""})
    assert wizard.post("commit").status_code == 303
    with in_scope(installation, place) as scope:
        assert scope.session.query(Person).filter_by(name="张三丰").count() == 1


def test_a_groups_own_records_are_imported_on_its_page(app, installation, place):
    client = browser(app, installation, place, "group_manager", None)
    client.base = f"/g/{place.group_id}/admin"
    wizard = Wizard(client, "dougong/legal_entity")
    wizard.upload("名称,纳税人识别号\n新物业有限公司,91310000ABC\n".encode())
    wizard.post("check", match="name")
    assert wizard.post("commit").status_code == 303
    assert "新物业有限公司" in client.get(f"{client.base}/dougong/legal_entity/").text
    assert client.get(f"{client.base}/dougong/room/import").status_code == 403


def test_a_bomb_is_refused_before_it_unpacks(manager):
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("[Content_Types].xml", "x" * (70 * 1024 * 1024))
    assert len(file.getvalue()) < 1024 * 1024
    page = Wizard(manager, "dougong/person").upload(file.getvalue(), "b.xlsx")
    assert page.status_code == 422


def test_a_draft_belongs_to_its_user_place_and_purpose(app, installation, place, manager):
    wizard = Wizard(manager, "dougong/person")
    wizard.upload("姓名,手机号\n孙八,13900000003\n".encode())
    fields = wizard.fields()
    assert "孙八" not in fields["draft"]
    building = f"{manager.base}/dougong/building/import/check"
    assert manager.post(building, data=fields).status_code == 422
    other = browser(app, installation, place, "front_desk", place.community_id)
    fields["csrf_token"] = csrf(other, f"{other.base}/dougong/person/import")
    assert other.post(f"{wizard.base}/import/check", data=fields).status_code == 422
    fields = wizard.fields()
    fields["draft"] = fields["draft"][:80] + "AAAAAAAA" + fields["draft"][88:]
    assert manager.post(f"{wizard.base}/import/check", data=fields).status_code == 422


def test_importing_needs_the_permission_to_create(app, installation, place):
    cashier = browser(app, installation, place, "cashier", place.community_id)
    assert cashier.get(f"{cashier.base}/dougong/room/import").status_code == 403


def test_every_model_has_a_sample(manager, installation):
    from dougong.web.admin import registry

    for view in registry.views():
        name = view.name()
        if view.model.__kind__ != "community" or not view.can_create or not view.can_import:
            continue
        if view.plugin() not in ("dougong", *installation.plugins.loaded):
            continue
        address = f"{manager.base}/{name.replace('.', '/')}/import/sample.xlsx"
        sheet = workbook(manager.get(address)).active
        assert sheet.max_column >= 1, name


# --- opening workbook -----------------------------------------------------------------------------


def opening_file(**changes):
    sheets = {
        "楼栋": [["编号", "名称", "层数"], ["7", "7栋", 18]],
        "单元": [["楼栋", "编号", "名称"], ["7栋", "2", "2单元"]],
        "房屋": [
            ["房号", "楼栋", "建筑面积（㎡）", "状态", "原系统编号"],
            ["7栋2单元301室", None, 89.5, "入住", "A-301"],
            ["7-2-302", "7", "91.20", "空置", None],
        ],
        "人员": [["姓名", "手机号", "证件号"], ["王五", 13700000005, "110101199001011234"]],
        "产权": [
            ["房屋", "业主", "手机号", "份额", "起始日"],
            ["7-2-301", "张三、李四", "13700000001、13700000002", None, "2020/3/1"],
            ["7栋2单元302", "王五", None, "100%", None],
        ],
        "入住": [
            ["房屋", "住户", "手机号", "类型", "约定缴费", "起始日"],
            ["7-2-302", "赵六", "13700000006", "租住", "是", "2024年5月1日"],
        ],
        "表计": [
            ["表号", "类别", "房屋", "倍率", "安装日期", "安装底数"],
            ["OPEN-1", "电", "7-2-301", 1, "2026-01-01", 1234.5],
        ],
        "预存余额": [["缴款人", "预存余额（元）"], ["张三", 500.5], ["王五 13700000005", "1,200"]],
        "核对": [["项目", "原系统合计"], ["房屋数", 2], ["建筑面积合计（㎡）", 180.7]],
    }
    sheets |= changes
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


class Opening(Wizard):
    def __init__(self, client, place):
        self.client, self.base = client, f"/c/{place.other_community_id}/admin/opening"
        self.token = csrf(client, self.base)

    def upload(self, content):
        data = {"csrf_token": self.token, "file": (io.BytesIO(content), "期初.xlsx")}
        self.page = self.client.post(self.base, data=data, follow_redirects=True)
        return self.page

    def post(self, step):
        return self.client.post(f"{self.base}/{step}", data=self.fields())

    def problems(self):
        return self.client.get(re.search(r'href="([^"]+problems.xlsx)"', self.page.text)[1])


@pytest.fixture
def group_manager(app, installation, place):
    return browser(app, installation, place, "group_manager", None)


def other(installation, place):
    return installation.scope(Actor.system("test"), community=place.other_community_id)


def test_a_community_starts_with_one_workbook(group_manager, installation, place):
    from dougong.tenancy.models import Occupancy, Ownership

    wizard = Opening(group_manager, place)
    tried = wizard.upload(opening_file())
    assert tried.status_code == 200 and "pill danger" not in tried.text, tried.text
    with other(installation, place) as scope:
        assert scope.session.query(Room).count() == 0
    assert wizard.post("commit").status_code == 303
    with other(installation, place) as scope:
        rooms = {r.code: r for r in scope.session.query(Room)}
        assert sorted(rooms) == ["7-2-301", "7-2-302"]
        assert rooms["7-2-301"].unit is not None and rooms["7-2-301"].old_code == "A-301"
        owners = scope.session.query(Ownership).filter_by(room_id=rooms["7-2-301"].id)
        assert {o.person.name: o.share for o in owners} == {
            "张三": Decimal("0.5"),
            "李四": Decimal("0.5"),
        }
        assert {o.from_on for o in owners} == {date(2020, 3, 1)}
        people = {p.name: p.phone for p in scope.session.query(Person)}
        assert people == {
            "张三": "13700000001",
            "李四": "13700000002",
            "王五": "13700000005",
            "赵六": "13700000006",
        }
        prepaid = scope.session.execute(text("select sum(balance) from ledger.wallet")).scalar_one()
        assert prepaid == 170050
        lease = scope.session.query(Occupancy).one()
        assert lease.kind == "lease" and lease.pays_fees
    again = wizard.upload(opening_file())
    assert "pill danger" in again.text


def test_an_opening_workbook_is_all_or_nothing_with_problems_by_sheet(
    group_manager, installation, place
):
    wizard = Opening(group_manager, place)
    broken = {
        "房屋": [["房号", "建筑面积"], ["8-1-101", 80], ["7-2-301", "大"], ["7-2-302", 90]],
        "产权": [
            ["房屋", "业主", "手机号", "份额"],
            ["7-2-302", "甲、乙", None, "60%、60%"],
            ["9-9-999", "丙", None, None],
            ["7-2-302", "丁", "1、2", None],
            ["7-2-302", "、", None, None],
            ["7-2-302", "戊", None, None],
        ],
        "预存余额": [["缴款人", "预存余额（元）"], ["戊", "-3"], ["戊", 5], ["没有", 1]],
        "核对": [["项目", "原系统合计"], ["房屋数", 5]],
    }
    page = wizard.upload(opening_file(**broken))
    assert page.status_code == 200
    rows = list(workbook(wizard.problems()).active.iter_rows(min_row=2, values_only=True))
    found = {(row[0], row[1]) for row in rows}
    assert {("房屋", 2), ("房屋", 3), ("产权", 2), ("产权", 3), ("产权", 4), ("产权", 5)} <= found
    assert {("预存余额", 2), ("预存余额", 3), ("预存余额", 4)} <= found
    assert ("核对", 2) in found and ("产权", 6) not in found
    assert wizard.post("commit").status_code == 409
    with other(installation, place) as scope:
        assert scope.session.query(Room).count() == 0
        assert scope.session.query(Person).count() == 0


def test_the_empty_workbook_has_a_sheet_for_everything_that_is_read(manager, app, place):
    book = workbook(manager.get(f"{manager.base}/opening/template.xlsx"))
    names = ["说明", "楼栋", "单元", "房屋", "人员", "产权", "入住", "表计", "预存余额", "核对"]
    assert [name for name in book.sheetnames if name in names] == names
    assert book["核对"].cell(2, 1).value == "楼栋数"
    assert "期初导入" in manager.get(f"{manager.base}/opening").text
    assert manager.get(f"/g/{place.group_id}/admin/opening").status_code == 404


def test_a_workbook_of_something_else_is_refused(group_manager, place):
    wizard = Opening(group_manager, place)
    assert wizard.upload(xlsx(["x", "y"], [1, 2])).status_code == 422
    assert wizard.upload(opening_file(房屋=[["随便"], ["x"]])).status_code == 200
