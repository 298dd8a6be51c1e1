"""The owners' pages over HTTP, on a real database."""

import io
import re

import pytest
from sqlalchemy import select

from dougong.access.operations import create_user, grant_role, link_person, start_session
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.services import create
from dougong.tenancy.models import Person, Room
from dougong.testing.budgets import watched
from dougong.testing.people import make_login, sign_in
from dougong.web.app import SESSION_COOKIE
from dougong_participation import services
from dougong_participation.models import Complaint, Feedback, Notice, Question, Questionnaire, Vote


@pytest.fixture
def browser(app, installation, place):
    """Return a function that gives the browser of the n-th person; None is the front desk."""

    def made(number=0):
        with installation.access() as session:
            ship_roles(session)
            login = f"p{place.group_id.hex[-12:]}{number}"
            user = create_user(session, login, f"业主{number}")
            if number is None:
                where = {"group_id": place.group_id, "community_id": place.community_id}
                grant_role(session, Actor.system(), user.id, "front_desk", **where)
            else:
                link_person(session, user.id, place.community_id, place.person_ids[number])
            token = start_session(session, user)
        client = app.test_client()
        client.set_cookie(SESSION_COOKIE, token)
        return client

    return made


@pytest.fixture
def my(place):
    return f"/c/{place.community_id}/participation/my"


@pytest.fixture
def staff(installation, place):
    """Return a function that opens a scope of the system in the community."""
    return lambda: installation.scope(Actor.system("前台"), community=place.community_id)


def token(client, path):
    return re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text).group(1)


def test_an_owner_reads_a_notice_and_the_mark_is_kept(browser, my, staff):
    with staff() as scope:
        notice = create(scope, Notice, {"title": "停水<b>", "body": "第一段\n\n第二段"})
        services.publish_notice(scope, notice)
    client = browser()
    listed = client.get(f"{my}/notices/").text
    assert "停水&lt;b&gt;" in listed
    assert "新</span>" in listed
    page = client.get(f"{my}/notices/{notice.id}").text
    assert page.count("<p>第") == 2
    assert listed.count("<p>第") == 2
    assert "新</span>" not in client.get(f"{my}/notices/").text


def test_a_notice_that_was_opened_on_the_list_is_marked_once_and_no_other_s(browser, my, staff):
    with staff() as scope:
        notice = create(scope, Notice, {"title": "停水", "body": "明天"})
        hidden = create(scope, Notice, {"title": "草稿", "body": "未发"}).id
        services.publish_notice(scope, notice)
        notice = notice.id
    client = browser()
    page = client.get(f"{my}/notices/").text
    headers = {"X-CSRF-Token": re.search(r'data-csrf="([^"]+)"', page).group(1)}
    for _ in range(2):
        assert client.post(f"{my}/notices/{notice}/read", headers=headers).status_code == 204
    assert client.post(f"{my}/notices/{hidden}/read", headers=headers).status_code == 404
    assert client.post(f"{my}/notices/{notice}/read").status_code == 403
    assert "data-unread" not in client.get(f"{my}/notices/").text
    with watched() as seen:
        client.get(f"{my}/notices/")
    assert len(seen.statements) <= 6, seen.statements


def test_an_owner_complains_is_answered_and_rates(browser, my, staff):
    client = browser()
    sent = {"csrf_token": token(client, f"{my}/complaints/new"), "kind": "complaint"}
    short = client.post(f"{my}/complaints/new", data={**sent, "title": "太吵", "text": " "})
    assert short.status_code == 422
    assert 'value="太吵"' in short.text
    filed = client.post(
        f"{my}/complaints/new", data={**sent, "title": "太吵", "text": "半夜施工", "topic": "noise"}
    )
    assert filed.status_code == 303
    page = client.get(filed.location).text
    assert "待受理" in page
    assert "1-1-101" in page
    number = filed.location.rpartition("/")[2]
    with staff() as scope:
        services.answer_complaint(scope, scope.get(Complaint, number), "已制止。")
    assert "已制止。" in client.get(filed.location).text
    rated = client.post(f"{filed.location}/rate", data={**sent, "rating": "4", "note": "谢谢"})
    assert rated.status_code == 303
    assert "满意" in client.get(filed.location).text
    again = client.post(f"{filed.location}/rate", data={**sent, "rating": "4"})
    assert again.status_code == 409
    assert browser(1).get(filed.location).status_code == 404


def test_a_photo_goes_with_a_complaint_and_only_its_owner_sees_it(browser, my, staff):
    client = browser()
    data = {"csrf_token": token(client, f"{my}/complaints/new"), "title": "漏水", "text": "厨房"}
    jpeg = b"\xff\xd8\xff\xe0" + bytes(64)
    bad = {**data, "photos": (io.BytesIO(b"<svg/>"), "a.svg")}
    refused = client.post(f"{my}/complaints/new", data=bad)
    assert refused.status_code == 422
    assert "不支持此类文件" in refused.text
    filed = client.post(
        f"{my}/complaints/new",
        data={**data, "photos": [(io.BytesIO(jpeg), "厨房.jpg"), (io.BytesIO(b""), "")]},
    )
    page = client.get(filed.location).text
    (address,) = re.findall(r'src="(/c/[^"]+/files/[^"]+)"', page)
    photo = client.get(address)
    assert (photo.data, photo.content_type) == (jpeg, "image/jpeg")
    assert "sandbox" in photo.headers["Content-Security-Policy"]
    assert browser(1).get(address).status_code == 404
    assert "漏水" in client.get(f"{my}/complaints").text
    assert client.get(f"{my}/complaints").text.count("<li>") == 1


