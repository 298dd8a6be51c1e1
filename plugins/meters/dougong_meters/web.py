"""The owners' page of meters: what their rooms used, month by month, and from which readings."""

from flask import Flask, render_template

from dougong.db import member_label
from dougong.errors import NotAllowed
from dougong.i18n import N_
from dougong.installation import Installation
from dougong.web.app import plugin_blueprint, require_scope
from dougong_meters import cards
from dougong_meters.models import Meter

blueprint = plugin_blueprint("meters", __name__)
MONTHS = 6


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application."""
    app.register_blueprint(blueprint)


@blueprint.get("/my/")
def mine() -> str:
    """Show the usage of the last months of whoever is signed in."""
    scope = require_scope()
    person_id = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person_id is None:
        raise NotAllowed(N_("This page is for people who own or live here."))
    used = cards.months_of(scope, cards.rooms_of(scope, person_id), MONTHS)
    meters = {u.meter_id: scope.get(Meter, u.meter_id) for _, u in used}
    months = [
        {
            "month": month,
            "commodity": member_label(meters[u.meter_id].commodity),
            "uom": cards.UOM[meters[u.meter_id].commodity],
            "used": u,
        }
        for month, u in used
    ]
    return render_template(
        "meters/my.html", months=months, number=cards.plain_number, zone=scope.zone
    )
