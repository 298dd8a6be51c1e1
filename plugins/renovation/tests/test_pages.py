"""The pages of applicants, neighbours and guards over HTTP; the papers as PDF."""

import io
import re
from datetime import timedelta

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from dougong.access.operations import create_user, link_person, start_session
from dougong.db import uuid7
from dougong.tenancy.models import Room
from dougong.testing.budgets import watched
from dougong.testing.people import make_login, sign_in
from dougong.web.app import SESSION_COOKIE
from dougong_renovation import services
from dougong_renovation.models import Application, ViolationKind

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)
PAPERS = ("ownership", "identity", "plan")


@pytest.fixture
def browser(app, installation, place):
    """Return a function that gives the browser of the n-th person."""

    def made(number=0):
        with installation.access() as session:
            user = create_user(session, f"p{uuid7().hex}", f"业主{number}")
            link_person(session, user.id, place.community_id, place.person_ids[number])
            token = start_session(session, user)
        client = app.test_client()
        client.set_cookie(SESSION_COOKIE, token)
        return client

    return made


@pytest.fixture
def base(place):
    return f"/c/{place.community_id}/renovation"


def token(client, path):
    return re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text).group(1)


def test_an_owner_applies_hands_in_papers_signs_and_registers_a_worker(browser, base, enter):
    client = browser()
    with enter() as scope:
        today = scope.today
    page = client.get(f"{base}/my/new").text
    assert "拆除连接阳台墙体" in page
    assert 'value="wet_room_moved"' not in page
    data = {"csrf_token": token(client, f"{base}/my/new"), "contact_phone": "13900000001"}
    data |= {"room_id": re.search(r'<option value="([0-9a-f-]{36})"', page).group(1)}
    wrong = client.post(f"{base}/my/new", data={**data, "starts_on": "", "ends_on": ""})
    assert wrong.status_code == 422
    assert "aria-invalid" in wrong.text
    data |= {"works": ["surfaces", "electrical"], "starts_on": str(today)}
    sent = client.post(f"{base}/my/new", data={**data, "ends_on": str(today + timedelta(days=9))})
    assert sent.status_code == 303
    mine = sent.location
    form = {"csrf_token": data["csrf_token"]}
    for kind in PAPERS:
        files = {"files": (io.BytesIO(JPEG), "纸.jpg"), "kind": kind}
        assert client.post(f"{mine}/papers", data={**form, **files}).status_code == 303
    assert "还缺以下资料" not in client.get(mine).text
    paper = re.search(r'href="(/c/[^"]+/papers/[^"]+)"', client.get(mine).text).group(1)
    assert client.get(paper).data == JPEG
    assert browser(1).get(paper).status_code == 404
    with enter() as scope:
        services.agree_application(scope, scope.get(Application, mine.rpartition("/")[2]))
    assert client.post(f"{mine}/sign", data=form).status_code == 422
    assert client.post(f"{mine}/sign", data={**form, "has_read": "1"}).status_code == 303
    worker = {"name": "王建国", "id_number": "11010519491231002X", "trade": "泥瓦工"}
    assert client.post(f"{mine}/passes", data={**form, **worker}).status_code == 303
    shown = client.get(mine).text
    assert "王建国" in shown
    assert "19491231" not in shown
    assert browser(1).get(mine).status_code == 404


def test_papers_are_pdf_and_the_pass_tells_a_guard_whether_it_is_valid(
    app, installation, place, browser, base, enter, permitted
):
    with enter() as scope:
        made = permitted(scope)
        code = services.issue_pass(scope, made.id, "王建国", "11010519491231002X", "瓦工").code
        made = made.id
    desk = sign_in(app, installation, make_login(installation, place, "front_desk"))
    for kind, words in (("permit", "许可项目"), ("passes", "王建国"), ("notice", "邻居")):
        answer = desk.get(f"{base}/{made}/{kind}.pdf")
        text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.data)).pages)
        assert words in text.replace(" ", "")
        assert len(answer.data) < 60_000
    assert browser().get(f"{base}/my/{made}/permit.pdf").status_code == 200
    assert browser(1).get(f"{base}/my/{made}/permit.pdf").status_code == 404
    assert browser().get(f"{base}/{made}/permit.pdf").status_code == 403
    guard = app.test_client()
    address = f"/renovation/pass/{place.community_id}/{code}"
    assert "✔" in guard.get(address).text
    assert "1101" not in guard.get(address).text
    assert guard.get(f"{address}x").status_code == 404
    assert guard.get(address.replace(str(place.community_id), str(uuid7()))).status_code == 404
    with enter() as scope:
        services.stop_work(scope, scope.get(Application, made), "拆墙")
    assert "✘" in guard.get(address).text