def test_feedback_is_thanked_for(browser, my):
    client = browser()
    data = {"csrf_token": token(client, f"{my}/feedback"), "text": "多种花", "topic": "greenery"}
    sent = client.post(f"{my}/feedback", data=data)
    assert sent.status_code == 303
    assert "感谢" in client.get(sent.location).text


ROLES = ("community_manager", "front_desk", "cashier", "dispatcher", "technician", "guard")


@pytest.mark.parametrize("role", ROLES)
def test_whoever_works_here_finds_the_feedback_button_on_his_first_page(
    app, installation, place, staff, role
):
    client = sign_in(app, installation, make_login(installation, place, role))
    first = client.get("/", follow_redirects=True)
    link = re.search(r'href="(/c/[^"/]+/participation/feedback\?[^"]*)"', first.text)
    assert link, first.request.path
    address = link.group(1)
    data = {"csrf_token": token(client, address), "text": " ", "page": "first"}
    assert client.post(address, data=data).status_code == 422
    assert client.post(address, data={**data, "text": "电梯太慢"}).status_code == 303
    with staff() as scope:
        [kept] = scope.session.scalars(select(Feedback).where(Feedback.page == "first"))
        assert (kept.text, kept.person_id) == ("电梯太慢", None)


def test_who_leads_a_group_says_to_which_community_his_feedback_goes(app, installation, place):
    client = sign_in(app, installation, make_login(installation, place, "group_manager"))
    first = client.get(f"/g/{place.group_id}/admin/")
    link = re.search(r'href="(/g/[^"/]+/participation/feedback\?[^"]*)"', first.text).group(1)
    chosen = re.search(r'href="(/c/[^"/]+/participation/feedback\?[^"]*)"', client.get(link).text)
    assert str(place.community_id) in chosen.group(1)
    assert client.get(chosen.group(1)).status_code == 200


def test_a_questionnaire_is_answered_once_and_counted(browser, my, staff, place):
    with staff() as scope:
        made = create(scope, Questionnaire, {"title": "满意度"})
        question = create(
            scope,
            Question,
            {"questionnaire_id": made.id, "position": 1, "kind": "score", "text": "总体"},
        )
        services.open_questionnaire(scope, made)
    client = browser()
    address = f"{my}/questionnaires/{made.id}"
    data = {"csrf_token": token(client, address)}
    missing = client.post(address, data=data)
    assert missing.status_code == 422
    assert "aria-invalid" in missing.text
    assert client.post(address, data={**data, f"q_{question.id}": "5"}).status_code == 303
    assert "您已填写过该问卷" in client.get(address).text
    results = f"/c/{place.community_id}/participation/questionnaire/{made.id}/results"
    assert client.get(results).status_code == 403
    assert "100 %" in browser(None).get(results).text


@pytest.mark.parametrize(
    "path", ["", "notices/", "complaints", "complaints/new", "feedback", "questionnaires"]
)
def test_every_page_opens_for_an_owner_and_not_for_staff_without_a_person(browser, my, path):
    assert browser().get(f"{my}/{path}").status_code in (200, 303)
    if path:
        assert browser(None).get(f"{my}/{path}").status_code == 403


@pytest.mark.parametrize("path", ["notices", "complaints", "questionnaires"])
def test_a_bad_or_foreign_id_is_not_found(browser, my, path):
    client = browser()
    assert client.get(f"{my}/{path}/x").status_code == 404
    assert client.get(f"{my}/{path}/01940000-0000-7000-8000-000000000000").status_code == 404


def test_a_form_without_its_token_is_refused(browser, my):
    answer = browser().post(f"{my}/feedback", data={"text": "x"})
    assert answer.status_code == 403


def test_the_portal_s_first_page_leads_to_all_of_it(browser, my, place):
    home = browser().get(f"/c/{place.community_id}/home").text
    for path in ("notices", "complaints", "feedback"):
        assert f"{my}/{path}" in home


def test_the_pages_speak_english_too(browser, my):
    client = browser()
    client.set_cookie("dougong_locale", "en")
    assert "Complain or suggest" in client.get(f"{my}/complaints/new").text


def test_an_owner_votes_once_and_reads_the_result(browser, my, staff, place):
    with staff() as scope:
        for room in scope.session.scalars(select(Room)):
            room.built_area = 90
        scope.session.flush()
        values = {"title": "更换电梯", "text": "动用维修资金", "closes_on": scope.today}
        vote = services.open_vote(scope, create(scope, Vote, values)).id
    client = browser()
    assert "更换电梯" in client.get(f"{my}/votes").text
    address = f"{my}/votes/{vote}"
    data = {"csrf_token": token(client, address), "choice": "in_favour"}
    with staff() as scope:
        proxy = scope.get(Person, place.person_ids[1])
        proxy.name, proxy.phone = "代表人", "13900001111"
    wrong = client.post(f"{address}/proxy", data={**data, "name": "代表人", "phone": "13900002222"})
    assert (wrong.status_code, "aria-invalid" in wrong.text) == (422, True)
    named = {**data, "name": "代表人", "phone": "13900001111"}
    assert client.post(f"{address}/proxy", data=named).status_code == 303
    assert "代表人 可代您投票" in client.get(address).text
    other = browser(1)
    assert "委托您投票" in other.get(address).text
    assert client.post(f"{address}/proxy", data={**data, "take_back": "1"}).status_code == 303
    assert "委托您投票" not in other.get(address).text
    with watched() as seen:
        client.get(address)
    assert len(seen.statements) <= 6, seen.statements
    assert client.post(address, data=data).status_code == 303
    assert "已投" in client.get(address).text
    assert client.post(address, data=data).status_code == 409
    assert client.get(f"{my[:-3]}/votes/{vote}.pdf").status_code == 409
    assert client.get(f"{my}/revenue").status_code == 200
