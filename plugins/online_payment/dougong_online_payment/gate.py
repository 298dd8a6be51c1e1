"""The payments gate: kill -9 while notices come in, and no money is lost or booked twice.

``python -m dougong_online_payment.gate [--kills 500]``: every payment is told three times (twice
at once and once later), the web process is killed in the middle, and what was not acknowledged is
told again, later and out of order, as gateways do. Now and then a forged notice and one about
another amount come in. At the end every payment must be booked exactly once, in a journal that
balances, with a receipt and an event each.

First it shows that it would notice: with a receiver that acknowledges before it commits and looks
before it writes, without lock or nonce, the same kills must lose or double payments.
"""

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import func, select, text

from dougong.db import Actor, uuid7
from dougong.installation import Installation
from dougong.paths import Paths
from dougong.services import entered
from dougong.settings import Settings
from dougong.web.app import create_app, from_outside
from dougong_ledger import services as ledger
from dougong_ledger.channels import Way
from dougong_ledger.domain import (
    CHANNEL,
    PREPAID,
    AttemptState,
    Posting,
    gaps,
)
from dougong_ledger.models import (
    JournalEntry,
    JournalLine,
    Payment,
    PaymentAttempt,
    PaymentOrder,
    Receipt,
    WalletMovement,
)
from dougong_online_payment.gateways import WechatPay
from dougong_online_payment.models import MerchantAccount, Provider

SYSTEM = Actor.system("gate")
NOTICES, FORGED_EVERY, WRONG_EVERY = 3, 10, 15
CARELESS = "dougong_online_payment.gate:careless_app"
LATE_S, KILL_S = 0.15, 0.25
# So long a careless receiver is between looking and writing: two notices at once meet in it.
CARELESS_S = 0.1
MOST_ROUNDS = 30


@dataclass
class Outcome:
    """What the gate counted. paid: at the gateway; booked: payments here, by trade number."""

    kills: int = 0
    notices: int = 0
    acknowledged: int = 0
    forged_taken: int = 0
    paid: set[str] = field(default_factory=set)
    booked: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        return len(self.paid - set(self.booked))

    @property
    def doubled(self) -> int:
        return sum(n - 1 for n in self.booked.values() if n > 1)


