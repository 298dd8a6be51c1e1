"""A group's fee items in its communities: seen before, rolled out, compared, taken back."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Text, and_, case, cast, exists, func, or_, select

from dougong.db import Scope, labels
from dougong.errors import Conflict, DougongError, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.services import service
from dougong.tenancy.models import Community, Room
from dougong_fees.errors import BillTouched
from dougong_fees.models import (
    AreaKind,
    BillLine,
    Charge,
    ChargeMethod,
    FeeItem,
    FeePrice,
    FeeRule,
    FeeTemplate,
    FeeTemplateRule,
    FeeTemplateTier,
    Prepayment,
    PriceTier,
    TemplateCopy,
)
from dougong_fees.services.group_runs import communities
from dougong_fees.services.items import add_price

INHERITED = ("name", "method", "formula", "area_kind", "commodity", "period_method", "rounding")
INHERITED += ("tier_span", "vacancy_factor", "late_fee_rate", "grace_days", "late_fee_cap")
PRICED = ("unit_price", "addition", "head_count_from", "head_count_extra", "is_extra_per_person")
RULED = ("kind", "share", "days_before", "pay_months", "get_months", "is_full_price_on_return")
RULED += ("wait_months", "most_months", "basis")
FEN = Decimal("0.01")


class Standing(StrEnum):
    """How a community's fee item stands to the group's version."""

    NEW = "new"
    FOLLOWS = "follows"
    DIFFERS = "differs"
    OWN = "own"

    __labels__ = labels(
        NEW=("Not there yet", "尚未设置"),
        FOLLOWS=("Follows", "一致"),
        DIFFERS=("Differs", "有偏差"),
        OWN=("Own price", "自定价"),
    )


@dataclass(frozen=True)
class CommunityTemplate:
    """What a version means for one community.

    price: in force there from the version's day on, None without the item. drift: names of what
    else differs. monthly, monthly_then: yuan of a month now and with it; None by usage. rooms: that
    are charged. problem: why it could not be rolled out or taken back.
    """

    community_id: UUID
    community: str
    standing: Standing
    price: Decimal | None = None
    drift: tuple[str, ...] = ()
    rooms: int = 0
    monthly: Decimal | None = None
    monthly_then: Decimal | None = None
    is_copied: bool = False
    problem: str = ""


@dataclass(frozen=True)
class InForce:
    """A community's fee item on a version's day: price with its tiers, rules from templates.

    own_kinds: of rules that the community has of its own.
    """

    item: FeeItem
    price: FeePrice | None
    tiers: frozenset[tuple[Decimal, Decimal | None, Decimal]]
    rule_ids: frozenset[UUID]
    is_own_price: bool
    own_kinds: frozenset[str]


def preview_template(scope: Scope, template: FeeTemplate) -> list[CommunityTemplate]:
    """Return what a version would change in each community that the scope reads. Six statements.

    Looked at after it was rolled out, it shows where communities have drifted from it.
    """
    scope.require("fees.fee_template.view")
    brings = _brings(scope, template)
    here = {found.item.community_id: found for found in _in_force(scope, template)}
    copied = dict(
        scope.session.execute(
            select(TemplateCopy.community_id, TemplateCopy.price_id).where(
                TemplateCopy.template_id == template.id
            )
        ).all()
    )
    charged = {row.community_id: row for row in scope.session.execute(_charged(template))}
    return [
        _compare(template, brings, each, here.get(each.id), copied, charged)
        for each in communities(scope)
    ]


@dataclass(frozen=True)
class Brought:
    """What comes with a version beside its own fields."""

    tiers: list[FeeTemplateTier]
    rules: list[FeeTemplateRule]

    @property
    def steps(self) -> frozenset[tuple[Decimal, Decimal | None, Decimal]]:
        return frozenset((tier.above, tier.up_to, tier.unit_price) for tier in self.tiers)

    @property
    def rule_ids(self) -> frozenset[UUID]:
        return frozenset(rule.id for rule in self.rules)

    def without(self, kinds: Collection[str]) -> list[FeeTemplateRule]:
        """Return the rules of all kinds but these."""
        return [rule for rule in self.rules if rule.kind not in kinds]


def _brings(scope: Scope, template: FeeTemplate) -> Brought:
    def of(model: Any) -> list[Any]:
        query = select(model).where(model.template_id == template.id)
        return list(scope.session.scalars(query.order_by(model.id)))

    return Brought(of(FeeTemplateTier), of(FeeTemplateRule))


def _in_force(scope: Scope, template: FeeTemplate) -> list[InForce]:
    """Return the communities' items of a version's code as they are on its day. One statement."""
    day = template.from_on
    price = and_(
        FeePrice.community_id == FeeItem.community_id,
        FeePrice.fee_item_id == FeeItem.id,
        FeePrice.from_on <= day,
        or_(FeePrice.to_on.is_(None), FeePrice.to_on > day),
    )
    step = func.jsonb_build_array(
        cast(PriceTier.above, Text), cast(PriceTier.up_to, Text), cast(PriceTier.unit_price, Text)
    )
    tiers = (
        select(func.jsonb_agg(step))
        .where(PriceTier.community_id == FeePrice.community_id, PriceTier.price_id == FeePrice.id)
        .scalar_subquery()
    )
    is_copied = exists().where(
        TemplateCopy.community_id == FeePrice.community_id, TemplateCopy.price_id == FeePrice.id
    )
    rule = func.jsonb_build_array(FeeRule.kind, FeeRule.template_rule_id)
    rules = (
        select(func.jsonb_agg(rule))
        .where(
            FeeRule.community_id == FeeItem.community_id,
            FeeRule.fee_item_id == FeeItem.id,
            FeeRule.from_on <= day,
            or_(FeeRule.to_on.is_(None), FeeRule.to_on > day),
        )
        .scalar_subquery()
    )
    query = select(FeeItem, FeePrice, tiers, rules, is_copied).outerjoin(FeePrice, price)
    return [
        InForce(
            item,
            found,
            frozenset(
                (Decimal(above), up_to and Decimal(up_to), Decimal(unit_price))
                for above, up_to, unit_price in steps or ()
            ),
            frozenset(UUID(copied) for _, copied in ruled or () if copied),
            found is not None and not copies_price,
            frozenset(kind for kind, copied in ruled or () if not copied),
        )
        for item, found, steps, ruled, copies_price in scope.session.execute(
            query.where(FeeItem.code == template.code)
        )
    ]


def _is_same(template: FeeTemplate, brings: Brought, found: InForce) -> bool:
    """Tell whether the price in force is the version's, tiers and head counts included."""
    price = found.price
    if price is None or found.tiers != brings.steps:
        return False
    return all(getattr(price, name) == getattr(template, name) for name in PRICED)


