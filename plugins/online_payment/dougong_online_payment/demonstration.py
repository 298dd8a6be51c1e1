"""The demonstration's merchant accounts, and the gateways that are played beside it.

What the played gateways know (merchants' public keys, their own keys) lies in one file of the
installation; without it nothing is played.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Actor, Scope
from dougong.installation import Installation
from dougong.tenancy.models import LegalEntity
from dougong_online_payment import history
from dougong_online_payment.models import MerchantAccount, Provider

PATHS = {
    Provider.WECHAT_PAY: "/wechat_pay",
    Provider.ALIPAY: "/alipay",
    Provider.CAMPUS_CARD: "/campus_card",
}
NUMBERS = {"wechat_pay": "160000", "alipay": "208800100000", "campus_card": "4201"}
APPS = {"wechat_pay": "wxdemo00000000", "alipay": "202600000000", "campus_card": "card"}


def folder(installation: Installation) -> Path:
    """Return where the played gateways keep what they know."""
    return installation.settings.paths.home / "trial" / "online_payment"


def load(scope: Scope) -> None:
    """Give the community's legal entity an account at each played gateway, unless it has one."""
    settings = scope.installation.settings
    entity_id = getattr(scope.place, "legal_entity_id", None)
    if settings.trial_host is None or entity_id is None:
        return
    actor = Actor.system("demo")
    with scope.installation.scope(actor, group=scope.group_id, group_write=True) as own:
        known = select(MerchantAccount.id).where(MerchantAccount.legal_entity_id == entity_id)
        if own.session.scalars(known).first() is None:
            _add_accounts(own, entity_id)
    if scope.place.kind == "estate":
        history.write(scope, folder(scope.installation))


def _add_accounts(scope: Scope, entity_id: UUID) -> None:
    told = _told(scope.installation)
    entity = scope.get(LegalEntity, entity_id)
    host = scope.installation.settings.trial_host
    for provider, path in PATHS.items():
        about = told[provider.value]
        digits = f"{len(about['members']) + 1:04}"
        number, app_id = NUMBERS[provider.value] + digits, APPS[provider.value] + digits
        usual = "/gateway.do" if provider is Provider.ALIPAY else ""
        serial = secrets.token_hex(20).upper()
        notice_key, app_secret = secrets.token_hex(16), secrets.token_hex(16)
        about["members"].append(
            {
                "number": number,
                "app_id": app_id,
                "public_key": about["merchant_public"],
                "serial": serial,
                "notice_key": notice_key,
                "app_secret": app_secret,
                "title": entity.name,
            }
        )
        scope.session.add(
            MerchantAccount(
                legal_entity_id=entity_id,
                provider=provider,
                number=number,
                app_id=app_id,
                serial=serial if provider is Provider.WECHAT_PAY else None,
                private_key=about["merchant_private"],
                notice_key=notice_key if provider is Provider.WECHAT_PAY else None,
                platform_key=about["public"],
                platform_key_id=about["key_id"] or None,
                app_secret=app_secret if provider is Provider.WECHAT_PAY else None,
                app_url=f"http://{host}{path}" if provider is Provider.WECHAT_PAY else None,
                base_url=f"http://{host}{path}{usual}",
            )
        )
    scope.session.flush()
    _write(folder(scope.installation) / "gateways.json", told)


def _told(installation: Installation) -> dict[str, Any]:
    """Return what the played gateways know; keys are made the first time."""
    from dougong.testing.gateways import new_key, public_pem
    from dougong.testing.gateways.trades import private_pem
    from dougong.testing.gateways.wechat_pay import KEY_ID

    path = folder(installation) / "gateways.json"
    told = json.loads(path.read_text()) if path.exists() else {}
    for provider in PATHS:
        if provider.value in told:
            continue
        theirs, ours = new_key(), new_key()
        told[provider.value] = {
            "private": private_pem(theirs),
            "public": public_pem(theirs),
            "merchant_private": private_pem(ours),
            "merchant_public": public_pem(ours),
            "key_id": KEY_ID if provider is Provider.WECHAT_PAY else "",
            "members": [],
        }
    return told


def _write(path: Path, told: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(told, out)
    draft.replace(path)


def partners(installation: Installation) -> dict[str, Any]:
    """Return the played gateways by path, none where no demonstration was loaded."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from dougong.testing.gateways import (
        AlipayGateway,
        CampusCardGateway,
        Member,
        WechatPayGateway,
    )

    path = folder(installation) / "gateways.json"
    if not path.exists():
        return {}
    told = json.loads(path.read_text())
    kinds = {
        Provider.WECHAT_PAY: WechatPayGateway,
        Provider.ALIPAY: AlipayGateway,
        Provider.CAMPUS_CARD: CampusCardGateway,
    }
    found = {}
    for provider, kind in kinds.items():
        about = told.get(provider.value)
        if about is None:
            continue
        key = load_pem_private_key(about["private"].encode(), None)
        members = [Member(**each) for each in about["members"]]
        store = folder(installation) / f"{provider.value}.json"
        found[PATHS[provider]] = kind(members, key, store).app
    return found
