"""Pages of prepaid energy: a resident's balance and top-up, the resale check for staff."""

from datetime import date
from uuid import UUID, uuid4

from flask import Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dougong.db import member_label
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation
from dougong.web.admin.cells import room_code
from dougong.web.admin.menu import menu_page
from dougong.web.app import plugin_blueprint, require_scope
from dougong.web.charts import bar_chart
from dougong_ledger import services as ledger
from dougong_meters.cards import UOM, plain_number
from dougong_prepaid import services
from dougong_prepaid.services import resale

blueprint = plugin_blueprint("prepaid", __name__)
PRESETS = (20, 50, 100)


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application, and those for staff to the menu."""
    app.register_blueprint(blueprint)
    menu_page(
        "prepaid.resale_check", ("Resale check", "转供价格核对"), "prepaid.supplier_bill.view",
        plugin="prepaid", icon="check-square", order=45, only_in="community",
    )  # fmt: skip
    menu_page(
        "prepaid.beds", ("Beds: check in and out", "宿舍入住与退宿"), "prepaid.student.check_in",
        plugin="prepaid", icon="users", order=5, only_in="community",
    )  # fmt: skip


@blueprint.get("/my/")
def mine() -> str:
    """Show what the rooms of whoever is signed in hold, what was used, and the way to top up."""
    return _mine("", "")


def _mine(problem: str, given: str) -> str:
    scope = require_scope()
    person_id = services.my_person(scope)
    accounts = services.my_accounts(scope, person_id)
    movements = services.movements_of(scope, [account.id for account in accounts])
    days = services.usage_of_days(movements) if len(accounts) == 1 else []
    return render_template(
        "prepaid/my.html",
        standings=services.standings(scope, accounts),
        movements=movements,
        chart=bar_chart([(f"{on.day}", used) for on, used in days]) if len(days) > 1 else None,
        presets=PRESETS,
        rooms={account.id: account.room.code for account in accounts},
        wallet=ledger.balance_of(scope, person_id),
        member=member_label,
        number=plain_number,
        uom=UOM,
        zone=scope.zone,
        key=uuid4().hex,
        problem=problem,
        given=given,
    )


@blueprint.post("/my/<uuid:account_id>")
def top_up(account_id: UUID) -> Response | tuple[str, int]:
    """Top a room's energy up: from the wallet at once, or through a payment channel."""
    scope, form = require_scope(), request.form
    from_wallet = form.get("wallet", "")
    amount = from_wallet or form.get("amount", "")
    try:
        order = services.top_up_mine(scope, account_id, amount, form.get("key", ""))
    except Invalid as error:
        problem = next(iter(error.fields.values()), None) or translate_error(error)
        return _mine(problem, amount), 422
    if from_wallet or form.get("means") == "wallet":
        services.pay_mine(scope, order.id)
        return redirect(url_for(".mine", done=1), 303)
    return redirect(url_for("ledger.pay", order_id=order.id), 303)


@blueprint.get("/beds")
def beds(problem: str = "", done: str = "") -> str:
    """Show the buildings with their beds, and the forms for lists that check in or out."""
    scope = require_scope()
    scope.require("prepaid.student.check_in")
    return render_template(
        "prepaid/beds.html",
        buildings=services.occupied_beds(scope),
        today=scope.today,
        given=request.form,
        problem=problem,
        done=done,
    )


@blueprint.post("/beds")
def change_beds() -> str | tuple[str, int]:
    """Check a list of students in, or a list or a whole building out."""
    scope, form = require_scope(), request.form
    verb = "check_out" if form.get("do") == "out" else "check_in"
    scope.require(f"prepaid.student.{verb}")
    try:
        on = date.fromisoformat(form.get("on", ""))
        with scope.session.begin_nested():
            return beds(done=_check_out(on) if verb == "check_out" else _check_in(on))
    except ValueError:
        return beds(gettext("Choose a day.")), 422
    except (Conflict, Invalid) as error:
        fields = getattr(error, "fields", None) or {}
        return beds(next(iter(fields.values()), None) or translate_error(error)), error.status


def _check_in(on: date) -> str:
    lines = [line for line in request.form.get("lines", "").splitlines() if line.strip()]
    count = services.check_in(require_scope(), on, [_arrival(line) for line in lines])
    return gettext("%(count)s students have their beds.", count=count)


def _arrival(line: str) -> services.Arrival:
    """Return a line of the list: 「3-512 2026110234 张三 13800000000」, by tabs, commas, spaces."""
    parts = line.replace("\t", " ").replace(",", " ").replace("，", " ").split()
    room, number, name = (parts + ["", "", ""])[:3]
    return services.Arrival(room_code(room), number, name, parts[3] if len(parts) > 3 else None)


def _check_out(on: date) -> str:
    form = request.form
    building = form.get("building", "")
    numbers = form.get("numbers", "").replace(",", " ").replace("，", " ").split()
    left = services.check_out(
        require_scope(), on, numbers, UUID(building) if building and not numbers else None
    )
    counts = {"beds": left.beds, "rooms": left.rooms}
    said = gettext("%(beds)s beds are free, %(rooms)s rooms empty.", **counts)
    return " ".join([said, *left.problems[:20]])


@blueprint.get("/resale")
def resale_check() -> str:
    """Show for a year what was resold against what the supplier charged."""
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("Choose a community first."))
    scope.require("prepaid.supplier_bill.view")
    year = request.args.get("year", type=int) or scope.today.year
    year = min(max(year, 2000), 2200)
    return render_template(
        "prepaid/resale.html",
        checks=resale.check(scope, date(year, 1, 1), date(year + 1, 1, 1)),
        year=year,
        years=range(scope.today.year, scope.today.year - 5, -1),
        member=member_label,
        number=plain_number,
        uom=UOM,
    )
