"""The page behind a pass: a guard scans it with any phone and sees whether it is valid."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from flask import Blueprint, render_template, url_for

from dougong.db import Actor, Grant, Scope
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.web.app import current_installation
from dougong_renovation import services

open_blueprint = Blueprint(
    "renovation_open",
    "dougong_renovation",
    url_prefix="/renovation",
    template_folder="templates",
    static_folder="static",
)
# Whoever scans a pass may look at it, and do nothing else.
SCANNER = frozenset({"renovation.worker_pass.scan"})


@contextmanager
def scanner(community_id: UUID) -> Iterator[Scope]:
    """Open the community for whoever scans a pass; raises NotFound where renovation is off."""
    grant = Grant(SCANNER, communities=frozenset({community_id}), role="passer_by")
    actor = Actor(None, "扫码核验", kind="visitor", grants=(grant,))
    with current_installation().scope(actor, community=community_id) as scope:
        if "renovation" not in scope.enabled:
            raise NotFound(N_("There is no such page."))
        yield scope


def address_of(community_id: UUID, code: str) -> str:
    """Return the full address that stands in a pass's code."""
    path = url_for("renovation_open.scanned", community=community_id, code=code)
    return current_installation().settings.url + path


@open_blueprint.get("/pass/<uuid:community>/<code>")
def scanned(community: UUID, code: str) -> str:
    """Show what is printed on the pass as well, and whether it lets its bearer in now."""
    with scanner(community) as scope:
        found = services.pass_of(scope, code)
        hours = services.work_hours(scope)
        return render_template(
            "renovation/pass.html",
            worker_pass=found,
            application=found.application,
            refusal=services.refusal(scope, found),
            is_loud=hours.allow(scope.now.astimezone(scope.zone)),
            hours=hours,
            place_name=scope.place.name,
        )
