"""Long imports: a worker's, resumed after a kill, taken back whole; the page of jobs."""

import io
import re
import signal
import sys
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text

from dougong.db.scope import Actor
from dougong.exchange import ImportRow, ImportRun, RunState, sweep
from dougong.jobs import Job, JobState
from dougong.jobs.process import queue_app
from dougong.jobs.running import run_job
from dougong.tenancy.models import Ownership, Person, Room
from dougong.testing.probe import wait_for, worker
from dougong.web.admin import import_jobs, import_runs
from dougong.web.app import create_app

sys.path.insert(0, str(Path(__file__).parent))
from test_web_exchange import Wizard, browser, csrf, in_scope, opening_file, xlsx

SYSTEM = Actor.system("test")


@pytest.fixture(scope="module")
def app(installation):
    queue_app(installation)
    return create_app(installation)


@pytest.fixture
def manager(app, installation, place):
    return browser(app, installation, place, "community_manager", place.community_id)


def people_file(number, first=0):
    rows = [f"住户{n},139{n:08d},110101199001{n:06d}" for n in range(first, first + number)]
    return "\n".join(["姓名,手机号,证件号", *rows]).encode()


def waiting(installation, place):
    """Return the job that waits in the community."""
    with in_scope(installation, place) as scope:
        query = select(Job).where(Job.state == JobState.WAITING).order_by(Job.id.desc())
        job = scope.session.scalars(query).first()
        return None if job is None else (job.id, bytes(job.mac).hex())


def work(installation, place):
    """Do what a worker does with the job that waits."""
    id, digest = waiting(installation, place)
    run_job(installation, place.community_id, id, digest)


def run_of(installation, place, view="dougong.person"):
    with in_scope(installation, place) as scope:
        query = select(ImportRun).where(ImportRun.view == view).order_by(ImportRun.id.desc())
        return scope.session.scalars(query).first()


def count(installation, place, model, *conditions):
    with in_scope(installation, place) as scope:
        return scope.session.scalar(select(func.count()).select_from(model).where(*conditions))


def imported(installation, place):
    return count(installation, place, Person, Person.name.like("住户%"))


def undo(client, base, run):
    data = {"csrf_token": csrf(client, f"{base}/import"), "run": str(run)}
    return client.post(f"{base}/import/undo", data=data)


# --- imports --------------------------------------------------------------------------------------


def test_a_long_file_is_a_workers_and_every_step_has_an_address(manager, installation, place):
    wizard = Wizard(manager, "dougong/person")
    wizard.upload(people_file(350), "业主.csv")
    page = wizard.post("check")
    assert page.status_code == 200 and "data-busy>" in page.text and "业主.csv" in page.text
    assert imported(installation, place) == 0
    address = page.request.path
    work(installation, place)
    part = manager.get(f"{address}/progress")
    assert "data-busy>" not in part.text and "350" in part.text
    assert imported(installation, place) == 0
    wizard.page = manager.get(address)
    assert wizard.post("commit").location.endswith(address)
    assert "data-busy>" in manager.get(address).text
    work(installation, place)
    assert imported(installation, place) == 350
    assert "data-busy>" not in manager.get(address).text
    run = run_of(installation, place)
    assert (run.state, run.done, run.counts["created"]) == (RunState.DONE, 350, 350)
    assert undo(manager, wizard.base, run.id).status_code == 303
    work(installation, place)
    assert imported(installation, place) == 0
    assert run_of(installation, place).state is RunState.UNDONE
    assert count(installation, place, ImportRow) == 0


