"""The page "Health": what `dougong doctor` says."""

from flask import Flask, Response, render_template, url_for

from dougong.doctor.examining import examine
from dougong.i18n import N_, gettext
from dougong.installation import Installation
from dougong.web.admin.menu import ADMINISTRATION, menu_page
from dougong.web.app import current_installation, require_scope

ORDER = ("wrong", "warning", "well")
VIEW = "dougong.health.view"


def install(app: Flask, installation: Installation) -> None:
    """Add the page and its place in the menu."""
    menu_page(
        "health", ("Health", "系统体检"), VIEW, section=ADMINISTRATION, icon="activity", order=90
    )
    app.add_url_rule("/<scope:scope>/health", "health", health, methods=["GET"])
    app.add_url_rule("/<scope:scope>/health/findings", "findings", findings, methods=["GET"])
    app.add_url_rule("/healthz", "healthz", healthz, methods=["GET"])


def healthz() -> Response:
    """Answer that this process answers, and nothing of what it knows; for load balancers."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")


def health() -> str:
    """Show the page at once; the examination, which asks every part, follows on it."""
    scope = require_scope()
    scope.require(VIEW)
    return render_template(
        "admin/health.html",
        crumbs=[(scope.place.name, url_for("admin.dashboard")), (gettext(N_("Health")), None)],
    )


def findings() -> str:
    """Examine the installation; return every finding, what is wrong first."""
    require_scope().require(VIEW)
    found = sorted(examine(current_installation()), key=lambda finding: ORDER.index(finding.level))
    return render_template(
        "admin/findings.html",
        findings=found,
        bad=sum(not finding.is_well for finding in found),
    )
