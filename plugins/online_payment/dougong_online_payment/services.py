"""Merchant accounts: entered by people, tried before they are used."""

from dougong.db import Scope
from dougong.services import service
from dougong_online_payment.gateways import CHANNELS
from dougong_online_payment.gateways.account import opened
from dougong_online_payment.models import MerchantAccount


@service("merchant_account.test", title=("Test the connection", "测试连接"))
def test_connection(scope: Scope, merchant_account: MerchantAccount) -> MerchantAccount:
    """Ask the gateway about an order that does not exist, with all keys; note when it worked.

    Raises ChannelRefused or ChannelUnsure, which say in plain words what is wrong.
    """
    account = opened(merchant_account)
    channel = next(c for c in CHANNELS if c.id == merchant_account.provider.value)
    channel.test(scope, account)
    merchant_account.tested_at = scope.now
    scope.session.flush()
    return merchant_account


test_connection.__test__ = False  # type: ignore[attr-defined]
