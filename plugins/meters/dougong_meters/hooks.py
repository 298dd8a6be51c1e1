"""What meters answers when others ask."""

from datetime import UTC, datetime, timedelta

from dougong.hookspecs import HealthFinding, hookimpl
from dougong.i18n import gettext
from dougong_meters import cards, services


@hookimpl
def usage_for_period(scope, room_ids, from_on, to_on, commodity):
    return services.usage_for_period(scope, room_ids, from_on, to_on, commodity)


@hookimpl
def readings_received(scope, readings):
    counters = [
        (reading.subject_id, reading.value, reading.device_time or reading.server_time)
        for reading in readings
        if reading.subject_kind == "meters.meter"
        and reading.point_kind == "counter"
        and reading.quality == "good"
    ]
    services.raise_tamper(scope, readings)
    return services.collect(scope, counters)


@hookimpl
def dashboard_cards(scope):
    return cards.dashboard(scope)


@hookimpl
def search_records(scope, words, limit):
    return cards.search(scope, words, limit)


@hookimpl
def find_rooms(scope, words, limit):
    return cards.rooms_by_meter(scope, words, limit)


@hookimpl
def record_panels(scope, record):
    return cards.panels(scope, record)


@hookimpl
def portal_cards(scope, person_id):
    return cards.portal(scope, person_id)


@hookimpl
def health_checks(installation):
    """Say whether what is kept of the last two months is what the readings say, everywhere."""
    since = datetime.now(UTC) - timedelta(days=62)
    with installation.platform() as session:
        wrong = session.scalars(services.wrong_counters(since)).all()
    told = gettext(
        "%(count)s counters in %(places)s communities", count=len(wrong), places=len(set(wrong))
    )
    repair = gettext(
        "Call the service meters.month_counter.recount there: somebody wrote past the readings."
    )
    title = gettext("Counters kept by month")
    return [HealthFinding(title, not wrong, told if wrong else "", repair if wrong else None)]


@hookimpl
def opening_sheets(scope):
    from dougong_meters import opening

    return opening.sheets()


@hookimpl
def load_demo(scope, chance):
    from dougong_meters import demo

    demo.load(scope, chance)
