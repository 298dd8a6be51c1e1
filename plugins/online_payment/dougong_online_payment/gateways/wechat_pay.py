"""WeChat Pay APIv3 as a payment channel: native (QR), JSAPI, H5, query, close, refund, bill."""

import gzip
import json
import secrets
import time
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from dougong.db import Scope
from dougong.i18n import N_, bilingual
from dougong_ledger.channels import (
    Channel,
    ChannelRefused,
    ChannelUnsure,
    Forged,
    Merchant,
    Notice,
    Outcome,
    PaymentRequest,
    Prepared,
    RefundRequest,
    Standing,
    Statement,
    Way,
)
from dougong_online_payment.domain import keys, wechat_pay
from dougong_online_payment.gateways.account import (
    Account,
    active_merchant,
    exchange,
    open_account,
)
from dougong_online_payment.models import Provider

CHINA = ZoneInfo("Asia/Shanghai")
# Who the payer is, the official account (公众号) says, not the pay gateway.
WHO_PAYS, TELL = "https://open.weixin.qq.com", "https://api.weixin.qq.com"
UNKNOWN_ORDER = ("ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS")
WORDS = {
    "SIGN_ERROR": N_("The gateway refuses our signature: check our key and its serial number."),
    "MCH_NOT_EXISTS": N_("The gateway does not know this merchant number."),
    "APPID_MCHID_NOT_MATCH": N_("The app id does not belong to this merchant number."),
    "NO_AUTH": N_("This merchant may not do this; have it opened at the gateway."),
    "NOT_ENOUGH": N_("The merchant's balance is too low for this refund."),
    "ORDERPAID": N_("This was paid already."),
    "ORDER_PAID": N_("This was paid already."),
}
OTHER = N_("The gateway refuses: %(said)s (%(code)s)")


