"""The wording of a message: the community's own, else the plugin's, in the recipient's language."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dougong import texts
from dougong.db.scope import Scope
from dougong.errors import NotFound
from dougong.i18n import DEFAULT_LOCALE, N_, use_locale
from dougong.messages.models import MessageTemplate

KERNEL_TEMPLATES = Path(__file__).with_name("templates")


def wording(
    scope: Scope, template: str, context: Mapping[str, Any], locale: str
) -> tuple[str, str]:
    """Return subject and body of ``<plugin>:<name>`` with the context filled in.

    Raises NotFound for an unknown template and Invalid when the text needs what is not there.
    """
    subject, body = community_wording(scope, template, locale) or default_wording(
        scope, template, locale
    )
    with use_locale(locale):
        zone = str(scope.zone)
        return (
            texts.fill(subject, context, zone=zone),
            texts.fill(body, context, zone=zone).strip(),
        )


def community_wording(scope: Scope, template: str, locale: str) -> tuple[str, str] | None:
    """Return the community's own subject and body, None when it has not written any."""
    own = scope.session.scalars(
        select(MessageTemplate).filter_by(template=template, locale=locale)
    ).first()
    return (own.subject, own.body) if own else None


def default_wording(scope: Scope, template: str, locale: str) -> tuple[str, str]:
    """Return subject and body from ``templates/messages/<name>.<locale>.txt`` of the plugin.

    The first line is the subject, the rest the body; Chinese stands in for a missing language.
    """
    plugin, _, name = template.partition(":")
    folder = _folder(scope, plugin)
    if folder is not None and name.replace("_", "").isalnum():
        for language in (locale, DEFAULT_LOCALE):
            path = folder / f"{name}.{language}.txt"
            if path.is_file():
                subject, _, body = path.read_text(encoding="utf-8").partition("\n")
                return subject.strip(), body.strip()
    raise NotFound(N_("There is no message template %(name)s."), name=template)


def _folder(scope: Scope, plugin: str) -> Path | None:
    if plugin == "dougong":
        return KERNEL_TEMPLATES
    found = scope.installation.plugins.found.get(plugin)
    return found.folder / "templates/messages" if found else None
