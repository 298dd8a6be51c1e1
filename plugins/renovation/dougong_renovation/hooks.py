"""What renovation answers when others ask."""

from dougong.hookspecs import hookimpl
from dougong_renovation import cards, demonstration


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
def load_demo(scope, chance):
    demonstration.load(scope, chance)
