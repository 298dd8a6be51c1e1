"""On pages, in exports and in the log of the browser's requests, personal values stay masked."""

import re
from datetime import timedelta
from io import BytesIO
from zipfile import ZipFile

import pytest
from markupsafe import escape
from openpyxl import load_workbook
from sqlalchemy import text

from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid
from dougong.i18n import use_locale
from dougong.jobs.schedules import DUTIES
from dougong.privacy.erasure import ERASED, is_restricted
from dougong.privacy.models import PrivacyRequest, RequestKind, RequestState
from dougong.privacy.purposes import notice
from dougong.privacy.requests import (
    answer_request,
    create_request,
    erase_requested,
    refuse_request,
)
from dougong.tenancy.models import Person
from dougong.testing.people import sign_in
from dougong.testing.programs import make_login


@pytest.fixture
def manager(app, installation, place):
    """Return a browser of the community's manager."""
    client = sign_in(app, installation, make_login(installation, place, "community_manager"))
    client.base = f"/c/{place.community_id}/admin/dougong/person/"
    return client


def posted(client, path, **fields):
    page = client.get(client.base + path).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page).group(1)
    mark = re.search(r'name="fingerprint" value="([^"]*)"', page)
    given = {"csrf_token": token, "fingerprint": mark.group(1) if mark else "", **fields}
    return client.post(client.base + path, data=given, follow_redirects=True)


def test_lists_and_details_mask_personal_values(manager, place):
    for path in ("", f"{place.person_ids[0]}/", f"{place.person_ids[0]}/edit"):
        page = manager.get(manager.base + path).text
        assert "138****0000" in page and "13800130000" not in page


def test_a_value_is_shown_after_a_reason_only(manager, place):
    path = f"{place.person_ids[0]}/reveal/phone"
    assert "13800130000" not in manager.get(manager.base + path).text
    assert "13800130000" not in posted(manager, path, reason="").text
    assert "13800130000" in posted(manager, path, reason="call").text


def test_a_number_in_a_note_is_saved_with_a_warning(manager, place):
    page = posted(manager, f"{place.person_ids[0]}/edit", name="业主0", note="请打13812345678").text
    assert "此文本中含有手机号" in page and "已保存" in page
    page = posted(manager, f"{place.person_ids[0]}/edit", name="业主0", note="请发邮件").text
    assert "此文本中含有手机号" not in page


def test_exports_mask_personal_values(manager, place):
    table = manager.get(f"{manager.base}export.csv").text
    assert "138****0000" in table and "1380013" not in table
    workbook = load_workbook(BytesIO(manager.get(f"{manager.base}export.xlsx").data))
    cells = {str(cell.value) for row in workbook.active.iter_rows() for cell in row}
    assert "138****0000" in cells and not any("1380013" in cell for cell in cells)


# --- requests, notice, keys -----------------------------------------------------------------------


@pytest.fixture
def office(app, installation, place):
    """Return the manager's browser, with the community's address."""
    client = sign_in(app, installation, make_login(installation, place, "community_manager"))
    client.base = f"/c/{place.community_id}"
    return client


def take(installation, place, kind, number=0):
    with installation.scope(Actor.system("test"), community=place.community_id) as scope:
        person = scope.get(Person, place.person_ids[number])
        return create_request(scope, person, kind, "本人到前台提出").id


def in_place(installation, place):
    return installation.scope(Actor.system("test"), community=place.community_id)


def test_a_request_is_taken_is_due_in_thirty_days_and_a_copy_is_handed_out(
    office, installation, place
):
    page = office.get(f"{office.base}/privacy/").text
    assert "没有待答复的请求" in page
    request = take(installation, place, RequestKind.COPY)
    with in_place(installation, place) as scope:
        found = scope.get(PrivacyRequest, request)
        assert (found.due_on - found.asked_on).days == 30
        with pytest.raises(Conflict):
            create_request(scope, found.person, RequestKind.COPY)
    page = office.get(f"{office.base}/privacy/").text
    address = re.search(r'action="([^"]+/copy/[^"]+)"', page)[1]
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    answer = office.post(address, data={"csrf_token": token})
    with ZipFile(BytesIO(answer.data)) as archive:
        assert "13800130000" in archive.read("person.json").decode()
    with in_place(installation, place) as scope:
        closed = answer_request(scope, scope.get(PrivacyRequest, request))
        assert closed.state == RequestState.ANSWERED and closed.answered_at
        with pytest.raises(Conflict):
            refuse_request(scope, closed, "x")


