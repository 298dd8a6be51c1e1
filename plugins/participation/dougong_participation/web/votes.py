"""Votes and public revenue, as owners see them; the result as PDF."""

from datetime import date
from uuid import UUID

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.web.app import require_scope
from dougong_participation import services
from dougong_participation.domain.voting import Choice
from dougong_participation.web.pages import Answer, asker, blueprint, page


@blueprint.get("/my/votes")
def votes() -> Answer:
    return page("votes", votes=services.my_votes(asker()))


@blueprint.get("/my/votes/<uuid:vote>")
def vote(vote: UUID) -> Answer:
    scope = asker()
    found = services.seen_vote(scope, vote)
    return page(
        "vote",
        vote=found,
        rights=services.my_rights(scope, found),
        choices=Choice,
        is_open=found.state == "open" and found.closes_on >= scope.today,
    )


@blueprint.post("/my/votes/<uuid:vote>")
def cast(vote: UUID) -> Answer:
    scope = asker()
    scope.call("participation.vote.cast_mine", vote_id=vote, choice=request.form.get("choice", ""))
    return redirect(url_for(".vote", vote=vote), 303)


@blueprint.get("/votes/<uuid:vote>.pdf")
def vote_pdf(vote: UUID) -> Answer:
    """Send the result as PDF to staff, and to owners once it is counted."""
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("There is no such page."))
    if scope.may("participation.vote.print"):
        made = scope.call("participation.vote.print", vote=vote)
    else:
        made = scope.call("participation.vote.print_mine", vote_id=vote)
    return Response(made.content, content_type="application/pdf")


@blueprint.get("/my/revenue")
def revenue() -> Answer:
    scope = asker()
    year = request.args.get("year", scope.today.year, type=int)
    if not date.min.year < year < date.max.year:
        raise NotFound(N_("There is no such page."))
    entries = services.disclosed_revenue(scope, year)
    return page("revenue", entries=entries, year=year, balance=services.balance_of_revenue(scope))
