"""Votes and public revenue, as owners see them; the result as PDF."""

from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from dougong.db import Scope
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.web.app import require_scope
from dougong_participation import services
from dougong_participation.domain.voting import Choice
from dougong_participation.web.pages import Answer, asker, blueprint, form, page


@blueprint.get("/my/votes")
def votes() -> Answer:
    return page("votes", votes=services.my_votes(asker()))


@blueprint.get("/my/votes/<uuid:vote>")
def vote(vote: UUID) -> Answer:
    return page("vote", **_vote_page(asker(), vote), faults={}, given={})


def _vote_page(scope: Scope, vote_id: UUID) -> dict[str, Any]:
    """Return what the page of a vote shows: the actor's rights, owner by owner, and his proxy."""
    found = services.seen_vote(scope, vote_id)
    is_open = found.state == "open" and found.closes_on >= scope.today
    mine = services.my_rights(scope, found)
    own_left = [e for e in mine if not e.is_proxy and e.right.cast_at is None]
    return {
        "vote": found,
        "owners": [list(rights) for _, rights in groupby(mine, lambda e: e.right.person_id)],
        "choices": Choice,
        "is_open": is_open,
        "proxy": services.my_proxy(scope, found),
        "may_entrust": is_open and bool(own_left),
    }


@blueprint.post("/my/votes/<uuid:vote>")
def cast(vote: UUID) -> Answer:
    asker().call(
        "participation.vote.cast_mine",
        vote_id=vote,
        choice=request.form.get("choice", ""),
        owner_id=request.form.get("owner") or None,
    )
    return redirect(url_for(".vote", vote=vote), 303)


@blueprint.post("/my/votes/<uuid:vote>/proxy")
def entrust(vote: UUID) -> Answer:
    """Name a proxy by name and phone, or take him back."""
    scope = asker()

    def send() -> Response:
        if "take_back" in request.form:
            scope.call("participation.vote.take_back_mine", vote_id=vote)
        else:
            given = {name: request.form.get(name, "") for name in ("name", "phone")}
            scope.call("participation.vote.entrust_by_name", vote_id=vote, **given)
        return redirect(url_for(".vote", vote=vote), 303)

    return form("vote", send, **_vote_page(scope, vote))


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
