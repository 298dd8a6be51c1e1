"""The Flask application: scope from the URL, actor from the cookie, one transaction a request.

Addresses below ``/c/<community>/`` and ``/g/<group>/`` run inside a Scope that is opened before
the view and committed before the answer leaves; an error rolls it back. Everything else (sign-in,
static files, platform pages) has no scope.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from flask import (
    Blueprint,
    Flask,
    Request,
    Response,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import Babel
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, ValidationError

from dougong import i18n
from dougong.db.scope import Actor, Scope
from dougong.db.servers import is_away
from dougong.errors import NotAllowed, NotFound, Sayable, StepUpRequired
from dougong.i18n import N_
from dougong.installation import Installation
from dougong.web import formats

log = structlog.get_logger("dougong.web")
View = TypeVar("View", bound=Callable[..., Any])

SESSION_COOKIE = "dougong_session"
LOCALE_COOKIE = "dougong_locale"
VISIT_COOKIE = "dougong_visit"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
UUID_PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}';"
    " img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=()",
}


@dataclass(frozen=True)
class ScopeReference:
    """The part of an address that names the scope."""

    kind: str
    id: UUID

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"


class ScopeConverter(BaseConverter):
    """Matches ``c/<community>`` and ``g/<group>`` at the start of an address."""

    regex = f"[cg]/{UUID_PATTERN}"
    part_isolating = False

    def to_python(self, value: str) -> ScopeReference:
        kind, _, identity = value.partition("/")
        try:
            return ScopeReference(kind, UUID(identity))
        except ValueError:
            raise ValidationError from None

    def to_url(self, value: Any) -> str:
        return value.url_part if isinstance(value, Scope) else str(value)


def create_app(installation: Installation) -> Flask:
    """Return the web application of an installation, with every installed plugin's pages."""
    app = Flask("dougong.web", static_folder=None, template_folder="templates")
    app.config.update(
        SECRET_KEY=secrets.token_hex(32),
        MAX_CONTENT_LENGTH=32 * 1024 * 1024,
        MAX_FORM_MEMORY_SIZE=4 * 1024 * 1024,
        BABEL_DEFAULT_LOCALE=i18n.DEFAULT_LOCALE,
    )
    app.extensions["dougong"] = installation
    app.url_map.converters["scope"] = ScopeConverter
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        i18n.gettext, i18n.ngettext, newstyle=True, pgettext=i18n.pgettext
    )
    # Jinja's own `_` makes three calls and a format of each of the sixty words of a page.
    words = {"gettext": formats.said, "_": formats.said}
    app.jinja_env.globals.update(words, csrf_token=csrf_token, csp_nonce=csp_nonce)
    app.jinja_env.filters.update(day=formats.day, instant=formats.instant)
    Babel(app, locale_selector=i18n.current_locale, configure_jinja=False)
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_abandon)
    app.url_value_preprocessor(_take_scope)
    app.url_defaults(_give_scope)
    app.context_processor(_context)
    app.register_error_handler(Sayable, _told)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _failed)
    _add_pages(app, installation)
    return app


def _add_pages(app: Flask, installation: Installation) -> None:
    """Add the kernel's pages, then each plugin's, a failing plugin aside."""
    for module in KERNEL_PAGES:
        if find_spec(module) is not None:
            import_module(module).install(app, installation)
    installation.plugins.install_pages(app, installation)


KERNEL_PAGES = (
    "dougong.web.assets",
    "dougong.web.timing",
    "dougong.web.home",
    "dougong.web.inbox",
    "dougong.web.signin",
    "dougong.web.admin",
    "dougong.web.api",
    "dougong.devices.receiving",
    "dougong.web.plugin_pages",
    "dougong.web.device_pages",
    "dougong.web.message_pages",
    "dougong.web.privacy_pages",
    "dougong.doctor.page",
)


# --- one request ------------------------------------------------------------------------------


def _take_scope(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.scope_reference = values.pop("scope", None) if values else None


def _give_scope(endpoint: str, values: dict[str, Any]) -> None:
    from flask import current_app

    if "scope" in values or not current_app.url_map.is_endpoint_expecting(endpoint, "scope"):
        return
    reference = g.get("scope_reference")
    if reference is not None:
        values["scope"] = reference


def _begin() -> Response | None:
    g.trace_id = secrets.token_hex(8)
    g.csp_nonce = secrets.token_urlsafe(16)
    g.transactions = ExitStack()
    installation = current_installation()
    g.actor = _actor(installation)
    _choose_locale(g.actor)
    if request.method not in SAFE_METHODS and not _proves_itself():
        _check_forgery(request)
        if g.actor is not None and "proof" in request.form:
            take_proof(installation)
    if g.actor is not None and g.actor.waits_for and _is_kept_out():
        return prove_first()
    if g.get("scope_reference") is None:
        return None
    if g.actor is None:
        return sign_in_first()
    reference = g.scope_reference
    place: dict[str, Any] = {"group": reference.id, "group_write": True}
    if reference.kind == "c":
        place = {"community": reference.id, "facts": g.get("facts")}
    g.scope = g.transactions.enter_context(installation.scope(g.actor, **place))
    return None


def from_outside(view: View) -> View:
    """Mark a view that strangers' programs post to, and that checks their signature itself.

    Nobody is signed in there, and no form's token is asked for.
    """
    view.is_from_outside = True  # type: ignore[attr-defined]
    return view


def _is_from_outside() -> bool:
    from flask import current_app

    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "is_from_outside", False)


