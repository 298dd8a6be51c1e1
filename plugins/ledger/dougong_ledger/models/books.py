"""The books: accounts, the journal, and months that are closed."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, labels, money, plugin_base, ref, state, to_one
from dougong.tenancy.models import Person, Room
from dougong_ledger.domain import AccountKind, PeriodState

Base = plugin_base("ledger")

# What has happened is never edited: corrections are rows of their own.
APPEND_ONLY = {"dougong_app": "select, insert", "dougong_platform": "select, insert"}
NEVER_DELETED = {
    "dougong_app": "select, insert, update",
    "dougong_platform": "select, insert, update",
}
NOW = text("now()")

AccountKind.__labels__ = labels(
    ASSET=("Asset", "资产"),
    LIABILITY=("Liability", "负债"),
    INCOME=("Income", "收入"),
    EXPENSE=("Expense", "费用支出"),
)
PeriodState.__labels__ = labels(
    CLOSED=("Closed", "已结账"),
    REOPENING=("Reopening asked for", "申请反结账"),
    REOPENED=("Reopened", "已反结账"),
)


class Account(InCommunity, Base):
    """An account (科目) of a legal entity in a community."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("community_id", "code"),
        {"info": {"grants": NEVER_DELETED}},
    )

    code: Mapped[str] = mapped_column(String(20), info=label("Code", "科目编码"))
    name: Mapped[str] = mapped_column(String(80), info=label("Name", "名称"))
    kind: Mapped[AccountKind] = state(AccountKind, info=label("Kind", "类型"))
    legal_entity_id: Mapped[UUID | None] = mapped_column(
        info={**label("Legal entity", "法人"), "api": "read"}
    )

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class JournalEntry(InCommunity, Base):
    """A journal entry (凭证): what happened, once, with the lines that it posted.

    kind and source_id name the happening; the pair is unique, so that it is posted once.
    posted_by: the login of who did it, None for jobs and programs.
    """

    __tablename__ = "journal_entry"
    __table_args__ = (
        UniqueConstraint("community_id", "kind", "source_id"),
        UniqueConstraint("community_id", "reverses_id"),
        Index("ix_journal_entry_posted_on", "community_id", "posted_on"),
        Index(
            "ix_journal_entry_posted_by",
            "community_id",
            "posted_by",
            "id",
            postgresql_where=text("posted_by is not null"),
        ),
        {"info": {"grants": APPEND_ONLY}},
    )

    posted_on: Mapped[date] = mapped_column(info=label("Posted on", "记账日期"))
    kind: Mapped[str] = mapped_column(String(60), info=label("Kind", "类型"))
    source_id: Mapped[UUID] = mapped_column(info={**label("Source", "来源"), "api": "read"})
    memo: Mapped[str] = mapped_column(String(200), default="", info=label("Memo", "摘要"))
    legal_entity_id: Mapped[UUID | None] = mapped_column(
        info={**label("Legal entity", "法人"), "api": "read"}
    )
    reverses_id: Mapped[UUID | None] = ref(
        "ledger.journal_entry", index=False, info=label("Reverses", "冲销")
    )
    posted_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info={**label("Posted at", "记账时间"), "api": "read"}
    )
    posted_by: Mapped[UUID | None] = mapped_column(
        info={**label("Posted by", "记账人"), "api": "read"}
    )

    def __str__(self) -> str:
        return f"{self.posted_on} {self.memo}"


class JournalLine(InCommunity, Base):
    """A line of the journal: an amount that moves from the credited to the debited account.

    Debit and credit stand in one row, so that the journal balances whatever is written to it.
    """

    __tablename__ = "journal_line"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("debit_id <> credit_id", name="two_accounts"),
        {"info": {"grants": APPEND_ONLY}},
    )

    entry_id: Mapped[UUID] = ref("ledger.journal_entry", info=label("Entry", "凭证"))
    entry: Mapped[JournalEntry] = to_one(entry_id, JournalEntry)
    debit_id: Mapped[UUID] = ref("ledger.account", info=label("Debit", "借方"))
    debit: Mapped[Account] = to_one(debit_id, Account)
    credit_id: Mapped[UUID] = ref("ledger.account", info=label("Credit", "贷方"))
    credit: Mapped[Account] = to_one(credit_id, Account)
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    memo: Mapped[str] = mapped_column(String(200), default="", info=label("Memo", "摘要"))
    room_id: Mapped[UUID | None] = ref("dougong.room", index=False, info=label("Room", "房屋"))
    room: Mapped[Room | None] = to_one(room_id, Room)
    person_id: Mapped[UUID | None] = ref(
        "dougong.person", index=False, info=label("Person", "人员")
    )
    person: Mapped[Person | None] = to_one(person_id, Person)

    def __str__(self) -> str:
        return f"{self.amount} {self.memo}"


