"""What arrears answers when others ask."""

from dougong.hookspecs import OpenWork, hookimpl
from dougong.i18n import gettext
from dougong_arrears import cards, services


@hookimpl
def plugin_enabled(scope):
    services.ensure_levels(scope)


@hookimpl
def late_fee_pauses(scope, bill_ids):
    return services.late_fee_pauses(scope, bill_ids)


@hookimpl
def dashboard_cards(scope):
    return cards.dashboard(scope)


@hookimpl
def portal_cards(scope, person_id):
    return cards.portal(scope, person_id)


@hookimpl
def record_panels(scope, record):
    return cards.panels(scope, record)


@hookimpl
def open_work(scope, user_id):
    rows = yield services.buildings_query(user_id)
    return [OpenWork(gettext("Buildings to collect in"), rows.scalar_one(), "arrears/desk")]


@hookimpl
def hand_over_work(scope, user_id, successor_id):
    return services.hand_over_collecting(scope, user_id, successor_id)


@hookimpl
def load_demo(scope, chance):
    from dougong_arrears import demo

    demo.load(scope, chance)
