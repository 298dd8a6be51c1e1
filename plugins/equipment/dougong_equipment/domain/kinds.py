"""What equipment is, does and goes through: the plugin's enumerations."""

from enum import StrEnum

from dougong.db import labels


class Level(StrEnum):
    """Where a record stands in the tree: a system holds equipment, equipment holds components."""

    SYSTEM = "system"
    EQUIPMENT = "equipment"
    COMPONENT = "component"

    __labels__ = labels(
        SYSTEM=("System", "系统"), EQUIPMENT=("Equipment", "设备"), COMPONENT=("Component", "部件")
    )


class EquipmentState(StrEnum):
    """How far a piece of equipment has come in its life."""

    PLANNED = "planned"
    IN_USE = "in_use"
    STANDBY = "standby"
    FAULTY = "faulty"
    STOPPED = "stopped"
    RETIRED = "retired"

    __labels__ = labels(
        PLANNED=("Bought, not in use yet", "待投用"),
        IN_USE=("In use", "在用"),
        STANDBY=("Standby", "备用"),
        FAULTY=("Faulty", "故障"),
        STOPPED=("Out of service", "停用"),
        RETIRED=("Retired", "已报废"),
    )


class Statute(StrEnum):
    """Which law wants checks of a kind of equipment."""

    LIFT = "lift"
    FIRE = "fire"
    PRESSURE_VESSEL = "pressure_vessel"
    BACKFLOW = "backflow"
    LIGHTNING = "lightning"

    __labels__ = labels(
        LIFT=("Lifts", "电梯"),
        FIRE=("Fire protection", "消防设施"),
        PRESSURE_VESSEL=("Pressure vessels", "压力容器"),
        BACKFLOW=("Backflow prevention", "倒流防止"),
        LIGHTNING=("Lightning protection", "防雷装置"),
    )


class CatchUp(StrEnum):
    """What happens to dates that passed while nobody planned."""

    ALL = "all"
    LATEST = "latest"
    SKIP = "skip"

    __labels__ = labels(
        ALL=("Do all of them", "全部补做"),
        LATEST=("Do the latest one", "只补最近一次"),
        SKIP=("Note them as missed", "记为漏做"),
    )


class TaskState(StrEnum):
    """How a task of maintenance, or a round, stands."""

    PLANNED = "planned"
    OPEN = "open"
    STARTED = "started"
    DONE = "done"
    MISSED = "missed"
    CANCELLED = "cancelled"

    __labels__ = labels(
        PLANNED=("Planned", "已排期"),
        OPEN=("To do", "待执行"),
        STARTED=("Begun", "执行中"),
        DONE=("Done", "已完成"),
        MISSED=("Missed", "漏做"),
        CANCELLED=("Cancelled", "已取消"),
    )


class ItemKind(StrEnum):
    """What a line of a checklist wants."""

    CHECK = "check"
    NUMBER = "number"
    TEXT = "text"
    PHOTO = "photo"

    __labels__ = labels(
        CHECK=("In order?", "是否正常"),
        NUMBER=("Number", "数值"),
        TEXT=("Words", "文字"),
        PHOTO=("Photo", "照片"),
    )


class Trade(StrEnum):
    """Whose round it is."""

    EQUIPMENT = "equipment"
    SECURITY = "security"
    CLEANING = "cleaning"

    __labels__ = labels(
        EQUIPMENT=("Equipment", "设备巡检"),
        SECURITY=("Security", "安保巡逻"),
        CLEANING=("Cleaning", "保洁巡查"),
    )


class Proof(StrEnum):
    """How somebody showed that he stood at a point."""

    QR = "qr"
    NFC = "nfc"
    NONE = "none"

    __labels__ = labels(
        QR=("QR code", "扫码"), NFC=("NFC tag", "NFC 标签"), NONE=("No proof", "无凭证")
    )


