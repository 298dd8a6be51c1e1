"""Pages of prepaid energy: a resident's balance and top-up, the resale check for staff."""

from datetime import date
from uuid import UUID, uuid4

from flask import Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dougong.db import member_label
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, translate_error
from dougong.installation import Installation
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
