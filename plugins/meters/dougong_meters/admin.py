"""The admin's view of meters and readings."""

from dougong.web.admin import RecordView, action
from dougong_meters import services
from dougong_meters.models import Alarm, Meter, Reading


class MeterView(RecordView, model=Meter):
    title = ("Meters", "表计")
    icon, menu_order = "activity", 10
    columns = (
        "serial",
        "commodity",
        "room",
        "building",
        "role",
        "state",
        "last_value",
        "last_read_at",
    )
    filters = (
        "commodity",
        "role",
        "state",
        "building",
        "room",
        "last_read_at",
        "verification_ends_on",
    )
    search = ("serial", "room")
    inline = ("verification_ends_on",)
    actions = (
        action(services.record_reading),
        action(services.estimate_reading, bulk=True),
        action(services.replace_meter),
    )


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


class AlarmView(RecordView, model=Alarm):
    title = ("Meter alarms", "表计告警")
    icon, menu_order = "alert-triangle", 30
    columns = ("raised_at", "meter", "kind", "state", "detail", "closed_at", "note")
    filters = ("state", "kind", "raised_at", "meter")
    search = ("meter",)
    can_create = can_change = can_delete = can_import = False
    actions = (action(services.close_alarm, bulk=True),)