def test_a_late_request_is_shown_as_late(office, installation, place):
    request = take(installation, place, RequestKind.CORRECTION)
    with in_place(installation, place) as scope:
        scope.get(PrivacyRequest, request).due_on = scope.today - timedelta(days=3)
    assert "已超期 3 天" in office.get(f"{office.base}/privacy/").text


def test_an_erasure_that_was_asked_for_erases_and_stays_as_proof(installation, place):
    request = take(installation, place, RequestKind.ERASURE, 1)
    with in_place(installation, place) as scope:
        found = scope.get(PrivacyRequest, request)
        with pytest.raises(Conflict):
            answer_request(scope, found)
        erase_requested(scope, found)
    with in_place(installation, place) as scope:
        found = scope.get(PrivacyRequest, request)
        assert found.state == RequestState.ANSWERED
        assert found.person.phone is None and found.person.name == ERASED
        assert is_restricted(scope, found.person_id)


def test_a_refusal_needs_its_reason(installation, place):
    request = take(installation, place, RequestKind.RESTRICTION)
    with in_place(installation, place) as scope:
        found = scope.get(PrivacyRequest, request)
        with pytest.raises(Invalid):
            refuse_request(scope, found, " ")
        refuse_request(scope, found, "诉讼未结，依法保留")
        assert (found.state, found.answer) == (RequestState.REFUSED, "诉讼未结，依法保留")


def test_the_notice_says_what_is_declared_in_both_languages(office, installation):
    page = office.get(f"{office.base}/privacy/notice").text
    with use_locale("zh_Hans_CN"):
        assert all(str(escape(e.purpose)) in page for e in notice(installation.plugins))


def test_keys_are_listed_for_the_system_administrator_and_nobody_else(
    app, office, installation, place
):
    assert office.get(f"{office.base}/privacy/keys").status_code == 403
    login = make_login(installation, place, "system_administrator")
    page = sign_in(app, installation, login).get(f"{office.base}/privacy/keys").text
    assert "AES-256 / SHA-256" in page and "翠湖花园" in page
    assert installation.keyring.provider.name in page


def test_who_answers_is_reminded_on_the_twentieth_day_and_when_it_is_late(app, installation, place):
    manager = make_login(installation, place, "community_manager")
    make_login(installation, place, "guard")
    system, due_now = Actor.system("schedules"), text(DUTIES["dougong.privacy_request.remind"])

    def is_due():
        with installation.platform() as session:
            return place.community_id in session.scalars(due_now).all()

    with installation.scope(Actor.system(), community=place.community_id) as scope:
        person = scope.get(Person, place.person_ids[0])
        request_id = create_request(scope, person, RequestKind.COPY).id
    told, last = [], None
    for days, expected in ((19, 0), (20, 1), (25, 0), (31, 1), (40, 0)):
        with installation.scope(system, community=place.community_id) as scope:
            request = scope.get(PrivacyRequest, request_id)
            request.asked_on = scope.today - timedelta(days=days)
            request.due_on = request.asked_on + timedelta(days=30)
            # Told on that day since it was asked: the dates move here, not the clock.
            on = last and request.asked_on + timedelta(days=last)
            request.reminded_on = on
        assert is_due() == bool(expected), days
        with installation.scope(system, community=place.community_id) as scope:
            told.append(scope.call("dougong.privacy_request.remind"))
        last = days if told[-1] else last
    assert told == [0, 1, 0, 1, 0]
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        query = text(
            "select user_id, count(*) from dougong.message"
            " where template = 'dougong:privacy_due' group by 1"
        )
        assert dict(scope.session.execute(query).all())[manager.user_id] >= 1
    browser = sign_in(app, installation, manager)
    page = browser.get(f"/c/{place.community_id}/privacy/").text
    assert "将在十天内到期" in page and "催办" in page