def test_a_killed_worker_leaves_pieces_and_the_next_goes_on(manager, installation, place, tmp_path):
    pieces = {"PROBE_CHUNK": "250"}
    people = 1_250
    wizard = Wizard(manager, "dougong/person")
    wizard.upload(people_file(people))
    wizard.post("check")
    work(installation, place)
    wizard.page = manager.get(f"{wizard.base}/import/{run_of(installation, place).id}")
    wizard.post("commit")
    with worker(installation, tmp_path / "first.log", **pieces) as process:
        wait_for(lambda: 0 < run_of(installation, place).done < people, 90)
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = run_of(installation, place)
    assert left.state is RunState.WRITING and 0 < left.done < people
    assert imported(installation, place) == left.done
    with worker(installation, tmp_path / "second.log", **pieces):
        wait_for(lambda: run_of(installation, place).state is RunState.DONE, 90)
    assert imported(installation, place) == people
    assert run_of(installation, place).counts["created"] == people
    with in_scope(installation, place) as scope:
        ids = scope.session.execute(select(ImportRow.subject_id)).all()
    assert len(ids) == len(set(ids)) == people


def test_rows_refused_only_now_take_back_what_was_written(
    manager, installation, place, monkeypatch
):
    monkeypatch.setattr(import_runs, "CHUNK", 5)
    wizard = Wizard(manager, "dougong/room")
    lines = [f"1-1-9{n:02d},1栋,80" for n in range(12)]
    wizard.upload("\n".join(["房号,楼栋,建筑面积", *lines]).encode())
    wizard.post("check")
    with in_scope(installation, place) as scope:
        taken = Room(building_id=place.building_ids[0], code="1-1-911")
        scope.session.add(taken)
    page = manager.get(wizard.post("commit").location)
    assert "alert-danger" in page.text and "13" in page.text
    with in_scope(installation, place) as scope:
        codes = scope.session.scalars(select(Room.code).where(Room.code.like("1-1-9%"))).all()
    assert codes == ["1-1-911"]
    run = run_of(installation, place, "dougong.room")
    assert (run.state, run.done) == (RunState.TRIED, 0)
    assert count(installation, place, ImportRow) == 0


def test_an_import_that_made_and_changed_is_taken_back_in_one_step(manager, installation, place):
    wizard = Wizard(manager, "dougong/person")
    wizard.upload("手机号,姓名,备注\n13800130002,改名,常客\n13900000077,新人,\n".encode())
    wizard.post("check", match="phone")
    wizard.post("commit")
    run = run_of(installation, place)
    assert (run.counts["created"], run.counts["changed"]) == (1, 1)
    with in_scope(installation, place) as scope:
        before = scope.session.scalars(select(ImportRow.before_sealed)).all()
        assert "业主2" not in str(before)
    assert undo(manager, wizard.base, run.id).status_code == 303
    with in_scope(installation, place) as scope:
        person = scope.get(Person, place.person_ids[2])
        assert (person.name, person.note, person.phone) == ("业主2", None, "13800130002")
    assert count(installation, place, Person, Person.name == "新人") == 0


def test_what_was_changed_since_is_not_taken_back_and_said(manager, installation, place):
    wizard = Wizard(manager, "dougong/person")
    wizard.upload("手机号,备注\n13800130002,常客\n13800130001,常客\n".encode())
    wizard.post("check", match="phone")
    wizard.post("commit")
    with in_scope(installation, place) as scope:
        scope.get(Person, place.person_ids[2]).note = "后来改的"
    answer = undo(manager, wizard.base, run_of(installation, place).id)
    page = manager.get(answer.location).text
    assert "alert-danger" in page and "业主2" in page
    with in_scope(installation, place) as scope:
        assert scope.get(Person, place.person_ids[1]).note == "常客"
    assert run_of(installation, place).state is RunState.DONE


def test_an_import_is_its_owners_until_it_is_written(app, manager, installation, place):
    wizard = Wizard(manager, "dougong/person")
    wizard.upload(people_file(3))
    address = wizard.post("check").request.path
    other = browser(app, installation, place, "front_desk", place.community_id)
    assert other.get(address).status_code == 404
    wizard.post("commit")
    assert other.get(address).status_code == 200
    run = run_of(installation, place).id
    assert undo(other, wizard.base, run).status_code == 403
    foreign = address.replace(str(place.community_id), str(place.other_community_id))
    assert manager.get(foreign).status_code == 404


