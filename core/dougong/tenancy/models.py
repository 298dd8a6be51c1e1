"""The organisation and the ground it runs.

Property group → legal entity and region → community → building → unit → room; people with
ownership shares, occupancy and family over time. Periods are half-open days [from, to).
"""

import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import (
    InCommunity,
    InGroup,
    KernelBase,
    OnPlatform,
    encrypted,
    label,
    labels,
    ref,
    state,
    to_one,
    uuid7,
)
from dougong.db.base import Row


class CommunityKind(StrEnum):
    """What sort of place it is; presets and defaults follow it."""

    ESTATE = "estate"
    OLD_COMMUNITY = "old_community"
    CAMPUS = "campus"
    OFFICE_PARK = "office_park"

    __labels__ = labels(
        ESTATE=("Residential estate", "住宅小区"),
        OLD_COMMUNITY=("Old community", "老旧小区"),
        CAMPUS=("Campus", "校园"),
        OFFICE_PARK=("Office park", "办公园区"),
    )


class RoomKind(StrEnum):
    """What a room is used as."""

    FLAT = "flat"
    SHOP = "shop"
    OFFICE = "office"
    DORMITORY = "dormitory"
    PARKING = "parking"
    STORAGE = "storage"

    __labels__ = labels(
        FLAT=("Flat", "住宅"),
        SHOP=("Shop", "商铺"),
        OFFICE=("Office", "办公"),
        DORMITORY=("Dormitory", "宿舍"),
        PARKING=("Parking space", "车位"),
        STORAGE=("Storage", "储藏室"),
    )


class RoomState(StrEnum):
    """Where a room stands between developer and owner."""

    UNSOLD = "unsold"
    DELIVERED = "delivered"
    OCCUPIED = "occupied"
    VACANT = "vacant"

    __labels__ = labels(
        UNSOLD=("Unsold", "未售"),
        DELIVERED=("Delivered", "已交付"),
        OCCUPIED=("Occupied", "入住"),
        VACANT=("Vacant", "空置"),
    )


class PersonKind(StrEnum):
    """A natural person or an organisation."""

    PERSON = "person"
    COMPANY = "company"

    __labels__ = labels(PERSON=("Person", "个人"), COMPANY=("Company", "单位"))


class OccupancyKind(StrEnum):
    """Why someone lives or works in a room."""

    OWNER = "owner"
    FAMILY = "family"
    LEASE = "lease"
    BED = "bed"

    __labels__ = labels(
        OWNER=("Owner", "业主自住"),
        FAMILY=("Family", "家属"),
        LEASE=("Lease", "租住"),
        BED=("Bed", "床位"),
    )


class PropertyGroup(Row, KernelBase):
    """A property group (物业集团)."""

    __tablename__ = "property_group"
    __kind__ = "group_root"

    id: Mapped[UUID] = mapped_column(
        primary_key=True, default=uuid7, server_default=text("uuidv7()")
    )
    name: Mapped[str] = mapped_column(String(120), info=label("Name", "名称"))

    def __str__(self) -> str:
        return self.name


class LegalEntity(InGroup, KernelBase):
    """A legal entity (法人/分公司) that signs contracts, banks money and issues receipts."""

    __tablename__ = "legal_entity"

    name: Mapped[str] = mapped_column(String(120), info=label("Name", "名称"))
    tax_number: Mapped[str | None] = mapped_column(
        String(30), info=label("Tax number", "纳税人识别号")
    )
    bank_name: Mapped[str | None] = mapped_column(String(120), info=label("Bank", "开户银行"))
    bank_account: Mapped[str | None] = mapped_column(
        String(40), info=label("Bank account", "银行账号")
    )

    def __str__(self) -> str:
        return self.name


class Region(InGroup, KernelBase):
    """A region (大区) of a property group."""

    __tablename__ = "region"

    name: Mapped[str] = mapped_column(String(120), info=label("Name", "名称"))

    def __str__(self) -> str:
        return self.name


