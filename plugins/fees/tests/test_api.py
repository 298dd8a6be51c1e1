"""Services of money over the JSON API: right input works, wrong input is told, nothing breaks."""

import pytest

from dougong.db.scope import Actor
from dougong.testing.programs import make_program

from .conftest import add_item


@pytest.fixture
def program(app, installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        add_item(scope, place)
    return make_program(app, installation, place)


@pytest.fixture
def second(app, installation, place):
    """Another person's program, for what nobody may do alone."""
    return make_program(app, installation, place)


RUN = {"name": "十月", "from_on": "2026-10-01", "to_on": "2026-11-01", "due_on": "2026-11-20"}


def test_a_run_is_made_published_explained_and_paid_over_the_api(program, second, place):
    made = program.call("POST", "/v1/fees/bill_run", RUN)
    assert made.status_code < 300, made.text
    run = (made.json.get("result") or made.json)["id"]
    assert program.call("POST", "/v1/fees/bill_run.publish", {"run": run}).status_code == 409
    assert program.call("POST", "/v1/fees/bill_run.approve", {"run": run}).status_code == 403
    assert second.call("POST", "/v1/fees/bill_run.approve", {"run": run}).status_code < 300
    published = program.call("POST", "/v1/fees/bill_run.publish", {"run": run})
    assert published.status_code < 300, published.text
    bills = program.call("GET", "/v1/fees/bill").json["items"]
    assert len(bills) == 4 and {b["state"] for b in bills} == {"open"}
    bill = bills[0]["id"]
    explained = program.call("POST", "/v1/fees/bill.explain", {"bill": bill})
    assert explained.status_code == 200 and "2.8" in explained.text
    body = {"bill": bill, "channel": "cash", "idempotency_key": "api-0000001"}
    first = program.call("POST", "/v1/fees/bill.pay", body)
    assert first.status_code < 300, first.text
    assert program.call("POST", "/v1/fees/bill.pay", body).status_code < 300
    trial = program.call("POST", "/v1/ledger/account.trial_balance", {})
    assert trial.status_code == 200, trial.text


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("fees/bill_run", {**RUN, "to_on": "2026-09-01"}),
        ("fees/bill_run", {**RUN, "name": "x" * 500, "fee_item_id": "0" * 8}),
        ("fees/bill.pay", {"bill": "nothing", "channel": "cash", "idempotency_key": "1"}),
        ("ledger/payment_order.open", {"plugin": "x" * 200, "title": "", "items": []}),
        ("ledger/account.trial_balance", {"on": "9999-12-31"}),
    ],
    ids=["backwards", "long", "no bill", "no items", "far future"],
)
def test_wrong_input_is_told_and_never_a_fault_of_ours(program, address, body):
    assert program.call("POST", f"/v1/{address}", body).status_code < 500
