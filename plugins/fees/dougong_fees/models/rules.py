"""Dated rules of fee items beside their prices: paid early, months ahead, rooms left empty."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Integer, Numeric, String, false, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, InGroup, label, labels, ref, state, to_one
from dougong.i18n import N_, gettext
from dougong.tenancy.models import Person, Room
from dougong_fees.domain.states import WaiverState
from dougong_fees.models.items import Base, FeeItem
from dougong_fees.models.templates import FeeTemplate


class RuleKind(StrEnum):
    """What a rule of a fee item is about."""

    PROMPT = "prompt"
    PREPAID = "prepaid"
    VACANCY = "vacancy"

    __labels__ = labels(
        PROMPT=("Paid early", "提前缴费优惠"),
        PREPAID=("Paid for months ahead", "预缴优惠"),
        VACANCY=("Vacant room", "空置房减收"),
    )


def _checks() -> tuple[CheckConstraint, ...]:
    """Return what each kind of rule needs, as constraints."""
    return (
        CheckConstraint("share > 0 and share <= 1", name="share"),
        CheckConstraint("kind <> 'prompt' or share < 1 and days_before >= 0", name="prompt"),
        CheckConstraint(
            "kind <> 'prepaid' or pay_months > 0 and pay_months <= get_months and get_months <= 36",
            name="prepaid",
        ),
        CheckConstraint(
            "kind <> 'vacancy' or share > 0 and wait_months >= 0 and most_months > 0",
            name="vacancy",
        ),
        # A null leaves a check above undecided, which passes.
        CheckConstraint(
            "case kind when 'prompt' then share is not null and days_before is not null"
            " when 'prepaid' then pay_months is not null and get_months is not null"
            " else share is not null and wait_months is not null end",
            name="complete",
        ),
    )


class RuleTerms:
    """What a rule says; which of it counts depends on its kind.

    share: of the fee that is left off. days_before: the due day by which all of a bill is paid for
    the discount. pay_months, get_months: paid and covered, 11 and 12. is_full_price_on_return:
    whoever ends it early pays the months that he had at the ordinary price. wait_months: how long a
    room is empty before less is charged; most_months: for how long, None without an end.
    """

    kind: Mapped[RuleKind] = state(RuleKind, info=label("Kind", "类型"))
    share: Mapped[Decimal | None] = mapped_column(
        Numeric(7, 6), info=label("Share left off", "优惠比例")
    )
    days_before: Mapped[int | None] = mapped_column(
        Integer, info=label("Days before the due day", "早于截止日天数")
    )
    pay_months: Mapped[int | None] = mapped_column(Integer, info=label("Months paid", "缴纳月数"))
    get_months: Mapped[int | None] = mapped_column(
        Integer, info=label("Months covered", "服务月数")
    )
    is_full_price_on_return: Mapped[bool] = mapped_column(
        Boolean,
        default=False,
        server_default=false(),
        info=label("Ended early, months cost the ordinary price", "提前终止按原价结算"),
    )
    wait_months: Mapped[int | None] = mapped_column(
        Integer, info=label("After months of vacancy", "空置满月数起")
    )
    most_months: Mapped[int | None] = mapped_column(
        Integer, info=label("For at most months", "最多月数")
    )
    basis: Mapped[str] = mapped_column(String(200), info=label("Basis", "依据"))


class FeeRule(RuleTerms, InCommunity, Base):
    """A rule of a fee item, from a day on, until a day. template_rule_id: whose copy it is."""

    __tablename__ = "fee_rule"
    __table_args__ = (
        CheckConstraint("to_on is null or to_on > from_on", name="period"),
        *_checks(),
        ExcludeConstraint(
            ("community_id", "="),
            ("fee_item_id", "="),
            ("kind", "="),
            (text("coalesce(pay_months, 0)"), "="),
            (text("daterange(from_on, to_on)"), "&&"),
            name="ex_fee_rule_period",
        ),
    )

    fee_item_id: Mapped[UUID] = ref("fees.fee_item", info=label("Fee item", "费用项"))
    fee_item: Mapped[FeeItem] = to_one(fee_item_id, FeeItem)
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date | None] = mapped_column(info=label("Until (not included)", "终止日（不含）"))
    template_rule_id: Mapped[UUID | None] = mapped_column(
        info={**label("From the group", "来自集团模板"), "api": "read"}
    )

    def __str__(self) -> str:
        return rule_words(self)


class FeeTemplateRule(RuleTerms, InGroup, Base):
    """A rule that comes with a version of the group's fee item, from that version's day on."""

    __tablename__ = "fee_template_rule"
    __table_args__ = _checks()

    template_id: Mapped[UUID] = ref("fees.fee_template", info=label("Template", "集团收费模板"))
    template: Mapped[FeeTemplate] = to_one(template_id, FeeTemplate)

    def __str__(self) -> str:
        return rule_words(self)


class FeeTemplateTier(InGroup, Base):
    """A step of the tiered price of a version of the group's fee item."""

    __tablename__ = "fee_template_tier"
    __table_args__ = (
        CheckConstraint("above >= 0 and (up_to is null or up_to > above)", name="above"),
        ExcludeConstraint(
            ("group_id", "="),
            ("template_id", "="),
            (text("numrange(above, up_to)"), "&&"),
            name="ex_fee_template_tier_span",
        ),
    )

    template_id: Mapped[UUID] = ref("fees.fee_template", info=label("Template", "集团收费模板"))
    template: Mapped[FeeTemplate] = to_one(template_id, FeeTemplate)
    above: Mapped[Decimal] = mapped_column(Numeric(18, 6), info=label("Above", "超过"))
    up_to: Mapped[Decimal | None] = mapped_column(Numeric(18, 6), info=label("Up to", "至"))
    unit_price: Mapped[Decimal] = mapped_column(Numeric(14, 6), info=label("Price", "单价"))

    def __str__(self) -> str:
        return f"> {self.above.normalize():f}: {self.unit_price.normalize():f}"