def test_a_stopped_import_goes_on_or_is_taken_back(manager, installation, place, monkeypatch):
    monkeypatch.setattr(import_runs, "CHUNK", 100)
    monkeypatch.setattr("dougong.jobs.running.TELL_EVERY_S", 0)
    wizard = Wizard(manager, "dougong/person")
    wizard.upload(people_file(300))
    address = wizard.post("check").request.path
    work(installation, place)
    wizard.page = manager.get(address)
    wizard.post("commit")
    id, digest = waiting(installation, place)
    original = import_runs.write_piece

    def stop_after_one(scope, run, tell):
        if run.done:
            with in_scope(installation, place) as other:
                other.call("dougong.job.cancel", job=id)
        return original(scope, run, tell)

    monkeypatch.setattr(import_runs, "write_piece", stop_after_one)
    with pytest.raises(Exception, match="cancelled"):
        run_job(installation, place.community_id, id, digest)
    assert imported(installation, place) == 100
    page = manager.get(address)
    assert "100 / 300" in page.text and "data-busy>" not in page.text
    monkeypatch.setattr(import_runs, "write_piece", original)
    wizard.page = page
    wizard.post("commit")
    work(installation, place)
    assert imported(installation, place) == 300


def test_an_unfinished_upload_is_gone_after_a_day(manager, installation, place):
    wizard = Wizard(manager, "dougong/person")
    wizard.upload(people_file(3))
    with in_scope(installation, place) as scope:
        assert sweep(scope) == 0
        scope.session.execute(
            text("update dougong.import_run set made_at = now() - interval '2 days'")
        )
        assert sweep(scope) == 1
    assert run_of(installation, place) is None
    assert wizard.post("check").status_code == 422


# --- known layouts --------------------------------------------------------------------------------


HC_ROOMS = [
    ["房屋编号", "楼栋编号", "单元编号", "房屋楼层", "房屋户型", "建筑面积", "业主编号", "房屋费用",
     "费用到期时间", "房屋类型", "室内面积", "租金"],
    ["801", "1", "1", 8, "三室", 99.5, "y1", None, None, "住宅", 80, 0],
    ["801", "2", "1", 8, "三室", 99.5, "y1", None, None, "住宅", 80, 0],
]  # fmt: skip


def test_rooms_of_another_system_need_no_choosing(manager, installation, place):
    wizard = Wizard(manager, "dougong/room")
    page = wizard.upload(xlsx(*HC_ROOMS), "房屋信息.xlsx")
    assert "HC小区" in page.text
    fields = wizard.fields(joins="true")
    answer = manager.post(f"{wizard.base}/import/check", data=fields)
    wizard.page = manager.get(answer.location)
    wizard.post("commit")
    with in_scope(installation, place) as scope:
        rooms = {r.code: r for r in scope.session.scalars(select(Room).where(Room.floor == 8))}
        assert sorted(rooms) == ["1-1-801", "2-1-801"]
        assert rooms["2-1-801"].inner_area == Decimal("80.00")
        assert rooms["2-1-801"].unit.code == "1"


def test_a_mapping_is_remembered_by_the_head_of_the_file(manager, installation, place):
    content = "甲,乙\n赵六,13900000044\n".encode()
    wizard = Wizard(manager, "dougong/person")
    wizard.upload(content)
    assert not wizard.fields()["column-0"]
    wizard.post("check", **{"column-0": "name", "column-1": "phone"})
    again = Wizard(manager, "dougong/person")
    again.upload("甲,乙\n钱七,13900000055\n".encode())
    assert (again.fields()["column-0"], again.fields()["column-1"]) == ("name", "phone")
    other = Wizard(manager, "dougong/person")
    other.upload("甲,丙\n钱七,13900000055\n".encode())
    assert not other.fields()["column-0"]


def hc_workbook():
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    sheets = {
        "楼栋单元": [["楼栋号", "单元编号", "总楼层", "是否有电梯"], ["7", "1", 18, "有"],
                 ["7", "2", 18, "有"], ["8", "0", 6, "无"]],
        "业主信息": [["业主编号", "业主名称", "业主性别", "年龄", "业主手机号", "业主身份证"],
                 ["o1", "王五", "男", 40, "13700000005", "110101199001011234"],
                 ["o2", "赵六", "女", 30, "19999999999", "10000000000000000001"]],
        "房屋信息": [HC_ROOMS[0],
                 ["301", "7", "2", 3, "两室", 89.5, "o1", None, None, "住宅", 70, 0],
                 ["101", "8", "0", 1, "两室", 60, "o2", None, None, "住宅", 50, 0]],
    }  # fmt: skip
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


