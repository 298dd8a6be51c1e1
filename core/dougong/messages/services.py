"""What people at a community do with messages."""

from sqlalchemy import select

from dougong import texts
from dougong.capabilities import needs
from dougong.db.scope import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import DEFAULT_LOCALE, N_, gettext, translate_error
from dougong.messages.channels import IN_APP
from dougong.messages.domain import quiet_until
from dougong.messages.models import (
    ContactPoint,
    DeliveryState,
    Message,
    MessageDelivery,
    MessageTemplate,
)
from dougong.messages.sending import hand_over, notify
from dougong.messages.wording import default_wording
from dougong.services import service
from dougong.tenancy.models import Person
from dougong.tenancy.operations import set_setting


@service("message.write", title=("Write a message", "发消息"))
@needs("mail")
def write_message(
    scope: Scope, person: Person, subject: str, body: str, is_urgent: bool = False
) -> Message:
    """Send a person a message in one's own words."""
    context = {"subject": subject, "body": body}
    return notify(scope, person, "dougong:free", context, is_urgent=is_urgent)


@service("message_template.write", title=("Change the wording", "修改消息模板"))
def write_template(
    scope: Scope, template: str, subject: str, body: str, locale: str = DEFAULT_LOCALE
) -> MessageTemplate | None:
    """Replace the wording of a message in this community; an empty one restores the default.

    Returns the stored wording, None when restored. Raises NotFound for an unknown template and
    Invalid for a text that does more than fill in values.
    """
    default_wording(scope, template, locale)
    _check(subject, body)
    known = scope.session.scalars(
        select(MessageTemplate).filter_by(template=template, locale=locale)
    ).first()
    if not subject.strip() and not body.strip():
        if known is not None:
            scope.session.delete(known)
        return None
    if known is None:
        known = MessageTemplate(template=template, locale=locale, subject=subject, body=body)
        scope.session.add(known)
    known.subject, known.body = subject, body
    scope.session.flush()
    return known


@service("message_template.create", title=("Add a wording", "新增消息模板"))
def create_template(
    scope: Scope, template: str, subject: str, body: str, locale: str = DEFAULT_LOCALE
) -> MessageTemplate:
    """Write a community's own wording; raises NotFound, Invalid, Conflict for a second one."""
    default_wording(scope, template, locale)
    _check(subject, body)
    made = MessageTemplate(template=template, locale=locale, subject=subject, body=body)
    scope.session.add(made)
    scope.session.flush()
    return made


@service("message_template.change", title=("Change the wording", "修改消息模板"))
def change_template(
    scope: Scope,
    record: MessageTemplate,
    template: str | None = None,
    subject: str | None = None,
    body: str | None = None,
    locale: str | None = None,
) -> MessageTemplate:
    """Change a community's own wording; what is None stays. Raises NotFound, Invalid."""
    record.template = template or record.template
    record.locale = locale or record.locale
    record.subject, record.body = subject or record.subject, body or record.body
    default_wording(scope, record.template, record.locale)
    _check(record.subject, record.body)
    scope.session.flush()
    return record


def _check(subject: str, body: str) -> None:
    """Raise Invalid naming the field whose text does more than fill in values."""
    for name, source in (("subject", subject), ("body", body)):
        try:
            texts.check(source)
        except Invalid as error:
            fields = {name: translate_error(error)}
            raise Invalid(N_("Some fields are not right yet."), fields=fields) from error


@service("message_delivery.resend", title=("Send again", "重新发送"))
@needs("mail")
def resend_delivery(scope: Scope, delivery: MessageDelivery) -> MessageDelivery:
    """Have a delivery that failed tried again, at once and under the same number.

    The address is the one that the recipient has now: a bounce is mended there first. Raises
    Conflict for a delivery that did not fail.
    """
    if delivery.state is not DeliveryState.FAILED:
        raise Conflict(N_("Only what failed is sent again."))
    message = delivery.message
    is_theirs = (
        ContactPoint.person_id == message.person_id
        if message.person_id
        else ContactPoint.user_id == message.user_id
    )
    point = scope.session.scalars(
        select(ContactPoint)
        .where(is_theirs, ContactPoint.is_active, ContactPoint.channel == delivery.channel)
        .order_by(ContactPoint.id)
    ).first()
    if point is not None:
        delivery.address = point.address
    delivery.state, delivery.attempts, delivery.due_at = DeliveryState.WAITING, 0, scope.now
    scope.session.flush()
    hand_over(scope, delivery)
    return delivery


@service("message.configure", title=("Quiet hours and channels", "免打扰与渠道"))
def configure(scope: Scope, quiet_hours: str, channels: list[str]) -> None:
    """Set when a community's people are left in peace, and by which channels they are reached.

    quiet_hours: ``22:00-07:00``, empty for none. channels: in the order in which they are tried;
    the inbox is always one. Raises Invalid for other words.
    """
    if quiet_hours:
        try:
            quiet_until(scope.now, scope.zone, quiet_hours)
        except ValueError as error:
            problem = gettext("Write two times, such as 22:00-07:00.")
            fields = {"quiet_hours": problem}
            raise Invalid(N_("Some fields are not right yet."), fields=fields) from error
    wanted = [IN_APP, *(c for c in channels if c != IN_APP)]
    community_id = scope.community_id
    if community_id is None:
        raise Conflict(N_("Choose a community first; a group page writes no rows."))
    with scope.installation.access(scope.actor) as session:
        set_setting(session, community_id, "messages.quiet_hours", quiet_hours)
        set_setting(session, community_id, "messages.channels", wanted)
