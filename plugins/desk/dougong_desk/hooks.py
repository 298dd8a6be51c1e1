"""What the front desk answers when others ask."""

from sqlalchemy import func, select

from dougong.hookspecs import Card, Panel, hookimpl
from dougong.i18n import gettext, ngettext
from dougong_desk.domain import ReleaseState, ShiftState, VoidState
from dougong_desk.models import ReleasePass, Shift, VoidRequest


@hookimpl
def dashboard_cards(scope):
    if not scope.may("desk.shift.view"):
        return None
    waiting = select(func.count()).where(VoidRequest.state == VoidState.ASKED)
    unsigned = select(func.count()).where(Shift.state == ShiftState.CLOSED)
    voids, shifts = [rows.scalar_one() for rows in (yield waiting, unsigned)]
    cards = []
    if shifts:
        url = "admin/desk/shift/?state=closed"
        cards.append(Card(gettext("Shifts to sign off"), str(shifts), "", "warning", url, 36))
    if voids:
        url = "admin/desk/void_request/?state=asked"
        cards.append(Card(gettext("Voids to decide"), str(voids), "", "warning", url, 37))
    return cards


@hookimpl
def record_panels(scope, record):
    if isinstance(record, Shift) and scope.may("desk.shift.print"):
        rows = [(gettext("Cashier"), record.cashier_name)]
        return [Panel(gettext("Shift report (PDF)"), rows, f"desk/shift/{record.id}.pdf", 10)]
    if isinstance(record, ReleasePass) and record.state is ReleaseState.ISSUED:
        rows = [(gettext("Last day"), str(record.until_on))]
        address = f"desk/releases/{record.id}.pdf"
        return [Panel(gettext("Item release pass (PDF)"), rows, address, 10)]
    return None


@hookimpl
def portal_cards(scope, person_id):
    issued = select(func.count()).where(
        ReleasePass.person_id == person_id,
        ReleasePass.state == ReleaseState.ISSUED,
        ReleasePass.until_on >= scope.today,
    )
    count = (yield issued).scalar_one()
    said = ngettext("One pass", "%(num)s passes", count) if count else gettext("Ask for one")
    title = gettext("Things leave")
    return [Card(title, said, url="desk/my/releases", order=65)]


@hookimpl
def load_demo(scope, chance):
    from dougong_desk import demo

    demo.load(scope, chance)