def _charged(template: FeeTemplate) -> Any:
    """Return the query of rooms and quantities that are charged on a version's day."""
    day = template.from_on
    area = Room.inner_area if template.area_kind is AreaKind.INNER else Room.built_area
    usual = area if template.method is ChargeMethod.AREA else 1
    quantity = func.coalesce(Charge.quantity, usual) * Charge.factor
    return (
        select(
            Charge.community_id,
            func.count().label("rooms"),
            func.sum(case((quantity.is_(None), 0), else_=quantity)).label("quantity"),
        )
        .join(
            FeeItem,
            and_(FeeItem.community_id == Charge.community_id, FeeItem.id == Charge.fee_item_id),
        )
        .join(Room, and_(Room.community_id == Charge.community_id, Room.id == Charge.room_id))
        .where(
            FeeItem.code == template.code,
            Charge.from_on <= day,
            or_(Charge.to_on.is_(None), Charge.to_on > day),
        )
        .group_by(Charge.community_id)
    )


def _compare(
    template: FeeTemplate,
    brings: Brought,
    community: Community,
    found: InForce | None,
    copied: dict[UUID, UUID],
    charged: dict[UUID, Any],
) -> CommunityTemplate:
    about = (community.id, community.name)
    if found is None:
        return CommunityTemplate(*about, Standing.NEW)
    item, price = found.item, found.price
    drift = [
        str(getattr(FeeTemplate, name).info["label"])
        for name in INHERITED
        if getattr(item, name) != getattr(template, name)
    ]
    if found.rule_ids != {rule.id for rule in _wanted(template, brings, found)}:
        drift.append(gettext("Fee rules"))
    is_same = _is_same(template, brings, found)
    standing = Standing.FOLLOWS if is_same and not drift else Standing.DIFFERS
    if not is_same and template.may_differ and found.is_own_price:
        standing = Standing.OWN
    row = charged.get(community.id)
    monthly = monthly_then = None
    if row is not None and template.method in (ChargeMethod.AREA, ChargeMethod.FIXED):
        then = price.unit_price if price and standing is Standing.OWN else template.unit_price
        monthly = (row.quantity * (price.unit_price if price else 0)).quantize(FEN)
        monthly_then = (row.quantity * then).quantize(FEN)
    return CommunityTemplate(
        *about,
        standing,
        price.unit_price if price else None,
        tuple(drift),
        row.rooms if row else 0,
        monthly,
        monthly_then,
        community.id in copied or not found.rule_ids.isdisjoint(brings.rule_ids),
    )


