"""What a device says: points, the values measured at them, and how far to trust each value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dougong.i18n import bilingual

Value = Decimal | bool | str


class Quality(StrEnum):
    """How far a reading may be trusted; everything that starts with ``bad`` carries no value."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    STALE = "stale"
    BAD_COMM = "bad_comm"
    BAD_DATA = "bad_data"
    BAD_CONFIG = "bad_config"

    __labels__ = {
        "GOOD": bilingual("Good", "正常"),
        "UNCERTAIN": bilingual("Uncertain", "存疑"),
        "STALE": bilingual("Stale", "过时"),
        "BAD_COMM": bilingual("No answer", "通信失败"),
        "BAD_DATA": bilingual("Wrong data", "数据异常"),
        "BAD_CONFIG": bilingual("Wrong settings", "配置错误"),
    }

    @property
    def is_usable(self) -> bool:
        return self in (Quality.GOOD, Quality.UNCERTAIN)


class PointKind(StrEnum):
    """What a point holds: it decides which plausibility rules apply."""

    GAUGE = "gauge"
    COUNTER = "counter"
    STATE = "state"
    SETPOINT = "setpoint"
    TEXT = "text"

    __labels__ = {
        "GAUGE": bilingual("Gauge", "瞬时量"),
        "COUNTER": bilingual("Counter", "累计量"),
        "STATE": bilingual("State", "状态量"),
        "SETPOINT": bilingual("Setpoint", "设定值"),
        "TEXT": bilingual("Text", "文本"),
    }


class Point(BaseModel):
    """One value of a device, described as data.

    uom: UCUM, for example ``kW.h`` or ``m3``. address: where the value lies; opaque to the
    kernel, checked against the driver's own model. The value is ``raw × scale + offset``.
    sentinels: raw numbers that mean "no value". valid: lowest and highest believable value.
    rollover: the value at which a counter starts again at zero. poll_s: None for the device's.
    title: what people call it, in English and Chinese; without one, its key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    address: Any
    uom: str = ""
    kind: PointKind = PointKind.GAUGE
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    sentinels: tuple[int, ...] = ()
    valid: tuple[Decimal, Decimal] | None = None
    rollover: Decimal | None = Field(default=None, gt=0)
    poll_s: float | None = Field(default=None, gt=0)
    tags: tuple[str, ...] = ()
    title: tuple[str, str] | None = None

    @model_validator(mode="after")
    def _sensible(self) -> "Point":
        if self.valid is not None and self.valid[0] > self.valid[1]:
            raise ValueError("valid is lowest, highest")
        if self.rollover is not None and self.kind is not PointKind.COUNTER:
            raise ValueError("only a counter rolls over")
        return self

    def measure(self, raw: int | Decimal, at: datetime | None = None) -> "Measured":
        """Return the value that the raw number means, or why it means none."""
        if not isinstance(raw, int) and not raw.is_finite():
            return Measured(self.key, None, Quality.BAD_DATA, at, "not a number")
        if raw in self.sentinels:
            return Measured(self.key, None, Quality.BAD_DATA, at, "the device has no value")
        value = Decimal(raw) * self.scale + self.offset
        if self.valid is not None and not self.valid[0] <= value <= self.valid[1]:
            return Measured(self.key, None, Quality.BAD_DATA, at, f"{value} is out of range")
        return Measured(self.key, value, Quality.GOOD, at)

    def raw_of(self, value: Decimal) -> Decimal:
        """Return the raw number that stands for a value: the way back, for writing."""
        return (value - self.offset) / self.scale


@dataclass(frozen=True, slots=True)
class Measured:
    """What a codec read at a point. detail says in English why the quality is not good."""

    point: str
    value: Value | None
    quality: Quality = Quality.GOOD
    device_time: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A measured value with who said it and when.

    device_time: what the device's own clock says, None when it says nothing. server_time: when
    the answer was complete here. sequence grows by one with every reading of a device.
    subject_kind, subject_id: what the point is bound to (``meters.meter`` and its id); a device
    knows nothing of it, the store fills it in, as it does ``before`` and ``before_at``: the last
    number that could be trusted before this one and when it was read (server time), None for the
    first and for what is no number.
    """

    device_id: UUID
    point: str
    value: Value | None
    quality: Quality
    device_time: datetime | None
    server_time: datetime
    sequence: int
    uom: str = ""
    point_kind: PointKind = PointKind.GAUGE
    detail: str = ""
    subject_kind: str = ""
    subject_id: UUID | None = None
    before: Decimal | None = None
    before_at: datetime | None = None


def bad(points: tuple[Point, ...], quality: Quality, detail: str) -> list[Measured]:
    """Return "no value" for each point, and why."""
    return [Measured(point.key, None, quality, None, detail) for point in points]


def judge_counter(point: Point, last: Decimal | None, measured: Measured) -> Measured:
    """Return the value of a counter, uncertain when it went backwards.

    A counter may fall only by rolling over: from the last tenth of its span into the first.
    """
    value = measured.value
    if last is None or not isinstance(value, Decimal) or value >= last:
        return measured
    span = point.rollover
    if span is not None and last >= span * 9 / 10 and value <= span / 10:
        return replace(measured, detail="rolled over")
    return replace(measured, quality=Quality.UNCERTAIN, detail=f"went backwards from {last}")


def judge_clock(measured: Measured, now: datetime, tolerance_s: float) -> Measured:
    """Return the value, uncertain when the device's clock is off by more than the tolerance."""
    if measured.device_time is None or measured.quality is not Quality.GOOD:
        return measured
    skew_s = (measured.device_time - now).total_seconds()
    if abs(skew_s) <= tolerance_s:
        return measured
    return replace(
        measured, quality=Quality.UNCERTAIN, detail=f"the device's clock is {skew_s:+.0f} s off"
    )


def judge_identity(
    measured: list[Measured], identity: str | None, serial: str | None
) -> list[Measured]:
    """Return the sweep, without its values when the device says it is another one.

    The last guard against an answer of the wrong meter: its number is read in the same sweep.
    """
    if identity is None or serial is None:
        return measured
    said = next((m for m in measured if m.point == identity), None)
    if said is None or said.value is None or _digits(said.value) == _digits(serial):
        return measured
    detail = f"the device says it is {said.value}"
    return [Measured(m.point, None, Quality.BAD_CONFIG, m.device_time, detail) for m in measured]


def by_point(measured: list[Measured]) -> Mapping[str, Measured]:
    """Return the measured values by the key of their point."""
    return {m.point: m for m in measured}


def _digits(value: Value) -> str:
    return str(value).strip().lstrip("0")
