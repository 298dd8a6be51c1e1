"""What every played gateway has: merchants, trades, a page for the payer, notices that repeat."""

import base64
import html
import json
import logging
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from flask import Flask, Response, redirect, request
from werkzeug.serving import WSGIRequestHandler, make_server

log = logging.getLogger(__name__)
CHINA = ZoneInfo("Asia/Shanghai")
ANSWER_S = 5.0
PAGE = Template(Path(__file__).with_name("pay.html").read_text("utf-8"))


def new_key() -> rsa.RSAPrivateKey:
    """Return a new RSA key of 2048 bits."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """Return a private key as PEM (PKCS#8)."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def public_pem(key: rsa.RSAPrivateKey | rsa.RSAPublicKey) -> str:
    """Return the public half of a key as PEM."""
    half = key.public_key() if isinstance(key, rsa.RSAPrivateKey) else key
    return half.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def signature(key: rsa.RSAPrivateKey, message: bytes) -> str:
    """Return an RSA-SHA256 signature in Base64."""
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


@dataclass
class Member:
    """A merchant that the gateway knows.

    notice_key: APIv3 key; app_secret: of its official account (both WeChat).
    """

    number: str
    app_id: str
    public_key: str
    serial: str = ""
    notice_key: str = ""
    app_secret: str = ""
    title: str = "演示商户"

    def has_signed(self, message: bytes, signed: str) -> bool:
        """Tell whether the merchant signed these bytes."""
        key = serialization.load_pem_public_key(self.public_key.encode())
        assert isinstance(key, rsa.RSAPublicKey)
        try:
            raw = base64.b64decode(signed, validate=True)
            key.verify(raw, message, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass
class Refund:
    """Money that went back. fen: how much."""

    number: str
    fen: int
    id: str
    at: float


@dataclass
class Trade:
    """What a merchant asked for and what became of it. fen: amount; fee_fen: what we keep."""

    number: str
    merchant: str
    title: str
    fen: int
    notify_url: str
    return_url: str = ""
    payer: str = ""
    state: str = "open"
    transaction_id: str = ""
    paid_at: float = 0.0
    currency: str = "CNY"
    refunds: dict[str, Refund] = field(default_factory=dict)

    @property
    def fee_fen(self) -> int:
        return round(self.fen * 6 / 1000)

    @property
    def yuan(self) -> str:
        return yuan(self.fen)

    @property
    def refunded_fen(self) -> int:
        return sum(refund.fen for refund in self.refunds.values())


def yuan(fen: int) -> str:
    """Return fen as yuan with two places."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02}"


def fen_of(text: str) -> int:
    """Return yuan with at most two places as fen. Raises ValueError for anything else."""
    whole, _, part = text.partition(".")
    if len(part) > 2:
        raise ValueError(text)
    return int(whole) * 100 + int(part.ljust(2, "0"))


def in_china(at: float) -> datetime:
    """Return an instant on the gateways' clocks."""
    return datetime.fromtimestamp(at, UTC).astimezone(CHINA)


class Gateway(ABC):
    """A played gateway. store: a file that keeps trades over a restart; None keeps them in memory.

    pauses_s: after which a notice is sent again that was not acknowledged. is_mute: takes requests,
    acts on them and answers nothing in time, like a line that breaks.
    """

    name: ClassVar[str]
    colour: ClassVar[str]

    def __init__(
        self,
        members: Sequence[Member],
        key: rsa.RSAPrivateKey,
        store: Path | None = None,
        pauses_s: Sequence[float] = (1, 3, 10, 30),
    ) -> None:
        self.members = {member.number: member for member in members}
        self.key, self.store, self.pauses_s = key, store, pauses_s
        self.trades: dict[str, Trade] = {}
        self.refused: list[str] = []
        self.is_mute = False
        self.bill_adds: list[Trade] = []
        self.bill_lacks: set[str] = set()
        self.bill_alters: dict[str, int] = {}
        self.lock = threading.RLock()
        self.app = Flask(type(self).__name__, static_folder=None)
        self.app.add_url_rule("/pay/<number>", view_func=self.page, methods=["GET", "POST"])
        self.install(self.app)
        self._load()

    @abstractmethod
    def install(self, app: Flask) -> None:
        """Add the gateway's own addresses."""

    @abstractmethod
    def notice(self, trade: Trade) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body of a notice, freshly signed."""

    @abstractmethod
    def is_acknowledged(self, answer: httpx.Response) -> bool:
        """Tell whether the merchant has taken a notice."""

    # --- the payer --------------------------------------------------------------------------

    def pay(self, number: str, *, tells: bool = True) -> Trade:
        """Pay a trade; tell the merchant at once, and again until he acknowledges."""
        with self.lock:
            trade = self.trades[number]
            if trade.state == "closed":
                raise ValueError("this trade is closed")
            if trade.state == "open":
                trade.state, trade.paid_at = "paid", time.time()
                trade.transaction_id = f"42{int(trade.paid_at * 1000)}{secrets.randbelow(10**9):09}"
                self.save()
        if tells:
            threading.Thread(target=self.notify_until_taken, args=(number,), daemon=True).start()
        return trade

    def page(self, number: str) -> Any:
        """Show a payer what he is to pay, and take it."""
        trade = self.trades.get(number)
        if trade is None:
            return Response("没有这笔交易", 404, content_type="text/plain; charset=utf-8")
        if request.method == "POST" and trade.state == "open":
            self.pay(number)
            if trade.return_url:
                return redirect(trade.return_url, 303)
        done = "<p>✓ 已支付 Paid</p>"
        if trade.return_url:
            done += f'<a class="back" href="{html.escape(trade.return_url)}">返回商家 Back</a>'
        button = "<form method='post'><button>确认支付 Pay</button></form>"
        closed = "<p>交易已关闭 Closed</p>"
        shown = PAGE.substitute(
            name=self.name,
            colour=self.colour,
            merchant=html.escape(self.members[trade.merchant].title),
            title=html.escape(trade.title),
            amount=trade.yuan,
            action={"open": button, "paid": done}.get(trade.state, closed),
        )
        return Response(shown, content_type="text/html; charset=utf-8")

    def page_url(self, number: str) -> str:
        """Return where a payer finds the page of a trade."""
        return f"{request.host_url.rstrip('/')}{request.script_root}/pay/{number}"

    # --- notices ----------------------------------------------------------------------------

    def notify(self, number: str, timeout_s: float = ANSWER_S) -> bool:
        """Send one notice; return whether it was acknowledged."""
        trade = self.trades[number]
        headers, body = self.notice(trade)
        return self.post(trade.notify_url, headers, body, timeout_s)

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float = ANSWER_S
    ) -> bool:
        """Send bytes to a merchant; return whether he acknowledged them."""
        try:
            with httpx.Client(trust_env=False, timeout=timeout_s) as client:
                return self.is_acknowledged(client.post(url, headers=headers, content=body))
        except httpx.HTTPError as error:
            log.info("not acknowledged: %s", error)
            return False

    def notify_until_taken(self, number: str) -> bool:
        """Send a notice, and send it again after each pause until it is acknowledged."""
        for pause in (*self.pauses_s, None):
            if self.notify(number):
                return True
            if pause is not None:
                time.sleep(pause)
        return False

    # --- trades -----------------------------------------------------------------------------

    def refund(self, trade: Trade, number: str, fen: int) -> Refund | None:
        """Give money back, once per number; None when more would go back than came."""
        with self.lock:
            known = trade.refunds.get(number)
            if known is not None:
                return known
            if trade.state != "paid" or trade.refunded_fen + fen > trade.fen:
                return None
            made = Refund(number, fen, f"50{secrets.randbelow(10**18):018}", time.time())
            trade.refunds[number] = made
            self.save()
            return made

    def bill_of(self, merchant: str, day: str) -> Iterator[tuple[Trade, Refund | None, int]]:
        """Return the day's payments and refunds with the fen that the bill says."""
        for trade in [*self.trades.values(), *self.bill_adds]:
            if trade.merchant != merchant or not trade.paid_at or trade.number in self.bill_lacks:
                continue
            if str(in_china(trade.paid_at).date()) == day:
                yield trade, None, self.bill_alters.get(trade.number, trade.fen)
            for back in trade.refunds.values():
                if str(in_china(back.at).date()) == day:
                    yield trade, back, back.fen

    def save(self) -> None:
        """Write the trades to the store, all or nothing."""
        if self.store is None:
            return
        with self.lock:
            text = json.dumps([asdict(trade) for trade in self.trades.values()])
            draft = self.store.with_suffix(".new")
            draft.write_text(text)
            draft.replace(self.store)

    def _load(self) -> None:
        if self.store is None or not self.store.exists():
            return
        for raw in json.loads(self.store.read_text()):
            refunds = {k: Refund(**v) for k, v in raw.pop("refunds").items()}
            trade = Trade(**raw, refunds=refunds)
            self.trades[trade.number] = trade


class QuietHandler(WSGIRequestHandler):
    """Writes no line per request."""

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        return


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """Serve a WSGI application on a free port of this machine; yields its address."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
