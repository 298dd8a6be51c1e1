"""Where an owner pays through a channel, and where gateways send their notices."""

import hmac
import re
from hashlib import sha256
from typing import Any
from uuid import UUID

from flask import Flask, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WebResponse

from dougong.db import Scope, member_label
from dougong.documents.codes import qr_image
from dougong.errors import DougongError, Invalid, NotAllowed, NotFound
from dougong.i18n import N_, translate_error
from dougong.installation import Installation
from dougong.web.app import csrf_token, from_outside, require_scope
from dougong_ledger import services
from dougong_ledger.channels import ChannelRefused, Forged, Way
from dougong_ledger.domain import AttemptState, OrderState
from dougong_ledger.pages import blueprint
from dougong_ledger.services import mine
from dougong_ledger.services.orders import items_of

MOST_BYTES = 64 * 1024
PHONE = re.compile(r"Mobile|Android|iPhone|HarmonyOS", re.IGNORECASE)


def install(app: Flask, installation: Installation) -> None:
    """Add the address to which gateways send notices."""

    @app.post(
        "/pay/notify/<provider>/<uuid:community_id>/<uuid:merchant_id>", endpoint="payment_notice"
    )
    @from_outside
    def notice(provider: str, community_id: UUID, merchant_id: UUID) -> Response:
        """Book a gateway's notice; the answer leaves after the commit."""
        if (request.content_length or 0) > MOST_BYTES:
            raise Invalid(N_("The message is too large."))
        body, headers = request.get_data(cache=False), dict(request.headers)
        try:
            status, kind, told = services.take_notice(
                installation, provider, community_id, merchant_id, headers, body
            )
        except Forged as error:
            app.logger.warning("a notice was refused: %s", translate_error(error))
            return Response("", 401)
        return Response(told, status, content_type=kind)


# --- the payer ------------------------------------------------------------------------------------


@blueprint.get("/my/")
def my_payments() -> str:
    """Show a payer what he has paid, with the receipts, page by page."""
    scope, before = require_scope(), request.args.get("before", "")
    try:
        payments, further = mine.my_payments(scope, UUID(before) if before else None)
    except ValueError:
        raise NotFound(mine.MISSING) from None
    return render_template(
        "ledger/my_payments.html", payments=payments, further=further, member=member_label
    )


@blueprint.get("/pay/<uuid:order_id>")
def pay(order_id: UUID) -> str:
    """Show an owner what he is about to pay, and the channels by which he can."""
    scope = require_scope()
    order = mine.my_order(scope, order_id)
    is_open = order.state is OrderState.OPEN and order.expires_at > scope.now
    return render_template(
        "ledger/pay.html",
        order=order,
        items=items_of(scope, order),
        offers=services.offers_in(scope, browser()) if is_open else [],
        is_open=is_open,
        receipt=mine.my_receipt(scope, order),
    )


@blueprint.post("/pay/<uuid:order_id>")
def start(order_id: UUID) -> WebResponse:
    """Ask the chosen channel, and take the payer there: to its app, its page, or a QR code."""
    scope = require_scope()
    provider = request.form.get("provider", "")
    if identity_url(scope, mine.my_order(scope, order_id).id, provider):
        return redirect(url_for(".enter", order_id=order_id, provider=provider), 303)
    channel = services.channel_of(scope, provider)
    is_inside = bool(channel.app_mark) and channel.app_mark in browser()
    is_phone = bool(PHONE.search(browser())) and Way.PHONE in channel.ways
    # An app that cannot pay inside refuses the page for browsers as well: a code is left.
    is_code = not is_phone or (is_inside and Way.IN_APP in channel.ways)
    return _begin(order_id, provider, Way.QR if is_code else Way.PHONE)


@blueprint.get("/pay/<uuid:order_id>/app/<provider>")
def enter(order_id: UUID, provider: str) -> Any:
    """Ask the app who its user is, and go on to pay once it has told."""
    scope = require_scope()
    order = mine.my_order(scope, order_id)
    link = identity_url(scope, order.id, provider)
    if link is None:
        return redirect(url_for(".pay", order_id=order_id), 303)
    code = request.args.get("code", "")
    title = services.provider_title(scope, provider)
    if not code:
        # A form may not lead to another host, not even by way of us: a page may.
        return render_template("ledger/entering.html", order=order, link=link, title=title)
    given = request.args.get("state", "")
    if not hmac.compare_digest(given.encode(), _state(order.id, provider).encode()):
        raise NotAllowed(N_("This request came from another site."))
    offer = next(o for o in services.offers(scope) if o.channel.id == provider)
    try:
        payer = offer.channel.payer_of(scope, offer.merchant.id, code)
    except ChannelRefused as error:
        problem = translate_error(error)
        return render_template(
            "ledger/entering.html", order=order, link=link, title=title, problem=problem
        )
    return _begin(order_id, provider, Way.IN_APP, payer)