class Opening:
    def __init__(self, client, place):
        self.client, self.base = client, f"/c/{place.other_community_id}/admin/opening"
        self.token = csrf(client, self.base)

    def upload(self, content):
        data = {"csrf_token": self.token, "file": (io.BytesIO(content), "期初.xlsx")}
        self.page = self.client.post(self.base, data=data, follow_redirects=True)
        return self.page

    def post(self, step):
        draft = self.page.request.path.rstrip("/").rpartition("/")[2]
        data = {"csrf_token": self.token, "draft": draft}
        self.page = self.client.post(f"{self.base}/{step}", data=data, follow_redirects=True)
        return self.page


def there(installation, place):
    return installation.scope(SYSTEM, community=place.other_community_id)


def test_the_workbook_of_another_system_opens_a_community(app, installation, place):
    client = browser(app, installation, place, "group_manager", None)
    opening = Opening(client, place)
    page = opening.upload(hc_workbook())
    assert page.status_code == 200 and "pill danger" not in page.text, page.text
    opening.post("commit")
    with there(installation, place) as scope:
        rooms = {r.code: r for r in scope.session.scalars(select(Room))}
        assert sorted(rooms) == ["7-2-301", "8-101"]
        assert rooms["7-2-301"].old_code == "301" and rooms["8-101"].unit_id is None
        owners = {o.room.code: o.person for o in scope.session.scalars(select(Ownership))}
        assert owners["7-2-301"].phone == "13700000005"
        assert owners["8-101"].name == "赵六" and owners["8-101"].phone is None


def test_an_opening_is_taken_back_as_a_whole(app, installation, place):
    client = browser(app, installation, place, "group_manager", None)
    opening = Opening(client, place)
    opening.upload(opening_file(预存余额=[["缴款人", "预存余额（元）"]]))
    page = opening.post("commit")
    assert "alert-success" in page.text
    with there(installation, place) as scope:
        assert scope.session.scalar(select(func.count()).select_from(Room)) == 2
    assert "alert-success" in opening.post("undo").text
    with there(installation, place) as scope:
        for model in (Room, Person, Ownership):
            assert scope.session.scalar(select(func.count()).select_from(model)) == 0


def test_an_opening_with_money_cannot_be_taken_back(app, installation, place):
    client = browser(app, installation, place, "group_manager", None)
    opening = Opening(client, place)
    opening.upload(opening_file())
    opening.post("commit")
    page = opening.post("undo")
    assert "alert-danger" in page.text
    with there(installation, place) as scope:
        assert scope.session.scalar(select(func.count()).select_from(Room)) == 2


def test_a_long_opening_is_a_workers(app, installation, place, monkeypatch):
    monkeypatch.setattr(import_jobs, "AT_ONCE", 3)
    client = browser(app, installation, place, "group_manager", None)
    opening = Opening(client, place)
    page = opening.upload(opening_file())
    assert "data-busy>" in page.text
    other = type("Elsewhere", (), {"community_id": place.other_community_id})
    work(installation, other)
    page = client.get(page.request.path)
    assert "data-busy>" not in page.text and "pill danger" not in page.text
    opening.page = page
    assert "data-busy>" in opening.post("commit").text
    work(installation, other)
    assert "alert-success" in client.get(page.request.path).text
    with there(installation, place) as scope:
        assert scope.session.scalar(select(func.count()).select_from(Room)) == 2


# --- the jobs page --------------------------------------------------------------------------------


