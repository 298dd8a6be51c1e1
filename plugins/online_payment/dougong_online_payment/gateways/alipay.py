"""Alipay as a payment channel: precreate (QR), wap, page, query, close, refund, bill."""

import json
import secrets
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode
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
from dougong_online_payment.domain import alipay, keys
from dougong_online_payment.gateways.account import (
    Account,
    active_merchant,
    exchange,
    open_account,
)
from dougong_online_payment.models import Provider

CHINA = ZoneInfo("Asia/Shanghai")
FINE, BUSY = "10000", ("20000", "ACQ.SYSTEM_ERROR", "aop.ACQ.SYSTEM_ERROR")
UNKNOWN_ORDER = "ACQ.TRADE_NOT_EXIST"
NO_BILL = ("isp.bill_not_exist", "isv.bill_not_exist", "isp.bill-not-exist")
WORDS = {
    "isv.invalid-signature": N_(
        "The gateway refuses our signature: check our key and the app id it belongs to."
    ),
    "isv.invalid-app-id": N_("The gateway does not know this app id."),
    "isv.insufficient-isv-permissions": N_(
        "This merchant may not do this; have it opened at the gateway."
    ),
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": N_("The merchant's balance is too low for this refund."),
    "ACQ.TRADE_HAS_SUCCESS": N_("This was paid already."),
    "ACQ.TRADE_STATUS_ERROR": N_("This was paid already."),
}
OTHER = N_("The gateway refuses: %(said)s (%(code)s)")
PAGES = {
    Way.PHONE: ("alipay.trade.wap.pay", "QUICK_WAP_WAY"),
    Way.PAGE: ("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
}


class Alipay(Channel):
    """Alipay (支付宝), open platform with RSA2 and public keys."""

    id = Provider.ALIPAY.value
    title = bilingual("Alipay", "支付宝")
    ways = (Way.QR, Way.PHONE, Way.PAGE)
    app_mark = "AlipayClient"

    def merchant(self, scope: Scope) -> Merchant | None:
        return active_merchant(scope, Provider.ALIPAY)

    def prepare(self, scope: Scope, merchant_id: UUID, request: PaymentRequest) -> Prepared:
        account = _account(scope, merchant_id)
        content = {
            "out_trade_no": request.trade_no,
            "total_amount": f"{request.amount:.2f}",
            "subject": request.title[:120],
            "time_expire": f"{request.expires_at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}",
        }
        extra = {"notify_url": request.notify_url}
        if request.way is Way.QR:
            told = _call(scope, account, "alipay.trade.precreate", content, extra)
            return Prepared(qr=str(told["qr_code"]))
        method, product = PAGES[request.way]
        content["product_code"] = product
        extra["return_url"] = request.return_url
        fields = _signed(account, method, content, extra)
        return Prepared(url=f"{account.base_url}?{urlencode(fields)}")

    def query(self, scope: Scope, merchant_id: UUID, trade_no: str) -> Outcome:
        account = _account(scope, merchant_id)
        told = _call(scope, account, "alipay.trade.query", {"out_trade_no": trade_no})
        if told.get("sub_code") == UNKNOWN_ORDER:
            # Before the payer has scanned, there is no trade: that is not the end of it.
            return Outcome(Standing.PENDING, trade_no, account.number)
        return alipay.outcome(told, account.number)

    def close(self, scope: Scope, merchant_id: UUID, trade_no: str) -> None:
        _call(scope, _account(scope, merchant_id), "alipay.trade.close",
              {"out_trade_no": trade_no})  # fmt: skip

    def refund(self, scope: Scope, merchant_id: UUID, request: RefundRequest) -> Standing:
        content = {
            "out_trade_no": request.trade_no,
            "out_request_no": request.refund_no,
            "refund_amount": f"{request.amount:.2f}",
            "refund_reason": request.reason[:80] or "退款",
        }
        account = _account(scope, merchant_id)
        told = _call(scope, account, "alipay.trade.refund", content)
        if told.get("sub_code"):
            raise _refusal(told)
        if told.get("fund_change") == "Y":
            return Standing.DONE
        return self.query_refund(scope, merchant_id, request)

    def query_refund(self, scope: Scope, merchant_id: UUID, request: RefundRequest) -> Standing:
        content = {"out_trade_no": request.trade_no, "out_request_no": request.refund_no}
        account = _account(scope, merchant_id)
        told = _call(scope, account, "alipay.trade.fastpay.refund.query", content)
        is_done = told.get("refund_status") == "REFUND_SUCCESS"
        if is_done and Decimal(str(told.get("refund_amount", "0"))) != request.amount:
            raise ChannelRefused(N_("The gateway refunded another amount under this number."))
        return Standing.DONE if is_done else Standing.PENDING

    def read_notice(
        self, scope: Scope, merchant_id: UUID, headers: Mapping[str, str], body: bytes
    ) -> Notice:
        account = _account(scope, merchant_id)
        try:
            fields = alipay.notice_fields(body)
        except ValueError as error:
            raise Forged(N_("This notice is not genuine: %(why)s"), why=str(error)) from error
        text = alipay.signed_text(fields, without=("sign", "sign_type"))
        if not keys.is_signed(account.platform_key, text, fields.get("sign", "")):
            raise Forged(N_("This notice is not genuine: %(why)s"), why="the signature is wrong")
        if fields.get("app_id") != account.app_id:
            raise Forged(N_("This notice is not genuine: %(why)s"), why="another app id")
        outcome = None
        if "out_trade_no" in fields and "trade_status" in fields:
            outcome = alipay.outcome(fields, fields.get("seller_id", ""))
        return Notice(sha256(body).hexdigest(), fields.get("notify_id", ""), outcome)

    def acknowledge(self, is_taken: bool) -> tuple[int, str, bytes]:
        return (200, "text/plain", b"success") if is_taken else (500, "text/plain", b"failure")

    def statement(self, scope: Scope, merchant_id: UUID, day: date) -> Statement:
        account = _account(scope, merchant_id)
        content = {"bill_type": "trade", "bill_date": str(day)}
        method = "alipay.data.dataservice.bill.downloadurl.query"
        told = _call(scope, account, method, content)
        if told.get("sub_code") in NO_BILL:
            return Statement((), "none")
        if "bill_download_url" not in told:
            raise _refusal(told)
        answer = exchange(scope, "GET", str(told["bill_download_url"]), {}, None)
        try:
            rows = alipay.bill_rows(answer.body)
        except (ValueError, KeyError, IndexError, ArithmeticError) as error:
            raise ChannelUnsure(N_("The bill cannot be read: %(why)s"), why=str(error)) from error
        return Statement(rows, alipay.digest(answer.body))

    def test(self, scope: Scope, account: Account) -> None:
        """Ask about an order that does not exist; raises in plain words when anything is wrong."""
        told = _call(scope, account, "alipay.trade.query", {"out_trade_no": secrets.token_hex(16)})
        if told.get("sub_code") != UNKNOWN_ORDER:
            raise _refusal(told)


def _account(scope: Scope, merchant_id: UUID) -> Account:
    return open_account(scope, merchant_id, Provider.ALIPAY)


def _signed(
    account: Account, method: str, content: Mapping[str, Any], extra: Mapping[str, str]
) -> dict[str, str]:
    """Return the fields of a request with our signature."""
    fields = {
        "app_id": account.app_id,
        "method": method,
        "format": "JSON",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": f"{datetime.now(CHINA):%Y-%m-%d %H:%M:%S}",
        "version": "1.0",
        "biz_content": json.dumps(content, ensure_ascii=False, separators=(",", ":")),
        **extra,
    }
    return {**fields, "sign": keys.sign(account.private_key, alipay.signed_text(fields))}


def _call(
    scope: Scope,
    account: Account,
    method: str,
    content: Mapping[str, Any],
    extra: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """Return the answer to a signed request, after checking that the gateway signed it.

    An answer with a business error (``sub_code``) is returned when somebody may expect it.
    """
    body = urlencode(_signed(account, method, content, extra or {})).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
    url = f"{account.base_url}?charset=utf-8"
    answer = exchange(scope, "POST", url, headers, body)
    try:
        raw, told, signature = alipay.answer_parts(answer.body.decode(), method)
    except (ValueError, IndexError) as error:
        raise ChannelUnsure(N_("The gateway's answer cannot be read.")) from error
    if not keys.is_signed(account.platform_key, raw.encode(), signature):
        if told.get("sub_code") in WORDS and not signature:
            raise _refusal(told)
        raise ChannelUnsure(N_("The answer is not signed with the gateway's key that we know."))
    code, sub_code = str(told.get("code", "")), str(told.get("sub_code", ""))
    if code in BUSY or sub_code in BUSY:
        raise ChannelUnsure(
            N_("The gateway is busy or broken (%(status)s). Try again in a few minutes."),
            status=sub_code or code,
        )
    if code != FINE and sub_code not in (UNKNOWN_ORDER, *NO_BILL):
        raise _refusal(told)
    return told


def _refusal(told: Mapping[str, Any]) -> ChannelRefused:
    code = str(told.get("sub_code") or told.get("code", ""))
    if code in WORDS:
        return ChannelRefused(WORDS[code])
    said = str(told.get("sub_msg") or told.get("msg", ""))[:120]
    return ChannelRefused(OTHER, said=said, code=code)
