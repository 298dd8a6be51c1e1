"""The kinds and states of what people take part in, named for people."""

from enum import StrEnum

from dougong.db import label, labels, plugin_base

Base = plugin_base("participation")


class NoticeKind(StrEnum):
    """What a notice is about."""

    GENERAL = "general"
    SUPPLY = "supply"
    SAFETY = "safety"
    FEES = "fees"
    ACTIVITY = "activity"
    DISCLOSURE = "disclosure"

    __labels__ = labels(
        GENERAL=("General", "综合"),
        SUPPLY=("Water and power", "停水停电"),
        SAFETY=("Safety", "安全提示"),
        FEES=("Fees", "收费"),
        ACTIVITY=("Activity", "社区活动"),
        DISCLOSURE=("Disclosure", "公示"),
    )


class NoticeState(StrEnum):
    """Whether people see a notice."""

    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"

    __labels__ = labels(
        DRAFT=("Draft", "草稿"),
        PUBLISHED=("Published", "已发布"),
        WITHDRAWN=("Withdrawn", "已撤回"),
    )


class Audience(StrEnum):
    """Whom a notice is for."""

    EVERYBODY = "everybody"
    BUILDINGS = "buildings"

    __labels__ = labels(EVERYBODY=("Everybody", "全体"), BUILDINGS=("Some buildings", "指定楼栋"))


class Topic(StrEnum):
    """What complaints and feedback are about, as the monthly analysis groups them."""

    CLEANING = "cleaning"
    SECURITY = "security"
    GREENERY = "greenery"
    FACILITIES = "facilities"
    PARKING = "parking"
    NOISE = "noise"
    FEES = "fees"
    STAFF = "staff"
    SOFTWARE = "software"
    OTHER = "other"

    __labels__ = labels(
        CLEANING=("Cleaning", "环境卫生"),
        SECURITY=("Security", "秩序安全"),
        GREENERY=("Greenery", "绿化养护"),
        FACILITIES=("Facilities", "公共设施"),
        PARKING=("Parking", "停车管理"),
        NOISE=("Noise", "噪音扰民"),
        FEES=("Fees", "收费问题"),
        STAFF=("Manner of staff", "服务态度"),
        SOFTWARE=("This system", "系统使用"),
        OTHER=("Other", "其他"),
    )


class ComplaintKind(StrEnum):
    """A complaint wants redress, a suggestion wants change, praise wants to be heard."""

    COMPLAINT = "complaint"
    SUGGESTION = "suggestion"
    PRAISE = "praise"

    __labels__ = labels(
        COMPLAINT=("Complaint", "投诉"),
        SUGGESTION=("Suggestion", "建议"),
        PRAISE=("Praise", "表扬"),
    )


class ComplaintSource(StrEnum):
    """By which way a complaint came."""

    PORTAL = "portal"
    PHONE = "phone"
    DESK = "desk"
    HOTLINE = "hotline"

    __labels__ = labels(
        PORTAL=("Portal", "业主端"),
        PHONE=("Phone", "电话"),
        DESK=("Front desk", "前台"),
        HOTLINE=("12345 hotline", "12345 热线"),
    )


class ImprovementState(StrEnum):
    """Where an improvement stands."""

    OPEN = "open"
    DONE = "done"

    __labels__ = labels(OPEN=("Open", "待改进"), DONE=("Done", "已完成"))


class QuestionnaireState(StrEnum):
    """Whether a questionnaire takes answers."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"

    __labels__ = labels(
        DRAFT=("Draft", "草稿"), OPEN=("Open", "进行中"), CLOSED=("Closed", "已结束")
    )


class QuestionKind(StrEnum):
    """How a question is answered."""

    ONE = "one"
    SEVERAL = "several"
    SCORE = "score"
    TEXT = "text"

    __labels__ = labels(
        ONE=("One choice", "单选"),
        SEVERAL=("Several choices", "多选"),
        SCORE=("Score 1 to 5", "1-5 分"),
        TEXT=("Free text", "填空"),
    )


def read_only(english: str, chinese: str) -> dict[str, object]:
    """Return the ``info`` of a column that only services set."""
    return {**label(english, chinese), "api": "read"}
