"""The pages over HTTP: an owner pays in two taps, and nobody sees what is not his."""

import io
import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event, func, select, update

from dougong.access.operations import create_user, grant_role, link_person, start_session
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.tenancy.models import Person
from dougong.tenancy.operations import set_setting
from dougong.web.app import SESSION_COOKIE
from dougong_fees import services
from dougong_fees.domain.states import BillState, RunState
from dougong_fees.models import Bill, ShareKey
from dougong_fees.services import figures, reports
from dougong_ledger import services as ledger
from dougong_ledger.models import Payment

from .conftest import add_item

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)


@pytest.fixture
def browser(app, installation, place):
    """Return a function that gives the browser of the n-th person, or of a role."""

    def made(who=0):
        with installation.access() as session:
            ship_roles(session)
            user = create_user(session, f"f{place.group_id.hex[-12:]}{who}", f"{who}")
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
def demonstration_money(installation, place):
    """Let wallets be topped up with demonstration money, as in a demonstration."""
    with installation.access() as session:
        set_setting(session, place.group_id, "ledger.allows_demo_top_up", True)


@pytest.fixture
def bill(installation, place, demonstration_money):
    """A published bill of the first owner, who has 100 yuan in his wallet."""
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        add_item(scope, place)
        run = services.create_run(scope, "2026年10月", OCTOBER, NOVEMBER, date(2026, 11, 20))
        services.publish_run(scope, run)
        person = scope.get(Person, place.person_ids[0])
        ledger.top_up(scope, person, Decimal(100), "first-money")
        return scope.session.scalars(select(Bill).where(Bill.room_id == place.room_ids[0])).one()


def field(html, name):
    return re.search(rf'name="{name}" value="([^"]+)"', html)[1]


def form_of(html, action):
    return re.search(rf'<form[^>]*action="[^"]*{action}"[^>]*>.*?</form>', html, re.S)[0]


def send(client, html, action):
    """Send the form as the page has it."""
    form = form_of(html, action)
    address = re.search(r'action="([^"]+)"', form)[1]
    values = dict(re.findall(r'name="([^"]+)"[^>]*? value="([^"]*)"', form))
    return client.post(address, data=values)


def test_an_owner_tops_up_and_pays_in_two_taps_and_gets_a_receipt(
    installation, place, browser, bill
):
    owner, my = browser(0), f"/c/{place.community_id}/fees/my/"
    page = owner.get(my).get_data(as_text=True)
    assert f"{bill.amount:,.2f}" in page and "100.00" in page
    page = owner.get(f"{my}{bill.id}").get_data(as_text=True)
    assert "89.5 ㎡ × 2.8" in page
    confirm = send(owner, page, "/my/order")
    assert confirm.status_code == 303
    page = owner.get(confirm.location).get_data(as_text=True)
    assert send(owner, page, "/my/top-up").location == confirm.location
    page = owner.get(confirm.location).get_data(as_text=True)
    assert send(owner, page, "/pay").status_code == 303
    assert send(owner, page, "/pay").status_code == 303
    done = owner.get(confirm.location).get_data(as_text=True)
    receipt = owner.get(re.search(r'href="([^"]+/my/receipt/[^"]+)"', done)[1])
    assert receipt.data.startswith(b"%PDF") and receipt.content_type == "application/pdf"
    text = pdf_text(receipt.data)
    assert "业主0" in text and "元" in text
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert scope.get(Bill, bill.id).state is BillState.PAID
        paid = select(func.count()).where(Payment.channel == "wallet")
        assert scope.session.scalar(paid) == 1
        assert ledger.balance_of(scope, place.person_ids[0]) == 0
        assert ledger.trial_balance(scope).is_balanced


def pdf_text(content):
    from pypdf import PdfReader

    return "".join(p.extract_text() for p in PdfReader(io.BytesIO(content)).pages)


def test_another_owner_finds_nothing(place, browser, bill):
    stranger, my = browser(1), f"/c/{place.community_id}/fees/my/"
    assert str(bill.id) not in stranger.get(my).get_data(as_text=True)
    assert stranger.get(f"{my}{bill.id}").status_code == 404
    owner = browser(0)
    page = owner.get(f"{my}{bill.id}").get_data(as_text=True)
    order = send(owner, page, "/my/order").location
    assert stranger.get(order).status_code == 404
    assert stranger.get(f"/c/{place.community_id}/fees/arrears").status_code == 403
    assert stranger.get(f"/c/{place.community_id}/fees/explain/{bill.id}").status_code == 403


def test_a_payment_without_the_forms_token_is_refused(place, browser, bill):
    owner = browser(0)
    answer = owner.post(f"/c/{place.community_id}/fees/my/order", data={"bill": str(bill.id)})
    assert answer.status_code == 403


