"""The admin's view of meters and readings."""

from dougong.web.admin import RecordView, action
from dougong_meters import services
from dougong_meters.models import Meter, Reading


class MeterView(RecordView, model=Meter):
    columns = ("serial", "commodity", "room", "building", "state", "last_value", "last_read_at")
    filters = ("commodity", "state", "building")
    search = ("serial",)
    actions = (action(services.replace_meter),)


class ReadingView(RecordView, model=Reading):
    columns = ("read_at", "meter", "value", "kind", "source", "state", "reason")
    filters = ("state", "kind", "source", "read_at")
    actions = (
        action(services.accept_reading, bulk=True),
        action(services.reject_reading, confirm=True, bulk=True),
    )
