"""What equipment answers when others ask."""

from dougong.hookspecs import hookimpl
from dougong_equipment import cards, demonstration
from dougong_equipment.services import alarms, commanding, faults, ledger, objecting


@hookimpl
def dashboard_cards(scope):
    return cards.dashboard(scope)


@hookimpl
def search_records(scope, words, limit):
    return cards.search(scope, words, limit)


@hookimpl
def record_panels(scope, record):
    return cards.panels(scope, record)


@hookimpl
def readings_received(scope, readings):
    alarms.take_readings(scope, readings)


@hookimpl
def command_interlocks(scope, device_id, command):
    return commanding.interlocks_before(scope, device_id, command)


@hookimpl
def interlock_refusal(scope, name, command):
    return commanding.refusal(scope, name, command)


@hookimpl
def event_happened(scope, event):
    if event.name == "equipment.alarm_raised":
        alarms.make_order(scope, event.ids["alarm_id"])
    elif event.name.startswith("repairs."):
        faults.follow_order(scope, event.name, event.ids["work_order_id"])


@hookimpl(optionalhook=True)
def work_order_objections(scope, work_order, verb):
    return objecting.objection_to(scope, work_order, verb)


@hookimpl
def plugin_enabled(scope):
    ledger.add_kinds(scope)


@hookimpl
def load_demo(scope, chance):
    demonstration.load(scope, chance)