class Community(Row, KernelBase):
    """A community (小区): the tenant of tenancy."""

    __tablename__ = "community"
    __kind__ = "community_root"
    __table_args__ = (
        ForeignKeyConstraint(["group_id"], ["dougong.property_group.id"]),
        ForeignKeyConstraint(
            ["group_id", "region_id"],
            ["dougong.region.group_id", "dougong.region.id"],
            name="fk_community_region_id",
        ),
        ForeignKeyConstraint(
            ["group_id", "legal_entity_id"],
            ["dougong.legal_entity.group_id", "dougong.legal_entity.id"],
            name="fk_community_legal_entity_id",
        ),
        Index("ix_community_group_id", "group_id"),
    )

    id: Mapped[UUID] = mapped_column(
        primary_key=True, default=uuid7, server_default=text("uuidv7()")
    )
    group_id: Mapped[UUID]
    region_id: Mapped[UUID | None] = mapped_column(info=label("Region", "区域"))
    legal_entity_id: Mapped[UUID | None] = mapped_column(info=label("Legal entity", "法人主体"))
    name: Mapped[str] = mapped_column(String(120), info=label("Name", "名称"))
    kind: Mapped[CommunityKind] = state(
        CommunityKind, default=CommunityKind.ESTATE, info=label("Kind", "类型")
    )
    zone: Mapped[str] = mapped_column(
        String(60), default="Asia/Shanghai", info=label("Time zone", "时区")
    )
    address: Mapped[str | None] = mapped_column(String(200), info=label("Address", "地址"))
    latitude: Mapped[Decimal | None] = mapped_column(Numeric(9, 6), info=label("Latitude", "纬度"))
    longitude: Mapped[Decimal | None] = mapped_column(
        Numeric(9, 6), info=label("Longitude", "经度")
    )

    def __str__(self) -> str:
        return self.name


