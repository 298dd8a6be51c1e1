"""What people do with items; the admin, the API and the command line call these."""

from datetime import date

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.i18n import N_
from dougong.services import service
from dougong_lost_property.models import Enquiry, EnquiryState, Item, ItemState


@service("item.give_back", title=("Give back", "归还"))
def give_back(scope: Scope, item: Item, receiver: str) -> Item:
    """Hand an item over to whoever lost it. Raises Conflict when that has happened before."""
    if item.state is ItemState.RETURNED:
        raise Conflict(N_("%(item)s was fetched before."), item=item.name)
    item.state = ItemState.RETURNED
    item.receiver = receiver
    return item


@service("item.hand_in", title=("Hand in", "登记拾物"))
def hand_in(scope: Scope, name: str, found_on: date) -> Item:
    """Keep something that was found, and let the worker look who asked for it."""
    item = Item(name=name, found_on=found_on)
    scope.session.add(item)
    scope.session.flush()
    scope.emit("item_found", item_id=item.id)
    return item


@service("enquiry.match", title=("Match", "匹配"))
def match(scope: Scope, item: Item) -> int:
    """Connect an item with the open enquiries that name it; return how many.

    Repeating it changes nothing. An enquiry is never matched with what was found before the loss.
    """
    waiting = scope.session.scalars(
        select(Enquiry).where(
            Enquiry.state == EnquiryState.OPEN,
            Enquiry.what == item.name,
            Enquiry.lost_on <= item.found_on,
        )
    ).all()
    for enquiry in waiting:
        enquiry.state, enquiry.item_id = EnquiryState.MATCHED, item.id
    return len(waiting)