class Vacancy(InCommunity, Base):
    """A vacancy (空置申报): that a room is empty from a day on, with its proof, until a day.

    proof: what shows it, such as unmoved meters; photos and papers lie beside the record.
    declared_by_id: the owner who declared it himself and is told how it was decided.
    """

    __tablename__ = "vacancy"
    __named_by__ = ("room",)
    __table_args__ = (
        CheckConstraint("to_on is null or to_on > from_on", name="period"),
        ExcludeConstraint(
            ("community_id", "="),
            ("room_id", "="),
            (text("daterange(from_on, to_on)"), "&&"),
            name="ex_vacancy_period",
            where=text("state = 'approved'"),
        ),
    )
    __building_path__ = "room.building_id"

    room_id: Mapped[UUID] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room] = to_one(room_id, Room)
    from_on: Mapped[date] = mapped_column(info=label("From", "起始日"))
    to_on: Mapped[date | None] = mapped_column(info=label("Until (not included)", "终止日（不含）"))
    proof: Mapped[str] = mapped_column(String(200), info=label("Proof", "证明"))
    state: Mapped[WaiverState] = state(
        WaiverState, default=WaiverState.REQUESTED, info={**label("State", "状态"), "api": "read"}
    )
    declared_by_id: Mapped[UUID | None] = ref(
        "dougong.person", index=False, info={**label("Owner", "申报业主"), "api": "read"}
    )
    declared_by: Mapped[Person | None] = to_one(declared_by_id, Person)
    requested_by: Mapped[UUID | None] = mapped_column(
        info={**label("Requested by", "申请人"), "api": "read"}
    )
    approved_by: Mapped[UUID | None] = mapped_column(
        info={**label("Approved by", "审核人"), "api": "read"}
    )

    def __str__(self) -> str:
        return f"{self.room} {self.from_on}"


def rule_words(rule: RuleTerms) -> str:
    """Return a rule in a few words, as it stands on the sheet for the wall."""
    if rule.kind is RuleKind.PREPAID:
        words = N_("pay %(pay)s months, have %(get)s")
        return gettext(words, pay=rule.pay_months, get=rule.get_months)
    share = f"{((rule.share or 0) * Decimal(100)).normalize():f}"
    if rule.kind is RuleKind.PROMPT:
        return gettext(
            "%(share)s%% less when paid %(days)s days early", share=share, days=rule.days_before
        )
    return gettext("%(share)s%% less", share=share)
