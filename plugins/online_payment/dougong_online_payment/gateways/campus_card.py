"""The campus card as a payment channel: for dormitories, through a bridge to the card system."""

import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from dougong.db import Scope
from dougong.i18n import N_, bilingual
from dougong.tenancy.models import CommunityKind
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
from dougong_online_payment.domain import campus_card, keys
from dougong_online_payment.gateways.account import (
    Account,
    active_merchant,
    exchange,
    open_account,
)
from dougong_online_payment.models import Provider

SIGNATURE, NOTICE_FOR = "X-Campus-Signature", timedelta(minutes=5)
WORDS = {
    "signature": N_("The card system refuses our signature: check our key."),
    "merchant": N_("The card system does not know this merchant number."),
    "paid": N_("This was paid already."),
    "amount": N_("The card system refuses the amount."),
}
OTHER = N_("The card system refuses: %(said)s (%(code)s)")


class CampusCard(Channel):
    """Campus cards (校园一卡通); offered on campuses only, where a bridge speaks our interface."""

    id = Provider.CAMPUS_CARD.value
    title = bilingual("Campus card", "校园一卡通")
    ways = (Way.QR, Way.PHONE, Way.PAGE)

    def merchant(self, scope: Scope) -> Merchant | None:
        if getattr(scope.place, "kind", None) != CommunityKind.CAMPUS:
            return None
        return active_merchant(scope, Provider.CAMPUS_CARD)

    def prepare(self, scope: Scope, merchant_id: UUID, request: PaymentRequest) -> Prepared:
        told = {
            "order": request.trade_no,
            "amount": f"{request.amount:.2f}",
            "title": request.title[:120],
            "expires": request.expires_at.isoformat(),
            "notify": request.notify_url,
            "back": request.return_url,
        }
        answer = _call(scope, _account(scope, merchant_id), "order", told)
        page = str(answer["page"])
        return Prepared(qr=page) if request.way is Way.QR else Prepared(url=page)

    def query(self, scope: Scope, merchant_id: UUID, trade_no: str) -> Outcome:
        told = _call(scope, _account(scope, merchant_id), "query", {"order": trade_no})
        return _outcome(told)

    def close(self, scope: Scope, merchant_id: UUID, trade_no: str) -> None:
        _call(scope, _account(scope, merchant_id), "close", {"order": trade_no})

    def refund(self, scope: Scope, merchant_id: UUID, request: RefundRequest) -> Standing:
        return self._refund(scope, merchant_id, "refund", request)

    def query_refund(self, scope: Scope, merchant_id: UUID, request: RefundRequest) -> Standing:
        return self._refund(scope, merchant_id, "query-refund", request)

    def _refund(
        self, scope: Scope, merchant_id: UUID, verb: str, request: RefundRequest
    ) -> Standing:
        told = {
            "order": request.trade_no,
            "refund": request.refund_no,
            "amount": f"{request.amount:.2f}",
            "reason": request.reason[:80],
        }
        answer = _call(scope, _account(scope, merchant_id), verb, told)
        standing = campus_card.REFUNDS.get(str(answer.get("state")))
        if standing is None:
            raise ChannelUnsure(N_("The gateway's answer cannot be read."))
        if standing is Standing.DONE and answer.get("amount") != f"{request.amount:.2f}":
            raise ChannelRefused(N_("The gateway refunded another amount under this number."))
        return standing

    def read_notice(
        self, scope: Scope, merchant_id: UUID, headers: Mapping[str, str], body: bytes
    ) -> Notice:
        account = _account(scope, merchant_id)
        signed = {name.lower(): value for name, value in headers.items()}.get(SIGNATURE.lower(), "")
        try:
            if not keys.is_signed(account.platform_key, body, signed):
                raise ValueError("the signature is wrong")
            told = campus_card.read(body)
            age = abs(datetime.now(UTC) - campus_card.moment(told.get("sent")))
            if age > NOTICE_FOR:
                raise ValueError("it is too old")
            if told.get("merchant") != account.number:
                raise ValueError("another merchant")
            return Notice(
                sha256(body).hexdigest(), str(told.get("nonce", "")), campus_card.outcome(told)
            )
        except (ValueError, KeyError) as error:
            raise Forged(N_("This notice is not genuine: %(why)s"), why=str(error)) from error

    def acknowledge(self, is_taken: bool) -> tuple[int, str, bytes]:
        return (200, "text/plain", b"taken") if is_taken else (500, "text/plain", b"again")

    def statement(self, scope: Scope, merchant_id: UUID, day: date) -> Statement:
        told = _call(scope, _account(scope, merchant_id), "statement", {"day": str(day)})
        try:
            rows = campus_card.statement_rows(told)
        except (ValueError, KeyError, TypeError) as error:
            raise ChannelUnsure(N_("The bill cannot be read: %(why)s"), why=str(error)) from error
        return Statement(rows, sha256(campus_card.body_of(told)).hexdigest())

    def test(self, scope: Scope, account: Account) -> None:
        """Ask about an order that does not exist; raises in plain words when anything is wrong."""
        _call(scope, account, "query", {"order": secrets.token_hex(16)})


def _account(scope: Scope, merchant_id: UUID) -> Account:
    return open_account(scope, merchant_id, Provider.CAMPUS_CARD)


def _outcome(told: Mapping[str, Any]) -> Outcome:
    try:
        return campus_card.outcome(told)
    except (ValueError, KeyError) as error:
        raise ChannelUnsure(N_("The gateway's answer cannot be read.")) from error


def _call(scope: Scope, account: Account, verb: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a signed request, after checking that it is one to this very request."""
    nonce = secrets.token_hex(16)
    sent = {**told, "merchant": account.number, "nonce": nonce, "sent": _now()}
    body = campus_card.body_of(sent)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        SIGNATURE: keys.sign(account.private_key, body),
    }
    answer = exchange(scope, "POST", f"{account.base_url}/{verb}", headers, body)
    signed = {name.lower(): value for name, value in answer.headers.items()}
    try:
        found = campus_card.read(answer.body)
    except ValueError as error:
        raise ChannelUnsure(N_("The gateway's answer cannot be read.")) from error
    code = str(found.get("error", ""))
    if code == "signature" or code == "merchant":
        raise ChannelRefused(WORDS[code])
    text = campus_card.answered(nonce, answer.body)
    if not keys.is_signed(account.platform_key, text, signed.get(SIGNATURE.lower(), "")):
        raise ChannelUnsure(N_("The answer is not signed with the gateway's key that we know."))
    if code:
        said = str(found.get("message", ""))[:120]
        raise ChannelRefused(WORDS.get(code, OTHER), said=said, code=code)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
