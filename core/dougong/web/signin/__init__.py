"""Sign-in, sign-out, links that work once, and the account page."""

import io
from urllib.parse import urlsplit

import segno
from flask import Blueprint, Flask, Response, g, redirect, render_template, request

from dougong.access import operations
from dougong.errors import DougongError
from dougong.i18n import best_locale, translate_error
from dougong.installation import Installation
from dougong.web.app import (
    LOCALE_COOKIE,
    SESSION_COOKIE,
    VISIT_COOKIE,
    current_installation,
    sign_in_first,
)

blueprint = Blueprint("sign_in", __name__)


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application."""
    app.register_blueprint(blueprint)


def safe_target(target: str | None) -> str:
    """Return a path on this site to go to after signing in; ``/`` for anything else."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or any(ord(c) < 33 for c in target):
        return "/"
    return target


@blueprint.get("/sign-in")
def page() -> Response:
    """Show the form; a visitor gets a cookie that ties the form to his browser."""
    if g.actor is not None:
        return _to(safe_target(request.args.get("next")))
    return _form()


@blueprint.post("/sign-in")
def submit() -> Response:
    """Sign in with login, password and, where one is set, the second factor."""
    try:
        token, _ = operations.sign_in(
            current_installation(),
            request.form.get("login", ""),
            request.form.get("password", ""),
            request.form.get("code"),
            **_visitor(),
        )
    except DougongError as error:
        return _form(error)
    return _signed_in(token, safe_target(request.form.get("next")))


@blueprint.get("/sign-in/link/<token>")
def link(token: str) -> Response:
    """Ask before using the link, so that a preview of it in a chat does not use it up."""
    return _html("sign_in/link.html", token=token)


@blueprint.post("/sign-in/link/<token>")
def use_link(token: str) -> Response:
    """Sign in with a link that works once."""
    try:
        session_token, _ = operations.use_link(current_installation(), token, **_visitor())
    except DougongError as error:
        return _form(error)
    return _signed_in(session_token, "/")


@blueprint.post("/sign-out")
def leave() -> Response:
    """End this session, or all of the user's."""
    if g.actor is not None:
        everywhere = request.form.get("everywhere") == "1"
        operations.sign_out(current_installation(), g.actor, everywhere=everywhere)
    answer = _to("/sign-in")
    answer.delete_cookie(SESSION_COOKIE)
    return answer


@blueprint.get("/account")
def account() -> Response:
    """Show the user's sessions, second factor and language."""
    if g.actor is None:
        return sign_in_first()
    sessions = operations.sessions_of(current_installation(), g.actor.user_id)
    return _html("sign_in/account.html", sessions=sessions)


@blueprint.post("/account/sessions/<uuid:session_id>/revoke")
def revoke(session_id: object) -> Response:
    """End one of the user's sessions."""
    if g.actor is None:
        return sign_in_first()
    operations.revoke_session(current_installation(), g.actor, session_id)  # type: ignore[arg-type]
    return _to("/account")


@blueprint.post("/account/second-factor")
def second_factor() -> Response:
    """Offer a second factor as a QR code, or switch it on with its first code."""
    if g.actor is None:
        return sign_in_first()
    installation = current_installation()
    if code := request.form.get("code"):
        operations.confirm_totp(installation, g.actor, code)
        return _to("/account")
    address = operations.begin_totp(installation, g.actor)
    out = io.BytesIO()
    segno.make_qr(address).save(out, kind="svg", scale=5, xmldecl=False, omitsize=False)
    return _html("sign_in/second_factor.html", qr=out.getvalue().decode(), address=address)


@blueprint.post("/language")
def language() -> Response:
    """Remember the language of this browser."""
    answer = _to(safe_target(request.form.get("next")))
    answer.set_cookie(
        LOCALE_COOKIE,
        best_locale(request.form.get("locale")),
        max_age=31536000,
        samesite="Lax",
        httponly=True,
        secure=current_installation().settings.is_secure,
    )
    return answer


def _visitor() -> dict[str, str]:
    return {
        "address": request.remote_addr or "",
        "device": request.headers.get("User-Agent", ""),
    }


def _form(error: DougongError | None = None) -> Response:
    message = translate_error(error) if error else None
    answer = _html(
        "sign_in/form.html",
        status=error.status if error else 200,
        message=message,
        login=request.form.get("login", ""),
        next=safe_target(request.values.get("next")),
    )
    return answer


def _html(template: str, status: int = 200, **context: object) -> Response:
    return Response(render_template(template, **context), status, content_type="text/html")


def _to(address: str) -> Response:
    return redirect(address, 303)  # type: ignore[return-value]


def _signed_in(token: str, target: str) -> Response:
    answer = _to(target)
    answer.set_cookie(
        SESSION_COOKIE,
        token,
        httponly=True,
        samesite="Lax",
        secure=current_installation().settings.is_secure,
    )
    answer.delete_cookie(VISIT_COOKIE)
    return answer
