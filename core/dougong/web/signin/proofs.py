"""The page that asks for a fresh proof, and then does what was wanted.

A form that was refused travels through the page in hidden fields and is sent again together with
the proof: nobody types anything twice. Files cannot travel so; they are chosen again.
"""

from urllib.parse import urlsplit

from flask import Request, Response, g, render_template, request

from dougong.access import passkeys
from dougong.access.proofs import Means, Proof, means_of
from dougong.access.proofs import prove as write_proof
from dougong.db.scope import Actor
from dougong.errors import DougongError, NotFound, Sayable
from dougong.i18n import N_, gettext
from dougong.installation import Installation
from dougong.web.app import current_installation
from dougong.web.signin import blueprint, html, safe_target, this_site, to

OWN_FIELDS = ("csrf_token", "proof", "proof_password", "proof_code", "proof_asked", "proof_answer")


def prove(installation: Installation, actor: Actor, request: Request) -> None:
    """Take the proof that a form carries; raises WrongSignIn for a wrong one, TooManyTries."""
    form = request.form
    given = Proof(
        password=form.get("proof_password", ""),
        code=form.get("proof_code", "")[:40],
        asked=form.get("proof_asked", ""),
        answer=form.get("proof_answer", ""),
        console=form.get("proof") == "console",
    )
    try:
        write_proof(installation, actor, given, this_site(), request.remote_addr or "")
    except DougongError:
        g.failed_proof = True
        raise


def ask_proof(error: Sayable, message: str) -> Response:
    """Return the page that asks for a proof and repeats the refused request with it."""
    if request.headers.get("HX-Request"):
        return _fragment(message)
    if request.method != "POST" or request.files:
        return _page(error, message, "/account/proof", [("next", _back())])
    fields = [
        (name, value)
        for name in request.form
        if name not in OWN_FIELDS
        for value in request.form.getlist(name)
    ]
    return _page(error, message, request.full_path.rstrip("?"), fields)


def _fragment(message: str) -> Response:
    here = urlsplit(request.headers.get("HX-Current-URL", ""))
    target = safe_target(f"{here.path}?{here.query}" if here.query else here.path)
    page = render_template("sign_in/proof_fragment.html", message=message, next=target)
    return Response(page, 403, content_type="text/html; charset=utf-8")


def _back() -> str:
    """Return where a refused request came from: its own address, or for a form its page."""
    if request.method in ("GET", "HEAD"):
        return safe_target(request.full_path.rstrip("?"))
    came_from = urlsplit(request.headers.get("Referer", ""))
    return safe_target(came_from.path) if came_from.netloc == request.host else "/"


@blueprint.route("/account/proof", methods=["GET", "POST"])
def proof() -> Response:
    """Ask for a fresh proof for its own sake; a form that arrives here has proved already."""
    if g.actor.session_id is None:
        raise NotFound(N_("There is no such page."))
    target = safe_target(request.values.get("next"))
    if request.method == "POST" and "proof" in request.form:
        return to(target)
    return _page(None, "", "/account/proof", [("next", target)])


def _page(
    error: Sayable | None, message: str, action: str, fields: list[tuple[str, str]]
) -> Response:
    installation, actor = current_installation(), g.actor
    means = means_of(installation, actor)
    return html(
        "sign_in/proof.html",
        status=error.status if error else 200,
        message=message if "failed_proof" in g else "",
        means=means,
        asked=_asked(means, actor),
        action=action,
        fields=fields,
        back=_back() if request.method == "POST" else "/",
        has_files=bool(request.files),
        what=gettext(N_("Sign in")) if actor.waits_for else "",
    )


def _asked(means: Means, actor: Actor) -> str:
    """Return what a passkey is to sign; empty where none can be used."""
    site = this_site()
    if not means.passkey or site is None or actor.user_id is None:
        return ""
    return passkeys.begin_sign_in(
        current_installation(), site, actor.user_id, request.remote_addr or ""
    )
