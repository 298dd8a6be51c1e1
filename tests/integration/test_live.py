"""Live updates over a real server: who hears what, and when the stream ends."""

import json
import threading
import time
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest
import uvicorn
from sqlalchemy import text

from dougong.access.operations import create_user, grant_role, link_person, start_session
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.events import tell_person
from dougong.supervisor.running import listening_socket
from dougong.supervisor.serving import Application
from dougong.web import live

SYSTEM = Actor.system("test")


@pytest.fixture(scope="module")
def address(installation):
    application = Application(installation)
    config = uvicorn.Config(application, interface="asgi3", lifespan="on", log_config=None)
    application.server = server = uvicorn.Server(config)
    listener = listening_socket("127.0.0.1", 18600)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(15)
    assert not thread.is_alive(), "streams that are open do not keep the server"


@pytest.fixture
def token(installation, place):
    return sign_in(installation, lambda session, user: manage(session, user, place))


def sign_in(installation, more):
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"u{uuid4().hex[:8]}", "林经理")
        more(session, user)
        return start_session(session, user)


def manage(session, user, place):
    grant_role(session, SYSTEM, user.id, "community_manager",
               group_id=place.group_id, community_id=place.community_id)  # fmt: skip


@contextmanager
def stream(address, path, token):
    cookies = {"dougong_session": token} if token else {}
    with (
        httpx.Client(timeout=10, cookies=cookies) as client,
        client.stream("GET", address + path) as answer,
    ):
        yield answer


def told(answer, count, lines=None):
    found = []
    for line in lines or answer.iter_lines():
        if line.startswith("data: "):
            found.append(json.loads(line[6:]))
            if len(found) == count:
                break
    return found


def emit(installation, community_id, name):
    with installation.scope(SYSTEM, community=community_id) as scope:
        scope.emit(name)
        scope.emit(name)


def test_an_open_page_hears_what_happens_in_its_community_only(installation, address, place, token):
    with stream(address, f"/c/{place.community_id}/live", token) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        emit(installation, place.other_community_id, "dougong.elsewhere")
        emit(installation, place.community_id, "dougong.here")
        begun = time.monotonic()
        assert told(answer, 1, lines) == [
            {"community_id": str(place.community_id), "name": "dougong.here"}
        ]
        assert time.monotonic() - begun < 2


def test_what_is_rolled_back_is_not_told(installation, address, place, token):
    with stream(address, f"/live?scope=c/{place.community_id}", token) as answer:
        lines = answer.iter_lines()
        next(lines)
        with (
            pytest.raises(RuntimeError),
            installation.scope(SYSTEM, community=place.community_id) as scope,
        ):
            scope.emit("dougong.undone")
            raise RuntimeError
        emit(installation, place.community_id, "dougong.done")
        assert told(answer, 1, lines)[0]["name"] == "dougong.done"


def test_a_resident_hears_what_he_is_told_himself_and_nothing_else(
    installation, address, place, token
):
    me, neighbour = place.person_ids[:2]
    resident = sign_in(
        installation, lambda session, user: link_person(session, user.id, place.community_id, me)
    )
    with (
        stream(address, f"/c/{place.community_id}/live", resident) as mine,
        stream(address, f"/c/{place.community_id}/live", token) as staffs,
    ):
        lines, heard = mine.iter_lines(), staffs.iter_lines()
        next(lines)
        next(heard)
        with installation.scope(SYSTEM, community=place.community_id) as scope:
            scope.emit("dougong.everywhere")
            tell_person(scope, neighbour, "dougong.next_door")
            tell_person(scope, me, "dougong.mine")
        assert told(mine, 1, lines)[0]["name"] == "dougong.mine"
        assert told(staffs, 1, heard)[0]["name"] == "dougong.everywhere"


def test_strangers_and_neighbours_hear_nothing(installation, address, place, token):
    def live_in(session, user):
        link_person(session, user.id, place.community_id, place.person_ids[0])

    resident = sign_in(installation, live_in)
    for path, who, status in (
        (f"/c/{place.community_id}/live", "", 401),
        (f"/c/{place.community_id}/live", "wrong", 401),
        (f"/c/{place.other_community_id}/live", token, 404),
        ("/live", token, 404),
        ("/live?scope=c/none", token, 404),
        (f"/c/{place.other_community_id}/live", resident, 204),
    ):
        with stream(address, path, who) as answer:
            assert answer.status_code == status, path
    posted = httpx.post(f"{address}/c/{place.community_id}/live")
    assert posted.status_code == 405


def test_a_stream_ends_with_its_session(installation, address, place, token, monkeypatch):
    monkeypatch.setattr(live, "CHECK_S", 0.2)
    with stream(address, f"/c/{place.community_id}/live", token) as answer:
        lines = answer.iter_lines()
        next(lines)
        with installation.access() as session:
            session.execute(
                text("update dougong.sign_in_session set revoked_at = now() where token_hash = :h"),
                {"h": live.hash_of(token)},
            )
        assert list(lines)[1:] == []


def test_many_streams_leave_the_pages_their_threads(installation, address, place, token):
    opened = [stream(address, f"/c/{place.community_id}/live", token) for _ in range(30)]
    answers = [each.__enter__() for each in opened]
    try:
        lines = [answer.iter_lines() for answer in answers]
        for each in lines:
            next(each)
        assert httpx.get(f"{address}/sign-in").status_code == 200
        emit(installation, place.community_id, "dougong.here")
        for answer, each in zip(answers, lines, strict=True):
            assert told(answer, 1, each)[0]["name"] == "dougong.here"
    finally:
        for each in opened:
            each.__exit__(None, None, None)
