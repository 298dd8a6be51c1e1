"""Pages of the ledger: the trial balance, and receipts as PDF."""

from urllib.parse import quote
from uuid import UUID

from flask import Flask, Response, render_template

from dougong.db import member_label
from dougong.installation import Installation
from dougong.web.admin.menu import menu_page
from dougong.web.app import plugin_blueprint, require_scope
from dougong_ledger import services
from dougong_ledger.models import Receipt

blueprint = plugin_blueprint("ledger", __name__)


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application and to the menu."""
    app.register_blueprint(blueprint)
    menu_page(
        "ledger.trial",
        ("Trial balance", "试算平衡"),
        "ledger.account.trial_balance",
        plugin="ledger",
        icon="columns",
        order=85,
    )


@blueprint.get("/trial")
def trial() -> str:
    """Show every account's turnover and that both sides are equal."""
    found = services.trial_balance(require_scope())
    return render_template("ledger/trial.html", trial=found, member=member_label)


@blueprint.get("/print/<uuid:receipt_id>")
def print_receipt(receipt_id: UUID) -> Response:
    """Download a receipt as PDF."""
    scope = require_scope()
    document = services.print_receipt(scope, scope.get(Receipt, receipt_id))
    disposition = f"attachment; filename*=UTF-8''{quote(document.filename)}"
    return Response(
        document.content,
        content_type=document.media_type,
        headers={"Content-Disposition": disposition},
    )