def test_nobody_makes_money_where_no_demonstration_runs(installation, place, browser, bill):
    owner = browser(0)
    home = f"/c/{place.community_id}/fees/my/"
    page = owner.get(home).get_data(as_text=True)
    token, key = field(page, "csrf_token"), field(page, "key")
    with installation.access() as session:
        set_setting(session, place.group_id, "ledger.allows_demo_top_up", False)
    given = {"csrf_token": token, "key": key, "amount": "500"}
    assert owner.post(f"{home}top-up", data=given).status_code == 403
    assert "top-up" not in owner.get(home).get_data(as_text=True)


@pytest.mark.parametrize("amount", ["-1", "x", "1e9", "NaN", "0.001"])
def test_a_wrong_amount_is_told(place, browser, bill, amount):
    owner = browser(0)
    page = owner.get(f"/c/{place.community_id}/fees/my/").get_data(as_text=True)
    token, key = field(page, "csrf_token"), field(page, "key")
    answer = owner.post(
        f"/c/{place.community_id}/fees/my/top-up",
        data={"csrf_token": token, "key": key, "amount": amount},
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_staff_see_explanation_report_and_arrears(place, browser, bill, locale):
    staff = browser("community_manager")
    staff.set_cookie("dougong_locale", locale)
    base = f"/c/{place.community_id}/fees"
    for address in (f"/explain/{bill.id}", f"/report/{bill.run_id}", "/arrears"):
        answer = staff.get(base + address)
        assert answer.status_code == 200, address
    assert "2.8" in staff.get(f"{base}/explain/{bill.id}").get_data(as_text=True)


def test_arrears_are_summed_by_age_and_narrowed_to_the_buildings_of_a_role(
    installation, place, bill
):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        late = scope.today - timedelta(days=40)
        scope.session.execute(update(Bill).values(due_on=late))
        found = reports.arrears(scope)
        bills = scope.session.scalars(select(Bill)).all()
        assert found.count == len(bills) == len(place.room_ids)
        assert found.owed == sum(b.balance for b in bills)
        assert found.ages == [Decimal(0), found.owed, Decimal(0), Decimal(0)]
        assert sum(row.owed for row in found.rows) == found.owed
    building = place.building_ids[0]
    actor = place.actor("*", buildings=frozenset({building}))
    with installation.scope(actor, community=place.community_id) as scope:
        rooms = {r.room_id for r in reports.arrears(scope).rows}
        assert rooms == {r for n, r in enumerate(place.room_ids) if n % 2 == 0}


def test_an_owner_opens_the_worksheet_of_his_share_and_nobody_elses(installation, place, browser):
    with installation.access() as session:
        set_setting(session, place.community_id, "fees.apportionment_allowed", True)
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        item = add_item(scope, place, "lift", name="电梯电费")
        made = services.start_apportionment(
            scope,
            item,
            "电梯电费公摊",
            OCTOBER,
            NOVEMBER,
            NOVEMBER,
            ShareKey.AREA,
            "合同第九条",
            "业主大会决议",
            pool_amount=Decimal("100.01"),
        )
        services.publish_apportionment(scope, made)
        bills = {bill.payer_id: bill.id for bill in scope.session.scalars(select(Bill))}
    owner, base = browser(0), f"/c/{place.community_id}/fees/my"
    bill = owner.get(f"{base}/{bills[place.person_ids[0]]}").text
    assert f"my/apportionment/{bills[place.person_ids[0]]}" in bill
    sheet = owner.get(f"{base}/apportionment/{bills[place.person_ids[0]]}").text
    assert "100.01" in sheet and sheet.count("1-1-") + sheet.count("2-1-") >= 4
    assert "业主1" not in sheet, "rooms, never names"
    assert owner.get(f"{base}/apportionment/{bills[place.person_ids[1]]}").status_code == 404


@pytest.mark.parametrize("locale", ["zh_Hans_CN", "en"])
def test_a_group_is_billed_from_one_page(installation, place, app, locale):
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"g{place.group_id.hex[-12:]}", "manager")
        role = "community_manager"
        grant_role(session, Actor.system(), user.id, role, group_id=place.group_id)
        token = start_session(session, user)
    client = app.test_client()
    client.set_cookie(SESSION_COOKIE, token)
    address = f"/g/{place.group_id}/fees/runs"
    shown = client.get(address, headers={"Accept-Language": locale[:2]})
    assert shown.status_code == 200, shown.text
    form = {"name": "十月", "from_on": "2026-10-01", "to_on": "2026-11-01"}
    form |= {"due_on": "2026-11-20", "csrf_token": field(shown.text, "csrf_token")}
    done = client.post(address, data=form)
    assert done.status_code == 200 and "翠湖花园" in done.text and "fees/report/" in done.text
    assert client.post(address, data={**form, "from_on": "soon"}).status_code == 422
    decide = {key: form[key] for key in ("csrf_token", "name", "from_on", "to_on")}
    own = client.post(address, data={**decide, "do": "approve"})
    assert "另一人" in own.text, "nobody approves what he reckoned himself"
    assert client.post(address, data={**decide, "do": "roll-back"}).status_code == 422


