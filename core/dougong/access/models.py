"""Logins, sessions, roles and grants. Platform tables: the application's role sees none of them."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InGroup, KernelBase, OnPlatform, encrypted, label, labels, state


class Duty(StrEnum):
    """The three kinds of administration that exclude each other, and everything else."""

    SYSTEM = "system"
    SECURITY = "security"
    AUDIT = "audit"
    BUSINESS = "business"

    __labels__ = labels(
        SYSTEM=("System administration", "系统管理"),
        SECURITY=("Security administration", "安全管理"),
        AUDIT=("Audit administration", "审计管理"),
        BUSINESS=("Business", "业务"),
    )


class User(OnPlatform, KernelBase):
    """A login. Who someone is in a community is a Person; the link is UserPerson."""

    __tablename__ = "user"
    __table_args__ = (UniqueConstraint("login"),)

    login: Mapped[str] = mapped_column(String(80), info=label("Login", "登录名"))
    name: Mapped[str] = mapped_column(String(120), info={**label("Name", "姓名"), "personal": "n"})
    password_hash: Mapped[str | None] = mapped_column(String(200), info={"api": "hidden"})
    locale: Mapped[str | None] = mapped_column(String(20), info=label("Language", "语言"))
    is_active: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=text("true"), info=label("Active", "启用")
    )
    totp_secret: Mapped[str | None] = encrypted(mask="all", info={"api": "hidden"})
    totp_step: Mapped[int | None] = mapped_column(Integer, info={"api": "hidden"})
    is_totp_confirmed: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info={"api": "hidden"}
    )
    is_grace_used: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info={"api": "hidden"}
    )

    def __str__(self) -> str:
        return self.name


class UserPerson(OnPlatform, KernelBase):
    """That a login is this person in this community."""

    __tablename__ = "user_person"
    __table_args__ = (UniqueConstraint("user_id", "community_id", "person_id"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("dougong.user.id", ondelete="CASCADE"))
    community_id: Mapped[UUID]
    person_id: Mapped[UUID]


class SignInSession(OnPlatform, KernelBase):
    """A browser that is signed in. Only a hash of its token is kept."""

    __tablename__ = "sign_in_session"
    __audited__ = False
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("ix_sign_in_session_user_id", "user_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("dougong.user.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    stepped_up_at: Mapped[datetime | None]
    begun_by: Mapped[str] = mapped_column(String(20), server_default="password")
    is_second: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    device: Mapped[str] = mapped_column(String(200), default="")
    address: Mapped[str] = mapped_column(String(60), default="")


class SignInAttempt(OnPlatform, KernelBase):
    """One try to sign in, for lock-out; kept for a day."""

    __tablename__ = "sign_in_attempt"
    __audited__ = False
    __table_args__ = (
        Index("ix_sign_in_attempt_login_at", "login", "at"),
        Index("ix_sign_in_attempt_address_at", "address", "at"),
    )

    login: Mapped[str] = mapped_column(String(80))
    address: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime]
    is_success: Mapped[bool]


class OneTimeLink(OnPlatform, KernelBase):
    """A link that signs someone in once, within half an hour."""

    __tablename__ = "one_time_link"
    __table_args__ = (UniqueConstraint("token_hash"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("dougong.user.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    ends_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    is_console: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class RecoveryCode(OnPlatform, KernelBase):
    """A code that stands in for a lost phone, once. Only a hash of it is kept."""

    __tablename__ = "recovery_code"
    __table_args__ = (UniqueConstraint("user_id", "code_hash"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("dougong.user.id", ondelete="CASCADE"))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    used_at: Mapped[datetime | None]


class ApiToken(OnPlatform, KernelBase):
    """A bearer token of a program: a part of its owner's permissions, for some time."""

    __tablename__ = "api_token"
    __table_args__ = (UniqueConstraint("token_hash"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("dougong.user.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(120))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    permissions: Mapped[list[Any]] = mapped_column(JSONB)
    community_ids: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    ends_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class ApiTokenUse(OnPlatform, KernelBase):
    """When a token was last used; the id is the token's. Apart, so that using it is no news for
    the audit log."""

    __tablename__ = "api_token_use"
    __audited__ = False

    at: Mapped[datetime]


class Passkey(OnPlatform, KernelBase):
    """A key in someone's phone, computer or stick that signs in for him (WebAuthn)."""

    __tablename__ = "passkey"
    __table_args__ = (UniqueConstraint("credential_id"), Index("ix_passkey_user_id", "user_id"))

    user_id: Mapped[UUID] = mapped_column(ForeignKey("dougong.user.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger, default=0)
    made_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class PasskeyChallenge(OnPlatform, KernelBase):
    """What a passkey was asked to sign; used once, within some minutes. user_id: None when the
    passkey itself is to say who it is."""

    __tablename__ = "passkey_challenge"
    __audited__ = False

    purpose: Mapped[str] = mapped_column(String(20))
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("dougong.user.id", ondelete="CASCADE"))
    ends_at: Mapped[datetime]


class Role(OnPlatform, KernelBase):
    """A bundle of permissions by post; shipped ones have no group."""

    __tablename__ = "role"
    __table_args__ = (
        UniqueConstraint("id", "duty", name="uq_role_id_duty"),
        UniqueConstraint(
            "group_id", "key", name="uq_role_group_id_key", postgresql_nulls_not_distinct=True
        ),
    )

    group_id: Mapped[UUID | None]
    key: Mapped[str] = mapped_column(String(60), info=label("Key", "代码"))
    name: Mapped[str] = mapped_column(String(120), info=label("Name", "名称"))
    name_zh: Mapped[str] = mapped_column(String(120), info=label("Chinese name", "中文名称"))
    duty: Mapped[Duty] = state(Duty, default=Duty.BUSINESS, info=label("Duty", "职责"))
    permissions: Mapped[list[Any]] = mapped_column(JSONB)
    clearance: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    rules: Mapped[list[Any]] = mapped_column(JSONB, default=list, server_default="[]")
    limits: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    previous: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class RoleClearance(OnPlatform, KernelBase):
    """What a group says of a role's columns, personal values and limits, beyond the role itself.

    Kept beside the role, for shipped roles belong to all groups and change with each version.
    """

    __tablename__ = "role_clearance"
    __table_args__ = (UniqueConstraint("group_id", "role_id"),)

    group_id: Mapped[UUID]
    role_id: Mapped[UUID] = mapped_column(ForeignKey("dougong.role.id", ondelete="CASCADE"))
    clearance: Mapped[dict[str, Any]] = mapped_column(JSONB)
    limits: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")


class RoleGrant(OnPlatform, KernelBase):
    """That a user holds a role: on the platform, in a group, a region, a community, or buildings.

    The duty is copied from the role by the composite foreign key, so that the database itself
    refuses two kinds of administration in one hand.
    """

    __tablename__ = "role_grant"
    __table_args__ = (
        ForeignKeyConstraint(
            ["role_id", "duty"], ["dougong.role.id", "dougong.role.duty"], name="fk_role_grant_role"
        ),
        ExcludeConstraint(
            ("user_id", "="),
            ("duty", "<>"),
            where=text("duty in ('system', 'security', 'audit')"),
            name="ex_role_grant_one_duty",
        ),
        CheckConstraint(
            "group_id is not null or (community_id is null and region_id is null)", name="scope"
        ),
        CheckConstraint("building_ids is null or community_id is not null", name="buildings"),
        Index("ix_role_grant_user_id", "user_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("dougong.user.id", ondelete="CASCADE"))
    role_id: Mapped[UUID]
    duty: Mapped[str] = mapped_column(String(40))
    group_id: Mapped[UUID | None]
    region_id: Mapped[UUID | None]
    community_id: Mapped[UUID | None]
    building_ids: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    from_on: Mapped[date | None]
    to_on: Mapped[date | None]


class Delegation(OnPlatform, KernelBase):
    """That somebody stands in for another in a group: he approves what the other may approve."""

    __tablename__ = "delegation"
    __table_args__ = (
        CheckConstraint("user_id <> to_user_id", name="another"),
        CheckConstraint("to_on > from_on", name="days"),
        Index("ix_delegation_to_user_id", "to_user_id"),
        Index("ix_delegation_user_id", "user_id"),
    )

    group_id: Mapped[UUID]
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("dougong.user.id", ondelete="CASCADE", name="fk_delegation_user_id")
    )
    to_user_id: Mapped[UUID] = mapped_column(
        ForeignKey("dougong.user.id", ondelete="CASCADE", name="fk_delegation_to_user_id")
    )
    from_on: Mapped[date]
    to_on: Mapped[date]
    reason: Mapped[str] = mapped_column(String(200))
    ended_at: Mapped[datetime | None]


class Staff(InGroup, KernelBase):
    """Someone who works for the property group."""

    __tablename__ = "staff"

    user_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(String(120), info={**label("Name", "姓名"), "personal": "n"})
    post: Mapped[str] = mapped_column(String(60), default="", info=label("Post", "岗位"))
    phone: Mapped[str | None] = encrypted(
        search="last4", mask="phone", info=label("Phone", "手机号")
    )

    def __str__(self) -> str:
        return self.name


class SavedView(OnPlatform, KernelBase):
    """A list's filters, order and columns under a name; its owner's, or shared in the group."""

    __tablename__ = "saved_view"
    __audited__ = False
    __table_args__ = (
        UniqueConstraint("user_id", "group_id", "view", "name"),
        Index("ix_saved_view_group_id_view", "group_id", "view"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("dougong.user.id", ondelete="CASCADE"))
    group_id: Mapped[UUID]
    view: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(String(60))
    query: Mapped[str] = mapped_column(String(1000))
    is_shared: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