def natural_key(code: str) -> str:
    """Return a key that sorts ``1-2-301`` before ``1-10-101``."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(4), code)[:60]


def _by_code(context: Any) -> str:
    given = context.get_current_parameters() if context else {}
    return natural_key(given.get("code") or "")


def _by_name(context: Any) -> str:
    given = context.get_current_parameters() if context else {}
    return str(given.get("name") or "")[:120]


class Building(InCommunity, KernelBase):
    """A building (楼栋)."""

    __tablename__ = "building"
    __table_args__ = (UniqueConstraint("community_id", "code"),)
    __building_path__ = "id"

    code: Mapped[str] = mapped_column(String(20), info=label("Code", "编号"))
    name: Mapped[str] = mapped_column(String(60), info=label("Name", "名称"))
    floors: Mapped[int | None] = mapped_column(Integer, info=label("Floors", "层数"))
    sort_key: Mapped[str] = mapped_column(String(60), default=_by_code, info=label("Order", "排序"))

    def __str__(self) -> str:
        return self.name


class Unit(InCommunity, KernelBase):
    """A unit (单元): the stair of a building. Old communities have none."""

    __tablename__ = "unit"
    __table_args__ = (UniqueConstraint("community_id", "building_id", "code"),)
    __building_path__ = "building_id"

    building_id: Mapped[UUID] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building] = to_one(building_id, Building)
    code: Mapped[str] = mapped_column(String(20), info=label("Code", "编号"))
    name: Mapped[str] = mapped_column(String(60), info=label("Name", "名称"))

    def __str__(self) -> str:
        return self.name


class Room(InCommunity, KernelBase):
    """A room (房屋): flat, shop, office or dormitory room alike.

    code is how people write it: ``1-2-301``. Areas are square metres and may be unknown.
    """

    __tablename__ = "room"
    __table_args__ = (
        UniqueConstraint("community_id", "code"),
        Index("ix_room_sort_key", "community_id", "sort_key"),
    )
    __building_path__ = "building_id"

    building_id: Mapped[UUID] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building] = to_one(building_id, Building)
    unit_id: Mapped[UUID | None] = ref("dougong.unit", info=label("Unit", "单元"))
    unit: Mapped[Unit | None] = to_one(unit_id, Unit)
    code: Mapped[str] = mapped_column(String(40), info=label("Room", "房号"))
    sort_key: Mapped[str] = mapped_column(String(60), default=_by_code, info=label("Order", "排序"))
    floor: Mapped[int | None] = mapped_column(Integer, info=label("Floor", "楼层"))
    room_kind: Mapped[RoomKind] = state(RoomKind, default=RoomKind.FLAT, info=label("Kind", "用途"))
    state: Mapped[RoomState] = state(
        RoomState, default=RoomState.OCCUPIED, info=label("State", "状态")
    )
    built_area: Mapped[Decimal | None] = mapped_column(
        Numeric(12, 2), info=label("Built area (m²)", "建筑面积（㎡）")
    )
    inner_area: Mapped[Decimal | None] = mapped_column(
        Numeric(12, 2), info=label("Inner area (m²)", "套内面积（㎡）")
    )
    old_code: Mapped[str | None] = mapped_column(
        String(40), info=label("Code in the old system", "原系统编号")
    )

    def __str__(self) -> str:
        return self.code


class Person(InCommunity, KernelBase):
    """Someone in a community: owner, occupant, family member or company.

    The name is kept plain for work at the front desk; phone and identity number are encrypted.
    """

    __tablename__ = "person"
    __table_args__ = (Index("ix_person_name", "community_id", "name"),)

    kind: Mapped[PersonKind] = state(
        PersonKind, default=PersonKind.PERSON, info=label("Kind", "类型")
    )
    name: Mapped[str] = mapped_column(
        String(120), info={**label("Name", "姓名"), "personal": "name"}
    )
    sort_key: Mapped[str] = mapped_column(
        String(120), default=_by_name, info=label("Order", "排序")
    )
    phone: Mapped[str | None] = encrypted(
        search="last4", mask="phone", info=label("Phone", "手机号")
    )
    id_number: Mapped[str | None] = encrypted(
        search="last4", mask="id_number", info=label("Identity number", "证件号")
    )
    is_protected: Mapped[bool] = mapped_column(
        Boolean,
        default=False,
        server_default=false(),
        info=label("Protected household", "重点照护"),
    )
    note: Mapped[str | None] = mapped_column(
        String(500), info={**label("Note", "备注"), "free_text": True}
    )

    def __str__(self) -> str:
        return self.name


class Ownership(InCommunity, KernelBase):
    """A share of a room that a person owns, from a day on, until a day."""

    __tablename__ = "ownership"
    __named_by__ = ("room", "person")
    __table_args__ = (
        CheckConstraint("share > 0 and share <= 1", name="share"),
        CheckConstraint("to_on is null or to_on > from_on", name="period"),
        ExcludeConstraint(
            ("community_id", "="),
            ("room_id", "="),
            ("person_id", "="),
            (text("daterange(from_on, to_on)"), "&&"),
            name="ex_ownership_period",
        ),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    person_id: Mapped[UUID] = ref("dougong.person", info=label("Owner", "业主"))
    person: Mapped[Person] = to_one(person_id, Person)
    share: Mapped[Decimal] = mapped_column(
        Numeric(9, 6), default=Decimal(1), info=label("Share", "份额")
    )
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date | None] = mapped_column(info=label("Until", "终止日"))

    def __str__(self) -> str:
        return f"{self.room} {self.person}"


class Occupancy(InCommunity, KernelBase):
    """Who lives or works in a room, from a day on, until a day.

    bed: which of a dormitory room's; one holds one person at a time.
    """

    __tablename__ = "occupancy"
    __named_by__ = ("room", "person")
    __table_args__ = (
        CheckConstraint("to_on is null or to_on > from_on", name="period"),
        CheckConstraint("bed <> '' and (bed is null or kind = 'bed')", name="bed"),
        ExcludeConstraint(
            ("community_id", "="),
            ("room_id", "="),
            ("bed", "="),
            (text("daterange(from_on, to_on)"), "&&"),
            where=text("bed is not null"),
            name="ex_occupancy_bed",
        ),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    person_id: Mapped[UUID] = ref("dougong.person", info=label("Occupant", "住户"))
    person: Mapped[Person] = to_one(person_id, Person)
    kind: Mapped[OccupancyKind] = state(
        OccupancyKind, default=OccupancyKind.OWNER, info=label("Kind", "类型")
    )
    bed: Mapped[str | None] = mapped_column(String(10), info=label("Bed", "床位号"))
    pays_fees: Mapped[bool] = mapped_column(
        Boolean,
        default=False,
        server_default=false(),
        info=label("Agreed to pay the fees", "约定缴费"),
    )
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date | None] = mapped_column(info=label("Until", "终止日"))

    def __str__(self) -> str:
        return f"{self.room} {self.person}"


class Family(InCommunity, KernelBase):
    """That one person belongs to another's family, from a day on, until a day."""

    __tablename__ = "family"
    __named_by__ = ("person", "relative")
    __table_args__ = (CheckConstraint("person_id <> relative_id", name="two_people"),)

    person_id: Mapped[UUID] = ref("dougong.person", info=label("Person", "人员"))
    person: Mapped[Person] = to_one(person_id, Person)
    relative_id: Mapped[UUID] = ref("dougong.person", info=label("Relative", "亲属"))
    relative: Mapped[Person] = to_one(relative_id, Person)
    relation: Mapped[str] = mapped_column(String(40), info=label("Relation", "关系"))
    may_pay: Mapped[bool] = mapped_column(
        Boolean, default=True, info=label("May pay for the family", "可代缴费")
    )
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date | None] = mapped_column(info=label("Until", "终止日"))

    def __str__(self) -> str:
        return f"{self.person} {self.relative}"


class ScopeVersion(OnPlatform, KernelBase):
    """A counter per community or group that moves whenever cached facts of it change."""

    __tablename__ = "scope_version"
    __audited__ = False

    version: Mapped[int] = mapped_column(default=1)


class Setting(OnPlatform, KernelBase):
    """A run-time setting of the platform, a group or a community."""

    __tablename__ = "setting"
    __table_args__ = (UniqueConstraint("scope_id", "name"),)

    scope_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(String(120))
    value: Mapped[Any] = mapped_column(JSONB)
