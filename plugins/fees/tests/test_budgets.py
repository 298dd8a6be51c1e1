"""What the pages of fees, meters and ledger may cost; ``make gate-budgets`` has the rows."""

import pytest

from dougong.access.operations import create_user, link_person
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.testing.budgets import MOST_STATEMENTS, list_addresses, page_addresses, watched
from dougong.testing.people import make_login, sign_in
from dougong.web.app import create_app
from dougong_fees import services

from .conftest import NOVEMBER, OCTOBER, add_item

PLUGINS = ("fees", "meters", "ledger")
# One statement too many each: for the pool's tree of meters, for what paying early leaves off.
KNOWN = {"/meters/balance": 7, "/fees/my/": 7}


@pytest.mark.parametrize("who", ["community_manager", "owner"])
def test_every_page_takes_at_most_six_statements(installation, place, who):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        add_item(scope, place)
        run = services.create_run(scope, "2026年10月", OCTOBER, NOVEMBER, NOVEMBER)
        services.publish_run(scope, run)
    app, base = create_app(installation), f"/c/{place.community_id}"
    pages = [*list_addresses(PLUGINS, base), *page_addresses(app, PLUGINS, base)]
    browser = sign_in(app, installation, login(installation, place, who))
    shown = [page for page in pages if browser.get(page).status_code == 200]
    taken = {}
    for page in shown:
        with watched() as seen:
            browser.get(page)
        taken[page.removeprefix(base)] = len(seen.statements)
    assert len(taken) >= {"community_manager": 30, "owner": 4}[who], sorted(taken)
    over = {page: count for page, count in taken.items() if count > MOST_STATEMENTS}
    assert over.items() <= KNOWN.items()


def login(installation, place, who):
    if who != "owner":
        return make_login(installation, place, who)
    with installation.access() as session:
        user = create_user(session, f"o{uuid7().hex}", who)
        link_person(session, user.id, place.community_id, place.person_ids[0])
        return Actor(user.id, who)