class WechatPay(Channel):
    """WeChat Pay (微信支付), APIv3 with a platform public key or a platform certificate."""

    id = Provider.WECHAT_PAY.value
    title = bilingual("WeChat Pay", "微信支付")
    ways = (Way.QR, Way.PHONE, Way.IN_APP)
    app_mark = "MicroMessenger"
    app_script = "online_payment/static/wechat_bridge.js"

    def merchant(self, scope: Scope) -> Merchant | None:
        return active_merchant(scope, Provider.WECHAT_PAY)

    def prepare(self, scope: Scope, merchant_id: UUID, request: PaymentRequest) -> Prepared:
        account = _account(scope, merchant_id)
        expires = request.expires_at.astimezone(CHINA).replace(microsecond=0)
        body: dict[str, Any] = {
            "appid": account.app_id,
            "mchid": account.number,
            "description": request.title[:42],
            "out_trade_no": request.trade_no,
            "time_expire": expires.isoformat(),
            "notify_url": request.notify_url,
            "amount": {"total": wechat_pay.fen(request.amount), "currency": "CNY"},
        }
        kind = {Way.QR: "native", Way.PHONE: "h5", Way.IN_APP: "jsapi"}[request.way]
        if request.way is Way.PHONE:
            body["scene_info"] = {
                "payer_client_ip": request.payer_ip,
                "h5_info": {"type": "Wap"},
            }
        if request.way is Way.IN_APP:
            body["payer"] = {"openid": request.payer or ""}
        told = _call(scope, account, "POST", f"/v3/pay/transactions/{kind}", body)
        if request.way is Way.QR:
            return Prepared(qr=str(told["code_url"]))
        if request.way is Way.PHONE:
            back = urlencode({"redirect_url": request.return_url})
            glue = "&" if "?" in str(told["h5_url"]) else "?"
            return Prepared(url=f"{told['h5_url']}{glue}{back}")
        return Prepared(script=_script(account, str(told["prepay_id"])))

    def identity_url(
        self, scope: Scope, merchant_id: UUID, back_url: str, state: str
    ) -> str | None:
        account = _account(scope, merchant_id)
        if not account.app_secret:
            return None
        asked = {
            "appid": account.app_id,
            "redirect_uri": back_url,
            "response_type": "code",
            "scope": "snsapi_base",
            "state": state,
        }
        base = account.app_url or WHO_PAYS
        return f"{base}/connect/oauth2/authorize?{urlencode(asked)}#wechat_redirect"

    def payer_of(self, scope: Scope, merchant_id: UUID, code: str) -> str:
        account = _account(scope, merchant_id)
        asked = {
            "appid": account.app_id,
            "secret": account.app_secret,
            "code": code,
            "grant_type": "authorization_code",
        }
        url = f"{account.app_url or TELL}/sns/oauth2/access_token?{urlencode(asked)}"
        answer = exchange(scope, "GET", url, {"Accept": "application/json"}, None)
        try:
            told = json.loads(answer.body)
        except ValueError as error:
            raise ChannelUnsure(N_("The gateway's answer cannot be read.")) from error
        openid = str(told.get("openid") or "") if isinstance(told, dict) else ""
        if not openid:
            raise ChannelRefused(
                N_("WeChat did not tell who pays (%(code)s). Go back and choose WeChat again."),
                code=str(told.get("errcode", "") if isinstance(told, dict) else ""),
            )
        return openid[:128]

    def query(self, scope: Scope, merchant_id: UUID, trade_no: str) -> Outcome:
        account = _account(scope, merchant_id)
        path = f"/v3/pay/transactions/out-trade-no/{trade_no}?mchid={account.number}"
        told = _call(scope, account, "GET", path, None, is_missing_fine=True)
        if told.get("code") in UNKNOWN_ORDER:
            return Outcome(Standing.CLOSED, trade_no, account.number)
        return wechat_pay.outcome(told)

    def close(self, scope: Scope, merchant_id: UUID, trade_no: str) -> None:
        account = _account(scope, merchant_id)
        path = f"/v3/pay/transactions/out-trade-no/{trade_no}/close"
        _call(scope, account, "POST", path, {"mchid": account.number}, is_missing_fine=True)

    def refund(self, scope: Scope, merchant_id: UUID, request: RefundRequest) -> Standing:
        body = {
            "out_trade_no": request.trade_no,
            "out_refund_no": request.refund_no,
            "reason": request.reason[:80] or "退款",
            "notify_url": request.notify_url,
            "amount": {
                "refund": wechat_pay.fen(request.amount),
                "total": wechat_pay.fen(request.total),
                "currency": "CNY",
            },
        }
        account = _account(scope, merchant_id)
        told = _call(scope, account, "POST", "/v3/refund/domestic/refunds", body)
        return wechat_pay.REFUND_STANDINGS.get(str(told.get("status")), Standing.PENDING)

    def query_refund(self, scope: Scope, merchant_id: UUID, request: RefundRequest) -> Standing:
        account = _account(scope, merchant_id)
        path = f"/v3/refund/domestic/refunds/{request.refund_no}"
        told = _call(scope, account, "GET", path, None, is_missing_fine=True)
        if told.get("code") in UNKNOWN_ORDER:
            return Standing.FAILED
        return wechat_pay.REFUND_STANDINGS.get(str(told.get("status")), Standing.PENDING)

    def read_notice(
        self, scope: Scope, merchant_id: UUID, headers: Mapping[str, str], body: bytes
    ) -> Notice:
        account = _account(scope, merchant_id)
        seal = wechat_pay.Seal.of(headers)
        try:
            wechat_pay.check_seal(seal, body, account.platform_key, account.platform_key_id)
            event_id, kind, told = wechat_pay.read_notice(body, account.notice_key)
            is_payment = kind.startswith("TRANSACTION.")
            outcome = wechat_pay.outcome(told) if is_payment else None
        except (wechat_pay.NotGenuine, KeyError, ValueError) as error:
            raise Forged(N_("This notice is not genuine: %(why)s"), why=str(error)) from error
        return Notice(f"{seal.timestamp}-{seal.nonce}"[:64], event_id, outcome)

    def acknowledge(self, is_taken: bool) -> tuple[int, str, bytes]:
        if is_taken:
            return 204, "application/json", b""
        return 500, "application/json", b'{"code":"FAIL","message":"try again"}'

    def statement(self, scope: Scope, merchant_id: UUID, day: date) -> Statement:
        account = _account(scope, merchant_id)
        asked = urlencode({"bill_date": str(day), "bill_type": "ALL", "tar_type": "GZIP"})
        told = _call(
            scope, account, "GET", f"/v3/bill/tradebill?{asked}", None, is_missing_fine=True
        )
        if told.get("code") == "NO_STATEMENT_EXIST":
            return Statement((), "none")
        if "download_url" not in told:
            raise _refusal(told)
        url = str(told["download_url"])
        headers = _headers(account, "GET", _path_of(url), "")
        answer = exchange(scope, "GET", url, headers, None)
        try:
            content = gzip.decompress(answer.body)
        except (OSError, EOFError) as error:
            raise ChannelUnsure(N_("The bill cannot be unzipped.")) from error
        # The answer is not signed: the digest, which was, vouches for it.
        if wechat_pay.digest(content) != str(told.get("hash_value", "")).lower():
            raise ChannelUnsure(N_("The bill is not the one that the gateway announced."))
        return Statement(wechat_pay.bill_rows(content), wechat_pay.digest(content))

    def test(self, scope: Scope, account: Account) -> None:
        """Ask about an order that does not exist; raises in plain words when anything is wrong."""
        if len(account.notice_key) != 32:
            raise ChannelRefused(N_("The APIv3 key has 32 characters."))
        path = f"/v3/pay/transactions/out-trade-no/{secrets.token_hex(16)}?mchid={account.number}"
        told = _call(scope, account, "GET", path, None, is_missing_fine=True)
        if told.get("code") not in UNKNOWN_ORDER:
            raise _refusal(told)


