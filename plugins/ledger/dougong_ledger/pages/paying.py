"""Where an owner pays through a channel, and where gateways send their notices."""

import re
from typing import Any
from uuid import UUID

from flask import Flask, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WebResponse

from dougong.db import member_label
from dougong.documents.codes import qr_image
from dougong.errors import DougongError, Invalid, NotFound
from dougong.i18n import N_, translate_error
from dougong.installation import Installation
from dougong.web.app import from_outside, require_scope
from dougong_ledger import services
from dougong_ledger.channels import Forged, Way
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
        offers=services.offers(scope) if is_open else [],
        is_open=is_open,
        receipt=mine.my_receipt(scope, order),
    )


@blueprint.post("/pay/<uuid:order_id>")
def start(order_id: UUID) -> WebResponse:
    """Ask the chosen channel, and take the payer there: to a QR code, or to its page."""
    scope = require_scope()
    provider = request.form.get("provider", "")
    is_phone = bool(PHONE.search(request.headers.get("User-Agent", "")))
    attempt_id = mine.start_mine(
        scope,
        order_id,
        provider,
        Way.PHONE if is_phone else Way.QR,
        url_for(".returned", order_id=order_id, _external=True),
        request.remote_addr or "127.0.0.1",
    )
    attempt = mine.my_attempt(scope, attempt_id)
    if attempt.prepared.get("url"):
        # The page of a gateway lies on another host: a form may not lead there, a link may.
        return redirect(url_for(".paying", attempt_id=attempt_id, go=1), 303)
    return redirect(url_for(".paying", attempt_id=attempt_id), 303)


@blueprint.get("/paying/<uuid:attempt_id>")
def paying(attempt_id: UUID) -> Any:
    """Show the QR code or the link of an attempt until it is decided."""
    scope = require_scope()
    attempt = mine.my_attempt(scope, attempt_id)
    if attempt.state is AttemptState.PAID and attempt.payment_id is not None:
        return redirect(url_for(".pay", order_id=attempt.order_id), 303)
    code = attempt.prepared.get("qr")
    link = attempt.prepared.get("url") or (code if code and code.startswith("http") else None)
    return render_template(
        "ledger/paying.html",
        attempt=attempt,
        title=services.provider_title(scope, attempt.provider),
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
