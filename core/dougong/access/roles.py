"""The roles that ship with Dougong, by post. Groups may make their own."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dougong.access.models import Duty, Role

VIEW = ("*.view",)
WORK = ("*.view", "*.create", "*.change")


@dataclass(frozen=True)
class Post:
    """A shipped role."""

    key: str
    name: str
    name_zh: str
    permissions: tuple[str, ...]
    duty: Duty = Duty.BUSINESS
    clearance: dict[str, Any] = field(default_factory=dict)


POSTS = (
    Post(
        "system_administrator", "System administrator", "系统管理员",
        ("dougong.plugin.*", "dougong.community.*", "dougong.job.view", "dougong.job.change",
         "dougong.health.view", "dougong.setting.change", "*.view"),
        Duty.SYSTEM,
    ),
    Post(
        "security_administrator", "Security administrator", "安全管理员",
        ("dougong.user.view", "dougong.user.create", "dougong.user.change", "dougong.role.view",
         "dougong.role.grant", "dougong.session.revoke", "dougong.health.view"),
        Duty.SECURITY,
    ),
    Post(
        "audit_administrator", "Audit administrator", "审计管理员",
        ("dougong.audit.view", "dougong.audit.verify", "dougong.health.view", "*.view"),
        Duty.AUDIT,
    ),
    Post("group_manager", "Group manager", "集团经理", ("*",), clearance={"*": "mask"}),
    Post("community_manager", "Community manager", "项目经理", ("*",), clearance={"*": "mask"}),
    Post(
        "front_desk", "Front desk", "客服前台",
        (*WORK, "dougong.person.reveal", "fees.bill.pay", "participation.*"),
        clearance={"*": "mask"},
    ),
    Post(
        "cashier", "Cashier", "收费员", ("*.view", "ledger.*", "fees.*", "meters.reading.record"),
        clearance={"*": "mask"},
    ),
    Post("dispatcher", "Dispatcher", "调度员", WORK, clearance={"*": "mask"}),
    Post(
        "technician", "Technician", "维修师傅", ("dougong.room.view", "meters.reading.record",
                                             "meters.meter.view", "meters.reading.view"),
    ),
    Post("guard", "Guard", "保安", ("dougong.room.view",)),
    Post("cleaner", "Cleaner", "保洁", ("dougong.room.view",)),
    Post("auditor", "Auditor", "审计员", VIEW, clearance={"*": "mask"}),
    Post("owner", "Owner", "业主", ("fees.portal", "participation.portal", "dougong.portal")),
    Post("occupant", "Occupant", "住户", ("fees.portal", "participation.portal",
                                       "dougong.portal")),
)


def ship_roles(session: Session) -> dict[str, Role]:
    """Write the shipped roles as this version defines them; return them by key."""
    known = {
        role.key: role
        for role in session.scalars(select(Role).where(Role.group_id.is_(None)))
    }
    for post in POSTS:
        role = known.setdefault(post.key, Role(key=post.key, group_id=None))
        role.name, role.name_zh, role.duty = post.name, post.name_zh, post.duty
        role.permissions, role.clearance = list(post.permissions), post.clearance
        session.add(role)
    session.flush()
    return known