def _proves_itself() -> bool:
    """Tell whether no page of ours sent this: a token or a signature says who did."""
    return g.get("is_token_request", False) or _is_from_outside()


def _actor(installation: Installation) -> Actor | None:
    """Return who is signed in: by bearer token for programs, by cookie for people."""
    from dougong.access import actor_for_token, session_at

    if _is_from_outside():
        return None
    header = request.headers.get("Authorization", "")
    if header.startswith("Bearer "):
        g.is_token_request = True
        return actor_for_token(installation, header.removeprefix("Bearer ").strip())
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        return None
    reference = g.get("scope_reference")
    community_id = reference.id if reference is not None and reference.kind == "c" else None
    actor, g.facts = session_at(installation, token, community_id)
    return actor


def take_proof(installation: Installation) -> None:
    """Take the fresh proof that came with a form, before the form itself is looked at."""
    from dougong.web.signin.proofs import prove

    prove(installation, g.actor, request)
    g.actor = _actor(installation)


def _is_kept_out() -> bool:
    """Tell whether an address needs the second factor that the session lacks."""
    return request.blueprint not in ("sign_in", "assets")


def _choose_locale(actor: Actor | None) -> None:
    wanted = request.cookies.get(LOCALE_COOKIE) or (actor.locale if actor else None)
    if wanted is None:
        wanted = request.accept_languages.best_match(["zh", "zh-CN", "en"]) or "zh"
    g.transactions.enter_context(i18n.use_locale(wanted))


def _finish(response: Response) -> Response:
    """Commit, or roll back what an error left; then add the protective headers."""
    stack: ExitStack | None = g.pop("transactions", None)
    if stack is not None:
        if response.status_code < 400:
            stack.close()
        else:
            _roll_back(stack)
    nonce = g.get("csp_nonce", "")
    response.headers.setdefault("Content-Security-Policy", POLICY.format(nonce=nonce))
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Trace-Id"] = g.get("trace_id", "")
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    is_secure = current_installation().settings.is_secure
    if "new_visit" in g:
        response.set_cookie(
            VISIT_COOKIE, g.new_visit, httponly=True, samesite="Lax", secure=is_secure
        )
    if is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


class _RollBack(Exception):
    """Ends the transactions of a request without committing them."""


def _roll_back(stack: ExitStack) -> None:
    with suppress(_RollBack), stack:
        raise _RollBack


def _abandon(error: BaseException | None) -> None:
    stack: ExitStack | None = g.pop("transactions", None)
    if stack is not None:
        _roll_back(stack)


def _context() -> dict[str, Any]:
    return {
        "scope": g.get("scope"),
        "actor": g.get("actor"),
        "locale": i18n.current_locale(),
        "installation": current_installation(),
    }


def current_installation() -> Installation:
    """Return the installation that serves this request."""
    from flask import current_app

    return current_app.extensions["dougong"]


# --- forgery ----------------------------------------------------------------------------------


def csrf_token() -> str:
    """Return the token that every form and htmx request of this session carries."""
    return _csrf_for(request.cookies.get(SESSION_COOKIE) or _visit())


def _visit() -> str:
    """Return what ties a visitor's forms to his browser before he signs in."""
    known = request.cookies.get(VISIT_COOKIE)
    if known:
        return known
    if "new_visit" not in g:
        g.new_visit = secrets.token_urlsafe(16)
    return g.new_visit


def _csrf_for(session: str) -> str:
    key = current_installation().databases.scope_key.secret
    return hmac.new(key, b"csrf|" + session.encode(), sha256).hexdigest()[:40]


def _check_forgery(request: Request) -> None:
    origin = request.headers.get("Origin")
    if origin and origin != "null" and urlsplit(origin).netloc != request.host:
        raise NotAllowed(N_("This request came from another site."))
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token") or ""
    if not hmac.compare_digest(given.encode(), csrf_token().encode()):
        raise NotAllowed(N_("The page was open for too long. Reload it and try again."))


def csp_nonce() -> str:
    """Return the nonce that this page's own script and style tags carry."""
    return g.csp_nonce


# --- errors -----------------------------------------------------------------------------------


