"""Pages of messages for staff: what waits, what failed and why, and the wordings with a preview."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.errors import DougongError, Invalid, NotFound
from dougong.i18n import DEFAULT_LOCALE, LOCALES, N_, gettext, translate_error
from dougong.installation import Installation
from dougong.messages import channels
from dougong.messages.channels import IN_APP, channel_title
from dougong.messages.models import DeliveryState, Message, MessageDelivery, MessageTemplate
from dougong.messages.sending import QUIET_HOURS
from dougong.messages.services import resend_delivery
from dougong.messages.wording import (
    community_wording,
    default_wording,
    preview,
    template_names,
    title_of,
    variables,
)
from dougong.tenancy.models import Person
from dougong.web.admin.menu import ADMINISTRATION, menu_page
from dougong.web.app import current_installation, require_scope

VIEW, RESEND = "dougong.message_delivery.view", "dougong.message_delivery.resend"
WRITE, CONFIGURE = "dougong.message_template.write", "dougong.message.configure"
PAGE, COUNTED_DAYS = 50, 7
blueprint = Blueprint("message_desk", __name__, url_prefix="/<scope:scope>/messages")


def install(app: Flask, installation: Installation) -> None:
    """Add the pages and their place in the menu."""
    menu_page(
        "message_desk.queue", ("Sending of messages", "消息发送"), VIEW, section=ADMINISTRATION,
        icon="send", order=59, only_in="community",
    )  # fmt: skip
    app.register_blueprint(blueprint)


def _community(permission: str) -> Scope:
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("Choose a community first."))
    scope.require(permission)
    return scope


@blueprint.get("/")
def queue() -> str:
    """Show what waits and what failed, newest first, and how sending is set up."""
    return _queue(_community(VIEW))


def _queue(scope: Scope, problem: str = "", quiet_hours: str | None = None) -> str:
    state = request.args.get("state", "")
    wanted = [s for s in DeliveryState if s.value == state]
    found = _deliveries(scope, wanted or [DeliveryState.WAITING, DeliveryState.FAILED])
    kept = scope.setting("messages.quiet_hours", QUIET_HOURS)
    return render_template(
        "messages/queue.html",
        deliveries=found[:PAGE],
        is_cut_short=len(found) > PAGE,
        counts=_counts(scope),
        states=DeliveryState,
        state=state,
        order=scope.setting("messages.channels", [IN_APP, "email"]),
        configured=list(channels(current_installation())),
        quiet_hours=kept if quiet_hours is None else quiet_hours,
        may_resend=scope.may(RESEND),
        may_configure=scope.may(CONFIGURE),
        may_write=scope.may(WRITE),
        problem=problem,
        member=member_label,
        title_of=title_of,
        channel_title=channel_title,
        said=lambda names: [channel_title(name) for name in names],
        crumbs=_crumbs(scope),
    )


def _deliveries(scope: Scope, states: Sequence[DeliveryState]) -> Sequence[Any]:
    """Return deliveries with their message and recipient; one statement."""
    query = (
        select(MessageDelivery, Message, Person)
        .join(Message, (Message.community_id == MessageDelivery.community_id)
              & (Message.id == MessageDelivery.message_id))
        .outerjoin(Person, (Person.community_id == Message.community_id)
                   & (Person.id == Message.person_id))
        .where(MessageDelivery.state.in_(states), MessageDelivery.channel != IN_APP)
        .order_by(MessageDelivery.id.desc())
        .limit(PAGE + 1)
    )  # fmt: skip
    return scope.session.execute(query).all()


def _counts(scope: Scope) -> dict[str, int]:
    since = scope.now - timedelta(days=COUNTED_DAYS)
    query = (
        select(MessageDelivery.state, func.count())
        .where(MessageDelivery.channel != IN_APP, MessageDelivery.due_at > since)
        .group_by(MessageDelivery.state)
    )
    return {state.value: count for state, count in scope.session.execute(query)}


def _crumbs(scope: Scope, *more: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    here = (gettext(N_("Sending of messages")), url_for(".queue") if more else None)
    return [(scope.place.name, url_for("admin.dashboard")), here, *more]


@blueprint.post("/<uuid:delivery>/resend")
def resend(delivery: UUID) -> Response | tuple[str, int]:
    """Have a failed delivery tried again."""
    scope = _community(RESEND)
    try:
        resend_delivery(scope, scope.get(MessageDelivery, delivery))
    except DougongError as error:
        if error.status in (403, 404):
            raise
        return _queue(scope, translate_error(error)), error.status
    return redirect(url_for(".queue", state="waiting", done=1), 303)  # type: ignore[return-value]


@blueprint.post("/configure")
def configure() -> Response | tuple[str, int]:
    """Set quiet hours and the order of the channels."""
    scope, form = _community(CONFIGURE), request.form
    chosen = [c for c in form.getlist("channels") if c]
    try:
        scope.call("dougong.message.configure", quiet_hours=form.get("quiet_hours", "").strip(),
                   channels=chosen)  # fmt: skip
    except Invalid as error:
        problem = next(iter(error.fields.values()), None) or translate_error(error)
        return _queue(scope, problem, form.get("quiet_hours", "")), error.status
    return redirect(url_for(".queue", done=1), 303)  # type: ignore[return-value]


# --- wordings -------------------------------------------------------------------------------------


@blueprint.get("/wordings/")
def wordings() -> str:
    """Show every message that may be sent here, and whose words it has."""
    scope = _community(WRITE)
    kept = select(MessageTemplate.template, MessageTemplate.locale)
    own = {tuple(row) for row in scope.session.execute(kept)}
    rows = [
        (name, preview(scope, name, *default_wording(scope, name, scope.locale), scope.locale)[0],
         {locale: (name, locale) in own for locale in LOCALES})
        for name in template_names(scope)
    ]  # fmt: skip
    return render_template(
        "messages/wordings.html", rows=rows, locales=LOCALES, title_of=title_of,
        crumbs=_crumbs(scope, (gettext(N_("Wordings of messages")), None)),
    )  # fmt: skip


@blueprint.route("/wordings/<template>/<locale>", methods=["GET", "POST"])
def wording(template: str, locale: str) -> Any:
    """Show a wording to change, try it on samples, save it or go back to the default."""
    scope = _community(WRITE)
    if locale not in LOCALES or template not in template_names(scope):
        raise NotFound(N_("There is no message template %(name)s."), name=template)
    default = default_wording(scope, template, locale)
    subject, body = community_wording(scope, template, locale) or default
    if request.method == "GET":
        return _wording(scope, template, locale, subject, body)
    act, form = request.form.get("act", "preview"), request.form
    subject, body = form.get("subject", ""), form.get("body", "").replace("\r\n", "\n")
    if act == "restore" or act == "save" and (subject.strip(), body.strip()) == default:
        subject = body = ""
    try:
        if act not in ("save", "restore"):
            return _wording(scope, template, locale, subject, body)
        if act == "save" and subject + body:
            preview(scope, template, subject, body, locale)
        scope.call("dougong.message_template.write", template=template, subject=subject,
                   body=body, locale=locale)  # fmt: skip
    except Invalid as error:
        return _wording(scope, template, locale, subject, body, error), error.status
    return redirect(url_for(".wording", template=template, locale=locale, done=1), 303)


def _wording(
    scope: Scope, template: str, locale: str, subject: str, body: str,
    error: Invalid | None = None,
) -> str:  # fmt: skip
    shown = None
    try:
        shown = preview(scope, template, subject, body, locale) if error is None else None
    except Invalid as found:
        error = found
    problem = ""
    if error is not None:
        problem = next(iter(error.fields.values()), None) or translate_error(error)
    return render_template(
        "messages/wording.html",
        template=template,
        name=title_of(scope, template),
        locale_of=locale,
        locales=LOCALES,
        subject=subject,
        body=body,
        shown=shown,
        problem=problem,
        is_own=community_wording(scope, template, locale) is not None,
        variables=variables(scope, template, locale, scope.locale),
        default_locale=DEFAULT_LOCALE,
        crumbs=_crumbs(scope, (gettext(N_("Wordings of messages")), url_for(".wordings")),
                       (title_of(scope, template), None)),
    )  # fmt: skip
