"""Presets of notices and forms, for staff; the owners' page of the maintenance fund."""

from flask import redirect, url_for
from werkzeug.wrappers import Response

from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.web.app import require_scope
from dougong_participation import services
from dougong_participation.web.pages import Answer, asker, blueprint, page


@blueprint.get("/presets")
def show_presets() -> Answer:
    scope = require_scope()
    scope.require("participation.notice.draft")
    return page("presets", presets=services.presets())


@blueprint.post("/presets/<kind>/<preset>")
def draft(kind: str, preset: str) -> Response:
    """Make a draft and lead to where it is filled in."""
    scope = require_scope()
    if kind == "notice":
        scope.require("participation.notice.draft")
        record = services.draft_notice(scope, preset).id
    elif kind == "questionnaire":
        scope.require("participation.questionnaire.draft")
        record = services.draft_questionnaire(scope, preset).id
    else:
        raise NotFound(N_("There is no such page."))
    return redirect(f"/{scope.url_part}/admin/participation/{kind}/{record}/", 303)


@blueprint.get("/my/fund")
def fund() -> Answer:
    accounts, works = services.my_fund(asker())
    return page("fund", accounts=accounts, works=works, back=url_for(".votes"))
