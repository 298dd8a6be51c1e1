"""What fees answers when others ask."""

from dougong.hookspecs import hookimpl
from dougong_fees import cards, services


@hookimpl
def payment_settled(scope, payment, items):
    return services.settle(scope, payment, items)


@hookimpl
def payment_refunded(scope, payment, refund):
    return services.take_back(scope, payment, refund)


@hookimpl
def room_dues(scope, room_ids):
    return services.room_dues(scope, room_ids)


@hookimpl
def month_end_figures(scope, from_on, to_on):
    return services.month_end_figures(scope, from_on, to_on)


@hookimpl
def month_closing(scope, from_on, to_on):
    services.recognise_month(scope, from_on)


@hookimpl
def dashboard_cards(scope):
    return cards.dashboard(scope)


@hookimpl
def compare_communities(scope):
    return cards.comparison(scope)


@hookimpl
def portal_cards(scope, person_id):
    return cards.portal(scope, person_id)


@hookimpl
def search_records(scope, words, limit):
    return cards.search(scope, words, limit)


@hookimpl
def find_rooms(scope, words, limit):
    return cards.room_of_bill(scope, words)


@hookimpl
def record_panels(scope, record):
    return cards.panels(scope, record)


@hookimpl
def load_demo(scope, chance):
    from dougong_fees import demo

    demo.load(scope, chance)
