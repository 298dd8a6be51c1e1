"""Gateways, devices, what their points mean, what they last said, and what they were told."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Index,
    Integer,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, object_session

from dougong.db import InCommunity, KernelBase, encrypted, label, ref, state, to_one
from dougong.devices.certificates import Trust
from dougong.devices.commands import CommandState, Ground
from dougong.devices.contract import Transport
from dougong.devices.readings import PointKind, Quality
from dougong.tenancy.models import Building

OPEN = "state in ('proposed', 'queued', 'sent', 'unknown')"


def _point(record: Any) -> str:
    """Return what a record's point is called, for its name; the key outside of a session."""
    from dougong.devices.configuration import point_title

    session = object_session(record)
    scope = session.info.get("scope") if session is not None else None
    return point_title(scope.installation, record.device, record.point) if scope else record.point


class Gateway(InCommunity, KernelBase):
    """A gateway (网关): one connection and the devices behind it; one that tells has no address.

    settle_s: longer than the slowest answer, on a bus where answers do not name their request.
    trust: how it proves who it is, over TLS; the rest as in ``Tls``.
    """

    __tablename__ = "gateway"
    __table_args__ = (
        UniqueConstraint("community_id", "name"),
        CheckConstraint("port between 0 and 65535", name="port"),
        CheckConstraint("timeout_s > 0 and settle_s >= 0", name="times"),
    )

    name: Mapped[str] = mapped_column(String(80), info=label("Name", "名称"))
    transport: Mapped[Transport] = state(Transport, info=label("Transport", "通信方式"))
    host: Mapped[str] = mapped_column(String(120), default="", info=label("Host", "主机地址"))
    port: Mapped[int] = mapped_column(Integer, default=0, info=label("Port", "端口"))
    timeout_s: Mapped[Decimal] = mapped_column(
        Numeric(8, 3), default=Decimal(2), info=label("Waits for an answer (s)", "应答超时（秒）")
    )
    settle_s: Mapped[Decimal] = mapped_column(
        Numeric(8, 3), default=Decimal(2), info=label("Settles after silence (s)", "静默等待（秒）")
    )
    trust: Mapped[Trust] = state(
        Trust,
        default=Trust.NONE,
        server_default="none",
        info=label("Encryption (TLS)", "加密（TLS）"),
    )
    certificate_name: Mapped[str] = mapped_column(
        String(120),
        default="",
        server_default="",
        info=label("Name in its certificate", "证书名称"),
    )
    authorities: Mapped[str] = mapped_column(
        Text,
        default="",
        server_default="",
        info=label("Trusted authorities (PEM)", "信任的签发机构（PEM）"),
    )
    certificate_sha256: Mapped[str] = mapped_column(
        String(100),
        default="",
        server_default="",
        info=label("Trusted certificate (SHA-256)", "指定证书的 SHA-256"),
    )
    identity: Mapped[str | None] = encrypted(
        info={**label("Our certificate and key (PEM)", "本端证书与私钥（PEM）"), "api": "hidden"}
    )
    is_enabled: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("In use", "启用")
    )

    def __str__(self) -> str:
        return self.name


