"""The demonstration's money: the chart of accounts, and wallets that most people have filled."""

from decimal import Decimal
from random import Random
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope, insert_rows, uuid7
from dougong.tenancy.models import Person, PersonKind
from dougong_ledger import services
from dougong_ledger.domain import CHANNEL, PREPAID, Posting
from dougong_ledger.models import Wallet, WalletMovement

AMOUNTS = [Decimal(yuan) for yuan in (200, 500, 500, 1000, 2000)]


def load(scope: Scope, chance: Random) -> None:
    """Give the community its accounts and four of five people a wallet with money."""
    services.ensure_chart(scope)
    query = select(Person.id).where(Person.kind == PersonKind.PERSON).order_by(Person.sort_key)
    people = [p for p in scope.session.scalars(query) if chance.random() < 0.8]
    if people:
        fill_wallets(scope, people, [chance.choice(AMOUNTS) for _ in people])


def fill_wallets(scope: Scope, people: list[UUID], amounts: list[Decimal]) -> None:
    """Open wallets with money in them, as one journal entry."""
    source = uuid7()
    postings = [
        Posting(CHANNEL, PREPAID, amount, "演示充值", person_id=person)
        for person, amount in zip(people, amounts, strict=True)
    ]
    entry = services.post(scope, "ledger.demo_top_up", source, "演示充值", postings)
    ids = [uuid7() for _ in people]
    insert_rows(scope, Wallet, {"id": ids, "person_id": people, "balance": amounts})
    insert_rows(
        scope,
        WalletMovement,
        {"wallet_id": ids, "entry_id": [entry.id] * len(people), "amount": amounts},
    )