def test_the_jobs_page_says_why_and_runs_again_from_the_group_too(app, installation, place):
    client = browser(app, installation, place, "group_manager", None)
    with in_scope(installation, place) as scope:
        failed = scope.get(Job, scope.enqueue("dougong.attachment.sweep"))
        failed.state, failed.error, failed.attempts = JobState.FAILED, "OperationalError", 6
        wordy = scope.get(Job, scope.enqueue("dougong.personal.retain"))
        wordy.state, wordy.error = JobState.FAILED, "这个房号不存在。"
        running = scope.get(Job, scope.enqueue("dougong.exchange.sweep"))
        running.state, running.done, running.total = JobState.RUNNING, 30, 120
        ids = failed.id, wordy.id, running.id
    page = client.get(f"/g/{place.group_id}/admin/jobs/").text
    assert "还没有人发起任务" in page and "2 个失败" in page
    here = f"/g/{place.group_id}/admin/jobs/?by=system"
    page = client.get(here).text
    assert "OperationalError" in page and "6" in page and "这个房号不存在。" in page
    assert 'value="25"' in page and "30 / 120" in page
    only = client.get(f"{here}&state=running").text
    assert str(ids[2]) in only and str(ids[0]) not in only
    token = csrf(client, here)
    for id, step, state in (
        (ids[0], "retry", JobState.WAITING),
        (ids[2], "cancel", JobState.RUNNING),
    ):
        address = f"/c/{place.community_id}/admin/jobs/{id}/{step}"
        answer = client.post(address, data={"csrf_token": token, "back": here})
        assert answer.status_code == 303 and answer.location == here
        with in_scope(installation, place) as scope:
            job = scope.get(Job, id)
            assert job.state is state and job.is_cancel_wanted == (step == "cancel")
    refused = client.post(
        f"/c/{place.community_id}/admin/jobs/{ids[0]}/retry",
        data={"csrf_token": token, "back": "//evil.example/"},
    )
    assert refused.location.startswith(f"/c/{place.community_id}/admin/jobs/?told=")
    desk = browser(app, installation, place, "front_desk", place.community_id)
    own = f"/c/{place.community_id}/admin/jobs"
    data = {"csrf_token": csrf(desk, f"{desk.base}/dougong/room/import")}
    assert desk.post(f"{own}/{ids[1]}/retry", data=data).status_code in (303, 403)
    guard = browser(app, installation, place, "guard", place.community_id)
    assert guard.get(f"{own}/").status_code == 403


def test_the_jobs_page_has_pages_and_an_empty_state(app, installation, place):
    client = browser(app, installation, place, "group_manager", None)
    elsewhere = f"/c/{place.other_community_id}/admin/jobs/"
    assert "panel empty" in client.get(elsewhere).text
    with there(installation, place) as scope:
        for _ in range(31):
            scope.enqueue("dougong.attachment.sweep")
        by_hand = scope.get(Job, scope.enqueue("dougong.exchange.sweep"))
        by_hand.user_id = uuid4()
    own = client.get(elsewhere).text
    assert own.count("<tr") == 2 and str(by_hand.id) in own
    elsewhere += "?by=system"
    first = client.get(elsewhere).text
    older = re.search(r'rel="next" href="([^"]+)"', first)[1].replace("&amp;", "&")
    second = client.get(older).text
    assert first.count("<tr") == 31 and second.count("<tr") == 2
    assert "data-live-while" in second and "data-live-while" not in first.split("<tr")[0]


# --- what has changed in a list -------------------------------------------------------------------


def news_of(client, path="room", query=""):
    page = client.get(f"{client.base}/dougong/{path}/?{query}").text
    address = re.search(r'data-live-from="([^"]+/news[^"]+)"', page)[1].replace("&amp;", "&")
    return f"{address}&{query}"


def test_an_open_list_says_how_many_rows_changed_and_shows_none(manager, installation, place):
    address, filtered = news_of(manager), news_of(manager, query="state=vacant")
    assert manager.get(address).text.strip() == ""
    with in_scope(installation, place) as scope:
        scope.get(Room, place.room_ids[0]).floor = 33
        scope.session.add(Room(building_id=place.building_ids[0], code="1-1-999"))
    told = manager.get(address).text
    assert "2" in told and "1-1-999" not in told
    assert manager.get(filtered).text.strip() == ""
    assert manager.get(address.replace("since=", "since=x")).text.strip() == ""
