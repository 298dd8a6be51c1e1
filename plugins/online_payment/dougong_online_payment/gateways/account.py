"""A merchant account with its keys opened: what a client needs to know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.plugins.outbound import Answer, Outbound, OutsideUnreachable
from dougong_ledger.channels import ChannelRefused, ChannelUnsure, Merchant
from dougong_online_payment.domain import keys
from dougong_online_payment.models import MerchantAccount, Provider

OUTBOUND = Outbound("online_payment")
# A campus card system has no usual address: it stands in the account.
USUAL = {
    Provider.CAMPUS_CARD: "",
    Provider.WECHAT_PAY: "https://api.mch.weixin.qq.com",
    Provider.ALIPAY: "https://openapi.alipay.com/gateway.do",
}


@dataclass(frozen=True)
class Account:
    """A merchant account, ready to use; its secrets are in no representation."""

    number: str
    app_id: str
    serial: str
    base_url: str
    platform_key_id: str
    private_key: rsa.RSAPrivateKey = field(repr=False)
    platform_key: rsa.RSAPublicKey = field(repr=False)
    notice_key: bytes = field(default=b"", repr=False)
    app_secret: str = field(default="", repr=False)
    app_url: str = ""


def active_merchant(scope: Scope, provider: Provider) -> Merchant | None:
    """Return the account of the legal entity that signs for the community today."""
    entity = getattr(scope.place, "legal_entity_id", None)
    if entity is None:
        return None
    # All channels are asked one after the other: the first looks for the others as well.
    known = scope.session.info.setdefault("online_payment.merchants", {})
    if entity not in known:
        rows = scope.session.execute(
            select(MerchantAccount.provider, MerchantAccount.id, MerchantAccount.number).where(
                MerchantAccount.legal_entity_id == entity, MerchantAccount.is_active
            )
        )
        known[entity] = {row.provider: Merchant(row.id, row.number) for row in rows}
    return known[entity].get(provider)


def open_account(scope: Scope, merchant_id: UUID, provider: Provider) -> Account:
    """Return an account with its keys; raises NotFound, and ChannelRefused when a key is no key."""
    record = scope.session.scalars(
        select(MerchantAccount).where(
            MerchantAccount.id == merchant_id, MerchantAccount.provider == provider
        )
    ).one_or_none()
    if record is None:
        raise NotFound(N_("There is no such merchant account."))
    return opened(record)


def opened(record: MerchantAccount) -> Account:
    """Return a record's account with its keys; raises ChannelRefused when a key is no key."""
    ours = _key(record.private_key, keys.private_key, N_("Our private key cannot be read: %(why)s"))
    theirs = _key(
        record.platform_key, keys.public_key, N_("The gateway's key cannot be read: %(why)s")
    )
    serial = keys.certificate_serial(record.platform_key)
    return Account(
        number=record.number,
        app_id=record.app_id,
        serial=record.serial or "",
        base_url=(record.base_url or USUAL[record.provider]).rstrip("/"),
        platform_key_id=record.platform_key_id or serial or "",
        private_key=ours,
        platform_key=theirs,
        notice_key=(record.notice_key or "").encode(),
        app_secret=record.app_secret or "",
        app_url=(record.app_url or "").rstrip("/"),
    )


def _key(text: str, read: Callable[[str], Any], message: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise ChannelRefused(message, why=str(error)) from error


def exchange(
    scope: Scope, method: str, url: str, headers: Mapping[str, str], content: bytes | None
) -> Answer:
    """Send one request; raises ChannelUnsure when there is no answer, or one of a sick server."""
    try:
        answer = OUTBOUND.request(scope, method, url, headers=headers, content=content)
    except OutsideUnreachable as error:
        raise ChannelUnsure(error.message, **error.parameters) from error
    if answer.status >= 500 or answer.status == 429:
        raise ChannelUnsure(
            N_("The gateway is busy or broken (%(status)s). Try again in a few minutes."),
            status=answer.status,
        )
    return answer
