"""A campus card system behind a bridge, played: order, query, close, refund, statement, notices.

Written from docs/reference/campus-card.md. Bodies are signed as they are with RSA-SHA256; answers
over the request's nonce, a line feed and the body.
"""

import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from flask import Flask, Response, request

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

HEADER = "X-Campus-Signature"


class CampusCardGateway(Gateway):
    """A card system; merchants are known by their number. It keeps nothing of what is paid."""

    name, colour = "校园一卡通", "#7a3cc2"

    def install(self, app: Flask) -> None:
        self.nonces: set[str] = set()
        self.verbs = {
            "order": self.order,
            "query": self.query,
            "close": self.close,
            "refund": self.give_back,
            "query-refund": self.query_refund,
            "statement": self.statement,
        }
        app.add_url_rule("/<verb>", view_func=self.take, methods=["POST"])

    def take(self, verb: str) -> Response:
        body = request.get_data()
        try:
            told = json.loads(body)
        except ValueError:
            return self._unsigned("json")
        member = self.members.get(str(told.get("merchant")))
        if member is None:
            return self._unsigned("merchant")
        if not member.has_signed(body, request.headers.get(HEADER, "")):
            return self._unsigned("signature")
        nonce = str(told.get("nonce", ""))
        if len(nonce) < 16 or nonce in self.nonces or verb not in self.verbs:
            return self._unsigned("nonce")
        self.nonces.add(nonce)
        return self._answer(nonce, self.verbs[verb](member, told))

    def _unsigned(self, code: str) -> Response:
        self.refused.append(code)
        return Response(json.dumps({"error": code}), 400, content_type="application/json")

    def _answer(self, nonce: str, told: Mapping[str, Any]) -> Response:
        if self.is_mute:
            return Response(b"", 502)
        if "error" in told:
            self.refused.append(str(told["error"]))
        body = json.dumps(told, ensure_ascii=False).encode()
        signed = signature(self.key, nonce.encode() + b"\n" + body)
        return Response(body, headers={HEADER: signed}, content_type="application/json")

    # --- trades -----------------------------------------------------------------------------

    def order(self, member: Member, told: Mapping[str, Any]) -> dict[str, Any]:
        number, fen = str(told["order"]), fen_of(str(told["amount"]))
        with self.lock:
            known = self.trades.get(number)
            if fen <= 0 or (known is not None and known.fen != fen):
                return {"error": "amount", "message": "金额不符"}
            if known is not None and known.state != "open":
                return {"error": "paid", "message": "订单已支付或已关闭"}
            if known is None:
                addresses = (str(told["notify"]), str(told.get("back", "")))
                trade = Trade(number, member.number, str(told["title"]), fen, *addresses)
                self.trades[number] = trade
                self.save()
        return {"order": number, "merchant": member.number, "page": self.page_url(number)}

    def _known(self, member: Member, told: Mapping[str, Any]) -> Trade | None:
        trade = self.trades.get(str(told["order"]))
        return trade if trade is not None and trade.merchant == member.number else None

    def _says(self, trade: Trade) -> dict[str, Any]:
        says = {"order": trade.number, "merchant": trade.merchant, "state": trade.state}
        if trade.state == "paid":
            says |= {"amount": trade.yuan, "flow": trade.transaction_id}
            says["at"] = in_china(trade.paid_at).isoformat(timespec="seconds")
        return says

    def query(self, member: Member, told: Mapping[str, Any]) -> dict[str, Any]:
        trade = self._known(member, told)
        if trade is None:
            return {"order": told["order"], "merchant": member.number, "state": "unknown"}
        return self._says(trade)

    def close(self, member: Member, told: Mapping[str, Any]) -> dict[str, Any]:
        trade = self._known(member, told)
        if trade is None:
            return {"state": "unknown"}
        with self.lock:
            if trade.state == "paid":
                return {"error": "paid", "message": "订单已支付"}
            trade.state = "closed"
            self.save()
        return {"state": "closed"}

    def give_back(self, member: Member, told: Mapping[str, Any]) -> dict[str, Any]:
        trade = self._known(member, told)
        if trade is None:
            return {"error": "unknown", "message": "订单不存在"}
        made = self.refund(trade, str(told["refund"]), fen_of(str(told["amount"])))
        if made is None or yuan(made.fen) != told["amount"]:
            return {"error": "amount", "message": "退款金额超限"}
        return {"state": "done", "amount": yuan(made.fen)}

    def query_refund(self, member: Member, told: Mapping[str, Any]) -> dict[str, Any]:
        trade = self._known(member, told)
        made = trade.refunds.get(str(told["refund"])) if trade else None
        return {"state": "done", "amount": yuan(made.fen)} if made else {"state": "unknown"}

    def statement(self, member: Member, told: Mapping[str, Any]) -> dict[str, Any]:
        rows = self.bill_of(member.number, str(told["day"]))
        return {"day": told["day"], "rows": [self._row(*row) for row in rows]}

    @staticmethod
    def _row(trade: Trade, back: Refund | None, fen: int) -> dict[str, Any]:
        at = in_china(back.at if back else trade.paid_at).isoformat(timespec="seconds")
        row = {"order": trade.number, "flow": back.id if back else trade.transaction_id}
        row |= {"amount": yuan(fen), "fee": "0.00", "at": at}
        return {**row, "refund": back.number} if back else row

    # --- notices ----------------------------------------------------------------------------

    def notice(
        self, trade: Trade, told: Mapping[str, Any] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        """Return a notice of a payment; told: fields that say something else."""
        sent = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
        fields = {**self._says(trade), "nonce": secrets.token_hex(16), "sent": sent, **(told or {})}
        body = json.dumps(fields, ensure_ascii=False).encode()
        return {"Content-Type": "application/json", HEADER: signature(self.key, body)}, body

    def is_acknowledged(self, answer: httpx.Response) -> bool:
        return answer.status_code == 200 and answer.text == "taken"
