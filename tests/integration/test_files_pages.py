"""The files of a record in the admin, over HTTP."""

import io
import re

import pytest

from dougong.access.operations import create_user, grant_role, start_session
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.web.app import SESSION_COOKIE

JPEG = b"\xff\xd8\xff\xe0" + bytes(64)


@pytest.fixture
def browser(app, installation, place):
    """Return a function that gives the browser of someone with a role in the community."""

    def made(role):
        where = {"group_id": place.group_id, "community_id": place.community_id}
        with installation.access() as session:
            ship_roles(session)
            user = create_user(session, f"f{place.group_id.hex[-12:]}{role}", role)
            grant_role(session, Actor.system(), user.id, role, **where)
            token = start_session(session, user)
        client = app.test_client()
        client.set_cookie(SESSION_COOKIE, token)
        return client

    return made


def test_a_file_is_added_opened_and_removed(browser, place):
    room = f"/c/{place.community_id}/admin/dougong/room/{place.room_ids[0]}/"
    manager, auditor = browser("community_manager"), browser("auditor")
    assert 'hx-get="files"' in manager.get(room).text
    page = manager.get(f"{room}files").text
    assert "暂无附件" in page
    data = {"csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page).group(1)}
    assert manager.post(f"{room}files", data=data).status_code == 422
    bad = manager.post(f"{room}files", data={**data, "files": (io.BytesIO(b"<svg/>"), "a.svg")})
    assert bad.status_code == 422
    good = manager.post(f"{room}files", data={**data, "files": (io.BytesIO(JPEG), "漏水.jpg")})
    assert good.status_code == 303
    listed = manager.get(f"{room}files").text
    (address,) = re.findall(r'href="(files/[0-9a-f-]+)"', listed)
    assert "漏水.jpg" in listed
    sent = manager.get(room + address)
    assert (sent.data, sent.content_type) == (JPEG, "image/jpeg")
    assert sent.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    seen = auditor.get(f"{room}files").text
    assert "漏水.jpg" in seen
    assert "remove" not in seen
    assert auditor.get(room + address).status_code == 200
    assert auditor.post(f"{room}{address}/remove", data=data).status_code == 403
    assert manager.post(f"{room}{address}/remove", data=data).status_code == 303
    assert manager.get(room + address).status_code == 404
