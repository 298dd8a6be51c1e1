"""The sums by month are the journal's, whatever is posted when, and in whatever order."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import select, text

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong_ledger import hooks, services
from dougong_ledger.domain import BANK, CASH, INCOME, RECEIVABLE, Posting
from dougong_ledger.models import Account, JournalEntry, JournalLine

PAIRS = ((CASH, INCOME), (BANK, CASH), (RECEIVABLE, INCOME))


def post(scope, on, number=1):
    debit, credit = PAIRS[number % len(PAIRS)]
    amount = Decimal(number + 1) / 100
    return services.post(scope, "test", uuid7(), "试记", [Posting(debit, credit, amount)], on=on)


def plain(scope, on):
    """Return debit and credit by account, added up from the journal's lines one by one."""
    found = defaultdict(lambda: [Decimal(0), Decimal(0)])
    codes = {account.id: account.code for account in scope.session.scalars(select(Account))}
    lines = select(JournalLine).join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
    for line in scope.session.scalars(lines.where(JournalEntry.posted_on <= on)):
        found[codes[line.debit_id]][0] += line.amount
        found[codes[line.credit_id]][1] += line.amount
    return {code: tuple(sums) for code, sums in found.items()}


def kept(scope, on):
    accounts = services.trial_balance(scope, on).accounts
    return {a.code: (a.debit, a.credit) for a in accounts if a.debit or a.credit}


def test_the_trial_balance_is_the_journals_on_every_day(scope, place):
    chance, first = Random(7), scope.today.replace(day=1)
    days = [first - timedelta(days=chance.randrange(90)) for _ in range(24)]
    days += [first + timedelta(days=each) for each in range(28)]  # some of them still to come
    chance.shuffle(days)
    for number, day in enumerate(days):
        post(scope, day, number)
        if number % 5 == 4:
            assert services.add_up(scope, most=chance.choice([1, 3, 50])) > 0
    assert services.add_up(scope, most=1) == 1
    for day in sorted({*days, first - timedelta(days=400), date(2999, 1, 31), scope.today}):
        assert kept(scope, day) == plain(scope, day)
    assert services.check_totals(scope) == 0


def test_what_is_added_up_is_added_up_once(scope, place):
    for number in range(7):
        post(scope, None, number)
    assert [services.add_up(scope, most=3) for _ in range(4)] == [3, 3, 1, 0]
    assert kept(scope, scope.today) == plain(scope, scope.today)


def test_an_entry_lies_above_the_mark_when_the_clock_that_made_it_went_before(scope, place):
    post(scope, None)
    services.add_up(scope)
    ahead = uuid7(scope.now + timedelta(days=3))
    scope.session.execute(text("update ledger.totals_mark set upto_id = :id"), {"id": ahead})
    scope.session.expire_all()
    for number in range(3):
        assert post(scope, None, number).id > ahead
        assert services.add_up(scope) == 1
    assert kept(scope, scope.today) == plain(scope, scope.today)


def test_nothing_is_added_up_while_somebody_posts_and_nobody_waits(installation, place):
    actor = Actor.system()
    with installation.scope(actor, community=place.community_id) as cashier:
        post(cashier, None)
        with installation.scope(actor, community=place.community_id) as job:
            assert services.add_up(job) == 0
        post(cashier, None)
    with installation.scope(actor, community=place.community_id) as job:
        assert services.add_up(job) == 2


def test_a_group_adds_up_its_communities(installation, place):
    system = Actor.system()
    for number, community in enumerate((place.community_id, place.other_community_id)):
        with installation.scope(system, community=community) as scope:
            services.ensure_chart(scope)
            post(scope, None, 6 + number * 3)
            if number:
                services.add_up(scope)
            post(scope, None, 0)
    with installation.scope(system, group=place.group_id) as scope:
        assert kept(scope, scope.today)[CASH] == (Decimal("0.19"), Decimal(0))


def test_the_doctor_finds_a_sum_that_nobody_posted(installation, place):
    def finding():
        (found,) = hooks.health_checks(installation)
        return found.is_well

    system = Actor.system()
    with installation.scope(system, community=place.community_id) as scope:
        post(scope, None)
        services.add_up(scope)
    assert finding()
    with installation.scope(system, community=place.community_id) as scope:
        scope.session.execute(text("update ledger.account_month set credit = credit + 1"))
    assert not finding()
    with installation.scope(system, community=place.community_id) as scope:
        services.recount(scope)
    assert finding()


def test_a_sum_that_is_wrong_is_found_and_counted_anew(scope, place):
    for number in range(5):
        post(scope, None, number)
    services.add_up(scope, most=4)
    scope.session.execute(text("update ledger.account_month set debit = debit + 1"))
    with pytest.raises(Conflict):
        services.check_totals(scope)
    assert kept(scope, scope.today) != plain(scope, scope.today)
    assert services.recount(scope) > 0
    assert services.check_totals(scope) == 0
    assert kept(scope, scope.today) == plain(scope, scope.today)
