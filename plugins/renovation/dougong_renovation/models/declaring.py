"""What all models of the plugin are declared with, and the kinds as people call them."""

from enum import StrEnum

from dougong.db import label, labels, plugin_base
from dougong_renovation.domain.states import ApplicationState
from dougong_renovation.domain.works import DocumentKind, Work

Base = plugin_base("renovation")


def read_only(english: str, chinese: str) -> dict[str, object]:
    """Return the ``info`` of a column that only services set."""
    return {**label(english, chinese), "api": "read"}


ApplicationState.__labels__ = labels(
    SUBMITTED=("To review", "待审核"),
    RETURNED=("To be completed", "待补充"),
    AGREED=("To be signed", "待签协议"),
    SIGNED=("Signed", "已签协议"),
    UNDERWAY=("Underway", "施工中"),
    STOPPED=("Stopped", "停工整改"),
    FINISHED=("To be accepted", "待验收"),
    ACCEPTED=("Accepted", "验收合格"),
    SETTLED=("Settled", "已结清"),
    REFUSED=("Refused", "不予许可"),
    WITHDRAWN=("Withdrawn", "已撤回"),
)
DocumentKind.__labels__ = labels(
    OWNERSHIP=("Proof of ownership", "房屋权属证明"),
    IDENTITY=("Identity card", "申请人身份证件"),
    PLAN=("Plan of the renovation", "装修方案（图纸）"),
    CONTRACTOR=("The firm's licence", "装修企业资质证书"),
    CONSENT=("The owner's written consent", "业主同意装修的书面证明"),
    DESIGN=("Scheme of a design institute", "设计单位设计方案"),
    APPROVAL=("Approval of the authority", "有关部门批准文件"),
    METHOD=("Method of the work", "施工方案"),
    OTHER=("Other", "其他资料"),
)
Work.__labels__ = labels(
    SURFACES=("Walls, ceilings, floors", "墙面、吊顶、地面"),
    ELECTRICAL=("Electrical", "强弱电改造"),
    PLUMBING=("Water pipes", "给排水改造"),
    LIGHT_WALLS=("Partitions that bear nothing", "非承重隔墙"),
    AIR_CONDITIONING=("Air conditioning in the places meant for it", "空调（预留机位）"),
    WATERPROOFING=("Waterproofing in bathroom or kitchen", "卫生间、厨房防水层"),
    STRUCTURE=("Load-bearing structure", "变动建筑主体、承重结构"),
    FLOOR_LOAD=("More load on the floor", "超过楼面荷载"),
    FACADE=("Façade, openings in outer walls", "改变外立面、外墙开门窗"),
    GAS=("Gas pipes", "拆改燃气管道"),
    HEATING=("Heating pipes", "拆改供暖管道"),
    ADDED_STRUCTURE=("Added structures", "搭建建筑物、构筑物"),
    WET_ROOM_MOVED=(
        "Turning a room or balcony into bathroom or kitchen",
        "把房间或阳台改为卫生间、厨房",
    ),
    LOAD_BEARING_OPENING=(
        "Wider openings in bearing walls, walls to the balcony removed",
        "扩大承重墙门窗、拆除连接阳台墙体",
    ),
    INSULATION=("Damage to insulation", "损坏节能设施"),
)


class InspectionKind(StrEnum):
    """What an inspection is for."""

    ROUTINE = "routine"
    HIDDEN_WORKS = "hidden_works"
    WATER_TEST = "water_test"
    COMPLETION = "completion"

    __labels__ = labels(
        ROUTINE=("Routine", "日常巡查"),
        HIDDEN_WORKS=("Hidden works", "隐蔽工程"),
        WATER_TEST=("Water test", "闭水试验"),
        COMPLETION=("Completion", "竣工验收"),
    )


class ViolationKind(StrEnum):
    """What was done that was not agreed."""

    FORBIDDEN_WORK = "forbidden_work"
    NOISE = "noise"
    RUBBISH = "rubbish"
    DAMAGE = "damage"
    FIRE_SAFETY = "fire_safety"
    NO_PASS = "no_pass"
    OTHER = "other"

    __labels__ = labels(
        FORBIDDEN_WORK=("Work that was not permitted", "违规施工"),
        NOISE=("Noise in quiet hours", "静音时段噪声"),
        RUBBISH=("Rubbish", "垃圾乱堆"),
        DAMAGE=("Damage to common parts", "损坏公共部位"),
        FIRE_SAFETY=("Fire safety", "消防安全"),
        NO_PASS=("Workers without pass", "无证施工人员"),
        OTHER=("Other", "其他"),
    )


class ViolationState(StrEnum):
    """Where a violation stands."""

    REPORTED = "reported"
    OPEN = "open"
    RECTIFIED = "rectified"
    DISMISSED = "dismissed"

    __labels__ = labels(
        REPORTED=("Reported by a neighbour", "邻居反映，待核实"),
        OPEN=("To be rectified", "待整改"),
        RECTIFIED=("Rectified", "已整改"),
        DISMISSED=("Dismissed", "不成立"),
    )


class RefundWay(StrEnum):
    """How a deposit comes and goes; the names are those of the ledger's channels."""

    BANK_TRANSFER = "bank_transfer"
    CASH = "cash"
    POS = "pos"

    __labels__ = labels(
        BANK_TRANSFER=("Bank transfer", "银行转账"), CASH=("Cash", "现金"), POS=("POS", "POS 刷卡")
    )
