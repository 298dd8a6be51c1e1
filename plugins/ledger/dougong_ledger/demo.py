"""The demonstration's money: the chart of accounts, and wallets that most people have filled."""

from datetime import date
from decimal import Decimal
from random import Random
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope, insert_rows, uuid7
from dougong.tenancy.models import Ownership, Person, PersonKind, Room
from dougong_ledger import services
from dougong_ledger.domain import CHANNEL, PREPAID, PaymentChannel, Posting
from dougong_ledger.models import Wallet, WalletMovement

AMOUNTS = [Decimal(yuan) for yuan in (200, 500, 500, 1000, 2000)]


def load(scope: Scope, chance: Random) -> None:
    """Give the community its accounts and four of five people a wallet with money."""
    services.ensure_chart(scope)
    query = select(Person.id).where(Person.kind == PersonKind.PERSON).order_by(Person.sort_key)
    people = [p for p in scope.session.scalars(query) if chance.random() < 0.8]
    if people:
        fill_wallets(scope, people, [chance.choice(AMOUNTS) for _ in people])
    _deposits(scope)
    _bank_lines(scope)


def _bank_lines(scope: Scope) -> None:
    """Bring in a statement of the bank whose lines nobody has claimed yet."""
    day = scope.today.replace(day=1)
    lines = [
        "交易时间,收入,支出,对方户名,对方账号,流水号,摘要",
        f"{day},1860.00,,江州市开拓商贸有限公司,6217****0381,DEMO{day:%Y%m}001,三季度物业费",
        f"{day},420.00,,周立新,6222****7719,DEMO{day:%Y%m}002,车位",
        f"{day},,2350.40,江州供电公司,4200****0001,DEMO{day:%Y%m}003,公共用电",
    ]
    services.import_statement(scope, "demo.csv", "\n".join(lines).encode())


def _deposits(scope: Scope) -> None:
    """Hold some renovation deposits; of one a part was kept, another has gone back."""
    query = (
        select(Ownership.room_id, Ownership.person_id)
        .join(Room, Room.id == Ownership.room_id)
        .where(Ownership.to_on.is_(None))
        .order_by(Room.sort_key, Ownership.share.desc())
    )
    owners = dict(tuple(row) for row in scope.session.execute(query.limit(300)).all())
    for number, (room_id, person_id) in enumerate(list(owners.items())[3:150:20]):
        about = ("装修押金", room_id, person_id, Decimal(2000), PaymentChannel.POS)
        deposit = services.take_deposit(scope, *about)
        if number == 1:
            reason = "装修垃圾划伤电梯轿厢"
            services.deduct_deposit(scope, deposit, Decimal(350), reason, "demo-deduct")
        if number == 2:
            services.give_back_deposit(
                scope, deposit, Decimal(2000), PaymentChannel.BANK_TRANSFER, "验收合格", "demo-back"
            )


def fill_wallets(scope: Scope, people: list[UUID], amounts: list[Decimal]) -> None:
    """Open wallets with money in them, as one journal entry."""
    source = uuid7()
    postings = [
        Posting(CHANNEL, PREPAID, amount, "演示充值", person_id=person)
        for person, amount in zip(people, amounts, strict=True)
    ]
    # Before the first of the demonstration's bills is paid from them.
    on = date(scope.today.year - 1, 1, 1)
    entry = services.post(scope, "ledger.demo_top_up", source, "演示充值", postings, on=on)
    ids = [uuid7() for _ in people]
    insert_rows(scope, Wallet, {"id": ids, "person_id": people, "balance": amounts})
    insert_rows(
        scope,
        WalletMovement,
        {"wallet_id": ids, "entry_id": [entry.id] * len(people), "amount": amounts},
    )