def _wanted(template: FeeTemplate, brings: Brought, found: InForce) -> list[FeeTemplateRule]:
    """Return the rules that a version brings: where it allows it, none of a kind of their own."""
    return brings.without(found.own_kinds if template.may_differ else ())


@service("fee_template.roll_out", title=("Roll out", "下发"), is_public=False)
def roll_out_template(scope: Scope, template: FeeTemplate) -> list[CommunityTemplate]:
    """Let every community follow a version; return each one's outcome.

    Each community has a transaction of its own: what goes wrong in one is told, the others go on.
    A price of its own is kept where the version allows it. Repeated, it changes nothing.
    """
    return _everywhere(scope, template, _follow, lambda each: each.standing is not Standing.FOLLOWS)


@service("fee_template.undo", title=("Take back", "撤回下发"), is_public=False)
def undo_template(scope: Scope, template: FeeTemplate) -> list[CommunityTemplate]:
    """Take a rolled-out version back where nothing was billed by it; return each one's outcome.

    The price before it is in force again; a fee item that it brought goes if no room is charged it.
    """
    return _everywhere(scope, template, _leave, lambda each: each.is_copied)


def _everywhere(
    scope: Scope,
    template: FeeTemplate,
    act: Callable[[Scope, FeeTemplate], None],
    concerns: Callable[[CommunityTemplate], bool],
) -> list[CommunityTemplate]:
    problems = {}
    for each in preview_template(scope, template):
        if not concerns(each):
            continue
        try:
            with scope.installation.scope(scope.actor, community=each.community_id) as part:
                act(part, template)
        except DougongError as error:
            problems[each.community_id] = translate_error(error)
    scope.session.expire_all()
    # What the parts committed is seen by the next statement: the group's scope reads only.
    return [
        CommunityTemplate(**{**vars(each), "problem": problems.get(each.community_id, "")})
        for each in preview_template(scope, template)
    ]


def _follow(scope: Scope, template: FeeTemplate) -> None:
    scope.require("fees.fee_item.change")
    query = select(FeeItem).where(FeeItem.code == template.code)
    item = scope.session.scalars(query).one_or_none()
    made_item = item is None
    if item is None:
        item = FeeItem(code=template.code, account_code=f"6001.{template.code}")
        scope.session.add(item)
    for name in INHERITED:
        setattr(item, name, getattr(template, name))
    scope.session.flush()
    brings = _brings(scope, template)
    (found,) = _in_force(scope, template)
    _follow_rules(scope, template, _wanted(template, brings, found), item)
    is_own = template.may_differ and found.is_own_price
    if found.price is not None and (is_own or _is_same(template, brings, found)):
        return
    source = template.source or gettext("Template of the group")
    price = add_price(
        scope, item, template.unit_price, template.from_on, template.addition, source=source
    )
    for name in PRICED:
        setattr(price, name, getattr(template, name))
    for above, up_to, unit_price in sorted(brings.steps):
        scope.session.add(
            PriceTier(price_id=price.id, above=above, up_to=up_to, unit_price=unit_price)
        )
    scope.session.add(
        TemplateCopy(
            template_id=template.id, fee_item_id=item.id, price_id=price.id, made_item=made_item
        )
    )
    scope.session.flush()


