"""What the pages about money and meters may cost; ``make gate-budgets`` has the rows."""

from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.access.operations import create_user, grant_role, link_person
from dougong.access.roles import ship_roles
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.tenancy.models import Person, Room
from dougong.testing.budgets import MOST_STATEMENTS, list_addresses, page_addresses, watched
from dougong.testing.people import make_login, sign_in
from dougong.web.app import create_app
from dougong_arrears.domain import ContactKind, Outcome
from dougong_arrears.services import record_contact
from dougong_fees import services
from dougong_fees.models import Bill
from dougong_meters.models import Meter, MeterRole

from .conftest import NOVEMBER, OCTOBER, add_item

PLUGINS = ("fees", "meters", "ledger", "arrears", "desk", "invoices", "online_payment")


@pytest.mark.parametrize("who", ["community_manager", "group_manager", "owner"])
def test_every_page_takes_at_most_six_statements(installation, place, who):
    bill, run = publish(installation, place)
    app, base = create_app(installation), f"/c/{place.community_id}"
    about = records(bill, run, who)
    lists = [] if who == "group_manager" else list_addresses(PLUGINS, base)
    pages = [*lists, *page_addresses(app, PLUGINS, base), *(base + each for each in about)]
    if who == "group_manager":
        base = f"/g/{place.group_id}"
        pages = [base + page.removeprefix(f"/c/{place.community_id}") for page in pages]
        about.remove(f"/desk/room?room={bill[1]}")
    browser = sign_in(app, installation, login(installation, place, who))
    shown = [page for page in pages if browser.get(page).status_code == 200]
    taken = {}
    for page in shown:
        with watched() as seen:
            browser.get(page)
        taken[page.removeprefix(base)] = len(seen.statements)
    least = {"community_manager": 60, "group_manager": 10, "owner": 7}
    assert len(taken) >= least[who] and set(about) <= set(taken), sorted(taken)
    assert {page: count for page, count in taken.items() if count > MOST_STATEMENTS} == {}


def publish(installation, place):
    """Publish a month that is long overdue, partly paid, with a late fee and a contact; its ids."""
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        add_item(scope, place, late_fee_rate=Decimal("0.0005"))
        run = services.create_run(scope, "2026年10月", OCTOBER, NOVEMBER, NOVEMBER)
        services.publish_run(scope, run)
        bill = scope.session.scalars(select(Bill).where(Bill.room_id == place.room_ids[0])).one()
        services.request_waiver(scope, bill, Decimal(1), "减免")
        room, payer = scope.get(Room, bill.room_id), scope.get(Person, bill.payer_id)
        record_contact(scope, room, payer, ContactKind.CALL, Outcome.NOT_REACHED)
        for meter, role in (("A", MeterRole.MAIN), ("B", MeterRole.OWN)):
            scope.session.add(
                Meter(
                    serial=meter,
                    commodity="water",
                    role=role,
                    room_id=bill.room_id if role is MeterRole.OWN else None,
                    building_id=place.building_ids[0],
                    installed_on=OCTOBER,
                )
            )
        return (bill.id, bill.room_id, bill.payer_id), run.id


def records(bill, run, who):
    bill_id, room_id, payer_id = bill
    if who == "owner":
        return [f"/fees/my/{bill_id}"]
    return [
        f"/fees/explain/{bill_id}",
        f"/fees/report/{run}",
        f"/arrears/case/{room_id}/{payer_id}",
        f"/desk/room?room={room_id}",
    ]


def login(installation, place, who):
    if who == "community_manager":
        return make_login(installation, place, who)
    with installation.access() as session:
        if who == "group_manager":
            ship_roles(session)
            user = create_user(session, f"g{uuid7().hex}", who)
            grant_role(session, Actor.system(), user.id, who, group_id=place.group_id)
            return Actor(user.id, who)
        user = create_user(session, f"o{uuid7().hex}", who)
        link_person(session, user.id, place.community_id, place.person_ids[0])
        return Actor(user.id, who)
