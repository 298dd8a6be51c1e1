"""How a message leaves the house: one driver per channel, all with the same answer."""

import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import formataddr, formatdate, parseaddr
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit
from uuid import UUID

from dougong.i18n import N_, gettext

if TYPE_CHECKING:
    from dougong.installation import Installation

IN_APP = "in_app"
EMAIL = "email"
# Refusals that are about us, not about the recipient: trying later is right, giving up is not.
OUR_FAULT = {421, 454, 530, 534, 535, 538}


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message."""

    filename: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Outgoing:
    """What a channel sends. delivery_id stays the same when the same delivery is tried again."""

    delivery_id: UUID
    address: str
    subject: str
    body: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt.

    permanent: trying again is useless. retry_after: how long the channel asks us to wait.
    provider_id: the other side's name for the message. detail: for whoever looks into it.
    """

    accepted: bool
    permanent: bool = False
    retry_after: timedelta | None = None
    provider_id: str | None = None
    detail: str = ""


class Channel(Protocol):
    """A way to reach people outside of Dougong."""

    def send(self, outgoing: Outgoing) -> Outcome:
        """Try once, within 20 seconds; failures are outcomes, not exceptions."""


ChannelMaker = Callable[["Installation"], Channel | None]
_makers: dict[str, ChannelMaker] = {}


def channel_title(name: str) -> str:
    """Return what people call a channel, its name where the kernel knows no other."""
    known = {IN_APP: N_("Inbox"), "email": N_("E-mail"), "sms": N_("Text message")}
    return gettext(known.get(name, name))


def add_channel(name: str, make: ChannelMaker) -> None:
    """Offer a channel; ``make`` returns None on an installation that has not configured it."""
    _makers[name] = make


def channels(installation: "Installation") -> Mapping[str, Channel]:
    """Return the channels that this installation has configured, by name."""
    made = {name: make(installation) for name, make in _makers.items()}
    return {name: channel for name, channel in made.items() if channel is not None}


class EmailChannel:
    """Sends by SMTP: ``smtp://user:password@host:587`` or ``smtps://host``.

    STARTTLS is used where the server offers it, and insisted on as soon as a password would go
    over the line; ``?starttls=never`` is for a relay on this machine.
    """

    def __init__(self, url: str, sender: str, timeout_s: float = 20) -> None:
        self.url: SplitResult = urlsplit(url)
        self.sender = sender
        self.timeout_s = timeout_s

    def send(self, outgoing: Outgoing) -> Outcome:
        message = self._message(outgoing)
        try:
            with self._connection() as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            return _refused(code, text)
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            return Outcome(False, detail=f"{type(error).__name__}: {error}"[:200])
        return Outcome(True, provider_id=message["Message-ID"])

    def check(self) -> None:
        """Sign in at the mail server and leave; raises OSError or SMTPException."""
        with self._connection() as server:
            server.noop()

    def _connection(self) -> smtplib.SMTP:
        host, port = self.url.hostname or "localhost", self.url.port
        if self.url.scheme == "smtps":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, port or 465, timeout=self.timeout_s, context=context
            )
        else:
            server = smtplib.SMTP(host, port or 25, timeout=self.timeout_s)
            self._secure(server)
        if self.url.username:
            server.login(unquote(self.url.username), unquote(self.url.password or ""))
        return server

    def _secure(self, server: smtplib.SMTP) -> None:
        wanted = parse_qs(self.url.query).get("starttls", [""])[0]
        server.ehlo_or_helo_if_needed()
        if wanted != "never" and (server.has_extn("starttls") or self.url.username):
            server.starttls(context=ssl.create_default_context())

    def _message(self, outgoing: Outgoing) -> EmailMessage:
        message = EmailMessage()
        name, sender = parseaddr(self.sender)
        message["From"] = formataddr((name, sender))
        message["To"] = outgoing.address
        message["Subject"] = " ".join(outgoing.subject.split())
        message["Date"] = formatdate(localtime=False)
        # The same for every attempt: a server that got it twice can tell.
        message["Message-ID"] = f"<{outgoing.delivery_id}@{sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(outgoing.body)
        for attachment in outgoing.attachments:
            main, _, sub = attachment.media_type.partition("/")
            message.add_attachment(
                attachment.content, maintype=main, subtype=sub, filename=attachment.filename
            )
        return message


def _refused(code: int, text: Any) -> Outcome:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    is_permanent = 500 <= code < 600 and code not in OUR_FAULT
    return Outcome(False, permanent=is_permanent, detail=f"{code} {said}"[:200])


def _email(installation: "Installation") -> Channel | None:
    settings = installation.settings
    return EmailChannel(settings.smtp_url, settings.mail_from) if settings.smtp_url else None


add_channel(EMAIL, _email)