def _follow_rules(
    scope: Scope, template: FeeTemplate, brings: Sequence[FeeTemplateRule], item: FeeItem
) -> None:
    """Let a version's rules be in force from its day on; those in force until then end.

    Where communities may differ, the rules that one of them made itself go on.
    """
    day, ids = template.from_on, {rule.id for rule in brings}
    running = select(FeeRule).where(
        FeeRule.fee_item_id == item.id, or_(FeeRule.to_on.is_(None), FeeRule.to_on > day)
    )
    known = set()
    for rule in scope.session.scalars(running).all():
        copied = rule.template_rule_id
        if copied in ids:
            known.add(copied)
        elif rule.from_on < day and (copied or brings and not template.may_differ):
            rule.to_on = day
    scope.session.flush()
    for brought in brings:
        if brought.id not in known:
            values = {name: getattr(brought, name) for name in RULED}
            scope.session.add(
                FeeRule(fee_item_id=item.id, from_on=day, template_rule_id=brought.id, **values)
            )
    scope.session.flush()


def _leave_rules(scope: Scope, template: FeeTemplate, item: FeeItem) -> None:
    brought = _brings(scope, template).rule_ids
    mine = select(FeeRule).where(FeeRule.fee_item_id == item.id)
    for rule in scope.session.scalars(mine.where(FeeRule.template_rule_id.in_(brought))).all():
        used = select(Prepayment.id).where(Prepayment.rule_id == rule.id).limit(1)
        if scope.session.scalars(used).first() is not None:
            raise BillTouched(N_("Months were paid ahead by a rule of this version."))
        scope.session.delete(rule)
    scope.session.flush()
    for rule in scope.session.scalars(mine.where(FeeRule.to_on == template.from_on)).all():
        rule.to_on = None
    scope.session.flush()


def _leave_own_price(scope: Scope, template: FeeTemplate) -> None:
    """Take the rules of a version back from a community that kept its price."""
    query = select(FeeItem).where(FeeItem.code == template.code)
    item = scope.session.scalars(query).one_or_none()
    if item is None:
        raise NotFound(N_("This version is not in force here."))
    _leave_rules(scope, template, item)


def _leave(scope: Scope, template: FeeTemplate) -> None:
    scope.require("fees.fee_item.change")
    copy = scope.session.scalars(
        select(TemplateCopy).where(TemplateCopy.template_id == template.id)
    ).one_or_none()
    if copy is None:
        _leave_own_price(scope, template)
        return
    billed = select(BillLine.id).where(BillLine.price_id == copy.price_id).limit(1)
    if scope.session.scalars(billed).first() is not None:
        raise BillTouched(N_("Bills were reckoned by this price; set a new one instead."))
    price, item = scope.get(FeePrice, copy.price_id), scope.get(FeeItem, copy.fee_item_id)
    charged = select(Charge.id).where(Charge.fee_item_id == item.id).limit(1)
    if copy.made_item and scope.session.scalars(charged).first() is not None:
        raise Conflict(N_("Rooms are charged this fee item already; end their charges first."))
    made_item, day = copy.made_item, price.from_on
    _leave_rules(scope, template, item)
    scope.session.delete(copy)
    for tier in scope.session.scalars(select(PriceTier).where(PriceTier.price_id == price.id)):
        scope.session.delete(tier)
    scope.session.flush()
    scope.session.delete(price)
    scope.session.flush()
    before = select(FeePrice).where(FeePrice.fee_item_id == item.id, FeePrice.to_on == day)
    for found in scope.session.scalars(before):
        found.to_on = None
    if made_item:
        scope.session.delete(item)
    scope.session.flush()
