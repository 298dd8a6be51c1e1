"""The pages of owners, technicians and dispatchers over HTTP, on a real database."""

import io
import re
import wave

import pytest

from dougong.access.operations import create_user, grant_role, link_person, start_session
from dougong.access.roles import ship_roles
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.services import create
from dougong.testing.budgets import watched
from dougong.web.app import SESSION_COOKIE
from dougong_repairs import services
from dougong_repairs.domain.kinds import Category
from dougong_repairs.models import BuildingPosition, Technician, WorkOrder

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)


@pytest.fixture
def browser(app, installation, place):
    """Return a function that gives the browser of a role, or of the n-th person."""

    def made(who=0, name="某人"):
        with installation.access() as session:
            ship_roles(session)
            user = create_user(session, f"p{uuid7().hex}", name)
            if isinstance(who, str):
                where = {"group_id": place.group_id, "community_id": place.community_id}
                grant_role(session, Actor.system(), user.id, who, **where)
            else:
                link_person(session, user.id, place.community_id, place.person_ids[who])
            token = start_session(session, user)
        client = app.test_client()
        client.set_cookie(SESSION_COOKIE, token)
        return client

    return made


@pytest.fixture
def base(place):
    return f"/c/{place.community_id}/repairs"


def token(client, path):
    return re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text).group(1)


def test_an_owner_reports_with_a_photo_and_sees_it_alone(browser, base):
    client = browser()
    data = {"csrf_token": token(client, f"{base}/my/new"), "category": "plumbing"}
    data |= {"client_id": str(uuid7()), "photos": (io.BytesIO(JPEG), "1.jpg")}
    sent = client.post(f"{base}/my/new", data=data)
    assert sent.status_code == 303
    page = client.get(sent.location).text
    assert "待派单" in page
    [address] = re.findall(r'src="([^"]+/photos/[^"]+)"', page)
    assert client.get(address).data == JPEG
    again = client.post(f"{base}/my/new", data={**data, "photos": (io.BytesIO(JPEG), "1.jpg")})
    assert again.location == sent.location
    assert client.get(sent.location).text.count("<img") == 1
    neighbour = browser(1)
    assert neighbour.get(sent.location).status_code == 404
    assert neighbour.get(address).status_code == 404


def test_a_report_without_a_word_comes_back_with_its_fault(browser, base):
    client = browser()
    data = {"csrf_token": token(client, f"{base}/my/new"), "text": " "}
    answer = client.post(f"{base}/my/new", data=data)
    assert answer.status_code == 422
    assert "aria-invalid" in answer.text


def test_a_passer_by_reports_by_a_code_without_signing_in(app, installation, place):
    with installation.scope(Actor.system("t"), community=place.community_id) as scope:
        point = services.create_report_point(scope, "1 栋大堂", place.building_ids[0])
        code = point.code
    client = app.test_client()
    address = f"/repairs/at/{place.community_id}/{code}"
    page = client.get(address)
    assert page.status_code == 200
    assert "1 栋大堂" in page.text
    data = {"csrf_token": token(client, address), "text": "灯不亮", "category": "electrical"}
    assert client.post(address, data={**data, "csrf_token": "x"}).status_code == 403
    sent = client.post(address, data={**data, "photos": (io.BytesIO(JPEG), "1.jpg")})
    assert "工单号 1" in sent.text
    assert client.get(f"/repairs/at/{place.community_id}/wrong").status_code == 404
    assert client.get(f"/repairs/at/{uuid7()}/{code}").status_code == 404
    assert client.get(f"/c/{place.community_id}/repairs/my/").status_code == 303


def test_the_code_s_sheet_is_a_pdf(browser, base, installation, place):
    with installation.scope(Actor.system("t"), community=place.community_id) as scope:
        services.create_report_point(scope, "1 栋大堂", place.building_ids[0])
    answer = browser("front_desk").get(f"{base}/codes.pdf")
    assert answer.data.startswith(b"%PDF")


def test_a_dispatcher_assigns_on_the_board_and_a_technician_finishes(
    browser, base, enter, technicians
):
    with enter() as scope:
        order = services.create_work_order(scope, "水管漏水", Category.PLUMBING).id
    desk = browser("dispatcher")
    board = desk.get(f"{base}/board/").text
    assert "水管漏水" in board
    headers = {"X-CSRF-Token": re.search(r'X-CSRF-Token": "(\w+)"', board).group(1)}
    data = {"order": str(order), "technician": str(technicians["刘师傅"])}
    done = desk.post(f"{base}/board/assign", data=data, headers=headers)
    assert (done.status_code, "刘师傅" in done.text) == (200, True)
    client = browser("technician", "刘师傅")
    assert client.get(f"{base}/work/").status_code == 200
    orders = client.get(f"{base}/work/orders.json").json
    assert [o["number"] for o in orders["orders"]] == [1]
    sending = {"X-CSRF-Token": orders["csrf"]}
    for verb in ("start", "finish"):
        data = {"client_id": str(uuid7()), "verb": verb, "order": str(order), "values": "{}"}
        for _ in range(2):
            answer = client.post(f"{base}/work/operation", data=data, headers=sending)
            assert answer.json == {"is_done": True, "problem": ""}
    with enter() as scope:
        assert scope.get(WorkOrder, order).state == "done"
    late = desk.post(
        f"{base}/board/assign",
        data={"order": str(order), "technician": str(technicians["王师傅"])},
        headers=headers,
    )
    assert late.status_code == 409
    assert "待评价" in late.text