class AccountMonth(InCommunity, Base):
    """What an account turned over in a month, added up once so that nobody reads the journal again.

    Made from the entries up to the community's `TotalsMark`, and by nothing else.
    """

    __tablename__ = "account_month"
    __table_args__ = (
        UniqueConstraint("community_id", "account_id", "month_on"),
        CheckConstraint("extract(day from month_on) = 1", name="month_on"),
        CheckConstraint("debit >= 0 and credit >= 0", name="amounts"),
        {"info": {"grants": NEVER_DELETED}},
    )

    account_id: Mapped[UUID] = ref("ledger.account", index=False, info=label("Account", "科目"))
    month_on: Mapped[date] = mapped_column(info=label("Month", "会计月份"))
    debit: Mapped[Decimal] = money(info=label("Debit", "借方"))
    credit: Mapped[Decimal] = money(info=label("Credit", "贷方"))

    def __str__(self) -> str:
        return f"{self.month_on:%Y-%m}"


class TotalsMark(InCommunity, Base):
    """How far a community's journal is added up: every entry up to that id is, none after it.

    What is posted later has a greater id, whatever the clocks say: `post` sees to it.
    """

    __tablename__ = "totals_mark"
    __table_args__ = (UniqueConstraint("community_id"), {"info": {"grants": NEVER_DELETED}})

    upto_id: Mapped[UUID] = mapped_column(
        info={**label("Up to entry", "已汇总至凭证"), "api": "read"}
    )

    def __str__(self) -> str:
        return str(self.upto_id)


class MonthDraft(InCommunity, Base):
    """The figures of a month that is not closed, as they were reckoned where many entries lie."""

    __tablename__ = "month_draft"
    __table_args__ = (
        UniqueConstraint("community_id", "month_on"),
        CheckConstraint("extract(day from month_on) = 1", name="month_on"),
        {"info": {"grants": NEVER_DELETED}},
    )

    month_on: Mapped[date] = mapped_column(info=label("Month", "会计月份"))
    reckoned_at: Mapped[datetime] = mapped_column(info=label("Reckoned at", "计算时间"))
    items: Mapped[Any] = mapped_column(JSONB, info={**label("Figures", "数据"), "api": "read"})

    def __str__(self) -> str:
        return f"{self.month_on:%Y-%m}"


class BookPeriod(InCommunity, Base):
    """A month of the books that was closed. snapshot: its figures, frozen when it was closed.

    Nothing is posted into a closed month. Opening it again is asked for by one person and allowed
    by another.
    """

    __tablename__ = "book_period"
    __table_args__ = (
        UniqueConstraint("community_id", "month_on"),
        CheckConstraint("extract(day from month_on) = 1", name="month_on"),
        {"info": {"grants": NEVER_DELETED}},
    )

    month_on: Mapped[date] = mapped_column(info=label("Month", "会计月份"))
    state: Mapped[PeriodState] = state(
        PeriodState, default=PeriodState.CLOSED, info=label("State", "状态")
    )
    closed_by: Mapped[UUID | None] = mapped_column(
        info={**label("Closed by", "结账人"), "api": "read"}
    )
    closed_at: Mapped[datetime] = mapped_column(
        server_default=NOW, info=label("Closed at", "结账时间")
    )
    snapshot: Mapped[Any] = mapped_column(
        JSONB, info={**label("Figures", "结账快照"), "api": "read"}
    )
    reopening_by: Mapped[UUID | None] = mapped_column(
        info={**label("Reopening asked for by", "反结账申请人"), "api": "read"}
    )
    reopening_reason: Mapped[str | None] = mapped_column(
        String(200), info=label("Reopening because", "反结账原因")
    )
    reopened_by: Mapped[UUID | None] = mapped_column(
        info={**label("Reopened by", "反结账批准人"), "api": "read"}
    )

    def __str__(self) -> str:
        return f"{self.month_on:%Y-%m}"
