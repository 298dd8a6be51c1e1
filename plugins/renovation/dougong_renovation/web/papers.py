"""Permit, passes and the neighbours' notice as PDF, for staff and for the applicant."""

from typing import Any
from uuid import UUID

from werkzeug.wrappers import Response

from dougong.db import Scope, member_label
from dougong.documents import Document, Label, Sheet, label_pages, render
from dougong.errors import NotFound
from dougong.i18n import N_, gettext
from dougong.web.app import require_scope
from dougong_renovation import services
from dougong_renovation.domain import works
from dougong_renovation.domain.works import Work
from dougong_renovation.errors import WrongState
from dougong_renovation.models import Application, WorkerPass
from dougong_renovation.web.pages import Answer, asker, blueprint
from dougong_renovation.web.passes import address_of

PRINT = "renovation.application.print"


def _seen(application_id: UUID) -> tuple[Scope, Application]:
    """Return a permitted renovation, for staff who may print it."""
    scope = require_scope()
    scope.require(PRINT)
    if scope.community_id is None:
        raise NotFound(N_("There is no such page."))
    return scope, scope.get(Application, application_id)


def _printed(scope: Scope, application: Application, kind: str) -> Response:
    if application.permit_number is None:
        raise WrongState(N_("It is not permitted yet."))
    made = render(scope, f"renovation:{kind}", CONTENTS[kind](scope, application))
    return _answer(made)


def _answer(made: Document) -> Response:
    return Response(made.content, content_type="application/pdf")


def _permit(scope: Scope, application: Application) -> dict[str, Any]:
    return {
        "application": application,
        "works": [member_label(work) for work in application.kinds],
        "forbidden": [member_label(work) for work in works.forbidden(Work)],
        "hours": services.work_hours(scope),
        "workers": _valid(scope, application),
    }


def _valid(scope: Scope, application: Application) -> list[WorkerPass]:
    return [p for p in services.passes_of(scope, application) if p.revoked_at is None]


def _passes(scope: Scope, application: Application) -> dict[str, Any]:
    """Return a sheet of badges, each with a code that anybody's phone opens."""
    until = gettext("valid until %(day)s", day=str(application.valid_until_on))
    badges = [
        Label(
            address_of(scope.community_id, worker.code),
            str(application.permit_number),
            str(worker),
            f"{application.room.code} · {until}",
        )
        for worker in _valid(scope, application)
    ]
    if not badges:
        raise WrongState(N_("No pass has been issued."))
    sheet = Sheet()
    return {"pages": label_pages(badges, sheet), "sheet": sheet}


CONTENTS = {"permit": _permit, "passes": _passes, "notice": _permit}


@blueprint.get("/<uuid:application>/<any(permit, passes, notice):kind>.pdf")
def print_paper(application: UUID, kind: str) -> Answer:
    return _printed(*_seen(application), kind)


@blueprint.get("/my/<uuid:application>/<any(permit, passes):kind>.pdf")
def print_mine(application: UUID, kind: str) -> Answer:
    scope = asker()
    return _printed(scope, services.my_application(scope, application), kind)
