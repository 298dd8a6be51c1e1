"""The roles that ship with Dougong, by post. Groups may make their own."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dougong.access.models import Duty, Role

WORK = ("*.view", "*.create", "*.change")
# What everybody may who walks through plant rooms.
EQUIPMENT = (
    "equipment.fault.report",
    "equipment.inspection_round.walk",
)


@dataclass(frozen=True)
class Post:
    """A shipped role."""

    key: str
    name: str
    name_zh: str
    permissions: tuple[str, ...]
    duty: Duty = Duty.BUSINESS
    clearance: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)


MASKED = {"*": "mask"}
POSTS = (
    Post(
        "system_administrator",
        "System administrator",
        "系统管理员",
        (
            "dougong.plugin.*",
            "dougong.community.*",
            "dougong.job.*",
            "dougong.health.view",
            "dougong.setting.change",
            "dougong.keys.*",
        ),
        Duty.SYSTEM,
    ),
    Post(
        "security_administrator",
        "Security administrator",
        "安全管理员",
        ("dougong.user.*", "dougong.role.*", "dougong.session.*", "dougong.health.view"),
        Duty.SECURITY,
    ),
    Post(
        "audit_administrator",
        "Audit administrator",
        "审计管理员",
        ("dougong.audit.*", "dougong.health.view", "*.view"),
        Duty.AUDIT,
        MASKED,
    ),
    Post(
        "group_manager",
        "Group manager",
        "集团经理",
        ("*", "dougong.plugin.view", "dougong.plugin.enable", "dougong.plugin.disable"),
        clearance=MASKED,
    ),
    Post(
        "community_manager",
        "Community manager",
        "项目经理",
        ("*", "dougong.plugin.view"),
        clearance=MASKED,
    ),
    Post(
        "front_desk",
        "Front desk",
        "客服前台",
        (
            *WORK,
            "dougong.personal.reveal",
            "dougong.person.view_protected",
            "fees.bill.pay",
            "desk.*",
            "participation.*",
            "renovation.*",
            "repairs.*",
            "equipment.fault.*",
        ),
        clearance=MASKED,
    ),
    Post(
        "cashier",
        "Cashier",
        "收费员",
        (
            "*.view",
            "*.export",
            "dougong.personal.reveal",
            "arrears.*",
            "invoices.*",
            "ledger.*",
            "fees.*",
            "desk.*",
            "meters.reading.record",
            "renovation.application.take_deposit",
            "renovation.application.settle",
        ),
        clearance=MASKED,
        limits={"fees.waiver.approve": "500.00", "ledger.surplus_payment.approve": "5000.00"},
    ),
    Post(
        "dispatcher", "Dispatcher", "调度员", (*WORK, "repairs.*", "equipment.*"), clearance=MASKED
    ),
    Post(
        "technician",
        "Technician",
        "维修师傅",
        (
            "dougong.room.view",
            "meters.reading.record",
            "meters.meter.view",
            "meters.reading.view",
            "repairs.work_order.work",
            *EQUIPMENT,
            "equipment.equipment.view",
            "equipment.equipment.control",
            "equipment.equipment.lock",
            "equipment.equipment.unlock",
            "equipment.maintenance_task.work",
        ),
    ),
    Post(
        "guard",
        "Guard",
        "保安",
        (
            "dougong.room.view",
            *EQUIPMENT,
            "renovation.application.view",
            "renovation.worker_pass.view",
            "renovation.inspection.view",
            "renovation.violation.view",
            "renovation.inspection.create",
            "renovation.violation.create",
            "desk.release_pass.view",
            "desk.release_pass.let_out",
        ),
    ),
    Post("cleaner", "Cleaner", "保洁", ("dougong.room.view", *EQUIPMENT)),
    Post("auditor", "Auditor", "审计员", ("*.view", "*.export"), clearance=MASKED),
)


def ship_roles(session: Session) -> dict[str, Role]:
    """Write the shipped roles as this version defines them; return them by key."""
    known = {
        role.key: role for role in session.scalars(select(Role).where(Role.group_id.is_(None)))
    }
    for post in POSTS:
        role = known.setdefault(post.key, Role(key=post.key, group_id=None))
        role.name, role.name_zh, role.duty = post.name, post.name_zh, post.duty
        role.permissions, role.clearance = list(post.permissions), post.clearance
        role.limits = post.limits
        session.add(role)
    session.flush()
    return known
