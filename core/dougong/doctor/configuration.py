"""Checks of how it is set up: unsafe settings, mail, backups."""

import smtplib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dougong import backups as made
from dougong.hookspecs import HealthFinding
from dougong.i18n import N_, gettext
from dougong.messages.channels import EmailChannel
from dougong.settings import Settings

if TYPE_CHECKING:
    from dougong.installation import Installation

LOOPBACK = ("127.0.0.1", "::1", "localhost")
OLDEST_BACKUP = timedelta(hours=26)
MAIL_S = 5.0


def settings(settings: Settings) -> Iterator[HealthFinding]:
    """Nothing is open that people outside could reach."""
    is_reachable = settings.host not in LOOPBACK
    unsafe = []
    if is_reachable and not settings.production:
        unsafe.append("DOUGONG_HOST · DOUGONG_PRODUCTION≠1")
    if (is_reachable or settings.production) and not settings.is_secure:
        unsafe.append("DOUGONG_URL: http")
    if settings.production and settings.database is None:
        unsafe.append("DOUGONG_DATABASE")
    yield HealthFinding(
        gettext(N_("Settings are safe")),
        not unsafe,
        ", ".join(unsafe) or settings.url,
        gettext(
            N_(
                "Outside of a trial: DOUGONG_PRODUCTION=1, DOUGONG_URL=https://…, and a"
                " PostgreSQL of its own in DOUGONG_DATABASE."
            )
        ),
    )


def mail(installation: "Installation") -> Iterator[HealthFinding]:
    """The mail server lets us in; in production there is one."""
    settings, detail = installation.settings, ""
    if settings.smtp_url is None:
        yield HealthFinding(
            gettext(N_("E-mail")),
            False,
            gettext(N_("no mail server is configured")),
            gettext(N_("Set DOUGONG_SMTP_URL, such as smtp://user:password@mail.example:587.")),
            is_urgent=settings.production,
        )
        return
    channel = EmailChannel(settings.smtp_url, settings.mail_from, timeout_s=MAIL_S)
    try:
        channel.check()
    except (OSError, smtplib.SMTPException, ssl.SSLError) as error:
        detail = f"{type(error).__name__}: {error}"[:200]
    yield HealthFinding(
        gettext(N_("E-mail")),
        not detail,
        detail or f"{channel.url.hostname}:{channel.url.port or ''}",
        gettext(
            N_("Look at name, port and password in DOUGONG_SMTP_URL; messages wait meanwhile.")
        ),
    )


def backups(settings: Settings) -> Iterator[HealthFinding]:
    """The newest backup is of today, and was proved to be complete."""
    newest = made.newest(settings)
    age = datetime.now(UTC) - newest.made_at if newest else None
    yield HealthFinding(
        gettext(N_("Backup")),
        age is not None and age < OLDEST_BACKUP,
        f"{newest.made_at:%Y-%m-%d %H:%M} · {newest.folder}" if newest else "",
        gettext(N_("Run each night: dougong backup")),
        is_urgent=settings.production,
    )