class Gate:
    """One product that is killed, and the gateway that notifies it."""

    def __init__(self, installation: Installation, gateway: Any, place: Any, seed: int) -> None:
        self.installation, self.gateway, self.place = installation, gateway, place
        self.chance = random.Random(seed)
        self.outcome = Outcome()
        self.waiting: list[str] = []
        self.lock = threading.Lock()

    # --- one kill ---------------------------------------------------------------------------

    def run(self, nursery: Any, kills: int) -> Outcome:
        """Pay and kill so many times, then let everything be told until it is acknowledged."""
        with ThreadPoolExecutor(16) as pool:
            nursery.start()
            for number in range(kills):
                self._round(nursery, pool, number)
            for _ in range(MOST_ROUNDS):
                rest, self.waiting = self.waiting, []
                self.chance.shuffle(rest)
                list(pool.map(self._tell, rest))
                if not self.waiting:
                    break
        if self.waiting:
            self.outcome.faults.append(f"{len(self.waiting)} notices were never acknowledged")
        return self.outcome

    def _round(self, nursery: Any, pool: ThreadPoolExecutor, number: int) -> None:
        trade_no = self._new_payment(number, nursery.url)
        again, self.waiting = self.waiting, []
        self.chance.shuffle(again)
        pauses = [0.0, 0.0, self.chance.uniform(0, LATE_S)][:NOTICES]
        jobs = [pool.submit(self._tell, trade_no, pause) for pause in pauses]
        jobs += [pool.submit(self._tell, each, self.chance.uniform(0, LATE_S)) for each in again]
        if number % FORGED_EVERY == 0:
            jobs.append(pool.submit(self._forge, trade_no))
        if number % WRONG_EVERY == 0:
            jobs.append(pool.submit(self._tell_wrong, trade_no))
        time.sleep(self.chance.uniform(0, KILL_S))
        nursery.kill()
        self.outcome.kills += 1
        # What waits in the socket's queue is served by the next process.
        nursery.start()
        for job in jobs:
            job.result()

    def _new_payment(self, number: int, url: str) -> str:
        """Write order and attempt, and pay at the gateway; return the trade number."""
        person_id = self.place.person_ids[number % len(self.place.person_ids)]
        amount = Decimal(self.chance.randint(1, 1_000_000)) / 100
        with self.installation.scope(SYSTEM, community=self.place.community_id) as scope:
            item = ledger.OrderItem("ledger.wallet", person_id, "充值", amount)
            key = f"gate-{uuid7().hex}"
            order = ledger.open_order(scope, "ledger", "充值", [item], key, person_id)
        with self.installation.scope(SYSTEM, community=self.place.community_id) as scope:
            start = ledger.Start(Way.QR, url)
            attempt_id = ledger.start_payment(scope, order.id, WechatPay.id, start)
            scope.session.expire_all()
            trade_no = scope.get(PaymentAttempt, attempt_id).trade_no
        trade = self.gateway.trades[trade_no]
        path = trade.notify_url.partition("/pay/notify/")[2]
        trade.notify_url = f"{url}/pay/notify/{path}"
        self.gateway.pay(trade_no, tells=False)
        self.outcome.paid.add(trade_no)
        return trade_no

    def _tell(self, trade_no: str, pause_s: float = 0.0) -> None:
        time.sleep(pause_s)
        is_taken = self.gateway.notify(trade_no, timeout_s=10.0)
        with self.lock:
            self.outcome.notices += 1
            self.outcome.acknowledged += is_taken
            if not is_taken:
                self.waiting.append(trade_no)

    def _forge(self, trade_no: str) -> None:
        trade = self.gateway.trades[trade_no]
        headers, body = self.gateway.notice(trade)
        headers = {**headers, "Wechatpay-Nonce": "0" * 32}
        self.outcome.forged_taken += self.gateway.post(trade.notify_url, headers, body, 10.0)

    def _tell_wrong(self, trade_no: str) -> None:
        trade = self.gateway.trades[trade_no]
        told = self.gateway.told(replace(trade, fen=trade.fen + 1))
        headers, body = self.gateway.notice(trade, told)
        self.gateway.post(trade.notify_url, headers, body, 10.0)

    # --- counting ---------------------------------------------------------------------------

    def check(self) -> Outcome:
        """Count what was booked, and look for what does not fit together."""
        outcome, paid_fen = self.outcome, 0
        with self.installation.scope(SYSTEM, community=self.place.community_id) as scope:
            session = scope.session
            rows = session.execute(
                select(PaymentAttempt.trade_no, Payment.amount)
                .join(PaymentAttempt, PaymentAttempt.order_id == Payment.order_id)
                .where(PaymentAttempt.trade_no.in_(outcome.paid))
            ).all()
            outcome.booked.update(row.trade_no for row in rows)
            for row in rows:
                fen = self.gateway.trades[row.trade_no].fen
                paid_fen += fen
                if row.amount * 100 != fen:
                    outcome.faults.append(f"{row.trade_no}: {row.amount} booked, {fen} fen paid")
            paid = Decimal(paid_fen) / 100
            sums = {
                "wallets": session.scalar(select(func.sum(WalletMovement.amount))),
                "journal": session.scalar(select(func.sum(JournalLine.amount))),
                "receipts": session.scalar(select(func.sum(Receipt.amount))),
            }
            outcome.faults += [f"{k}: {v} instead of {paid}" for k, v in sums.items() if v != paid]
            counts = {
                "payments": session.scalar(select(func.count()).select_from(Payment)),
                "entries": session.scalar(select(func.count()).select_from(JournalEntry)),
                "orders": session.scalar(select(func.count()).where(PaymentOrder.state == "paid")),
            }
            wanted = len(outcome.paid)
            outcome.faults += [f"{n} {k}, not {wanted}" for k, n in counts.items() if n != wanted]
            if missing := gaps(session.scalars(select(Receipt.number))):
                outcome.faults.append(f"receipts {missing} are missing")
            if not ledger.trial_balance(scope).is_balanced:
                outcome.faults.append("the journal does not balance")
        outcome.faults += self._events(wanted)
        if outcome.forged_taken:
            outcome.faults.append(f"{outcome.forged_taken} forged notices were acknowledged")
        return outcome

    def _events(self, wanted: int) -> list[str]:
        with self.installation.platform() as session:
            told = session.execute(
                text(
                    "select count(*) from dougong.outbox_event"
                    " where name = 'ledger.payment_settled' and community_id = :community"
                ),
                {"community": self.place.community_id},
            ).scalar()
        return [] if told == wanted else [f"{told} events, not {wanted}"]

    def check_careless(self) -> Outcome:
        """Count what the careless receiver booked."""
        with self.installation.scope(SYSTEM, community=self.place.community_id) as scope:
            memos = scope.session.scalars(
                select(JournalEntry.memo).where(JournalEntry.kind == "careless")
            )
            self.outcome.booked.update(memos)
        return self.outcome


# --- without protection ---------------------------------------------------------------------------


def careless_app(installation: Installation) -> Any:
    """Return the product with a receiver as one should not write it."""
    app = create_app(installation)

    @from_outside
    def careless(provider: str, community_id: UUID, merchant_id: UUID) -> Response:
        body, headers = request.get_data(), dict(request.headers)
        with installation.scope(SYSTEM, community=community_id) as scope:
            notice = WechatPay().read_notice(scope, merchant_id, headers, body)
        if notice.outcome is not None:
            told = notice.outcome
            book = threading.Thread(target=_book_carelessly,
                                    args=(installation, community_id, told))  # fmt: skip
            book.start()
        return Response("", 204)

    app.view_functions["payment_notice"] = careless
    return app


