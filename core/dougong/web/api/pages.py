"""The addresses of the API. Every write goes through the services that the admin calls, too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from flask import Blueprint, Response, current_app, g, json, request
from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from werkzeug.exceptions import MethodNotAllowed

from dougong import services
from dougong.db.base import Row
from dougong.db.scope import Scope
from dougong.errors import Conflict, Invalid, NotAllowed
from dougong.i18n import N_, gettext
from dougong.services.constraints import explain_constraint
from dougong.web.api import listing, resources
from dougong.web.api.document import document
from dougong.web.api.idempotency import once
from dougong.web.api.inputs import read_body, strict_record_input, strict_service_input
from dougong.web.api.limits import refuse
from dougong.web.api.representation import etag, is_masked_form, represent, represent_all, result
from dougong.web.api.resources import Resource
from dougong.web.app import require_scope

log = structlog.get_logger("dougong.web.api")
blueprint = Blueprint("api", __name__, url_prefix="/<scope:scope>/api")
BUSY = {"40001", "40P01", "55P03", "57014"}
METHODS = {"view": "GET", "create": "POST", "change": "PATCH", "delete": "DELETE"}


class ChangedMeanwhile(Conflict):
    """The record is no longer the one that If-Match names."""

    status = 412
    code = "changed_meanwhile"


# --- around every request -------------------------------------------------------------------------


@blueprint.before_request
def limit() -> None:
    """Refuse an actor who asks too often."""
    is_allowed, g.allowance = current_app.extensions["dougong_api_limiter"].take(require_scope())
    if not is_allowed:
        raise refuse(g.allowance)


@blueprint.after_request
def tell_limits(response: Response) -> Response:
    """Say what is left, and how to sign in."""
    allowance = g.get("allowance")
    if allowance is not None:
        response.headers["RateLimit-Limit"] = str(allowance.limit)
        response.headers["RateLimit-Remaining"] = str(allowance.remaining)
        if response.status_code == 429:
            response.headers["Retry-After"] = str(allowance.retry_after_s)
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers["Vary"] = "Authorization, Cookie, Accept-Language"
    return response


@contextmanager
def explained() -> Iterator[None]:
    """Turn what the database refuses into errors that a program can act on."""
    try:
        yield
    except IntegrityError as error:
        raise explain_constraint(error) from error
    except DataError as error:
        raise Invalid(N_("A value is too large or cannot be stored.")) from error
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state in BUSY:
            raise Conflict(N_("Someone else is changing this right now. Try again.")) from error
        if state == "42501":
            log.warning("write_refused", trace_id=g.get("trace_id"))
            raise NotAllowed(N_("This cannot be written from here.")) from error
        raise
    except StatementError as error:
        if isinstance(error.orig, ValueError | TypeError | OverflowError):
            raise Invalid(N_("A value is too large or cannot be stored.")) from error
        raise


def writing(scope: Scope, work: Callable[[], Response]) -> Response:
    """Do a write once, with everything that the database checks late checked before the answer."""

    def checked() -> Response:
        answer = work()
        scope.session.flush()
        scope.session.execute(text("set constraints all immediate"))
        return answer

    with explained():
        return once(scope, request, checked)


def answer(body: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    data = json.dumps(body, ensure_ascii=False, sort_keys=False)
    return Response(data, status, content_type="application/json")


# --- the document ---------------------------------------------------------------------------------


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Describe the API as it is in this place (OpenAPI 3.1)."""
    return answer(document(require_scope()))


# --- collections and services ---------------------------------------------------------------------


@blueprint.route("/v1/<plugin>/<name>", methods=["GET", "POST"])
def collection(plugin: str, name: str) -> Response:
    """List or create records of a model; or call a service."""
    scope = require_scope()
    if "." in name:
        return call_service(scope, f"{plugin}.{name}")
    found = resources.resource(scope, plugin, name)
    return create(scope, found) if request.method == "POST" else read_list(scope, found)


def read_list(scope: Scope, found: Resource) -> Response:
    """Answer one page of records."""
    found.require(scope, "view")
    wish: Any = listing.read(found.model, request.args)
    listing.refuse_hidden(scope, found.model, wish)
    with explained():
        records, following = listing.page(scope, found.model, wish)
    wanted = set(wish.fields.split(",")) if wish.fields else None
    items = represent_all(scope, found.model, records, wanted)
    return answer({"items": items, "next": following})


