"""The trial balance and a receipt over HTTP."""

import re
from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.db.scope import Actor
from dougong.tenancy.models import Person
from dougong.testing.people import sign_in
from dougong.testing.programs import make_login
from dougong_ledger import services
from dougong_ledger.models import MonthDraft
from dougong_ledger.services import drafts
from dougong_ledger.services.receipts import receipt_of


@pytest.fixture
def receipt_id(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        person = scope.get(Person, place.person_ids[0])
        payment = services.top_up(scope, person, Decimal("107000.53"), "a-large-sum")
        return receipt_of(scope, payment).id


def test_the_books_are_shown_balanced_and_a_receipt_prints(app, installation, place, receipt_id):
    cashier = sign_in(app, installation, make_login(installation, place, "cashier"))
    base = f"/c/{place.community_id}"
    page = cashier.get(f"{base}/ledger/trial").get_data(as_text=True)
    assert page.count("107,000.53") == 6
    printed = cashier.get(f"{base}/ledger/print/{receipt_id}")
    assert printed.data.startswith(b"%PDF")
    shown = cashier.get(f"{base}/admin/ledger/receipt/{receipt_id}/").get_data(as_text=True)
    assert f"ledger/print/{receipt_id}" in shown
    for model in ("payment", "payment_order", "wallet", "journal_entry", "journal_line", "account"):
        assert cashier.get(f"{base}/admin/ledger/{model}/").status_code == 200, model


def test_a_month_is_closed_and_exported_in_the_browser(app, installation, place, receipt_id):
    manager = sign_in(app, installation, make_login(installation, place, "community_manager"))
    base = f"/c/{place.community_id}/ledger"
    page = manager.get(f"{base}/month").get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    month = re.search(r'type="hidden" name="month" value="([^"]+)"', page)[1]
    closed = manager.post(f"{base}/month", data={"csrf_token": token, "month": month})
    assert closed.status_code == 200 and 'type="hidden" name="month"' not in closed.text
    assert manager.get(f"{base}/month?month=soon").status_code == 422
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        this = f"{scope.today:%Y-%m}"
    book = manager.get(f"{base}/vouchers.xlsx?month={this}")
    assert book.data.startswith(b"PK")
    table = manager.get(f"{base}/vouchers.csv?month={this}").get_data(as_text=True)
    assert table.count("107000.53") == 2
    assert manager.get(f"{base}/vouchers.exe?month={this}").status_code == 404
    for model in ("deposit", "deposit_movement", "book_period"):
        assert manager.get(f"/c/{place.community_id}/admin/ledger/{model}/").status_code == 200
    assert manager.get(f"/c/{place.community_id}/admin/ledger/deposit/new").status_code == 200


def test_a_month_of_many_entries_is_shown_as_it_was_reckoned(
    app, installation, place, receipt_id, monkeypatch
):
    monkeypatch.setattr(drafts, "FEW", 0)
    manager = sign_in(app, installation, make_login(installation, place, "community_manager"))
    address = f"/c/{place.community_id}/ledger/month"
    page = manager.get(address).get_data(as_text=True)
    assert 'value="reckon"' in page
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    month = re.search(r'type="hidden" name="month" value="([^"]+)"', page)[1]
    given = {"csrf_token": token, "month": month, "do": "reckon"}
    assert 'value="reckon"' in manager.post(address, data=given).text
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        (draft,) = scope.session.scalars(select(MonthDraft))
        shown = services.shown_month(scope, draft.month_on)
        assert shown.reckoned_at == draft.reckoned_at and shown.period is None
        assert shown.end == services.month_end(scope, draft.month_on)
        assert services.reckon_months(scope) == 2
        services.close_month(scope, draft.month_on)
        shown = services.shown_month(scope, draft.month_on)
        assert shown.period is not None and shown.reckoned_at is None
    closed = manager.get(f"{address}?month={month}").text
    assert 'value="reckon"' not in closed


def test_a_guard_sees_neither(app, installation, place, receipt_id):
    guard = sign_in(app, installation, make_login(installation, place, "guard"))
    base = f"/c/{place.community_id}/ledger"
    assert guard.get(f"{base}/trial").status_code == 403
    assert guard.get(f"{base}/print/{receipt_id}").status_code == 403
