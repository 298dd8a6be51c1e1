"""The channels: clients of the gateways, on the interface that the ledger offers vendors."""

from dougong_online_payment.gateways.alipay import Alipay
from dougong_online_payment.gateways.campus_card import CampusCard
from dougong_online_payment.gateways.wechat_pay import WechatPay

CHANNELS = (WechatPay(), Alipay(), CampusCard())

__all__ = ["CHANNELS", "Alipay", "CampusCard", "WechatPay"]
