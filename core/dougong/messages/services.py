"""What people at a community do with messages."""

from sqlalchemy import select

from dougong import texts
from dougong.db.scope import Scope
from dougong.i18n import DEFAULT_LOCALE
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
    texts.check(subject)
    texts.check(body)
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
