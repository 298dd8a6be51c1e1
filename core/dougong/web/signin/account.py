"""The account page: second factor, passkeys, sessions, access tokens."""

import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import segno
from flask import Response, g, render_template, request

from dougong.access import factors, operations, passkeys, tokens
from dougong.access.models import User
from dougong.db.scope import Actor
from dougong.errors import DougongError, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.tenancy.operations import group_facts
from dougong.web.app import current_installation, sign_in_first
from dougong.web.signin import blueprint, html, require_site, safe_target, this_site, to

LIFETIMES = (7, 30, 90, 365)


@blueprint.before_request
def _someone() -> Response | None:
    """Send who is not signed in to the form, for everything about an account."""
    if request.path.startswith("/account") and g.actor is None:
        return sign_in_first()
    return None


@blueprint.get("/account")
def account() -> Response:
    """Show the user's sessions, second factor, passkeys and access tokens."""
    return _account()


def _account(error: DougongError | None = None) -> Response:
    installation, actor = current_installation(), _actor()
    with installation.access() as session:
        user = session.get_one(User, actor.user_id)
        has_totp, has_password = user.is_totp_confirmed, user.password_hash is not None
        codes_left = factors.recovery_codes_left(session, user.id)
    keys = passkeys.passkeys_of(installation, user.id)
    return html(
        "sign_in/account.html",
        status=error.status if error else 200,
        message=translate_error(error) if error else "",
        sessions=operations.sessions_of(installation, user.id),
        tokens=tokens.tokens_of(installation, user.id),
        passkeys=keys,
        has_totp=has_totp,
        has_password=has_password,
        codes_left=codes_left,
        next=safe_target(request.args.get("next")),
        is_grace=factors.must_have_factor(actor) and not actor.waits_for,
        errors=getattr(error, "fields", {}),
        device_name=device_name,
        has_site=this_site() is not None,
        needs_more=factors.must_have_factor(actor) and not (has_totp or keys),
    )


def _actor() -> Actor:
    actor: Actor = g.actor
    if actor.kind != "user" or actor.user_id is None:
        raise NotFound(N_("There is no such page."))
    return actor


@blueprint.post("/account/sessions/<uuid:session_id>/revoke")
def revoke(session_id: UUID) -> Response:
    """End one of the user's sessions."""
    operations.revoke_session(current_installation(), _actor(), session_id)
    return to("/account")


@blueprint.post("/account/second-factor")
def second_factor() -> Any:
    """Offer a second factor as a QR code, or switch it on with its first code."""
    installation = current_installation()
    if code := request.form.get("code"):
        try:
            return _codes(factors.confirm_totp(installation, _actor(), code), is_new=True)
        except Invalid as error:
            address = request.form.get("address", "")
            return _second_factor(address, error.fields["code"]), error.status
    return _second_factor(factors.begin_totp(installation, _actor()))


def _second_factor(address: str, message: str = "") -> str:
    out = io.BytesIO()
    segno.make_qr(address).save(out, kind="svg", scale=5, xmldecl=False, omitsize=False)
    return render_template(
        "sign_in/second_factor.html", qr=out.getvalue().decode(), address=address, message=message
    )


def _codes(codes: list[str], *, is_new: bool = False) -> Response:
    return html(
        "sign_in/recovery_codes.html",
        codes=codes,
        is_new=is_new,
        next=safe_target(request.values.get("next") or "/account"),
    )


@blueprint.post("/account/second-factor/end")
def end_second_factor() -> Response:
    """Switch the app's codes off, to set them up on another phone."""
    factors.end_totp(current_installation(), _actor())
    return to("/account")


@blueprint.post("/account/recovery-codes")
def recovery_codes() -> Response:
    """Show new recovery codes, this once; older ones no longer work."""
    return _codes(factors.new_recovery_codes(current_installation(), _actor()))


@blueprint.post("/account/password")
def set_password() -> Response:
    """Give the login a password."""
    try:
        operations.set_password(current_installation(), _actor(), request.form.get("password", ""))
    except Invalid as error:
        return _account(error)
    return to("/account?done=password")


# --- passkeys -------------------------------------------------------------------------------------


