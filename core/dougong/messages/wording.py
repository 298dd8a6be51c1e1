"""The wording of a message: the community's own, else the plugin's, in the recipient's language."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import meta
from sqlalchemy import select

from dougong import texts
from dougong.db.scope import Scope
from dougong.errors import NotFound
from dougong.i18n import DEFAULT_LOCALE, N_, current_locale, use_locale
from dougong.messages.models import MessageTemplate

KERNEL_TEMPLATES = Path(__file__).with_name("templates")
KERNEL = "dougong"
FILLED_IN = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


@dataclass(frozen=True)
class Variable:
    """What a wording may fill in. meaning: for whoever writes it; sample: for a preview."""

    name: str
    meaning: str
    sample: Any


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


def template_names(scope: Scope) -> list[str]:
    """Return every template of the kernel and of the plugins that are on here, by name."""
    found = []
    for plugin in (KERNEL, *sorted(scope.enabled - {KERNEL})):
        folder = _folder(scope, plugin)
        for path in sorted(folder.glob(f"*.{DEFAULT_LOCALE}.txt")) if folder else ():
            found.append(f"{plugin}:{path.name.partition('.')[0]}")
    return found


def title_of(scope: Scope, template: str) -> str:
    """Return what people call a template: its subject without what is filled in."""
    try:
        subject, _ = default_wording(scope, template, current_locale())
    except NotFound:
        return template
    return FILLED_IN.sub("…", subject)


def variables(
    scope: Scope, template: str, locale: str, reader: str | None = None
) -> list[Variable]:
    """Return what the template's wordings may fill in, in the order in which the default does.

    reader: the locale of the meanings, where it is not the wording's.
    Meanings and samples come from ``templates/messages/<name>.toml``, a table per variable with
    ``en``, ``zh_Hans_CN`` and ``sample``; a variable that it does not name is its own sample.
    """
    default = "\n".join(default_wording(scope, template, locale))
    names = meta.find_undeclared_variables(texts.environment(False).parse(default))
    plugin, _, name = template.partition(":")
    folder = _folder(scope, plugin)
    path = folder / f"{name}.toml" if folder else None
    told: dict[str, Any] = {}
    if path is not None and path.is_file():
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    ordered = sorted(names | told.keys(), key=lambda n: (default.find(n) < 0, default.find(n), n))
    described = ((name, told.get(name, {})) for name in ordered)
    return [
        Variable(name, of.get(reader or locale, ""), _sample(name, of.get("sample")))
        for name, of in described
    ]


def _sample(name: str, told: Any) -> Any:
    return f"〔{name}〕" if told is None else told


def preview(scope: Scope, template: str, subject: str, body: str, locale: str) -> tuple[str, str]:
    """Return a wording filled in with samples; raises NotFound, Invalid as sending it would."""
    values = {v.name: v.sample for v in variables(scope, template, locale)}
    with use_locale(locale):
        zone = str(scope.zone)
        return texts.fill(subject, values, zone=zone), texts.fill(body, values, zone=zone).strip()


def _folder(scope: Scope, plugin: str) -> Path | None:
    if plugin == KERNEL:
        return KERNEL_TEMPLATES
    found = scope.installation.plugins.found.get(plugin)
    return found.folder / "templates/messages" if found else None
