"""What repairs answers when others ask."""

from dougong.hookspecs import OpenWork, hookimpl
from dougong.i18n import gettext
from dougong_repairs import cards, demonstration, services
from dougong_repairs.models import WorkOrder


@hookimpl
def dashboard_cards(scope):
    return cards.dashboard(scope)


@hookimpl
def portal_cards(scope, person_id):
    return cards.portal(scope, person_id)


@hookimpl
def search_records(scope, words, limit):
    return cards.search(scope, words, limit)


@hookimpl
def record_panels(scope, record):
    return cards.panels(scope, record)


@hookimpl
def open_work(scope, user_id):
    rows = yield services.held_query(user_id)
    return [OpenWork(gettext("Repair orders in hand"), rows.scalar_one())]


@hookimpl
def hand_over_work(scope, user_id, successor_id):
    return services.hand_over_orders(scope, user_id, successor_id)


@hookimpl
def load_demo(scope, chance):
    demonstration.load(scope, chance)


@hookimpl
def event_happened(scope, event):
    order = scope.session.get(
        WorkOrder, (scope.community_id, event.ids["work_order_id"]), with_for_update=True
    )
    if order is not None and order.done_at is not None:
        services.bill_order(scope, order)


@hookimpl(optionalhook=True)
def renovation_objections(scope, application, verb):
    return services.leak_below(scope, application) if verb == "settle" else None
