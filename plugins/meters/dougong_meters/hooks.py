"""What meters answers when others ask."""

from dougong.hookspecs import hookimpl
from dougong_meters import services


@hookimpl
def usage_for_period(scope, room_ids, from_on, to_on, commodity):
    return services.usage_for_period(scope, room_ids, from_on, to_on, commodity)


@hookimpl
def readings_received(scope, readings):
    counters = [
        (reading.subject_id, reading.value, reading.server_time)
        for reading in readings
        if reading.subject_kind == "meters.meter"
        and reading.point_kind == "counter"
        and reading.quality == "good"
    ]
    return services.collect(scope, counters)


@hookimpl
def load_demo(scope, chance):
    from dougong_meters import demo

    demo.load(scope, chance)