def test_a_group_run_is_approved_published_and_rolled_back_as_one(installation, scope, place):
    add_item(scope, place)
    scope.session.commit()
    period = (date(2026, 10, 1), date(2026, 11, 1))
    key = ("十月", *period)

    def act(step, *more):
        with installation.scope(Actor.system(), group=place.group_id) as group:
            return {each.community_id: each for each in step(group, *key, *more)}

    act(services.create_group_runs, date(2026, 11, 20))
    for step, state in (
        (services.approve_group_runs, RunState.APPROVED),
        (services.publish_group_runs, RunState.PUBLISHED),
    ):
        assert {each.run.state for each in act(step).values()} == {state}
        assert act(step) == {}, "repeated, nothing is left to do"
    with installation.scope(Actor.system(), group=place.group_id) as group:
        (one,) = services.together(services.group_runs(group))
        assert (len(one.runs), one.bills) == (2, len(place.room_ids))
        assert one.amount == sum(each.run.amount for each in one.runs)
    back = act(services.roll_back_group_runs, "单价错了")
    assert {each.run.state for each in back.values()} == {RunState.ROLLED_BACK}


def test_staff_see_bills_and_their_reckoning_in_the_admin(place, browser, bill):
    staff = browser("community_manager")
    base = f"/c/{place.community_id}/admin/fees"
    for model in ("bill", "bill_run", "charge", "fee_item", "fee_price", "waiver", "bill_line"):
        assert staff.get(f"{base}/{model}/").status_code == 200, model
    answer = staff.get(f"{base}/bill/{bill.id}/")
    assert "89.5 ㎡ × 2.8" in answer.get_data(as_text=True)


def test_the_cashier_takes_cash_with_one_form(installation, place, browser, bill):
    desk = browser("cashier")
    base = f"/c/{place.community_id}/admin/fees/bill"
    page = desk.get(f"{base}/{bill.id}/").get_data(as_text=True)
    asked = desk.post(
        f"{base}/action/pay", data={"csrf_token": field(page, "csrf_token"), "ids": str(bill.id)}
    ).get_data(as_text=True)
    sent = {
        "csrf_token": field(asked, "csrf_token"),
        "idempotency_key": field(asked, "idempotency_key"),
        "ids": str(bill.id),
        "sure": "1",
        "channel": "cash",
        "reference": "",
    }
    for _ in range(2):
        assert desk.post(f"{base}/action/pay", data=sent).status_code == 303
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert scope.get(Bill, bill.id).state is BillState.PAID
        cash = scope.session.scalars(select(Payment.amount).where(Payment.channel == "cash")).all()
        assert cash == [bill.amount]


def test_the_desk_hands_a_room_over_with_a_preview(installation, place, browser, bill):
    desk, base = browser("cashier"), f"/c/{place.community_id}/fees/hand-over"
    assert 'name="buyer"' in desk.get(base).get_data(as_text=True)
    wish = {"room": str(bill.room_id), "buyer": str(place.person_ids[1]), "on": "2026-10-11"}
    page = desk.get(base, query_string=wish).get_data(as_text=True)
    part = (bill.amount * 10 / 31).quantize(Decimal("0.01"))
    assert f"{part:,.2f}" in page
    form = {**wish, "csrf_token": field(page, "csrf_token"), "do": "confirm"}
    seller = {**form, "buyer": str(place.person_ids[0])}
    assert desk.post(base, data=seller).status_code == 422
    assert desk.post(base, data={**form, "do": "preview"}).status_code == 200
    done = desk.post(base, data=form)
    assert f"{part:,.2f}" in desk.get(done.location).get_data(as_text=True)
    assert desk.get(f"{done.location}/print").data.startswith(b"%PDF")
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert scope.get(Bill, bill.id).state is BillState.WITHDRAWN


def test_every_number_of_the_figures_opens_the_list_that_makes_it_up(
    installation, place, browser, bill
):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        late = scope.session.scalars(select(Bill).order_by(Bill.id)).all()
        for number, days in enumerate((1, 30, 31, 800)):
            late[number].due_on = scope.today - timedelta(days=days)
        scope.session.flush()
        statements = []
        connection = scope.session.connection()
        event.listen(connection, "before_cursor_execute", lambda *a: statements.append(a[2]))
        ages = figures.ages(scope)
        figures.collections(scope), figures.takings(scope), figures.unreconciled(scope)
        assert len(statements) == 4
        assert [age.bills for age in ages] == [2, 1, 0, 0, 0, 1]
    manager, base = browser("community_manager"), f"/c/{place.community_id}"
    page = manager.get(f"{base}/fees/figures").get_data(as_text=True)
    assert page.count('<svg class="chart"') == 3
    links = re.findall(rf'href="({base}/admin/fees/bill/[^"]+due_on[^"]+)"', page)
    shown = [
        manager.get(link.replace("&amp;", "&")).get_data(as_text=True).count("record-link")
        for link in links
    ]
    assert shown == [2, 1, 0, 0, 0, 1]
    for link in re.findall(rf'href="({base}/admin/[^"]+)"', page):
        assert manager.get(link.replace("&amp;", "&")).status_code == 200, link
    assert len(page.encode()) < 60 * 1024
