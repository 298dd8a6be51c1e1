"""Payment gateways for tests and demonstrations: they really check what we sign, and sign replies.

Written from the gateways' documentation, not from our clients: a client that signs wrongly fails
here as it would there. ``WechatPayGateway(...).app`` and ``AlipayGateway(...).app`` are WSGI
applications; ``serving(gateway.app)`` puts one on a free port. ``gateway.pay(trade_no)`` is the
payer, ``gateway.notify(trade_no)`` the notice, ``gateway.refused`` what was sent wrongly.
"""

from dougong.testing.gateways.alipay import AlipayGateway
from dougong.testing.gateways.campus_card import CampusCardGateway
from dougong.testing.gateways.trades import Member, Refund, Trade, new_key, public_pem, serving
from dougong.testing.gateways.wechat_pay import WechatPayGateway

__all__ = [
    "AlipayGateway",
    "CampusCardGateway",
    "Member",
    "Refund",
    "Trade",
    "WechatPayGateway",
    "new_key",
    "public_pem",
    "serving",
]
