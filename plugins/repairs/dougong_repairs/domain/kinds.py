"""What a repair is about, how soon it is needed, and where a work order stands."""

from enum import StrEnum

from dougong.i18n import bilingual


class Category(StrEnum):
    """What a repair is about; also what a technician is skilled in."""

    PLUMBING = "plumbing"
    ELECTRICAL = "electrical"
    DOORS_WINDOWS = "doors_windows"
    ELEVATOR = "elevator"
    FIRE_SAFETY = "fire_safety"
    ACCESS_PARKING = "access_parking"
    PUBLIC_AREA = "public_area"
    OTHER = "other"

    __labels__ = {
        "PLUMBING": bilingual("Water and drains", "水暖管道"),
        "ELECTRICAL": bilingual("Electrical", "电气照明"),
        "DOORS_WINDOWS": bilingual("Doors and windows", "门窗锁具"),
        "ELEVATOR": bilingual("Lift", "电梯"),
        "FIRE_SAFETY": bilingual("Fire safety", "消防设施"),
        "ACCESS_PARKING": bilingual("Access and parking", "门禁停车"),
        "PUBLIC_AREA": bilingual("Public area", "公共区域"),
        "OTHER": bilingual("Other", "其他"),
    }


class Urgency(StrEnum):
    """How soon somebody has to come."""

    EMERGENCY = "emergency"
    URGENT = "urgent"
    NORMAL = "normal"
    LOW = "low"

    __labels__ = {
        "EMERGENCY": bilingual("Emergency", "特急"),
        "URGENT": bilingual("Urgent", "紧急"),
        "NORMAL": bilingual("Normal", "一般"),
        "LOW": bilingual("Low", "不急"),
    }


class OrderState(StrEnum):
    """Where a work order stands."""

    REPORTED = "reported"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    CONTRACTED = "contracted"
    DONE = "done"
    CLOSED = "closed"
    RETURNED = "returned"
    CANCELLED = "cancelled"

    __labels__ = {
        "REPORTED": bilingual("Reported", "待派单"),
        "DISPATCHED": bilingual("Dispatched", "已派单"),
        "ACCEPTED": bilingual("Accepted", "已接单"),
        "IN_PROGRESS": bilingual("In progress", "处理中"),
        "PAUSED": bilingual("Paused", "已暂停"),
        "CONTRACTED": bilingual("With a contractor", "外委处理"),
        "DONE": bilingual("Done, to be rated", "待评价"),
        "CLOSED": bilingual("Closed", "已办结"),
        "RETURNED": bilingual("Returned", "已退单"),
        "CANCELLED": bilingual("Cancelled", "已取消"),
    }


class PauseReason(StrEnum):
    """Why work on an order has to wait, and its clocks with it."""

    NO_PARTS = "no_parts"
    NO_ACCESS = "no_access"
    OWNERS_WISH = "owners_wish"

    __labels__ = {
        "NO_PARTS": bilingual("No parts", "等待配件"),
        "NO_ACCESS": bilingual("No access", "无法入户"),
        "OWNERS_WISH": bilingual("The owner's wish", "业主要求"),
    }


class Source(StrEnum):
    """By which way a repair was reported."""

    PORTAL = "portal"
    DESK = "desk"
    PHONE = "phone"
    QR = "qr"
    API = "api"

    __labels__ = {
        "PORTAL": bilingual("Portal", "业主端"),
        "DESK": bilingual("Front desk", "前台"),
        "PHONE": bilingual("Phone", "电话"),
        "QR": bilingual("QR code", "扫码"),
        "API": bilingual("Another system", "外部系统"),
    }


class DispatchMode(StrEnum):
    """How reported orders find a technician."""

    GRAB = "grab"
    ASSIGN = "assign"
    ROTATE = "rotate"
    AUTOMATIC = "automatic"
    HYBRID = "hybrid"

    __labels__ = {
        "GRAB": bilingual("Technicians take them", "抢单"),
        "ASSIGN": bilingual("The dispatcher assigns", "人工派单"),
        "ROTATE": bilingual("In turn", "轮流派单"),
        "AUTOMATIC": bilingual("Automatic", "自动派单"),
        "HYBRID": bilingual("Taken, then automatic", "先抢后派"),
    }


class PartKind(StrEnum):
    """What was used up by a repair."""

    PART = "part"
    LABOUR = "labour"

    __labels__ = {
        "PART": bilingual("Part", "材料"),
        "LABOUR": bilingual("Labour", "人工"),
    }
