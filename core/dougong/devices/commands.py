"""What a device is told: commands, what they bring about, and how they end."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from dougong.devices.readings import Value
from dougong.i18n import bilingual


class Effect(StrEnum):
    """What a command brings about for people; interlocks go by it, never by a command's name."""

    NONE = "none"
    CUT_SUPPLY = "cut_supply"
    RESTORE_SUPPLY = "restore_supply"
    OPEN_DOOR = "open_door"
    OPEN_BARRIER = "open_barrier"
    BLOCK_ACCESS = "block_access"


DANGEROUS = frozenset({Effect.CUT_SUPPLY, Effect.OPEN_DOOR, Effect.OPEN_BARRIER})


class Ground(StrEnum):
    """Why somebody's supply is cut. Whoever orders it must say so."""

    ENERGY_ARREARS = "energy_arrears"
    DORMITORY_RULE = "dormitory_rule"
    SAFETY = "safety"
    RESIDENT_REQUEST = "resident_request"
    METER_WORK = "meter_work"
    PROPERTY_FEES = "property_fees"

    __labels__ = {
        "ENERGY_ARREARS": bilingual("Energy not paid", "欠缴水电费"),
        "DORMITORY_RULE": bilingual("Dormitory rule", "宿舍管理规定"),
        "SAFETY": bilingual("Safety", "安全"),
        "RESIDENT_REQUEST": bilingual("Resident asks for it", "住户申请"),
        "METER_WORK": bilingual("Work on the meter", "表计检修"),
        "PROPERTY_FEES": bilingual("Property fees", "物业费"),
    }


class CommandState(StrEnum):
    """How far a command has come. Everything from ``confirmed`` on is final but ``unknown``.

    A proposed one waits for the second person; nobody sends it. It ends as ``expired`` when
    nobody approves it in time, as ``withdrawn`` when somebody takes it back.
    """

    PROPOSED = "proposed"
    QUEUED = "queued"
    SENT = "sent"
    ACKED = "acked"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"

    __labels__ = {
        "PROPOSED": bilingual("Waits for approval", "待批准"),
        "QUEUED": bilingual("Queued", "待发送"),
        "SENT": bilingual("Sent", "已发送"),
        "ACKED": bilingual("Acknowledged", "已应答"),
        "CONFIRMED": bilingual("Confirmed", "已确认"),
        "REJECTED": bilingual("Rejected", "被拒绝"),
        "FAILED": bilingual("Failed", "失败"),
        "UNKNOWN": bilingual("Unknown", "结果未知"),
        "EXPIRED": bilingual("Expired", "已过期"),
        "WITHDRAWN": bilingual("Withdrawn", "已撤回"),
    }

    @property
    def is_open(self) -> bool:
        """Tell whether the outcome must still be found out."""
        return self in (CommandState.QUEUED, CommandState.SENT, CommandState.UNKNOWN)


class Verification(BaseModel):
    """Which point shows that a command took effect, and how soon.

    equals: the value to see; None for the value that was written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    point: str
    equals: bool | Decimal | str | None = None
    within_s: float = Field(default=5, gt=0, le=600)


class CommandSpec(BaseModel):
    """One command that a profile offers.

    address: where and what to write; opaque to the kernel, checked by the driver's own model.
    lowest, highest: what a caller may give as ``value``; no limits means that it takes none.
    title: what people call it, in English and Chinese; without one, its name. two_persons: it is
    dangerous: it waits for a second person to approve it, whoever orders it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    address: Any
    effect: Effect = Effect.NONE
    lowest: Decimal | None = None
    highest: Decimal | None = None
    verify: Verification | None = None
    title: tuple[str, str] | None = None
    two_persons: bool = False

    @property
    def needs_second(self) -> bool:
        return self.two_persons or self.effect is Effect.CUT_SUPPLY

    @property
    def takes_value(self) -> bool:
        return self.lowest is not None and self.highest is not None


@dataclass(frozen=True, slots=True)
class Command:
    """An order to a device. It goes on the wire at most once, and never after its deadline.

    actor: who ordered it. approved_by: the second person. policy: the written rule that stands
    in for him. requires: names of further interlocks that must agree. dry_run: everything but
    sending.
    """

    id: UUID
    device_id: UUID
    name: str
    actor: str
    deadline: datetime
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    ground: Ground | None = None
    reason: str = ""
    approved_by: str | None = None
    policy: str | None = None
    requires: tuple[str, ...] = ()
    dry_run: bool = False

    def is_expired(self, now: datetime) -> bool:
        return now >= self.deadline

    @property
    def value(self) -> Decimal | None:
        """Return the ``value`` argument as a number; raises ArithmeticError for other things."""
        given = self.arguments.get("value")
        return None if given is None else Decimal(str(given))


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command stands. detail says in English why; raw is the device's answer in hex.

    sent_at: when it was marked as sent; None before.
    """

    command_id: UUID
    state: CommandState
    at: datetime
    detail: str = ""
    readback: Value | None = None
    raw: str = ""
    sent_at: datetime | None = None

    def moved(self, state: CommandState, at: datetime, detail: str = "", **more: Any) -> Any:
        """Return the result after a step."""
        return replace(self, state=state, at=at, detail=detail, **more)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a device's answer to a write says."""

    is_accepted: bool
    detail: str = ""
