"""A group's fee items in its communities: seen before, rolled out, compared, taken back."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, func, or_, select

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
    FeeTemplate,
    TemplateCopy,
)
from dougong_fees.services.group_runs import communities
from dougong_fees.services.items import add_price

INHERITED = ("name", "method", "area_kind", "commodity", "period_method", "rounding")
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


def preview_template(scope: Scope, template: FeeTemplate) -> list[CommunityTemplate]:
    """Return what a version would change in each community that the scope reads. Four statements.

    Looked at after it was rolled out, it shows where communities have drifted from it.
    """
    scope.require("fees.fee_template.view")
    items = {
        item.community_id: item
        for item in scope.session.scalars(select(FeeItem).where(FeeItem.code == template.code))
    }
    prices = {row.community_id: row for row in scope.session.scalars(_price_on(template))}
    copied = dict(
        scope.session.execute(
            select(TemplateCopy.community_id, TemplateCopy.price_id).where(
                TemplateCopy.template_id == template.id
            )
        ).all()
    )
    charged = {row.community_id: row for row in scope.session.execute(_charged(template))}
    return [
        _compare(template, each, items.get(each.id), prices.get(each.id), copied, charged)
        for each in communities(scope)
    ]


def _price_on(template: FeeTemplate) -> Any:
    """Return the query of the prices that are in force on a version's day."""
    day = template.from_on
    item = and_(FeeItem.community_id == FeePrice.community_id, FeeItem.id == FeePrice.fee_item_id)
    return (
        select(FeePrice)
        .join(FeeItem, item)
        .where(
            FeeItem.code == template.code,
            FeePrice.from_on <= day,
            or_(FeePrice.to_on.is_(None), FeePrice.to_on > day),
        )
    )


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
    community: Community,
    item: FeeItem | None,
    price: FeePrice | None,
    copied: dict[UUID, UUID],
    charged: dict[UUID, Any],
) -> CommunityTemplate:
    about = (community.id, community.name)
    if item is None:
        return CommunityTemplate(*about, Standing.NEW)
    drift = tuple(
        str(getattr(FeeTemplate, name).info["label"])
        for name in INHERITED
        if getattr(item, name) != getattr(template, name)
    )
    is_same = price is not None and price.unit_price == template.unit_price
    standing = Standing.FOLLOWS if is_same and not drift else Standing.DIFFERS
    if not is_same and template.may_differ and price is not None:
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
        drift,
        row.rooms if row else 0,
        monthly,
        monthly_then,
        community.id in copied,
    )


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
    for name in (*INHERITED, "late_fee_rate"):
        setattr(item, name, getattr(template, name))
    scope.session.flush()
    price = scope.session.scalars(
        _price_on(template).where(FeePrice.fee_item_id == item.id)
    ).one_or_none()
    if price is not None and (template.may_differ or price.unit_price == template.unit_price):
        return
    source = template.source or gettext("Template of the group")
    price = add_price(scope, item, template.unit_price, template.from_on, source=source)
    scope.session.add(
        TemplateCopy(
            template_id=template.id, fee_item_id=item.id, price_id=price.id, made_item=made_item
        )
    )
    scope.session.flush()


def _leave(scope: Scope, template: FeeTemplate) -> None:
    scope.require("fees.fee_item.change")
    copy = scope.session.scalars(
        select(TemplateCopy).where(TemplateCopy.template_id == template.id)
    ).one_or_none()
    if copy is None:
        raise NotFound(N_("This version is not in force here."))
    billed = select(BillLine.id).where(BillLine.price_id == copy.price_id).limit(1)
    if scope.session.scalars(billed).first() is not None:
        raise BillTouched(N_("Bills were reckoned by this price; set a new one instead."))
    price, item = scope.get(FeePrice, copy.price_id), scope.get(FeeItem, copy.fee_item_id)
    charged = select(Charge.id).where(Charge.fee_item_id == item.id).limit(1)
    if copy.made_item and scope.session.scalars(charged).first() is not None:
        raise Conflict(N_("Rooms are charged this fee item already; end their charges first."))
    made_item, day = copy.made_item, price.from_on
    scope.session.delete(copy)
    scope.session.flush()
    scope.session.delete(price)
    scope.session.flush()
    before = select(FeePrice).where(FeePrice.fee_item_id == item.id, FeePrice.to_on == day)
    for found in scope.session.scalars(before):
        found.to_on = None
    if made_item:
        scope.session.delete(item)
    scope.session.flush()