def test_staff_see_works_story_and_papers_on_the_record_s_page(
    app, installation, place, base, enter, permitted
):
    with enter() as scope:
        made = permitted(scope).id
    desk = sign_in(app, installation, make_login(installation, place, "front_desk"))
    admin = f"/c/{place.community_id}/admin/renovation/application/{made}/"
    page = desk.get(admin).text
    for words in ("墙面、吊顶、地面", "核发许可证", "permit.pdf"):
        assert words in page
    home = desk.get(f"/c/{place.community_id}/admin/", follow_redirects=True).text
    assert "装修施工中" in home


def test_the_desk_applies_for_somebody_and_takes_in_his_papers(
    app, installation, place, base, enter
):
    desk = sign_in(app, installation, make_login(installation, place, "front_desk"))
    assert "没有这个房号" in desk.get(f"{base}/desk/new?room=x").text
    with enter() as scope:
        today, code = scope.today, scope.get(Room, place.room_ids[0]).code
    address = f"{base}/desk/new?room={code}"
    page = desk.get(address).text
    data = {"csrf_token": token(desk, address), "code": code, "contact_phone": "13900000001"}
    for name in ("room_id", "person_id"):
        data[name] = re.search(rf'name="{name}" value="([^"]+)"', page).group(1)
    data |= {"works": ["surfaces"], "starts_on": str(today), "ends_on": str(today)}
    wrong = desk.post(f"{base}/desk/new", data={**data, "works": []})
    assert (wrong.status_code, "aria-invalid" in wrong.text) == (422, True)
    sent = desk.post(f"{base}/desk/new", data=data)
    assert sent.status_code == 303
    for kind in PAPERS:
        files = {"files": (io.BytesIO(JPEG), "纸.jpg"), "kind": kind}
        form = {"csrf_token": data["csrf_token"], **files}
        assert desk.post(sent.location, data=form).status_code == 303
    with watched() as seen:
        assert "资料齐全" in desk.get(sent.location).text
    assert len(seen.statements) <= 6, seen.statements


def test_pages_cost_no_more_with_more_on_them(browser, base, enter, place, permitted):
    with enter() as scope:
        for room in scope.session.scalars(select(Room)):
            room.floor = 1
        scope.session.flush()
        made = permitted(scope)
        for number in ("11010519491231002X", "110105194912310038"):
            services.issue_pass(scope, made.id, "王建国", number)
        for kind in (ViolationKind.NOISE, ViolationKind.RUBBISH):
            services.record_violation(scope, made.id, kind, "周六电钻")
            services.record_inspection(scope, made.id)
        made = made.id
        told = services.neighbours_of(scope, scope.get(Room, place.room_ids[0]))
        number = next(n for n, id in enumerate(place.person_ids) if n and id == told[0].id)
    for who, path in ((0, f"my/{made}"), (0, "my/"), (0, "my/new"), (number, "my/near")):
        client = browser(who)
        assert client.get(f"{base}/{path}").status_code == 200
        with watched() as seen:
            client.get(f"{base}/{path}")
        assert len(seen.statements) <= 6, (path, seen.statements)


def test_who_records_a_violation_attaches_its_photo_and_does_not_take_it_off(
    app, installation, place, enter, permitted
):
    with enter() as scope:
        made = permitted(scope)
        found = services.record_violation(scope, made.id, ViolationKind.DAMAGE, "划伤电梯").id
    guard = sign_in(app, installation, make_login(installation, place, "guard"))
    page = f"/c/{place.community_id}/admin/renovation/violation/{found}/"
    data = {"csrf_token": token(guard, f"{page}files")}
    sent = guard.post(f"{page}files", data={**data, "files": (io.BytesIO(JPEG), "划痕.jpg")})
    assert sent.status_code == 303
    listed = guard.get(f"{page}files").text
    assert "划痕.jpg" in listed
    address = re.search(r'href="(files/[0-9a-f-]+)"', listed).group(1)
    assert "remove" not in listed
    assert guard.post(f"{page}{address}/remove", data=data).status_code == 403
    auditor = sign_in(app, installation, make_login(installation, place, "auditor"))
    assert "add-files" not in auditor.get(f"{page}files").text