@blueprint.post("/account/passkeys/options")
def new_passkey_options() -> Response:
    """Tell the browser what it needs to make a passkey."""
    asked = passkeys.begin_registration(current_installation(), _actor(), require_site())
    return Response(asked, content_type="application/json")


@blueprint.post("/account/passkeys")
def new_passkey() -> Response:
    """Keep a passkey that the browser has made."""
    form = request.form
    try:
        passkeys.register(
            current_installation(),
            _actor(),
            require_site(),
            form.get("asked", ""),
            form.get("answer", ""),
            form.get("name", ""),
        )
    except Invalid as error:
        return _account(error)
    return to("/account")


@blueprint.post("/account/passkeys/<uuid:passkey_id>/remove")
def remove_passkey(passkey_id: UUID) -> Response:
    """Forget one of the user's passkeys."""
    passkeys.remove_passkey(current_installation(), _actor(), passkey_id)
    return to("/account")


# --- access tokens --------------------------------------------------------------------------------


@blueprint.get("/account/tokens")
def my_tokens() -> Response:
    """Show the user's access tokens, and the form of a new one."""
    return _tokens()


def _tokens(token: str = "", error: DougongError | None = None) -> Response:
    installation, actor = current_installation(), _actor()
    wide = sorted({p.partition(".")[0] for grant in actor.grants for p in grant.permissions})
    return html(
        "sign_in/tokens.html",
        status=error.status if error else 200,
        token=token,
        message=translate_error(error) if error else "",
        errors=getattr(error, "fields", {}),
        given=request.form,
        chosen=request.form.getlist("wide"),
        tokens=tokens.tokens_of(installation, actor.user_id or UUID(int=0)),
        uses=tokens.last_uses(installation, actor.user_id or UUID(int=0)),
        plugins=_areas(wide),
        places=_places(actor),
        lifetimes=LIFETIMES,
    )


def _areas(wide: list[str]) -> list[tuple[str, str]]:
    """Return the plugins whose permissions the user may hold, with their names."""
    plugins = current_installation().plugins
    return [
        (plugin, str(plugins.manifest(plugin).name))
        for plugin in plugins.loaded
        if "*" in wide or plugin in wide
    ]


def _places(actor: Actor) -> list[tuple[UUID, str]]:
    """Return the communities that the user's roles reach."""
    roles = [grant for grant in actor.grants if grant.role != "resident"]
    with current_installation().access() as session:
        groups = [group_facts(session, id) for id in {g.group_id for g in roles if g.group_id}]
    return [
        (each.id, each.name)
        for group in groups
        for each in group.communities
        if any(grant.reaches(group.id, each.id) for grant in roles)
    ]


@blueprint.post("/account/tokens")
def new_token() -> Response:
    """Issue a token and show it, this once."""
    form: Any = request.form
    written = form.get("permissions", "").replace(",", " ").split()
    try:
        places = [UUID(value) for value in form.getlist("places")]
        days = int(form.get("days", "90"))
    except ValueError:
        raise NotFound(N_("There is no such community.")) from None
    try:
        token, _ = tokens.issue_token(
            current_installation(),
            _actor(),
            form.get("name", "").replace("\0", ""),
            [*form.getlist("wide"), *written],
            communities=places or None,
            lifetime=timedelta(days=min(days, 10_000)),
        )
    except Invalid as error:
        return _tokens(error=error)
    return _tokens(token)


@blueprint.post("/account/tokens/<uuid:token_id>/revoke")
def revoke_token(token_id: UUID) -> Response:
    """End one of the user's tokens at once."""
    tokens.revoke_token(current_installation(), _actor(), token_id)
    return to("/account/tokens")


def device_name(agent: str) -> str:
    """Return what a browser calls itself in a few words: ``Chrome · Windows``."""
    browsers = ("Edg", "MicroMessenger", "Firefox", "Chrome", "Safari", "curl", "python")
    systems = ("Windows", "Android", "iPhone", "iPad", "Mac OS", "Linux")
    names = {"Edg": "Edge", "MicroMessenger": "WeChat", "Mac OS": "macOS"}
    found = [next((w for w in words if w in agent), "") for words in (browsers, systems)]
    told = " · ".join(names.get(word, word) for word in found if word)
    return told or agent[:40] or gettext(N_("Unknown device"))