class Device(InCommunity, KernelBase):
    """A device (智能设备) behind a gateway: which driver and profile speak to it, and how.

    settings: what the driver wants to know, without its secrets; those are in ``secrets``, a JSON
    object. serial: the number that the device itself must say. is_vital: its supply is never cut.
    simulation: how the simulator plays it; only demonstration devices have one.
    """

    __tablename__ = "device"
    __table_args__ = (
        UniqueConstraint("community_id", "name"),
        CheckConstraint("poll_s > 0", name="poll_s"),
        Index(
            "uq_device_push_key",
            "community_id",
            "push_key",
            unique=True,
            postgresql_where=text("push_key is not null"),
        ),
    )
    __building_path__ = "building_id"

    gateway_id: Mapped[UUID] = ref("dougong.gateway", info=label("Gateway", "网关"))
    gateway: Mapped[Gateway] = to_one(gateway_id, Gateway)
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    name: Mapped[str] = mapped_column(String(80), info=label("Name", "名称"))
    driver: Mapped[str] = mapped_column(String(60), info=label("Driver", "驱动"))
    profile: Mapped[str] = mapped_column(String(60), info=label("Model", "型号"))
    settings: Mapped[dict[str, Any]] = mapped_column(
        JSONB, default=dict, server_default=text("'{}'"), info=label("Settings", "参数")
    )
    secrets: Mapped[str | None] = encrypted(info={**label("Secrets", "密钥"), "api": "hidden"})
    serial: Mapped[str | None] = mapped_column(String(40), info=label("Serial", "编号"))
    poll_s: Mapped[int] = mapped_column(
        Integer, default=60, info=label("Asked every (s)", "采集间隔（秒）")
    )
    is_vital: Mapped[bool] = mapped_column(
        Boolean,
        default=False,
        server_default=false(),
        info=label("Feeds vital equipment", "供重要负荷"),
    )
    is_enabled: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("In use", "启用")
    )
    push_key: Mapped[str | None] = mapped_column(String(80), info=label("Push name", "上报标识"))
    simulation: Mapped[dict[str, Any] | None] = mapped_column(JSONB, info={"api": "hidden"})

    def __str__(self) -> str:
        return self.name


class DevicePoint(InCommunity, KernelBase):
    """What a point of a device is about: ``meters.meter`` and its id, for example."""

    __tablename__ = "device_point"
    __named_by__ = ("device",)
    __table_args__ = (
        UniqueConstraint("community_id", "device_id", "point"),
        Index("ix_device_point_subject_id", "community_id", "subject_id"),
    )
    __building_path__ = "device.building_id"

    device_id: Mapped[UUID] = ref(
        "dougong.device", ondelete="CASCADE", index=False, info=label("Device", "智能设备")
    )
    device: Mapped[Device] = to_one(device_id, Device)
    point: Mapped[str] = mapped_column(String(60), info=label("Point", "测点"))
    subject_kind: Mapped[str] = mapped_column(String(60), info=label("Belongs to", "归属类型"))
    subject_id: Mapped[UUID] = mapped_column(info=label("Record", "归属记录"))

    def __str__(self) -> str:
        return f"{self.device} {_point(self)}"


class DeviceValue(InCommunity, KernelBase):
    """What a point said last, and the last value that can be trusted.

    Not audited: it is what a device says, many times a minute. sequence: of the reading; a reading
    with a lower one was stored before.
    """

    __tablename__ = "device_value"
    __named_by__ = ("device",)
    __audited__ = False
    __table_args__ = (
        UniqueConstraint("community_id", "device_id", "point"),
        {"postgresql_with": {"fillfactor": 60}},
    )
    __building_path__ = "device.building_id"

    device_id: Mapped[UUID] = ref(
        "dougong.device", ondelete="CASCADE", index=False, info=label("Device", "智能设备")
    )
    device: Mapped[Device] = to_one(device_id, Device)
    point: Mapped[str] = mapped_column(String(60), info=label("Point", "测点"))
    point_kind: Mapped[PointKind] = state(PointKind, info=label("Kind", "类型"))
    uom: Mapped[str] = mapped_column(String(20), default="", info=label("Measure", "计量单位"))
    value: Mapped[str | None] = mapped_column(String(200), info=label("Value", "数值"))
    value_at: Mapped[datetime | None] = mapped_column(info=label("Value of", "数值时间"))
    quality: Mapped[Quality] = state(Quality, info=label("Quality", "质量"))
    detail: Mapped[str] = mapped_column(String(200), default="", info=label("Detail", "说明"))
    device_at: Mapped[datetime | None] = mapped_column(info=label("Device's clock", "设备时间"))
    server_at: Mapped[datetime] = mapped_column(info=label("Heard at", "接收时间"))
    sequence: Mapped[int] = mapped_column(BigInteger, info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.device} {_point(self)}"


