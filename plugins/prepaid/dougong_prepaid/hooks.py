"""What prepaid energy answers when others ask."""

from dougong.hookspecs import hookimpl
from dougong_ledger.hookspecs import Settlement
from dougong_prepaid import cards, services
from dougong_prepaid.domain import ENERGY_LIABILITY


@hookimpl
def payment_settled(scope, payment, items):
    """A payment for a room's energy is on its account at once, and its supply comes back."""
    for item in items:
        put = services.order_write if item.kind == services.CARD else services.credit
        put(scope, item.subject_id, item.amount, payment)
    return [Settlement(ENERGY_LIABILITY, item.amount, item.title) for item in items]


@hookimpl
def payment_refunded(scope, payment, refund):
    services.refuse_refund(scope, payment)
    services.take_back(scope, payment, refund)
    return [Settlement(ENERGY_LIABILITY, refund.amount, refund.reason)]


@hookimpl
def readings_received(scope, readings):
    services.take_readings(scope, readings)


@hookimpl
def command_interlocks(scope, device_id, command):
    return services.interlocks_before(scope, device_id)


@hookimpl
def interlock_refusal(scope, name, command):
    return services.refusal(scope, name, command)


@hookimpl
def dashboard_cards(scope):
    return cards.dashboard(scope)


@hookimpl
def record_panels(scope, record):
    return cards.panels(scope, record)


@hookimpl
def portal_cards(scope, person_id):
    return cards.portal(scope, person_id)


@hookimpl
def load_demo(scope, chance):
    from dougong_prepaid import demo

    demo.load(scope, chance)
