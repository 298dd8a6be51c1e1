"""Sign-in by password, passkey or link that works once, and sign-out."""

from urllib.parse import quote, urlsplit

from flask import Blueprint, Flask, Response, g, redirect, render_template, request

from dougong.access import operations, passkeys
from dougong.errors import DougongError, Invalid
from dougong.i18n import N_, best_locale, translate_error
from dougong.installation import Installation
from dougong.web.app import (
    LOCALE_COOKIE,
    SESSION_COOKIE,
    VISIT_COOKIE,
    current_installation,
)

blueprint = Blueprint("sign_in", __name__)


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application."""
    # Their pages are on the same blueprint.
    from dougong.web.signin import account, proofs  # noqa: F401

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
        return to(safe_target(request.args.get("next")))
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
    except operations.PasskeyNeeded as needed:
        return _ask_passkey(needed)
    except DougongError as error:
        return _form(error)
    return signed_in(token, _after(token, safe_target(request.form.get("next"))))


def _after(token: str, target: str) -> str:
    """Return where to go after signing in: a grace leads to where a factor is set up."""
    if operations.is_grace(current_installation(), token):
        return f"/account?next={quote(target)}"
    return target


# --- passkeys -------------------------------------------------------------------------------------


@blueprint.post("/sign-in/passkey/options")
def passkey_options() -> Response:
    """Tell the browser what a passkey is to sign."""
    site = require_site()
    asked = passkeys.begin_sign_in(current_installation(), site, address=_visitor()["address"])
    return Response(asked, content_type="application/json")


@blueprint.post("/sign-in/passkey")
def use_passkey() -> Response:
    """Sign in with a passkey, alone or after the password."""
    try:
        token, _ = passkeys.sign_in_with_passkey(
            current_installation(),
            require_site(),
            request.form.get("asked", ""),
            request.form.get("answer", ""),
            **_visitor(),
        )
    except DougongError as error:
        return _form(error)
    return signed_in(token, safe_target(request.form.get("next")))


def _ask_passkey(needed: operations.PasskeyNeeded) -> Response:
    site = this_site()
    if site is None:
        return _form(needed)
    asked = passkeys.begin_sign_in(
        current_installation(), site, needed.user_id, _visitor()["address"]
    )
    target = safe_target(request.form.get("next"))
    return html("sign_in/passkey.html", asked=asked, next=target)


def this_site() -> passkeys.Site | None:
    """Return the site that passkeys are bound to, None where they do not work."""
    return passkeys.site_of(current_installation(), request.host_url)


def require_site() -> passkeys.Site:
    """Return the site that passkeys are bound to; raises Invalid where they do not work."""
    site = this_site()
    if site is None:
        raise Invalid(
            N_("Passkeys need Dougong's own name in the address bar, such as localhost, no number.")
        )
    return site


# --- links ----------------------------------------------------------------------------------------


@blueprint.get("/sign-in/link/<token>")
def link(token: str) -> Response:
    """Ask before using the link, so that a preview of it in a chat does not use it up."""
    return html("sign_in/link.html", token=token)


@blueprint.post("/sign-in/link/<token>")
def use_link(token: str) -> Response:
    """Sign in with a link that works once."""
    try:
        session_token, _ = operations.use_link(current_installation(), token, **_visitor())
    except DougongError as error:
        return _form(error)
    return signed_in(session_token, _after(session_token, "/"))


@blueprint.post("/sign-out")
def leave() -> Response:
    """End this session, or all of the user's."""
    if g.actor is not None:
        everywhere = request.form.get("everywhere") == "1"
        operations.sign_out(current_installation(), g.actor, everywhere=everywhere)
    answer = to("/sign-in")
    answer.delete_cookie(SESSION_COOKIE)
    return answer


@blueprint.post("/language")
def language() -> Response:
    """Remember the language of this browser."""
    answer = to(safe_target(request.form.get("next")))
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
    answer = html(
        "sign_in/form.html",
        status=error.status if error else 200,
        message=message,
        login=request.form.get("login", ""),
        next=safe_target(request.values.get("next")),
        has_passkeys=this_site() is not None,
    )
    return answer


def html(template: str, status: int = 200, **context: object) -> Response:
    """Return a page outside of any scope."""
    return Response(render_template(template, **context), status, content_type="text/html")


def to(address: str) -> Response:
    """Send the browser on after a form was taken."""
    return redirect(address, 303)  # type: ignore[return-value]


def signed_in(token: str, target: str) -> Response:
    """Send the browser on with the session's cookie."""
    answer = to(target)
    answer.set_cookie(
        SESSION_COOKIE,
        token,
        httponly=True,
        samesite="Lax",
        secure=current_installation().settings.is_secure,
    )
    answer.delete_cookie(VISIT_COOKIE)
    return answer
