"""WeChat Pay APIv3, played: native, H5 and JSAPI orders, query, close, refund, bill, notices.

Source: WeChat Pay merchant documentation, APIv3.
"""

import base64
import gzip
import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask, Response, redirect, request

from dougong.testing.gateways.trades import (
    Gateway,
    Member,
    Refund,
    Trade,
    in_china,
    signature,
    yuan,
)

KEY_ID = "PUB_KEY_ID_0000000000000024101100397200000006"
FIELD = re.compile(r'(\w+)="([^"]*)"')
WINDOW_S = 300
STATES = {"open": "NOTPAY", "paid": "SUCCESS", "closed": "CLOSED"}
HEADINGS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
    "付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,"
    "退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMS = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)


class WechatPayGateway(Gateway):
    """WeChat Pay. key_id: by which it names the key that it signs with."""

    name, colour = "微信支付", "#07a152"
    key_id = KEY_ID

    def install(self, app: Flask) -> None:
        self.nonces: set[str] = set()
        self.bills: dict[str, bytes] = {}
        self.codes: dict[str, tuple[str, str]] = {}
        self.openids: set[str] = set()
        app.add_url_rule("/bridge", view_func=self.bridge, methods=["POST"])
        app.add_url_rule("/connect/oauth2/authorize", view_func=self.authorize)
        app.add_url_rule("/sns/oauth2/access_token", view_func=self.tell_payer)
        orders = "/v3/pay/transactions"
        app.add_url_rule(f"{orders}/<kind>", view_func=self.order, methods=["POST"])
        by_number = f"{orders}/out-trade-no/<number>"
        app.add_url_rule(by_number, view_func=self.query)
        app.add_url_rule(f"{by_number}/close", view_func=self.close, methods=["POST"])
        refunds = "/v3/refund/domestic/refunds"
        app.add_url_rule(refunds, view_func=self.give_back, methods=["POST"])
        app.add_url_rule(f"{refunds}/<number>", view_func=self.query_refund)
        app.add_url_rule("/v3/bill/tradebill", view_func=self.bill)
        app.add_url_rule("/v3/billdownload/file/<token>", view_func=self.download)

    # --- who asks ---------------------------------------------------------------------------

    def member(self) -> Member | None:
        """Return who signed this request just now, None for nobody."""
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        told = dict(FIELD.findall(rest))
        member = self.members.get(told.get("mchid", ""))
        target = f"{request.script_root}{request.path}"
        if request.query_string:
            target += f"?{request.query_string.decode()}"
        body = request.get_data()
        nonce, at = told.get("nonce_str", ""), told.get("timestamp", "0")
        message = b"%b\n%b\n%b\n%b\n%b\n" % (
            request.method.encode(), target.encode(), at.encode(), nonce.encode(), body,
        )  # fmt: skip
        is_right = (
            scheme == "WECHATPAY2-SHA256-RSA2048"
            and member is not None
            and told.get("serial_no") == member.serial
            and abs(time.time() - int(at)) <= WINDOW_S
            and nonce not in self.nonces
            and member.has_signed(message, told.get("signature", ""))
        )
        self.nonces.add(nonce)
        return member if is_right else None

    def seal(self, body: bytes) -> dict[str, str]:
        """Return the headers that sign an answer or a notice."""
        at, nonce = str(int(time.time())), secrets.token_hex(16)
        message = b"%b\n%b\n%b\n" % (at.encode(), nonce.encode(), body)
        return {
            "Wechatpay-Timestamp": at,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": signature(self.key, message),
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
            "Wechatpay-Serial": self.key_id,
        }

    def answer(self, told: Mapping[str, Any] | None, status: int = 200) -> Response:
        """Return a signed answer."""
        if self.is_mute:
            return Response(b"", 502)
        body = b"" if told is None else json.dumps(told, ensure_ascii=False).encode()
        return Response(body, status, self.seal(body), content_type="application/json")

    def fault(self, status: int, code: str, message: str) -> Response:
        """Return a refusal, and remember it."""
        self.refused.append(code)
        if status == 401:
            text = json.dumps({"code": code, "message": message}, ensure_ascii=False)
            return Response(text, 401, content_type="application/json")
        return self.answer({"code": code, "message": message}, status)

    def stranger(self) -> Response:
        return self.fault(401, "SIGN_ERROR", "签名错误")

    # --- orders -----------------------------------------------------------------------------

    def order(self, kind: str) -> Response:
        member = self.member()
        if member is None:
            return self.stranger()
        told = request.get_json()
        if told["mchid"] != member.number or told["appid"] != member.app_id:
            return self.fault(400, "APPID_MCHID_NOT_MATCH", "商户号与appid不匹配")
        number, fen = told["out_trade_no"], told["amount"]["total"]
        is_right = isinstance(fen, int) and fen > 0 and 6 <= len(number) <= 32
        if not is_right or not str(told["notify_url"]).startswith("http"):
            return self.fault(400, "PARAM_ERROR", "参数错误")
        with self.lock:
            known = self.trades.get(number)
            if known is not None and known.state != "open":
                return self.fault(400, "ORDERPAID", "订单已支付或已关闭")
            trade = Trade(number, member.number, told["description"], fen, told["notify_url"])
            self.trades[number] = trade
            self.save()
        if kind == "native":
            return self.answer({"code_url": self.page_url(number)})
        if kind == "h5":
            return self.answer({"h5_url": f"{self.page_url(number)}?prepay_id={number}"})
        if kind == "jsapi" and told["payer"]["openid"] in self.openids:
            trade.payer = told["payer"]["openid"]
            return self.answer({"prepay_id": f"wx{number}"})
        return self.fault(400, "PARAM_ERROR", "无效的openid")

    # --- inside the app ---------------------------------------------------------------------

    def authorize(self) -> Any:
        """Lead the app's user back to the merchant's page with a code that names him once."""
        asked = request.args
        known = any(m.app_id == asked.get("appid") for m in self.members.values())
        is_right = asked.get("response_type") == "code" and asked.get("scope") == "snsapi_base"
        if not known or not is_right or len(asked.get("state", "")) > 128:
            return self.fault(400, "PARAM_ERROR", "参数错误")
        code = secrets.token_hex(16)
        self.codes[code] = (asked["appid"], f"o{secrets.token_hex(13)}")
        told = urlencode({"code": code, "state": asked.get("state", "")})
        glue = "&" if "?" in asked["redirect_uri"] else "?"
        return redirect(f"{asked['redirect_uri']}{glue}{told}", 302)

    def tell_payer(self) -> Any:
        """Tell a merchant who proves himself to whom a code was given; once."""
        asked = request.args
        member = next((m for m in self.members.values() if m.app_id == asked.get("appid")), None)
        if member is None or not member.app_secret or asked.get("secret") != member.app_secret:
            return {"errcode": 40125, "errmsg": "invalid appsecret"}
        app_id, openid = self.codes.pop(asked.get("code", ""), ("", ""))
        if app_id != member.app_id or asked.get("grant_type") != "authorization_code":
            return {"errcode": 40029, "errmsg": "invalid code"}
        self.openids.add(openid)
        return {"access_token": secrets.token_hex(16), "openid": openid, "scope": "snsapi_base"}

    def bridge(self) -> Any:
        """Pay what a browser's stand-in for ``WeixinJSBridge`` was handed."""
        return {"err_msg": self.pay_in_app(request.get_json())}

    def pay_in_app(self, script: Mapping[str, str]) -> str:
        """Do what ``WeixinJSBridge`` does with ``getBrandWCPayRequest``; return its ``err_msg``."""
        number = script.get("package", "").removeprefix("prepay_id=wx")
        trade = self.trades.get(number)
        member = self.members[trade.merchant] if trade else None
        message = "".join(
            f"{script.get(n, '')}\n" for n in ("appId", "timeStamp", "nonceStr", "package")
        )
        is_right = (
            trade is not None
            and member is not None
            and bool(trade.payer)
            and script.get("signType") == "RSA"
            and script.get("appId") == member.app_id
            and member.has_signed(message.encode(), script.get("paySign", ""))
        )
        if not is_right or trade is None or trade.state == "closed":
            self.refused.append("getBrandWCPayRequest")
            return "get_brand_wcpay_request:fail"
        self.pay(number)
        return "get_brand_wcpay_request:ok"

    def page(self, number: str) -> Any:
        trade = self.trades.get(number)
        if trade is not None and request.args.get("redirect_url"):
            trade.return_url = request.args["redirect_url"]
        return super().page(number)

    def query(self, number: str) -> Response:
        member = self.member()
        if member is None:
            return self.stranger()
        trade = self.trades.get(number)
        if trade is None or trade.merchant != member.number:
            return self.fault(404, "ORDER_NOT_EXIST", "订单不存在")
        return self.answer(self.told(trade))

    def told(self, trade: Trade) -> dict[str, Any]:
        """Return what an answer or a notice says about a trade."""
        state = "REFUND" if trade.refunds else STATES[trade.state]
        said: dict[str, Any] = {
            "mchid": trade.merchant,
            "appid": self.members[trade.merchant].app_id,
            "out_trade_no": trade.number,
            "trade_state": state,
            "trade_state_desc": state,
            "amount": {"total": trade.fen, "currency": trade.currency},
        }
        if trade.state == "paid":
            said |= {
                "transaction_id": trade.transaction_id,
                "success_time": in_china(trade.paid_at).replace(microsecond=0).isoformat(),
                "payer": {"openid": trade.payer or "oDEMO"},
            }
        return said

    def close(self, number: str) -> Response:
        member = self.member()
        if member is None:
            return self.stranger()
        trade = self.trades.get(number)
        if trade is None or trade.merchant != member.number:
            return self.fault(404, "ORDER_NOT_EXIST", "订单不存在")
        with self.lock:
            if trade.state == "paid":
                return self.fault(400, "ORDERPAID", "订单已支付")
            trade.state = "closed"
            self.save()
        return self.answer(None, 204)

    # --- refunds ----------------------------------------------------------------------------

    def give_back(self) -> Response:
        member = self.member()
        if member is None:
            return self.stranger()
        told = request.get_json()
        trade = self.trades.get(told["out_trade_no"])
        if trade is None or trade.merchant != member.number:
            return self.fault(404, "RESOURCE_NOT_EXISTS", "订单不存在")
        if told["amount"]["total"] != trade.fen:
            return self.fault(400, "PARAM_ERROR", "订单金额与之前请求不一致")
        made = self.refund(trade, told["out_refund_no"], told["amount"]["refund"])
        if made is None or made.fen != told["amount"]["refund"]:
            return self.fault(400, "INVALID_REQUEST", "可退余额不足")
        return self.answer(self._told_back(trade, made))

    def _told_back(self, trade: Trade, made: Refund) -> dict[str, Any]:
        return {
            "refund_id": made.id,
            "out_refund_no": made.number,
            "out_trade_no": trade.number,
            "status": "SUCCESS",
            "amount": {"refund": made.fen, "total": trade.fen, "currency": "CNY"},
        }

    def query_refund(self, number: str) -> Response:
        member = self.member()
        if member is None:
            return self.stranger()
        for trade in self.trades.values():
            if trade.merchant == member.number and number in trade.refunds:
                return self.answer(self._told_back(trade, trade.refunds[number]))
        return self.fault(404, "RESOURCE_NOT_EXISTS", "退款单不存在")

    # --- bills ------------------------------------------------------------------------------

    def bill(self) -> Response:
        member = self.member()
        if member is None:
            return self.stranger()
        rows = list(self.bill_of(member.number, request.args["bill_date"]))
        if not rows:
            return self.fault(400, "NO_STATEMENT_EXIST", "账单文件不存在")
        lines = [HEADINGS, *(self._line(member, *row) for row in rows), SUMS]
        lines.append("`1,`0.00,`0.00,`0.00,`0.00,`0.00,`0.00")
        content = ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()
        token = secrets.token_hex(16)
        self.bills[token] = content
        root = f"{request.host_url.rstrip('/')}{request.script_root}"
        return self.answer(
            {
                "hash_type": "SHA1",
                "hash_value": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
                "download_url": f"{root}/v3/billdownload/file/{token}?tartype=gzip",
            }
        )

    def _line(self, member: Member, trade: Trade, back: Refund | None, fen: int) -> str:
        at = in_china(back.at if back else trade.paid_at)
        fee = -round(fen * 6 / 1000) if back else round(fen * 6 / 1000)
        title = trade.title.replace(",", " ")
        zero = "0.00"
        cells = [
            f"{at:%Y-%m-%d %H:%M:%S}", member.app_id, member.number, "0", "",
            trade.transaction_id, trade.number, "oDEMO", "NATIVE", "REFUND" if back else "SUCCESS",
            "OTHERS", "CNY", zero if back else yuan(fen), zero, back.id if back else "0",
            back.number if back else "0", yuan(fen) if back else zero, zero,
            "ORIGINAL" if back else "", "SUCCESS" if back else "", title, "",
            f"{fee / 100:.5f}", "0.60%", zero if back else yuan(fen),
            yuan(fen) if back else zero, "",
        ]  # fmt: skip
        return ",".join(f"`{cell}" for cell in cells)

    def download(self, token: str) -> Response:
        if self.member() is None:
            return self.stranger()
        content = self.bills.get(token)
        if content is None:
            return self.fault(404, "NO_STATEMENT_EXIST", "账单文件不存在")
        return Response(gzip.compress(content), content_type="application/octet-stream")

    # --- notices ----------------------------------------------------------------------------

    def notice(
        self, trade: Trade, told: Mapping[str, Any] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        """Return a notice of a payment; told: says something else, as forgers and faults do."""
        member = self.members[trade.merchant]
        nonce, associated = secrets.token_hex(6), "transaction"
        plain = json.dumps(told or self.told(trade), ensure_ascii=False).encode()
        sealed = AESGCM(member.notice_key.encode()).encrypt(
            nonce.encode(), plain, associated.encode()
        )
        body = json.dumps(
            {
                "id": f"EV-{trade.number}",
                "create_time": in_china(time.time()).replace(microsecond=0).isoformat(),
                "resource_type": "encrypt-resource",
                "event_type": "TRANSACTION.SUCCESS",
                "summary": "支付成功",
                "resource": {
                    "original_type": "transaction",
                    "algorithm": "AEAD_AES_256_GCM",
                    "ciphertext": base64.b64encode(sealed).decode(),
                    "associated_data": associated,
                    "nonce": nonce,
                },
            },
            ensure_ascii=False,
        ).encode()
        return {**self.seal(body), "Content-Type": "application/json"}, body

    def is_acknowledged(self, answer: httpx.Response) -> bool:
        return answer.status_code in (200, 204)
