"""The admin's view of meters and readings."""

from dougong.web.admin import RecordView, action
from dougong_meters import services
from dougong_meters.models import Meter, Reading


class MeterView(RecordView, model=Meter):
    title = ("Meters", "表计")
    icon, menu_order = "activity", 10
    columns = ("serial", "commodity", "room", "building", "state", "last_value", "last_read_at")
    filters = ("commodity", "state", "building", "room", "last_read_at")
    search = ("serial", "room")
    actions = (action(services.record_reading), action(services.replace_meter))


class ReadingView(RecordView, model=Reading):
    title = ("Readings", "抄表读数")
    icon, menu_order = "edit-2", 20
    columns = ("read_at", "meter", "value", "kind", "source", "state", "reason")
    filters = ("state", "kind", "source", "read_at", "meter")
    search = ("meter",)
    can_create = can_change = can_delete = False
    actions = (
        action(services.accept_reading, bulk=True),
        action(services.reject_reading, confirm=True, bulk=True),
    )