class DeviceHour(InCommunity, KernelBase):
    """What a number of a device was in one hour: lowest, highest, last. Not audited.

    Kept for ``devices.history_days``; what must be kept for longer is a plugin's to keep.
    """

    __tablename__ = "device_hour"
    __audited__ = False
    __table_args__ = (
        UniqueConstraint("community_id", "device_id", "point", "hour_at"),
        Index("ix_device_hour_hour_at", "community_id", "hour_at"),
    )
    __building_path__ = "device.building_id"

    device_id: Mapped[UUID] = ref(
        "dougong.device", ondelete="CASCADE", index=False, info=label("Device", "智能设备")
    )
    device: Mapped[Device] = to_one(device_id, Device)
    point: Mapped[str] = mapped_column(String(60), info=label("Point", "测点"))
    hour_at: Mapped[datetime] = mapped_column(info=label("Hour", "小时"))
    lowest: Mapped[Decimal] = mapped_column(Numeric(24, 6), info=label("Lowest", "最低"))
    highest: Mapped[Decimal] = mapped_column(Numeric(24, 6), info=label("Highest", "最高"))
    last: Mapped[Decimal] = mapped_column(Numeric(24, 6), info=label("Last", "最后"))


class DeviceHealth(InCommunity, KernelBase):
    """How a gateway or a device is doing. Not audited, and gone with the next state."""

    __tablename__ = "device_health"
    __audited__ = False
    __table_args__ = (UniqueConstraint("community_id", "subject_id"),)

    subject_id: Mapped[UUID] = mapped_column(info=label("Gateway or device", "网关或智能设备"))
    is_ok: Mapped[bool] = mapped_column(Boolean, info=label("Answers", "在线"))
    since_at: Mapped[datetime] = mapped_column(info=label("Since", "起始时间"))
    last_ok_at: Mapped[datetime | None] = mapped_column(info=label("Last answer", "最近应答"))
    failures: Mapped[int] = mapped_column(Integer, default=0, info=label("Failures", "失败次数"))
    next_try_at: Mapped[datetime | None] = mapped_column(info=label("Next try", "下次尝试"))
    certificate_ends_at: Mapped[datetime | None] = mapped_column(
        info=label("Certificate ends", "证书到期")
    )
    detail: Mapped[str] = mapped_column(String(200), default="", info=label("Detail", "说明"))

    def __str__(self) -> str:
        return self.local(self.since_at)


class DeviceCommand(InCommunity, KernelBase):
    """An order to a device and how it ended. It goes on the wire at most once.

    approve_until_at: until when a second person may approve it; only then ``deadline_at`` starts.
    """

    __tablename__ = "device_command"
    __named_by__ = ("device",)
    __table_args__ = (
        Index("ix_device_command_open", "community_id", "deadline_at", postgresql_where=text(OPEN)),
    )
    __building_path__ = "device.building_id"

    device_id: Mapped[UUID] = ref("dougong.device", info=label("Device", "智能设备"))
    device: Mapped[Device] = to_one(device_id, Device)
    name: Mapped[str] = mapped_column(String(60), info=label("Command", "指令"))
    arguments: Mapped[dict[str, Any]] = mapped_column(
        JSONB, default=dict, server_default=text("'{}'"), info=label("Arguments", "参数")
    )
    ground: Mapped[Ground | None] = state(Ground, nullable=True, info=label("Ground", "事由"))
    state: Mapped[CommandState] = state(CommandState, info=label("State", "状态"))
    reason: Mapped[str] = mapped_column(String(200), default="", info=label("Reason", "原因"))
    policy: Mapped[str | None] = mapped_column(String(200), info=label("Policy", "依据制度"))
    requires: Mapped[list[Any]] = mapped_column(
        JSONB, default=list, server_default=text("'[]'"), info={"api": "hidden"}
    )
    ordered_by_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    ordered_by: Mapped[str] = mapped_column(String(80), info=label("Ordered by", "下达人"))
    ordered_at: Mapped[datetime] = mapped_column(info=label("Ordered at", "下达时间"))
    approved_by_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    approved_by: Mapped[str | None] = mapped_column(String(80), info=label("Approved by", "批准人"))
    approve_until_at: Mapped[datetime | None] = mapped_column(
        info=label("To be approved until", "批准期限")
    )
    deadline_at: Mapped[datetime] = mapped_column(info=label("Deadline", "有效期至"))
    sent_at: Mapped[datetime | None] = mapped_column(info=label("Sent at", "发送时间"))
    ended_at: Mapped[datetime | None] = mapped_column(info=label("Ended at", "结束时间"))
    readback: Mapped[str | None] = mapped_column(String(200), info=label("Read back", "回读值"))
    detail: Mapped[str] = mapped_column(String(400), default="", info=label("Detail", "说明"))
    raw: Mapped[str] = mapped_column(String(600), default="", info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.device} {self.name}"


