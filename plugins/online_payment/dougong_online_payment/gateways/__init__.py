"""The two channels: clients of the gateways, on the interface that the ledger offers vendors."""

from dougong_online_payment.gateways.alipay import Alipay
from dougong_online_payment.gateways.wechat_pay import WechatPay

CHANNELS = (WechatPay(), Alipay())

__all__ = ["CHANNELS", "Alipay", "WechatPay"]
