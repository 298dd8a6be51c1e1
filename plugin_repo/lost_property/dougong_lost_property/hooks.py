"""What the plugin answers when others ask."""

from datetime import timedelta

from sqlalchemy import delete, func, select, text

from dougong.hookspecs import Card, HealthFinding, hookimpl
from dougong.i18n import N_, gettext, lazy_gettext
from dougong_lost_property import services
from dougong_lost_property.models import Enquiry, Item, ItemState

OLD = text(
    "select count(*) from lost_property.item"
    " where state = 'kept' and found_on < current_date - interval '1 year'"
)


@hookimpl
def dashboard_cards(scope):
    if not scope.may("lost_property.item.view"):
        return None
    days = int(scope.setting("lost_property.keep_days", 90))
    kept = select(func.count()).select_from(Item).where(Item.state == ItemState.KEPT)
    since = scope.today - timedelta(days=days)
    found = yield kept, kept.where(Item.found_on < since)
    count, old = [rows.scalar_one() for rows in found]
    note = gettext("%(count)s kept for longer than %(days)s days", count=old, days=days)
    url = "admin/lost_property/item/?state=kept"
    return [Card(gettext("Items kept"), str(count), note if old else "", url=url)]


@hookimpl
def event_happened(scope, event):
    if event.name == "lost_property.item_found":
        services.match(scope, scope.get(Item, event.ids["item_id"], lock=True))


@hookimpl
def export_subject(scope, person_id):
    asked = scope.session.scalars(select(Enquiry).where(Enquiry.person_id == person_id))
    told = [{"what": each.what, "lost_on": each.lost_on.isoformat()} for each in asked]
    return {"enquiries": told} if told else None


@hookimpl
def erase_subject(scope, person_id):
    scope.session.execute(delete(Enquiry).where(Enquiry.person_id == person_id))


@hookimpl
def health_checks(installation):
    with installation.platform() as session:
        old = session.execute(OLD).scalar_one()
    return [
        HealthFinding(
            lazy_gettext(N_("Lost property is given back or handed over")),
            not old,
            gettext("%(count)s items are kept for more than a year", count=old) if old else "",
            gettext("Hand them over to the police.") if old else None,
        )
    ]