class DeviceList(InCommunity, KernelBase):
    """What a device shall keep (名单、节假日表): entries is a JSON object, key → content.

    version: grows with each change; the device process brings the device to it.
    """

    __tablename__ = "device_list"
    __named_by__ = ("device",)
    __table_args__ = (UniqueConstraint("community_id", "device_id", "name"),)
    __building_path__ = "device.building_id"

    device_id: Mapped[UUID] = ref(
        "dougong.device", ondelete="CASCADE", index=False, info=label("Device", "智能设备")
    )
    device: Mapped[Device] = to_one(device_id, Device)
    name: Mapped[str] = mapped_column(String(60), info=label("List", "名单"))
    version: Mapped[int] = mapped_column(Integer, info=label("Version", "版本"))
    size: Mapped[int] = mapped_column(Integer, info=label("Entries", "条数"))
    entries: Mapped[str | None] = encrypted(info={**label("Content", "内容"), "api": "hidden"})
    changed_at: Mapped[datetime] = mapped_column(info=label("Changed at", "变更时间"))
    changed_by: Mapped[str] = mapped_column(String(80), info=label("Changed by", "变更人"))
    reason: Mapped[str] = mapped_column(String(200), default="", info=label("Reason", "原因"))

    def __str__(self) -> str:
        return f"{self.device} {self.name}"


class DeviceListState(InCommunity, KernelBase):
    """How a device's list stands. Not audited: it is looked at again every hour."""

    __tablename__ = "device_list_state"
    __audited__ = False
    __table_args__ = (UniqueConstraint("community_id", "list_id"),)
    __building_path__ = "list.device.building_id"

    list_id: Mapped[UUID] = ref(
        "dougong.device_list", ondelete="CASCADE", index=False, info=label("List", "名单")
    )
    list: Mapped[DeviceList] = to_one(list_id, DeviceList)
    version: Mapped[int] = mapped_column(Integer, info=label("Version", "版本"))
    is_same: Mapped[bool] = mapped_column(Boolean, info=label("In line", "已一致"))
    held: Mapped[int | None] = mapped_column(Integer, info=label("Held", "设备条数"))
    checked_at: Mapped[datetime] = mapped_column(info=label("Looked at", "核对时间"))
    next_try_at: Mapped[datetime] = mapped_column(info=label("Next try", "下次尝试"))
    failures: Mapped[int] = mapped_column(Integer, default=0, info=label("Failures", "失败次数"))
    detail: Mapped[str] = mapped_column(String(200), default="", info=label("Detail", "说明"))


class DeviceEvent(InCommunity, KernelBase):
    """Something that happened at a device; told twice, kept once. Not audited: it never changes."""

    __tablename__ = "device_event"
    __named_by__ = ("device",)
    __audited__ = False
    __table_args__ = (UniqueConstraint("community_id", "device_id", "key"),)
    __building_path__ = "device.building_id"

    device_id: Mapped[UUID] = ref("dougong.device", index=False, info=label("Device", "智能设备"))
    device: Mapped[Device] = to_one(device_id, Device)
    type: Mapped[str] = mapped_column(String(60), info=label("Kind", "类型"))
    key: Mapped[str] = mapped_column(String(120), info={"api": "hidden"})
    device_at: Mapped[datetime | None] = mapped_column(info=label("Device's clock", "设备时间"))
    server_at: Mapped[datetime] = mapped_column(info=label("Heard at", "接收时间"))
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, info=label("Content", "内容"))

    def __str__(self) -> str:
        return f"{self.device} {self.type}"
