"""What the front desk answers when others ask."""

from sqlalchemy import func, select

from dougong.hookspecs import Card, Panel, hookimpl
from dougong.i18n import gettext
from dougong_desk.domain import ShiftState, VoidState
from dougong_desk.models import Shift, VoidRequest


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
    return None


@hookimpl
def load_demo(scope, chance):
    from dougong_desk import demo

    demo.load(scope, chance)