def sign_in_first() -> Response:
    """Send a person to the sign-in page and back; tell a program that it must sign in."""
    if wants_json():
        return _problem(401, "sign_in", i18n.gettext("Sign in first."))
    target = re.sub(r"[^\x21-\x7e]", "", request.full_path.rstrip("?"))
    from urllib.parse import quote

    return redirect(f"/sign-in?next={quote(target)}", 303)  # type: ignore[return-value]


def prove_first() -> Response:
    """Send a person to where he shows or sets up his second factor; tell a program."""
    if wants_json():
        return _problem(403, "second_factor_needed", i18n.gettext("Show your second factor first."))
    from urllib.parse import quote

    target = re.sub(r"[^\x21-\x7e]", "", request.full_path.rstrip("?"))
    page = "/account/proof" if g.actor.waits_for == "proof" else "/account"
    return redirect(f"{page}?next={quote(target)}", 303)  # type: ignore[return-value]


def wants_json() -> bool:
    """Tell whether the answer is for a program."""
    return "/api/" in request.path or g.get("is_token_request", False)


def _told(error: Sayable) -> Response:
    if error.status >= 500:
        log.error("device_error", code=error.code, trace_id=g.get("trace_id"))
    fields = getattr(error, "fields", {})
    if wants_json():
        return _problem(error.status, error.code, i18n.translate_error(error), fields)
    from dougong.web.telling import tell

    message = tell(error)
    if isinstance(error, StepUpRequired) or "failed_proof" in g:
        from dougong.web.signin.proofs import ask_proof

        return ask_proof(error, message)
    return _page(error.status, message, fields)


def _refused(error: HTTPException) -> Response:
    if error.code is not None and error.code < 400:
        return error.get_response()  # type: ignore[return-value]
    messages = {
        404: N_("There is no such page."),
        405: N_("This cannot be done with this address."),
        413: N_("The file is too large."),
        429: N_("Too many requests. Wait a moment."),
    }
    code = error.code or 500
    message = i18n.gettext(messages.get(code, N_("The request was not understood.")))
    answer = _problem(code, "http", message) if wants_json() else _page(code, message)
    original = error.get_response()
    if "Allow" in original.headers:
        answer.headers["Allow"] = original.headers["Allow"]
    return answer


def _failed(error: Exception) -> Response:
    if is_away(error):
        return _away()
    log.exception("request_failed", trace_id=g.get("trace_id"), path=request.path)
    message = i18n.gettext(
        N_("Something went wrong on our side. Nothing was changed. Try again in a moment.")
    )
    return _problem(500, "internal", message) if wants_json() else _page(500, message)


def _away() -> Response:
    """Return that the database is away, and when to ask again."""
    g.pop("scope", None)  # its page would ask the database again
    log.warning("the database is away", trace_id=g.get("trace_id"), path=request.path)
    message = i18n.gettext(N_("The database does not answer just now. Try again in a moment."))
    answer = _problem(503, "away", message) if wants_json() else _page(503, message)
    answer.headers["Retry-After"] = "5"
    return answer


def _problem(status: int, code: str, detail: str, fields: dict[str, str] | None = None) -> Response:
    """Return RFC 9457 problem details."""
    body: dict[str, Any] = {
        "type": f"urn:dougong:error:{code}",
        "title": code,
        "status": status,
        "detail": detail,
        "trace_id": g.get("trace_id", ""),
    }
    if fields:
        body["errors"] = fields
    from flask import json

    return Response(json.dumps(body), status, content_type="application/problem+json")


def _page(status: int, message: str, fields: dict[str, str] | None = None) -> Response:
    if request.headers.get("HX-Request"):
        html = render_template("fragment_error.html", message=message, fields=fields or {})
    else:
        html = render_template(
            "error.html",
            status=status,
            message=message,
            fields=fields or {},
            trace_id=g.get("trace_id", ""),
            why_url=_why_url(status),
        )
    return Response(html, status, content_type="text/html; charset=utf-8")


def _why_url(status: int) -> str:
    """Return where someone learns why he may not see this page; empty where nobody can say."""
    if status not in (403, 404) or g.get("scope") is None or "/admin/" not in request.path:
        return ""
    return url_for("admin.why", path=request.path)


# --- what pages ask for -------------------------------------------------------------------------


def require_scope() -> Scope:
    """Return the scope of this request; raises NotFound for pages outside of one."""
    scope: Scope | None = g.get("scope")
    if scope is None:
        raise NotFound(N_("There is no such page."))
    return scope


def plugin_blueprint(plugin: str, module: str, **options: Any) -> Blueprint:
    """Return a blueprint for a plugin's own pages below ``/<scope>/<plugin>/``.

    It answers 404 wherever the plugin is not switched on.
    """
    blueprint = Blueprint(
        plugin,
        module,
        url_prefix=f"/<scope:scope>/{plugin}",
        template_folder="templates",
        **options,
    )

    @blueprint.before_request
    def _gate() -> None:
        if plugin not in require_scope().enabled:
            raise NotFound(N_("There is no such page."))

    return blueprint
