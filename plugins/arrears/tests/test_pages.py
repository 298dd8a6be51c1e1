"""The pages over HTTP: a collector works a case, a payer sees his own and nothing else."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from dougong.access.operations import create_user, grant_role, link_person, start_session
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.plugins import operations as plugins
from dougong.tenancy.models import Person, Room
from dougong.web.app import SESSION_COOKIE
from dougong_arrears import services
from dougong_arrears.models import (
    Agreement,
    Collector,
    CollectorBuilding,
    Contact,
    Dispute,
    NoticeRun,
    Reminder,
)
from dougong_arrears.services.agreements import parts_of
from dougong_fees.models import Bill

from .conftest import publish


@pytest.fixture
def browser(app, installation, place):
    """Return a function that gives the browser of the n-th person, or of a role."""

    def made(who=0):
        with installation.access() as session:
            ship_roles(session)
            user = create_user(session, f"a{place.group_id.hex[-12:]}{who}", f"{who}")
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
def owed(installation, place):
    """The first room's bill, twenty days overdue; every room has one."""
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        due_on = scope.today - timedelta(days=20)
        return publish(scope, place, "上月", due_on)[place.room_ids[0]]


@pytest.fixture
def statements(installation):
    """Count the statements of the application's role, BEGIN, SET and COMMIT apart."""
    seen = []
    engine = installation.databases.engine("app")

    def note(connection, cursor, statement, *rest):
        if re.match(r"\s*(select|insert|update|delete|with)\b", statement, re.I):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_a_collector_works_a_case(installation, place, browser, owed, statements):
    collector = browser("cashier")
    base = f"/c/{place.community_id}/arrears"
    case = f"{base}/case/{owed.room_id}/{owed.payer_id}"
    page = collector.get(f"{base}/desk").get_data(as_text=True)
    assert case in page and f"{owed.amount:,.2f}" in page
    statements.clear()
    assert collector.get(f"{base}/desk").status_code == 200
    assert len(statements) <= 6, statements
    page = collector.get(case).get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]

    def do(what, expected=303, **values):
        answer = collector.post(case, data={"csrf_token": token, "do": what, **values})
        assert answer.status_code == expected, answer.get_data(as_text=True)
        return answer.get_data(as_text=True)

    contact = {"kind": "call", "outcome": "promised", "note": "月底缴"}
    assert 'class="invalid"' in do("record", 422, **contact, promised="100")
    do("record", **contact, promised="100", promised_by="2099-01-01")
    do("plan", next_step="visit", next_on="2099-01-02")
    assert "13800130000" in do("phone", 200)
    do("dispute", bill=str(owed.id), reason="漏水")
    assert 'class="invalid"' in do("sign", 422, parts="1")
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        contact = scope.session.scalars(select(Contact)).one()
        assert contact.note == "月底缴"
        dispute = scope.session.scalars(select(Dispute)).one()
    do("settle", dispute=str(dispute.id), outcome_note="已修好")
    do("sign", parts="3", first_due_on="2099-01-31")
    page = collector.get(case).get_data(as_text=True)
    shown = collector.get(re.search(r'href="([^"]+/arrears/agreement/[^"]+)"', page)[1])
    assert "2099" in shown.get_data(as_text=True)
    # Where the plugin is on in some buildings only, a page narrows what it shows to them.
    plugins.enable(installation, Actor.system(), "arrears", place.community_id, place.building_ids)
    page = collector.get(case)
    assert page.status_code == 200 and "月底缴" in page.text


def test_reminders_are_previewed_and_sent_and_notices_printed(installation, place, browser, owed):
    manager, base = browser("community_manager"), f"/c/{place.community_id}/arrears"
    page = manager.get(f"{base}/reminders").get_data(as_text=True)
    assert all(f"业主{n}" in page for n in range(len(place.room_ids)))
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    sent = manager.post(f"{base}/reminders", data={"csrf_token": token})
    assert sent.location.endswith("sent=4")
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert scope.session.scalars(select(Reminder)).first() is None
        services.send_due(scope, is_asked=True)
    form = {"csrf_token": token, "kind": "demands", "pay_by_on": "2099-01-01", "least": "0"}
    assert manager.post(f"{base}/notices", data={**form, "least": "x"}).status_code == 422
    run = manager.post(f"{base}/notices", data=form).location
    assert "data-busy" in manager.get(run).get_data(as_text=True)
    assert manager.get(f"{run}/download").status_code == 404
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        services.print_notices(scope, scope.session.scalars(select(NoticeRun)).one())
    assert "data-busy" not in manager.get(f"{run}/progress").get_data(as_text=True)
    assert manager.get(f"{run}/download").data.startswith(b"PK")
    for model in ("reminder_level", "reminder", "contact", "agreement", "letter", "dispute"):
        url = f"/c/{place.community_id}/admin/arrears/{model}/"
        assert manager.get(url).status_code == 200, model


def test_a_payer_sees_his_agreement_and_declines_early_reminders(
    installation, place, browser, owed
):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        bill = scope.get(Bill, owed.id)
        room, payer = scope.get(Room, bill.room_id), scope.get(Person, bill.payer_id)
        agreement = services.sign_agreement(scope, room, payer, 3, scope.today)
    mine, my = browser(0), f"/c/{place.community_id}/arrears/my/"
    page = mine.get(my).get_data(as_text=True)
    assert f"{agreement.amount:,.2f}" in page
    assert mine.get(f"{my}agreement/{agreement.id}").data.startswith(b"%PDF")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    mine.post(f"{my}choice", data={"csrf_token": token, "due_soon": "no"})
    assert 'value="yes"' in mine.get(my).get_data(as_text=True)
    stranger = browser(1)
    pay = f"{my}agreement/{agreement.id}/pay"
    sent = {"csrf_token": token, "key": "instalment-1"}
    orders = [mine.post(pay, data=sent).location for _ in range(2)]
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        part = parts_of(scope, [agreement.id])[agreement.id][0].amount
    order = mine.get(orders[0]).get_data(as_text=True)
    assert orders[0] == orders[1] and "/fees/my/order/" in orders[0]
    assert f"¥{part:,.2f}" in order and part < agreement.amount
    assert f"{agreement.amount:,.2f}" not in stranger.get(my).get_data(as_text=True)
    assert stranger.get(f"{my}agreement/{agreement.id}").status_code == 404
    desk = f"/c/{place.community_id}/arrears/desk"
    assert stranger.get(desk).status_code in (403, 404)
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert scope.get(Agreement, agreement.id).payer_id == place.person_ids[0]


def test_the_collector_of_a_building_is_chosen_in_the_list(installation, place, browser):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        first, second = (Collector(name=name) for name in ("甲", "乙"))
        scope.session.add_all([first, second])
        scope.session.flush()
        portfolio = CollectorBuilding(collector_id=first.id, building_id=place.building_ids[0])
        scope.session.add(portfolio)
    manager = browser("community_manager")
    address = (
        f"/c/{place.community_id}/admin/arrears/collector_building/{portfolio.id}/cell/collector"
    )
    cell = manager.get(address).get_data(as_text=True)
    assert f'<option value="{first.id}" selected>甲</option>' in cell
    listed = manager.get(address.partition(str(portfolio.id))[0]).get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', listed)[1]
    sent = {"csrf_token": token, "collector_id": str(second.id)}
    answer = manager.post(address, data=sent)
    assert answer.status_code == 200 and "乙" in answer.get_data(as_text=True)
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert scope.get(CollectorBuilding, portfolio.id).collector_id == second.id