@pytest.mark.parametrize(
    "data", [{}, {"client_id": "x"}, {"values": "["}, {"values": "[]"}, {"verb": "drop"}], ids=str
)
def test_nonsense_from_a_phone_is_refused(browser, base, data):
    client = browser("technician", "孙师傅")
    csrf = client.get(f"{base}/work/orders.json").json["csrf"]
    good = {"client_id": str(uuid7()), "verb": "start", "order": str(uuid7())}
    answer = client.post(
        f"{base}/work/operation",
        data=({**good, **data} if data else {}),
        headers={"X-CSRF-Token": csrf},
    )
    assert answer.status_code == 422


def test_who_only_dispatches_is_led_to_the_board_and_becomes_no_technician(browser, base, enter):
    desk = browser("dispatcher", "调度员")
    assert desk.get(f"{base}/work/").location.endswith("/board/")
    with enter() as scope:
        assert services.workers(scope, {}) == []


def test_boards_cost_no_more_with_more_orders(browser, base, owner, enter, technicians):
    board = (browser("dispatcher", "调度员"), f"{base}/board/")
    mine = (browser("technician", "刘师傅"), f"{base}/work/orders.json")
    costs = []
    for _round in range(2):
        for number in (0, 1):
            with enter(owner(number)) as scope:
                scope.call("repairs.work_order.report", text="水管爆了，一直漏水")
        for client, page in (board, mine):
            assert client.get(page).status_code == 200
            with watched() as seen:
                assert client.get(page).text
            costs.append(len(seen.statements))
    assert costs[:2] == costs[2:]
    assert costs[0] <= 6, costs


def test_owners_and_technicians_do_not_dispatch(browser, base):
    for who in (0, "technician"):
        assert browser(who).get(f"{base}/board/").status_code == 403
    assert browser(0).get(f"{base}/work/").status_code == 403
    assert browser("technician").get(f"{base}/metrics").status_code == 403


def test_the_pages_speak_english_too(browser, base):
    client = browser()
    client.set_cookie("dougong_locale", "en")
    assert "Report a repair" in client.get(f"{base}/my/new").text


def test_every_figure_opens_the_list_that_makes_it_up(
    browser, base, enter, dispatcher, technicians
):
    with enter() as scope:
        for number in range(3):
            order = services.create_work_order(scope, f"灯不亮{number}", Category.ELECTRICAL)
            services.dispatch_order(scope, order, technicians["刘师傅"])
            services.start_order(scope, order)
            services.finish_order(scope, order)
    desk = browser("dispatcher")
    page = desk.get(f"{base}/metrics").text
    links = re.findall(r'<a href="([^"]+)">3</a>', page)
    assert len(links) == 3
    for link in links:
        listed = desk.get(link.replace("&amp;", "&")).text
        assert all(f"灯不亮{number}" in listed for number in range(3)), link


def test_the_map_shows_each_building_apart_with_its_orders_and_technicians(
    browser, base, enter, place, technicians
):
    with enter() as scope:
        for number, id in enumerate(place.building_ids):
            values = {"building_id": id, "east_m": number * 40, "south_m": 0}
            create(scope, BuildingPosition, values)
        technician = scope.get(Technician, technicians["刘师傅"])
        technician.last_building_id = place.building_ids[0]
        for number in range(10):
            services.create_work_order(
                scope, f"灯不亮{number}", Category.ELECTRICAL, building_id=place.building_ids[0]
            )
    page = browser("dispatcher").get(f"{base}/board/").text
    drawing = page[page.index('<svg class="map"') :]
    assert drawing.count("data-pin=") == 8
    assert "+2</text>" in drawing
    assert "刘师傅" in drawing
    corners = [int(x) for x in re.findall(r'<g transform="translate\((\d+) 0\)"><rect y', drawing)]
    assert len(corners) == len(place.building_ids)
    assert all(b - a >= 150 for a, b in zip(corners, corners[1:], strict=False))


def test_an_order_and_each_step_can_be_heard(browser, base, enter, technicians):
    with enter() as scope:
        order = services.create_work_order(scope, "水管漏水", Category.PLUMBING)
        services.dispatch_order(scope, order, technicians["刘师傅"])
    client = browser("technician", "刘师傅")
    told = client.get(f"{base}/work/orders.json").json
    [shown] = told["orders"]
    assert "水管漏水" in shown["said"]
    if not services.can_speak():
        assert shown["sound"] == ""
        assert client.get(f"{base}/work/voice/done.wav").status_code == 404
        return
    for address in (shown["sound"], told["steps_said"]["accepted"]["sound"]):
        with wave.open(io.BytesIO(client.get(address).data)) as sound:
            assert sound.getnframes() / sound.getframerate() > 1
    assert browser("technician", "王师傅").get(shown["sound"]).status_code == 404
    assert client.get(f"{base}/work/voice/x.wav").status_code == 404


def test_a_call_for_help_stands_on_the_board_until_it_is_answered(
    browser, base, enter, technicians
):
    with enter() as scope:
        order = services.create_work_order(scope, "水管漏水", Category.PLUMBING)
        services.dispatch_order(scope, order, technicians["刘师傅"])
        services.call_for_help(scope, order, scope.get(Technician, technicians["刘师傅"]))
        order = order.id
    desk = browser("dispatcher")
    page = desk.get(f"{base}/board/").text
    assert "刘师傅 请求支援" in page
    headers = {"X-CSRF-Token": re.search(r'X-CSRF-Token": "(\w+)"', page).group(1)}
    answered = desk.post(f"{base}/board/orders/{order}/help", headers=headers)
    assert (answered.status_code, "请求支援" in answered.text) == (200, False)
    assert desk.post(f"{base}/board/orders/{order}/help", headers=headers).status_code == 409