def browser() -> str:
    """Return how the payer's browser calls itself."""
    return request.headers.get("User-Agent", "")


def identity_url(scope: Scope, order_id: UUID, provider: str) -> str | None:
    """Return where the app in whose browser this page is open tells who pays, None elsewhere."""
    for offer in services.offers_in(scope, browser()):
        channel = offer.channel
        if channel.id != provider or Way.IN_APP not in channel.ways:
            continue
        if channel.app_mark and channel.app_mark in browser():
            back = url_for(".enter", order_id=order_id, provider=provider, _external=True)
            return channel.identity_url(scope, offer.merchant.id, back, _state(order_id, provider))
    return None


def _state(order_id: UUID, provider: str) -> str:
    """Return what the app hands back, so that nobody else's code is taken in this session."""
    told = f"enter|{order_id}|{provider}".encode()
    return hmac.new(csrf_token().encode(), told, sha256).hexdigest()[:32]


def _begin(order_id: UUID, provider: str, way: Way, payer: str | None = None) -> WebResponse:
    attempt_id = mine.start_mine(
        require_scope(),
        order_id,
        provider,
        way,
        url_for(".returned", order_id=order_id, _external=True),
        request.remote_addr or "127.0.0.1",
        payer,
    )
    # The page of a gateway lies on another host: a form may not lead there, a page may.
    return redirect(url_for(".paying", attempt_id=attempt_id, go=1), 303)


@blueprint.get("/paying/<uuid:attempt_id>")
def paying(attempt_id: UUID) -> Any:
    """Show the QR code or the link of an attempt until it is decided."""
    scope = require_scope()
    attempt = mine.my_attempt(scope, attempt_id)
    if attempt.state is AttemptState.PAID and attempt.payment_id is not None:
        return redirect(url_for(".pay", order_id=attempt.order_id), 303)
    code = attempt.prepared.get("qr")
    link = attempt.prepared.get("url") or (code if code and code.startswith("http") else None)
    channel = services.channels(scope).get(attempt.provider)
    return render_template(
        "ledger/paying.html",
        attempt=attempt,
        title=services.provider_title(scope, attempt.provider),
        script=attempt.prepared.get("script") or None,
        app_script=channel.app_script if channel else "",
        is_phone=bool(PHONE.search(browser())),
        goes_on=request.args.get("go") == "1" and attempt.way is Way.PHONE,
        image=qr_image(code) if code else None,
        link=link,
        is_open=services.is_undecided(attempt),
        member=member_label,
    )


@blueprint.get("/pay/<uuid:order_id>/returned")
def returned(order_id: UUID) -> WebResponse:
    """Take a payer who comes back from a gateway to his attempt, not to where he would pay again.

    The gateway is asked meanwhile, for its notice may take longer than the payer.
    """
    scope = require_scope()
    attempt_id = mine.last_attempt(scope, order_id)
    if attempt_id is None:
        return redirect(url_for(".pay", order_id=order_id), 303)
    return ask(attempt_id)


@blueprint.get("/paying/<uuid:attempt_id>/state")
def paying_state(attempt_id: UUID) -> Response:
    """Tell the page whether anything has changed."""
    return jsonify({"state": mine.my_attempt(require_scope(), attempt_id).state.value})


@blueprint.post("/paying/<uuid:attempt_id>")
def ask(attempt_id: UUID) -> WebResponse:
    """Ask the gateway now, for a payer who says that he has paid."""
    scope = require_scope()
    try:
        mine.ask_mine(scope, attempt_id)
    except NotFound:
        raise
    except DougongError:
        # The gateway is silent: the page says "waiting" again, and the schedule goes on asking.
        return redirect(url_for(".paying", attempt_id=attempt_id), 303)
    return redirect(url_for(".paying", attempt_id=attempt_id), 303)


@blueprint.get("/pay/<uuid:order_id>/receipt")
def pay_receipt(order_id: UUID) -> Response:
    """Download the receipt of one's own payment as PDF."""
    from dougong_ledger.pages.files import download

    document = mine.print_mine(require_scope(), order_id)
    return download(document.content, document.filename, document.media_type)
