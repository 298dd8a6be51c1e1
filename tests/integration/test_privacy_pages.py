"""On pages, in exports and in the log of the browser's requests, personal values stay masked."""

import re
from io import BytesIO

import pytest
from openpyxl import load_workbook

from dougong.testing.people import sign_in
from dougong.testing.programs import make_login
from dougong.web.app import create_app


@pytest.fixture(scope="module")
def app(installation):
    return create_app(installation)


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
