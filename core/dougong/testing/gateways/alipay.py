"""Alipay's open platform, played: precreate, wap, page, query, close, refund, bill, notices.

Source: Alipay open platform documentation. Everything is signed with RSA2.
"""

import io
import json
import secrets
import time
import zipfile
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
from flask import Flask, Response, redirect, request

from dougong.testing.gateways.trades import (
    Gateway,
    Member,
    Refund,
    Trade,
    fen_of,
    in_china,
    signature,
    yuan,
)

STATES = {"open": "WAIT_BUYER_PAY", "paid": "TRADE_SUCCESS", "closed": "TRADE_CLOSED"}
HEADINGS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,"
    "对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,"
    "券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)


def signed_text(fields: Mapping[str, str], *without: str) -> bytes:
    """Return what is signed of a request or a notice."""
    names = sorted(n for n, value in fields.items() if value and n not in without)
    return "&".join(f"{n}={fields[n]}" for n in names).encode()


class AlipayGateway(Gateway):
    """Alipay; merchants are known by their app id, their number is the seller's id."""

    name, colour = "支付宝", "#0d62d6"

    def install(self, app: Flask) -> None:
        self.bills: dict[str, bytes] = {}
        app.add_url_rule("/gateway.do", view_func=self.gateway, methods=["GET", "POST"])
        app.add_url_rule("/bill/<token>", view_func=self.download)
        self.methods = {
            "alipay.trade.precreate": self.precreate,
            "alipay.trade.query": self.query,
            "alipay.trade.close": self.close,
            "alipay.trade.refund": self.give_back,
            "alipay.trade.fastpay.refund.query": self.query_refund,
            "alipay.data.dataservice.bill.downloadurl.query": self.bill,
        }

    def gateway(self) -> Any:
        fields = {**request.args.to_dict(), **request.form.to_dict()}
        method = fields.get("method", "")
        member = next((m for m in self.members.values() if m.app_id == fields.get("app_id")), None)
        if member is None:
            return self.fault("40002", "isv.invalid-app-id", "无效的AppID参数")
        if not self._has_signed(member, fields):
            return self.fault("40002", "isv.invalid-signature", "无效签名")
        content = json.loads(fields["biz_content"])
        if method in ("alipay.trade.wap.pay", "alipay.trade.page.pay"):
            trade = self._open(member, content, fields)
            if trade is None:
                return Response("参数错误", 400, content_type="text/plain; charset=utf-8")
            return redirect(self.page_url(trade.number), 302)
        act = self.methods.get(method)
        if act is None:
            return self.fault("40004", "isv.invalid-method", "不存在的方法名")
        return self.answer(method, act(member, content, fields))

    @staticmethod
    def _has_signed(member: Member, fields: Mapping[str, str]) -> bool:
        """Tell whether a request is signed; the charset in the address is signed only once."""
        return fields.get("sign_type") == "RSA2" and member.has_signed(
            signed_text(fields, "sign"), fields.get("sign", "")
        )

    def fault(self, code: str, sub_code: str, message: str) -> Response:
        """Return a refusal of somebody whom we do not know; it is not signed."""
        self.refused.append(sub_code)
        told = {"code": code, "msg": "Invalid Arguments", "sub_code": sub_code, "sub_msg": message}
        text = json.dumps({"error_response": told}, ensure_ascii=False)
        return Response(text, content_type="application/json; charset=utf-8")

    def answer(self, method: str, told: Mapping[str, Any]) -> Response:
        """Return a signed answer; what is signed is the answer's JSON to the letter."""
        if self.is_mute:
            return Response(b"", 502)
        if "sub_code" in told:
            self.refused.append(str(told["sub_code"]))
        raw = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        signed = signature(self.key, raw.encode())
        text = f'{{"{method.replace(".", "_")}_response":{raw},"sign":"{signed}"}}'
        return Response(text, content_type="application/json; charset=utf-8")

    @staticmethod
    def fine(**told: Any) -> dict[str, Any]:
        return {"code": "10000", "msg": "Success", **told}

    @staticmethod
    def wrong(sub_code: str, message: str) -> dict[str, Any]:
        return {"code": "40004", "msg": "Business Failed", "sub_code": sub_code, "sub_msg": message}

    # --- trades -----------------------------------------------------------------------------

    def _open(
        self, member: Member, content: Mapping[str, Any], fields: Mapping[str, str]
    ) -> Trade | None:
        number, fen = str(content["out_trade_no"]), fen_of(str(content["total_amount"]))
        if fen <= 0 or not fields.get("notify_url"):
            return None
        with self.lock:
            known = self.trades.get(number)
            if known is not None:
                return known if known.fen == fen and known.merchant == member.number else None
            trade = Trade(
                number,
                member.number,
                str(content["subject"]),
                fen,
                fields["notify_url"],
                fields.get("return_url", ""),
            )
            self.trades[number] = trade
            self.save()
        return trade

    def precreate(self, member: Member, content: Any, fields: Any) -> dict[str, Any]:
        trade = self._open(member, content, fields)
        if trade is None:
            return self.wrong("ACQ.INVALID_PARAMETER", "参数无效")
        if trade.state != "open":
            return self.wrong("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
        return self.fine(out_trade_no=trade.number, qr_code=self.page_url(trade.number))

    def _known(self, member: Member, content: Mapping[str, Any]) -> Trade | None:
        trade = self.trades.get(str(content["out_trade_no"]))
        return trade if trade is not None and trade.merchant == member.number else None

    def query(self, member: Member, content: Any, fields: Any) -> dict[str, Any]:
        trade = self._known(member, content)
        if trade is None:
            return self.wrong("ACQ.TRADE_NOT_EXIST", "交易不存在")
        told = {
            "out_trade_no": trade.number,
            "trade_status": STATES[trade.state],
            "total_amount": trade.yuan,
            "buyer_logon_id": "dem***@example.com",
        }
        if trade.state == "paid":
            told["trade_no"] = trade.transaction_id
        return self.fine(**told)

    def close(self, member: Member, content: Any, fields: Any) -> dict[str, Any]:
        trade = self._known(member, content)
        if trade is None:
            return self.wrong("ACQ.TRADE_NOT_EXIST", "交易不存在")
        with self.lock:
            if trade.state == "paid":
                return self.wrong("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
            trade.state = "closed"
            self.save()
        return self.fine(out_trade_no=trade.number)

    def give_back(self, member: Member, content: Any, fields: Any) -> dict[str, Any]:
        trade = self._known(member, content)
        if trade is None:
            return self.wrong("ACQ.TRADE_NOT_EXIST", "交易不存在")
        fen = fen_of(str(content["refund_amount"]))
        known = content["out_request_no"] in trade.refunds
        made = self.refund(trade, content["out_request_no"], fen)
        if made is None or made.fen != fen:
            return self.wrong("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限")
        return self.fine(
            out_trade_no=trade.number,
            trade_no=trade.transaction_id,
            fund_change="N" if known else "Y",
            refund_fee=yuan(trade.refunded_fen),
        )

    def query_refund(self, member: Member, content: Any, fields: Any) -> dict[str, Any]:
        trade = self._known(member, content)
        made = trade.refunds.get(content["out_request_no"]) if trade else None
        if trade is None or made is None:
            return self.fine()
        return self.fine(
            out_trade_no=trade.number,
            out_request_no=made.number,
            refund_amount=yuan(made.fen),
            refund_status="REFUND_SUCCESS",
        )

    # --- bills ------------------------------------------------------------------------------

    def bill(self, member: Member, content: Any, fields: Any) -> dict[str, Any]:
        rows = list(self.bill_of(member.number, content["bill_date"]))
        if not rows:
            return self.wrong("isp.bill_not_exist", "账单不存在")
        lines = ["#支付宝业务明细查询", f"#账号：[{member.number}]"]
        lines += ["#-----------------业务明细列表----------------", HEADINGS]
        lines += [self._line(*row) for row in rows]
        lines += ["#-----------------业务明细列表结束------------", f"#笔数：{len(rows)}"]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            stem = f"{member.number}0156_{content['bill_date'].replace('-', '')}"
            archive.writestr(f"{stem}_业务明细.csv", "\r\n".join(lines).encode("gbk"))
            archive.writestr(f"{stem}_业务明细(汇总).csv", "#汇总".encode("gbk"))
        token = secrets.token_hex(16)
        self.bills[token] = packed.getvalue()
        root = f"{request.host_url.rstrip('/')}{request.script_root}"
        return self.fine(bill_download_url=f"{root}/bill/{token}?bizType=trade")

    def _line(self, trade: Trade, back: Refund | None, fen: int) -> str:
        at = f"{in_china(back.at if back else trade.paid_at):%Y-%m-%d %H:%M:%S}"
        sign, fee = (-1, round(fen * 6 / 1000)) if back else (1, -round(fen * 6 / 1000))
        amount, zero = yuan(sign * fen), "0.00"
        cells = [
            trade.transaction_id, trade.number, "退款" if back else "交易",
            trade.title.replace(",", " "), at, at, "", "", "", "", "*演示(dem***)", amount, amount,
            zero, zero, zero, zero, zero, "", zero, zero, back.number if back else "", yuan(fee),
            zero, "",
        ]  # fmt: skip
        return ",".join(f"{cell}\t" for cell in cells)

    def download(self, token: str) -> Response:
        content = self.bills.get(token)
        if content is None:
            return Response(b"", 404)
        return Response(content, content_type="application/zip")

    # --- notices ----------------------------------------------------------------------------

    def notice(
        self, trade: Trade, told: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        """Return a notice of a payment; told: fields that say something else."""
        at = f"{in_china(time.time()):%Y-%m-%d %H:%M:%S}"
        fields = {
            "notify_time": at,
            "notify_type": "trade_status_sync",
            "notify_id": f"{trade.number}{secrets.token_hex(4)}",
            "app_id": self.members[trade.merchant].app_id,
            "charset": "utf-8",
            "version": "1.0",
            "trade_no": trade.transaction_id,
            "out_trade_no": trade.number,
            "seller_id": trade.merchant,
            "trade_status": STATES[trade.state],
            "total_amount": trade.yuan,
            "subject": trade.title,
            "body": "",
            "gmt_payment": at,
            **(told or {}),
        }
        signed = signature(self.key, signed_text(fields, "sign", "sign_type"))
        body = urlencode({**fields, "sign_type": "RSA2", "sign": signed}).encode()
        return {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, body

    def is_acknowledged(self, answer: httpx.Response) -> bool:
        return answer.status_code == 200 and answer.text == "success"