def _account(scope: Scope, merchant_id: UUID) -> Account:
    return open_account(scope, merchant_id, Provider.WECHAT_PAY)


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _headers(account: Account, method: str, path: str, body: str) -> dict[str, str]:
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    message = wechat_pay.request_message(method, path, timestamp, nonce, body)
    signature = keys.sign(account.private_key, message)
    return {
        "Authorization": wechat_pay.authorization(
            account.number, account.serial, timestamp, nonce, signature
        ),
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "Dougong",
        "Wechatpay-Serial": account.platform_key_id,
    }


def _call(
    scope: Scope,
    account: Account,
    method: str,
    path: str,
    told: Mapping[str, Any] | None,
    *,
    is_missing_fine: bool = False,
) -> Mapping[str, Any]:
    """Return the answer to a signed request, after checking that the gateway signed it.

    is_missing_fine: an error "no such order" or "no bill" is an answer like others.
    """
    body = json.dumps(told, ensure_ascii=False) if told is not None else ""
    url = account.base_url + path
    headers = _headers(account, method, _path_of(url), body)
    answer = exchange(scope, method, url, headers, body.encode() if body else None)
    seal = wechat_pay.Seal.of(answer.headers)
    try:
        wechat_pay.check_seal(seal, answer.body, account.platform_key, account.platform_key_id)
    except wechat_pay.NotGenuine as error:
        # Before it knows who asks, the gateway has no key to sign with.
        if answer.status == 401:
            raise ChannelRefused(WORDS["SIGN_ERROR"]) from error
        raise ChannelUnsure(
            N_("The answer is not signed with the gateway's key that we know: %(why)s."),
            why=str(error),
        ) from error
    found = json.loads(answer.body) if answer.body else {}
    is_missing = found.get("code") in (*UNKNOWN_ORDER, "NO_STATEMENT_EXIST")
    if answer.status >= 400 and not (is_missing and is_missing_fine):
        raise _refusal(found)
    return found


def _refusal(told: Mapping[str, Any]) -> ChannelRefused:
    code = str(told.get("code", ""))
    if code in WORDS:
        return ChannelRefused(WORDS[code])
    return ChannelRefused(OTHER, said=str(told.get("message", ""))[:120], code=code)


def _script(account: Account, prepay_id: str) -> dict[str, str]:
    """Return what the page inside the app hands to ``WeixinJSBridge``."""
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    package = f"prepay_id={prepay_id}"
    message = f"{account.app_id}\n{timestamp}\n{nonce}\n{package}\n".encode()
    return {
        "appId": account.app_id,
        "timeStamp": timestamp,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": keys.sign(account.private_key, message),
    }


__all__ = ["WechatPay"]
