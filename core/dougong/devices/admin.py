"""The admin's views of gateways, devices, what they say and what they were told."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db.scope import Scope
from dougong.devices import services
from dougong.devices.configuration import command_title, drivers_of, point_title
from dougong.devices.models import (
    Device,
    DeviceCommand,
    DeviceEvent,
    DeviceHealth,
    DeviceList,
    DevicePoint,
    DeviceValue,
    Gateway,
)
from dougong.i18n import N_, bilingual, gettext
from dougong.web.admin import registry
from dougong.web.admin.views import RecordView, action

SECTION = bilingual("Devices", "设备接入")


def _point(scope: Scope, record: Any) -> str:
    return point_title(scope.installation, record.device, record.point)


def _driver(scope: Scope, record: Any) -> str:
    """Return what people call the device's driver, its name where that is gone."""
    driver = drivers_of(scope.installation)[0].working.get(record.driver)
    title = getattr(driver, "title", None)
    return str(bilingual(*title)) if title else record.driver


def _belongs(_scope: Scope, record: Any) -> str:
    view = registry.view_named(record.subject_kind)
    return view.label() if view else record.subject_kind


def _value(_scope: Scope, record: Any) -> str:
    words = {"true": str(YES), "false": str(NO)}
    return words.get(record.value, record.value or "")


def _names(scope: Scope, records: Sequence[Any]) -> dict[UUID, str]:
    """Return the gateway's or device's name by the id of its state."""
    wanted = {record.subject_id for record in records}
    models = (Gateway, Device)
    found = scope.together(*(select(m.id, m.name).where(m.id.in_(wanted)) for m in models))
    names = {one.id: one.name for rows in found for one in rows}
    return {record.id: names.get(record.subject_id, "") for record in records}


YES, NO = bilingual("yes", "是"), bilingual("no", "否")
registry.extend_view(
    "dougong",
    registry.ViewExtension(
        "dougong.device_health", "name", bilingual("Gateway or device", "网关或智能设备"), _names
    ),
)


class GatewayView(RecordView, model=Gateway):
    title = ("Gateways", "网关")
    icon, menu_order, section = "share-2", 10, SECTION
    columns = ("name", "transport", "host", "port", "is_enabled")
    filters = ("transport", "is_enabled")
    search = ("name",)
    order = "name"


class DeviceView(RecordView, model=Device):
    title = ("Devices", "智能设备")
    icon, menu_order, section = "cpu", 20, SECTION
    columns = ("name", "gateway", "driver", "profile", "serial", "building", "is_enabled")
    filters = ("gateway", "driver", "building", "is_enabled", "is_vital")
    search = ("name", "serial")
    order = "name"
    said = {"driver": _driver}
    actions = (action(services.order_command), action(services.set_secrets))


class DevicePointView(RecordView, model=DevicePoint):
    title = ("Bindings", "测点绑定")
    icon, menu_order, section = "tag", 30, SECTION
    columns = ("device", "point", "subject_kind")
    said = {"point": _point, "subject_kind": _belongs}
    filters = ("device", "subject_kind")


class DeviceValueView(RecordView, model=DeviceValue):
    title = ("Latest values", "实时数据")
    icon, menu_order, section = "activity", 40, SECTION
    columns = ("device", "point", "value", "uom", "quality", "value_at", "detail")
    said = {"point": _point, "value": _value}
    filters = ("device", "quality", "point_kind")
    search = ("device", "point")
    can_create = can_change = can_delete = can_import = False


class DeviceHealthView(RecordView, model=DeviceHealth):
    title = ("Connections", "在线状态")
    icon, menu_order, section = "power", 50, SECTION
    columns = ("since_at", "is_ok", "last_ok_at", "failures", "detail")
    filters = ("is_ok",)
    can_create = can_change = can_delete = can_import = False


def _ordered_by(command: DeviceCommand) -> str:
    """Return who ordered a command; what no login did, the system has done."""
    return command.ordered_by if command.ordered_by_id else gettext(N_("The system"))


class DeviceCommandView(RecordView, model=DeviceCommand):
    title = ("Commands", "指令")
    icon, menu_order, section = "send", 60, SECTION
    columns = ("ordered_at", "device", "name", "state", "ordered_by", "approved_by", "detail")
    said = {
        "name": lambda scope, record: command_title(scope.installation, record.name, record.device),
        "ordered_by": lambda scope, record: _ordered_by(record),
    }
    filters = ("state", "device", "ground", "ordered_at")
    can_create = can_change = can_delete = can_import = False
    actions = (
        action(services.approve_command, confirm=True, states=("proposed",)),
        action(services.withdraw_command, confirm=True, states=("proposed", "queued")),
    )


class DeviceListView(RecordView, model=DeviceList):
    title = ("Lists of devices", "设备名单")
    icon, menu_order, section = "list", 65, SECTION
    columns = ("device", "name", "size", "version", "changed_at", "changed_by", "reason")
    filters = ("device", "name", "changed_at")
    can_create = can_change = can_delete = can_import = False


class DeviceEventView(RecordView, model=DeviceEvent):
    title = ("Device events", "设备事件")
    icon, menu_order, section = "bell", 70, SECTION
    columns = ("server_at", "device", "type", "device_at", "data")
    filters = ("device", "type", "server_at")
    can_create = can_change = can_delete = can_import = False
