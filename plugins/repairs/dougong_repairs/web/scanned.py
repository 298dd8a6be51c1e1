"""The page behind a QR code in a stairwell: anybody reports there without signing in."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from flask import Blueprint, render_template, request, url_for

from dougong.db import Actor, Grant, Scope
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, translate_error
from dougong.web.app import current_installation
from dougong_repairs import services
from dougong_repairs.domain.kinds import Category
from dougong_repairs.web.pages import ICONS, Answer, attach_photos

open_blueprint = Blueprint(
    "repairs_open",
    "dougong_repairs",
    url_prefix="/repairs",
    template_folder="templates",
    static_folder="static",
)
# He may report by a code, and nothing else: no page, list or API answers to him.
PASSER_BY = frozenset({"repairs.report_point.use"})


@contextmanager
def passer_by(community_id: UUID) -> Iterator[Scope]:
    """Open the community for somebody without a login; raises NotFound where repairs is off."""
    grant = Grant(PASSER_BY, communities=frozenset({community_id}), role="passer_by")
    actor = Actor(None, "扫码报修", kind="visitor", grants=(grant,))
    with current_installation().scope(actor, community=community_id) as scope:
        if "repairs" not in scope.enabled:
            raise NotFound(N_("There is no such page."))
        yield scope


def address_of(community_id: UUID, code: str) -> str:
    """Return the address that stands in a code, below the installation's own."""
    return url_for("repairs_open.scanned", community=community_id, code=code)


@open_blueprint.get("/at/<uuid:community>/<code>")
def scanned(community: UUID, code: str) -> Answer:
    with passer_by(community) as scope:
        return _page(scope, code)


def _page(scope: Scope, code: str, **values: object) -> str:
    point = services.point_of(scope, code)
    return render_template(
        "repairs/scanned.html",
        point=point,
        place_name=scope.place.name,
        categories=Category,
        icons=ICONS,
        given=request.form or {"category": point.category.value},
        **values,
    )


@open_blueprint.post("/at/<uuid:community>/<code>")
def report_scanned(community: UUID, code: str) -> Answer:
    with passer_by(community) as scope:
        try:
            order = scope.call(
                "repairs.work_order.report_by_code",
                code=code,
                text=request.form.get("text", ""),
                category=request.form.get("category") or None,
                contact_phone=request.form.get("contact_phone") or None,
                client_id=request.form.get("client_id") or None,
            )
        except Invalid as error:
            values = {"fault": translate_error(error), "faults": error.fields}
            return _page(scope, code, **values), 422
        attach_photos(scope, order)
        return _page(scope, code, sent=order.number)