def create(scope: Scope, found: Resource) -> Response:
    """Create a record."""
    offer(found, "create", ("view", "create"))
    found.require(scope, "create")
    values = read_body(
        strict_record_input(found.model, "create"), request.content_type, request.get_data()
    )

    def work() -> Response:
        record: Any = services.create(scope, found.model, values)
        made = shown(scope, found, record, 201)
        made.headers["Location"] = f"/{scope.url_part}/api{found.path}/{record.id}"
        return made

    return writing(scope, work)


def call_service(scope: Scope, name: str) -> Response:
    """Call a service with the arguments in the body."""
    found = resources.service_named(scope, name)
    if request.method != "POST":
        raise MethodNotAllowed(["POST"])
    scope.require(found.permission)
    values = read_body(strict_service_input(found), request.content_type, request.get_data())

    def work() -> Response:
        outcome = scope.call(name, **values)
        scope.session.flush()
        if isinstance(outcome, Row) and outcome in scope.session:
            scope.session.refresh(outcome)
        return answer({"result": result(scope, outcome)})

    return writing(scope, work)


# --- one record -----------------------------------------------------------------------------------


@blueprint.route("/v1/<plugin>/<name>/<identity>", methods=["GET", "PATCH", "DELETE"])
def item(plugin: str, name: str, identity: str) -> Response:
    """Show, change or delete one record."""
    scope = require_scope()
    found = resources.resource(scope, plugin, name)
    verb = {"PATCH": "change", "DELETE": "delete"}.get(request.method, "view")
    offer(found, verb, ("view", "change", "delete"))
    found.require(scope, verb)
    if verb == "view":
        return read_one(scope, found, identity)
    do = change if verb == "change" else delete
    return writing(scope, lambda: do(scope, found, identity))


def read_one(scope: Scope, found: Resource, identity: str) -> Response:
    """Answer one record with the tag of its version."""
    record = scope.get(found.model, identity)
    tag = etag(record)
    if "If-None-Match" in request.headers and request.if_none_match.contains_weak(tag.strip('"')):
        unchanged = Response(status=304)
        unchanged.headers["ETag"] = tag
        return unchanged
    return shown(scope, found, record)


def change(scope: Scope, found: Resource, identity: str) -> Response:
    """Change some columns of a record."""
    values = read_body(
        strict_record_input(found.model, "change"), request.content_type, request.get_data()
    )
    record = locked(scope, found, identity)
    masked = [
        name
        for name in found.model.__encrypted__
        if is_masked_form(scope, record, name, values.get(name))
    ]
    if masked:
        reason = gettext(N_("This is the masked form; leave the field out to keep the value."))
        raise Invalid(N_("Some fields are not right yet."), fields=dict.fromkeys(masked, reason))
    return shown(scope, found, services.change(scope, record, values))


def delete(scope: Scope, found: Resource, identity: str) -> Response:
    """Delete a record."""
    services.delete(scope, locked(scope, found, identity))
    return Response(status=204)


def locked(scope: Scope, found: Resource, identity: str) -> Any:
    """Return the record, locked, in the version that If-Match names; raises ChangedMeanwhile."""
    record = scope.get(found.model, identity, lock=True)
    tag = etag(record).strip('"')
    # A proxy that compresses makes tags weak; ours name a version, so the weak form will do.
    if "If-Match" in request.headers and not request.if_match.contains_weak(tag):
        raise ChangedMeanwhile(N_("Someone changed this meanwhile. Read it again."))
    return record


def shown(scope: Scope, found: Resource, record: Any, status: int = 200) -> Response:
    """Answer a record; one just written is read again, so that its tag is the stored one."""
    if status == 201 or request.method == "PATCH":
        scope.session.flush()
        scope.session.refresh(record)
    if not scope.may(found.permission("view")):
        return answer({"id": str(record.id)}, status)
    made = answer(represent(scope, record), status)
    made.headers["ETag"] = etag(record)
    return made


def offer(found: Resource, verb: str, here: tuple[str, ...]) -> None:
    """Raise 405 with the methods of this address when the resource lacks the verb."""
    if verb not in found.verbs:
        raise MethodNotAllowed([METHODS[v] for v in here if v in found.verbs])
