"""The demands: bill runs, bills with lines that explain themselves, what settled them."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Computed,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    String,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, Money, label, labels, money, ref, state, to_one
from dougong.tenancy.models import Building, Person, Room
from dougong_fees.domain.states import BillState, RunState, WaiverState
from dougong_fees.models.items import Base, Charge, FeeItem
from dougong_ledger.models import Payment

NOW, ZERO, ONE = text("now()"), text("0"), text("1")

RunState.__labels__ = labels(
    RECKONING=("Being reckoned", "计算中"),
    DRAFT=("Draft", "草稿"),
    APPROVED=("Approved", "已审核"),
    PUBLISHED=("Published", "已发布"),
    ROLLED_BACK=("Rolled back", "已撤回"),
)
BillState.__labels__ = labels(
    DRAFT=("Draft", "草稿"),
    OPEN=("Unpaid", "待缴"),
    PARTLY_PAID=("Partly paid", "部分已缴"),
    PAID=("Paid", "已缴清"),
    WITHDRAWN=("Withdrawn", "已撤回"),
)
WaiverState.__labels__ = labels(
    REQUESTED=("Requested", "待审批"),
    APPROVED=("Approved", "已批准"),
    REFUSED=("Refused", "已拒绝"),
    LAPSED=("Lapsed", "已失效"),
)


class BillKind(StrEnum):
    """What a bill demands. A late fee never bears a late fee."""

    FEES = "fees"
    LATE_FEE = "late_fee"
    APPORTIONMENT = "apportionment"
    SINGLE = "single"
    PREPAID = "prepaid"

    __labels__ = labels(
        FEES=("Fees", "费用"),
        LATE_FEE=("Late fee", "违约金"),
        APPORTIONMENT=("Apportionment", "公摊"),
        SINGLE=("Single demand", "单次收费"),
        PREPAID=("Months ahead", "预缴"),
    )


class BillRun(InCommunity, Base):
    """A bill run (出账): the bills of a period, looked at before they are published.

    Without a fee item or building it covers all of them; with a room it bills that one anew. rooms,
    rooms_done, after_room_id: how far its reckoning is; a job that was killed goes on after that
    room. problems: what could not be billed, by room and reason. previous_amount: yuan of the run
    before, for comparison. earned_to_on: from this day on its amounts are no income yet but a
    liability; None when nothing is.
    """

    __tablename__ = "bill_run"
    __table_args__ = (
        CheckConstraint("to_on > from_on", name="period"),
        Index("ix_bill_run_from_on", "community_id", "from_on"),
        Index(
            "ix_bill_run_to_earn",
            "community_id",
            "earned_to_on",
            postgresql_where=text("earned_to_on is not null"),
        ),
    )

    name: Mapped[str] = mapped_column(String(80), info=label("Name", "名称"))
    from_on: Mapped[date] = mapped_column(info=label("From", "账期起"))
    to_on: Mapped[date] = mapped_column(info=label("Until (not included)", "账期止（不含）"))
    due_on: Mapped[date] = mapped_column(info=label("Due on", "缴费截止日"))
    fee_item_id: Mapped[UUID | None] = ref("fees.fee_item", info=label("Fee item", "费用项"))
    fee_item: Mapped[FeeItem | None] = to_one(fee_item_id, FeeItem)
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    room_id: Mapped[UUID | None] = ref(
        "dougong.room", index=False, info={**label("Only this room", "仅此房屋"), "api": "read"}
    )
    room: Mapped[Room | None] = to_one(room_id, Room)
    state: Mapped[RunState] = state(
        RunState, default=RunState.DRAFT, info={**label("State", "状态"), "api": "read"}
    )
    rooms: Mapped[int] = mapped_column(
        Integer, default=0, server_default=ZERO, info={**label("Rooms", "房屋数"), "api": "read"}
    )
    rooms_done: Mapped[int] = mapped_column(
        Integer,
        default=0,
        server_default=ZERO,
        info={**label("Rooms reckoned", "已计算房屋数"), "api": "read"},
    )
    after_room_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    bills: Mapped[int] = mapped_column(
        Integer, default=0, info={**label("Bills", "账单数"), "api": "read"}
    )
    lines: Mapped[int] = mapped_column(
        Integer, default=0, info={**label("Lines", "明细数"), "api": "read"}
    )
    amount: Mapped[Decimal] = money(
        default=Decimal(0), info={**label("Amount", "金额"), "api": "read"}
    )
    previous_amount: Mapped[Decimal | None] = money(
        info={**label("Run before", "上期金额"), "api": "read"}
    )
    problems: Mapped[Any] = mapped_column(
        JSONB, default=list, info={**label("Problems", "问题"), "api": "read"}
    )
    prepared_by: Mapped[UUID | None] = mapped_column(
        info={**label("Reckoned by", "计算人"), "api": "read"}
    )
    approved_by: Mapped[UUID | None] = mapped_column(
        info={**label("Approved by", "审核人"), "api": "read"}
    )
    published_at: Mapped[datetime | None] = mapped_column(
        info={**label("Published at", "发布时间"), "api": "read"}
    )
    earned_to_on: Mapped[date | None] = mapped_column(
        info={**label("Income until", "已确认收入至"), "api": "read"}
    )

    def __str__(self) -> str:
        return self.name


class Bill(InCommunity, Base):
    """A bill (账单): what one payer owes for one room of a run. It is the sum of its lines.

    parent: the bill that a late fee grew on; trace: the spans of days that it grew by. due:
    what payments have to settle; balance: what is left of that. Both are nothing once withdrawn.
    """

    __tablename__ = "bill"
    __table_args__ = (
        CheckConstraint("amount >= 0 and paid >= 0 and waived >= 0", name="amounts"),
        CheckConstraint("paid + waived <= amount", name="settled"),
        CheckConstraint(
            "state in ('draft', 'withdrawn') or (state = 'paid') = (paid + waived = amount)",
            name="paid_when_settled",
        ),
        Index("ix_bill_room_id_from_on", "community_id", "room_id", "from_on"),
        # Sums of what is owed are read from it alone: ``services.bills.owing``.
        Index(
            "ix_bill_owed",
            "community_id",
            "due_on",
            postgresql_include=["room_id", "payer_id", "run_id", "balance"],
            postgresql_where=text("balance > 0"),
        ),
        # So are those of a run: what it demanded, and what of that came in.
        Index(
            "ix_bill_run_id",
            "community_id",
            "run_id",
            postgresql_include=["due", "balance"],
        ),
        # And those of a month by place: the map of what was collected.
        Index(
            "ix_bill_from_on",
            "community_id",
            "from_on",
            postgresql_include=["room_id", "run_id", "due", "balance"],
        ),
        CheckConstraint("state <> 'draft' or run_id is not null", name="drafted_by_a_run"),
        # Without it a draft is thrown away in the square of its bills.
        Index(
            "ix_bill_parent_id",
            "community_id",
            "parent_id",
            postgresql_where=text("parent_id is not null"),
        ),
        # Publishing changes the state of every bill of a run: no index names it and each page has
        # room for the new row, so that no index is written then.
        {"postgresql_with": {"fillfactor": 50}},
    )
    __building_path__ = "room.building_id"
    __anchor__ = "room_id"

    run_id: Mapped[UUID | None] = ref("fees.bill_run", index=False, info=label("Run", "出账批次"))
    run: Mapped[BillRun | None] = to_one(run_id, BillRun)
    kind: Mapped[BillKind] = state(
        BillKind, default=BillKind.FEES, server_default="fees", info=label("Kind", "类型")
    )
    title: Mapped[str] = mapped_column(String(80), info=label("Bill", "账单"))
    room_id: Mapped[UUID] = ref("dougong.room", index=False, info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    payer_id: Mapped[UUID] = ref("dougong.person", info=label("Payer", "付款人"))
    payer: Mapped[Person] = to_one(payer_id, Person)
    from_on: Mapped[date] = mapped_column(info=label("From", "账期起"))
    to_on: Mapped[date] = mapped_column(info=label("Until (not included)", "账期止（不含）"))
    due_on: Mapped[date] = mapped_column(info=label("Due on", "缴费截止日"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    paid: Mapped[Decimal] = money(
        default=Decimal(0), server_default=ZERO, info=label("Paid", "已缴")
    )
    waived: Mapped[Decimal] = money(
        default=Decimal(0), server_default=ZERO, info=label("Waived", "已减免")
    )
    due: Mapped[Decimal] = mapped_column(
        Money,
        Computed("case when state = 'withdrawn' then 0 else amount - waived end", persisted=True),
        info=label("Demanded less waived", "应缴"),
    )
    balance: Mapped[Decimal] = mapped_column(
        Money,
        Computed(
            "case when state = 'withdrawn' then 0 else amount - paid - waived end", persisted=True
        ),
        info=label("Owed", "未缴"),
    )
    state: Mapped[BillState] = state(
        BillState, default=BillState.DRAFT, info=label("State", "状态")
    )
    parent_id: Mapped[UUID | None] = ref(
        "fees.bill", index=False, info=label("Late fee on", "所属账单")
    )
    trace: Mapped[Any] = mapped_column(
        JSONB, nullable=True, info={**label("Reckoning", "计算过程"), "api": "read"}
    )

    def __str__(self) -> str:
        return self.title


class BillLine(InCommunity, Base):
    """A line of a bill, with everything that its amount follows from.

    amount = (quantity × unit price + addition) × months × factor, rounded once. months is kept as
    a fraction. part: tier and meter within the charge's segment. evidence: the meter's readings.
    Fee item and price are copied from the charge in the statement that writes the line; a foreign
    key each would cost a third of a run's time and cannot be violated.
    """

    __tablename__ = "bill_line"
    __named_by__ = ("fee_item",)
    __table_args__ = (
        CheckConstraint("to_on > from_on", name="period"),
        # What a period already holds is found without reading the years before it.
        Index("ix_bill_line_to_on", "to_on", postgresql_using="brin"),
        Index(
            "uq_bill_line_charge_segment",
            "community_id",
            "charge_id",
            "from_on",
            "part",
            unique=True,
            postgresql_where=text("not is_withdrawn"),
        ),
    )
    __building_path__ = "bill.room.building_id"
    __anchor__ = "bill_id"

    bill_id: Mapped[UUID] = ref("fees.bill", info=label("Bill", "账单"))
    bill: Mapped[Bill] = to_one(bill_id, Bill)
    charge_id: Mapped[UUID] = ref("fees.charge", index=False, info=label("Charge", "费用"))
    charge: Mapped[Charge] = to_one(charge_id, Charge)
    fee_item_id: Mapped[UUID] = mapped_column(info=label("Fee item", "费用项"))
    fee_item: Mapped[FeeItem] = to_one(fee_item_id, FeeItem)
    price_id: Mapped[UUID] = mapped_column(
        info={**label("Price version", "价格版本"), "api": "read"}
    )
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date] = mapped_column(info=label("Until (not included)", "截止日（不含）"))
    part: Mapped[int] = mapped_column(
        SmallInteger, default=0, server_default=ZERO, info=label("Part", "分段")
    )
    quantity: Mapped[Decimal] = mapped_column(Numeric(18, 6), info=label("Quantity", "数量"))
    unit_price: Mapped[Decimal] = mapped_column(Numeric(14, 6), info=label("Price", "单价"))
    addition: Mapped[Decimal] = money(
        default=Decimal(0), server_default=ZERO, info=label("Addition", "附加额")
    )
    factor: Mapped[Decimal] = mapped_column(
        Numeric(9, 6), default=Decimal(1), server_default=ONE, info=label("Share", "收取比例")
    )
    months_numerator: Mapped[int] = mapped_column(
        BigInteger, default=1, server_default=ONE, info=label("Months (numerator)", "月数分子")
    )
    months_denominator: Mapped[int] = mapped_column(
        BigInteger, default=1, server_default=ONE, info=label("Months (denominator)", "月数分母")
    )
    used_before: Mapped[Decimal | None] = mapped_column(
        Numeric(18, 6), info=label("Used before", "此前累计用量")
    )
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    evidence: Mapped[Any] = mapped_column(
        JSONB, nullable=True, info={**label("Readings", "读数依据"), "api": "read"}
    )
    is_withdrawn: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info=label("Withdrawn", "已撤回")
    )

    def __str__(self) -> str:
        return f"{self.fee_item} {self.amount}"


class BillPayment(InCommunity, Base):
    """What a payment settled of a bill; less than zero when a refund took it back."""

    __tablename__ = "bill_payment"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        Index("ix_bill_payment_payment_id", "community_id", "payment_id"),
        {
            "info": {
                "grants": {"dougong_app": "select, insert", "dougong_platform": "select, insert"}
            }
        },
    )

    bill_id: Mapped[UUID] = ref("fees.bill", info=label("Bill", "账单"))
    bill: Mapped[Bill] = to_one(bill_id, Bill)
    payment_id: Mapped[UUID] = ref("ledger.payment", index=False, info=label("Payment", "收款"))
    payment: Mapped[Payment] = to_one(payment_id, Payment)
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    settled_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("At", "时间"))

    def __str__(self) -> str:
        return f"{self.amount:+}"


class Waiver(InCommunity, Base):
    """A waiver (减免) of a part of a bill: who asked, who approved, why.

    payment_id: of a discount for paying early; it lapses when that payment goes back.
    """

    __tablename__ = "waiver"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)

    bill_id: Mapped[UUID] = ref("fees.bill", info=label("Bill", "账单"))
    bill: Mapped[Bill] = to_one(bill_id, Bill)
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    reason: Mapped[str] = mapped_column(String(200), info=label("Reason", "原因"))
    state: Mapped[WaiverState] = state(
        WaiverState, default=WaiverState.REQUESTED, info=label("State", "状态")
    )
    requested_by: Mapped[UUID | None] = mapped_column(
        info={**label("Requested by", "申请人"), "api": "read"}
    )
    approved_by: Mapped[UUID | None] = mapped_column(
        info={**label("Approved by", "审核人"), "api": "read"}
    )
    payment_id: Mapped[UUID | None] = ref(
        "ledger.payment", index=False, info={**label("Payment", "收款"), "api": "read"}
    )
    made_at: Mapped[datetime] = mapped_column(server_default=NOW, info=label("At", "时间"))
    lapsed_at: Mapped[datetime | None] = mapped_column(
        info={**label("Lapsed at", "失效时间"), "api": "read"}
    )

    def __str__(self) -> str:
        return f"{self.amount} {self.reason}"
