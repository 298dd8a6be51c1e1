"""What people at a community do with messages."""

from sqlalchemy import select

from dougong import texts
from dougong.db.scope import Scope
from dougong.errors import Invalid
from dougong.i18n import DEFAULT_LOCALE, N_, translate_error
from dougong.messages.models import Message, MessageTemplate
from dougong.messages.sending import notify
from dougong.messages.wording import default_wording
from dougong.services import service
from dougong.tenancy.models import Person


@service("message.write", title=("Write a message", "发消息"))
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