def _book_carelessly(installation: Installation, community_id: UUID, told: Any) -> None:
    """Look, then write, then mark: three transactions, after the notice was acknowledged."""
    query = select(PaymentAttempt).where(PaymentAttempt.trade_no == told.trade_no)
    with installation.scope(SYSTEM, community=community_id) as scope:
        if scope.session.scalars(query).one().state is AttemptState.PAID:
            return
    time.sleep(CARELESS_S)
    with (
        installation.scope(SYSTEM, community=community_id) as scope,
        entered(scope, "ledger.payment_attempt.settle", None),
    ):
        posting = Posting(CHANNEL, PREPAID, told.amount)
        ledger.post(scope, "careless", uuid7(), told.trade_no, [posting])
    with (
        installation.scope(SYSTEM, community=community_id) as scope,
        entered(scope, "ledger.payment_attempt.settle", None),
    ):
        scope.session.scalars(query).one().state = AttemptState.PAID


# --- the stage ------------------------------------------------------------------------------------


def add_account(installation: Installation, place: Any, base_url: str) -> Callable[[], Any]:
    """Give a place's legal entity a WeChat Pay account; return what makes its gateway."""
    from dougong.testing.gateways import Member, WechatPayGateway, new_key, public_pem
    from dougong.testing.gateways.trades import private_pem

    ours, theirs, notice_key = new_key(), new_key(), "0123456789abcdef0123456789abcdef"
    member = Member("1600000001", "wxgate", public_pem(ours), "ABCDEF", notice_key)
    with installation.scope(SYSTEM, group=place.group_id, group_write=True) as scope:
        scope.session.add(
            MerchantAccount(
                legal_entity_id=place.legal_entity_id,
                provider=Provider.WECHAT_PAY,
                number=member.number,
                app_id=member.app_id,
                serial=member.serial,
                private_key=private_pem(ours),
                notice_key=notice_key,
                platform_key=public_pem(theirs),
                platform_key_id=WechatPayGateway.key_id,
                base_url=base_url,
            )
        )
    return lambda: WechatPayGateway([member], theirs)


def play(
    settings: Settings, installation: Installation, kills: int, *, seed: int, application: str = ""
) -> tuple[Gate, Outcome]:
    """Run the gate once in a fresh place of an installation; return it and what it counted."""
    from dougong.testing.factories import make_place
    from dougong.testing.gateways import serving
    from dougong.testing.nursery import APPLICATION, Nursery

    place, box = make_place(installation), {}

    def late(environ: Any, start_response: Any) -> Any:
        return box["app"](environ, start_response)

    with serving(late, settings.trial_port or 0) as address:
        gateway = add_account(installation, place, address)()
        box["app"] = gateway.app
        gate = Gate(installation, gateway, place, seed)
        with Nursery(settings, application or APPLICATION) as nursery:
            return gate, gate.run(nursery, kills)


@contextmanager
def throwaway_home() -> Any:
    """Yield the settings and the open installation of a database of its own."""
    from dougong.db.embedded import EmbeddedPostgres
    from dougong.db.servers import create_database
    from dougong.plugins.operations import install

    home = Path(tempfile.mkdtemp(prefix="dougong-gate-", dir="/tmp"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, home / "keys")
    server.start()
    try:
        create_database(server.dsn(database="postgres"), server.passwords())
        settings = Settings(paths=Paths(home), trial_port=free_port())
        installation = Installation.open(settings)
        installation.migrate()
        for plugin in ("ledger", "online_payment"):
            install(installation, SYSTEM, plugin)
        yield settings, installation
        installation.close()
    finally:
        server.destroy()
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    """Return a port that is free now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--careless-kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=20261128)
    chosen = parser.parse_args()
    started = time.monotonic()
    with throwaway_home() as (settings, installation):
        gate, off = play(settings, installation, chosen.careless_kills, seed=chosen.seed,
                         application=CARELESS)  # fmt: skip
        gate.check_careless()
        print(f"protection off: {off.kills} kills, {len(off.paid)} payments: {off.lost} lost,"
              f" {off.doubled} double")  # fmt: skip
        gate, on = play(settings, installation, chosen.kills, seed=chosen.seed)
        gate.check()
    print(f"protection on: {on.kills} kills, {len(on.paid)} payments, {on.notices} notices of which"
          f" {on.acknowledged} acknowledged: {on.lost} lost, {on.doubled} double,"
          f" {len(on.faults)} faults, {time.monotonic() - started:.0f} s")  # fmt: skip
    for fault in on.faults:
        print(f"  {fault}")
    is_good = not (on.lost or on.doubled or on.faults) and off.lost + off.doubled > 0
    print("payments gate:", "passed" if is_good else "FAILED")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