class ShiftState(StrEnum):
    """How far a shift has come; it is over when the next has taken it."""

    ON_DUTY = "on_duty"
    HANDED_OVER = "handed_over"
    TAKEN_OVER = "taken_over"

    __labels__ = labels(
        ON_DUTY=("On duty", "当班"),
        HANDED_OVER=("Handed over", "已交班"),
        TAKEN_OVER=("Taken over", "已接班"),
    )


class FaultSource(StrEnum):
    """How a fault became known."""

    SCAN = "scan"
    STAFF = "staff"
    TASK = "task"
    ROUND = "round"
    ALARM = "alarm"

    __labels__ = labels(
        SCAN=("Code on the equipment", "设备码"),
        STAFF=("Staff", "员工"),
        TASK=("Maintenance", "保养"),
        ROUND=("Inspection round", "巡检"),
        ALARM=("Alarm", "告警"),
    )


class FaultState(StrEnum):
    """How far a fault has come; a supervisor checks again what was said to be fixed."""

    OPEN = "open"
    FIXED = "fixed"
    CHECKED = "checked"

    __labels__ = labels(
        OPEN=("Open", "待整改"), FIXED=("Fixed", "已整改"), CHECKED=("Checked again", "复查通过")
    )


class Urgency(StrEnum):
    """How fast somebody must come; the same words as in repairs."""

    EMERGENCY = "emergency"
    URGENT = "urgent"
    NORMAL = "normal"
    LOW = "low"

    __labels__ = labels(
        EMERGENCY=("Emergency", "特急"),
        URGENT=("Urgent", "紧急"),
        NORMAL=("Normal", "一般"),
        LOW=("Low", "不急"),
    )


class Comparison(StrEnum):
    """When a value is wrong."""

    ABOVE = "above"
    BELOW = "below"
    IS_ON = "is_on"
    IS_OFF = "is_off"

    __labels__ = labels(
        ABOVE=("Above the limit", "高于限值"),
        BELOW=("Below the limit", "低于限值"),
        IS_ON=("Is on", "为真"),
        IS_OFF=("Is off", "为假"),
    )


class AlarmState(StrEnum):
    """An alarm waits out its delay, is raised, and is over."""

    PENDING = "pending"
    RAISED = "raised"
    OVER = "over"

    __labels__ = labels(
        PENDING=("Waits for its delay", "延时中"),
        RAISED=("Raised", "告警中"),
        OVER=("Over", "已恢复"),
    )


class Moment(StrEnum):
    """What a control schedule goes by."""

    CLOCK = "clock"
    SUNSET = "sunset"
    SUNRISE = "sunrise"

    __labels__ = labels(
        CLOCK=("Clock", "固定时刻"), SUNSET=("Sunset", "日落"), SUNRISE=("Sunrise", "日出")
    )


class RunState(StrEnum):
    """What became of one moment of a control schedule."""

    ORDERED = "ordered"
    REFUSED = "refused"
    TOO_LATE = "too_late"

    __labels__ = labels(
        ORDERED=("Ordered", "已下达"),
        REFUSED=("Refused", "被拒绝"),
        TOO_LATE=("Too late, not sent", "已过时未发送"),
    )


class CostKind(StrEnum):
    """What money was spent on."""

    PURCHASE = "purchase"
    MAINTENANCE = "maintenance"
    REPAIR = "repair"
    PARTS = "parts"
    INSPECTION = "inspection"
    DISPOSAL = "disposal"

    __labels__ = labels(
        PURCHASE=("Purchase", "购置"),
        MAINTENANCE=("Maintenance", "保养"),
        REPAIR=("Repair", "维修"),
        PARTS=("Parts", "备件"),
        INSPECTION=("Statutory check", "检验检测"),
        DISPOSAL=("Disposal", "报废处置"),
    )


class MoveKind(StrEnum):
    """Why the stock of a part changed."""

    RECEIPT = "receipt"
    USE = "use"
    GIVEN_BACK = "given_back"
    COUNT = "count"

    __labels__ = labels(
        RECEIPT=("Received", "入库"),
        USE=("Used", "领用"),
        GIVEN_BACK=("Given back", "退库"),
        COUNT=("Counted", "盘点"),
    )
