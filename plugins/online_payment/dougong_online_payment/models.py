"""Merchant accounts: one for each legal entity and gateway, with keys that stay encrypted."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Boolean, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InGroup, encrypted, label, labels, plugin_base, ref, state, to_one
from dougong.tenancy.models import LegalEntity

Base = plugin_base("online_payment")


class Provider(StrEnum):
    """Whose gateway an account is at; the value is the channel's id."""

    WECHAT_PAY = "wechat_pay"
    ALIPAY = "alipay"
    CAMPUS_CARD = "campus_card"

    __labels__ = labels(
        WECHAT_PAY=("WeChat Pay", "微信支付"),
        ALIPAY=("Alipay", "支付宝"),
        CAMPUS_CARD=("Campus card", "校园一卡通"),
    )


class MerchantAccount(InGroup, Base):
    """A merchant account (商户号) of a legal entity.

    number: mchid (WeChat Pay) or seller's id (Alipay). serial: of our certificate (WeChat Pay).
    platform_key: the gateway's public key or certificate, PEM; platform_key_id: ``PUB_KEY_ID_…``
    or the certificate's serial number. notice_key: the APIv3 key. base_url: of the gateway.
    app_secret: of the official account (公众号) with this app id; without it nobody pays inside the
    app. app_url: of the app's interfaces, for a proxy.
    """

    __tablename__ = "merchant_account"
    __table_args__ = (UniqueConstraint("group_id", "legal_entity_id", "provider"),)

    legal_entity_id: Mapped[UUID] = ref("dougong.legal_entity", info=label("Legal entity", "法人"))
    legal_entity: Mapped[LegalEntity] = to_one(legal_entity_id, LegalEntity)
    provider: Mapped[Provider] = state(Provider, info=label("Gateway", "支付机构"))
    number: Mapped[str] = mapped_column(String(40), info=label("Merchant no.", "商户号"))
    app_id: Mapped[str] = mapped_column(String(40), info=label("App id", "应用 ID（AppID）"))
    serial: Mapped[str | None] = mapped_column(
        String(64), info=label("Serial no. of our certificate", "商户证书序列号")
    )
    private_key: Mapped[str] = encrypted(info=label("Our private key (PEM)", "商户私钥（PEM）"))
    notice_key: Mapped[str | None] = encrypted(info=label("APIv3 key", "APIv3 密钥"))
    platform_key: Mapped[str] = mapped_column(
        Text, info=label("Gateway's public key or certificate", "平台公钥或平台证书（PEM）")
    )
    platform_key_id: Mapped[str | None] = mapped_column(
        String(80), info=label("Id of the gateway's key", "平台公钥 ID 或证书序列号")
    )
    base_url: Mapped[str | None] = mapped_column(
        String(200), info=label("Gateway's address, unless the usual one", "网关地址（默认可不填）")
    )
    app_secret: Mapped[str | None] = encrypted(
        info=label("App secret of the official account", "公众号 AppSecret（微信内支付）")
    )
    app_url: Mapped[str | None] = mapped_column(
        String(200),
        info=label("The app's address, unless the usual one", "公众号接口地址（默认可不填）"),
    )
    is_active: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=text("true"), info=label("In use", "启用")
    )
    tested_at: Mapped[datetime | None] = mapped_column(
        info={**label("Connection worked at", "连接测试通过时间"), "api": "read"}
    )

    def __str__(self) -> str:
        return f"{self.number}"
