"""From a plugin's template and a context to a printed document."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape
from sqlalchemy import select

from dougong import texts
from dougong.db.base import InCommunity
from dougong.db.scope import Scope
from dougong.documents.amounts import chinese_amount
from dougong.documents.codes import qr_image
from dougong.documents.models import DocumentText
from dougong.documents.printing import to_pdf, to_pdfs
from dougong.documents.seals import seal
from dougong.errors import NotFound
from dougong.i18n import N_, bilingual
from dougong.tenancy.models import Community, LegalEntity

KERNEL = "dougong"
KERNEL_TEMPLATES = Path(__file__).with_name("templates")
KERNEL_DOCUMENTS = {"labels": bilingual("Labels", "标签"), "notice": bilingual("Notice", "通知")}


@dataclass(frozen=True)
class Document:
    """A printed document, ready to be sent or stored."""

    content: bytes
    filename: str
    media_type: str = "application/pdf"


@dataclass(frozen=True)
class Letterhead:
    """Who issues a document. legal_entity is None for one that is of no single community."""

    group: str
    community: str = ""
    address: str = ""
    legal_entity: LegalEntity | None = None


@dataclass(frozen=True)
class TemplateText:
    """A wording inside a template that a community may replace: its name and the default."""

    name: str
    default: str


def render(
    scope: Scope, name: str, context: Mapping[str, Any], *, filename: str | None = None
) -> Document:
    """Return the document ``<plugin>:<document>`` as PDF, in the locale in force.

    context: what the template shows. filename: without it, the document's title and the day.
    Raises NotFound where the plugin is off or has no such document.
    """
    title = document_title(scope, name)
    html = render_html(scope, name, context)
    filename = filename or f"{title}-{scope.today.isoformat()}.pdf"
    return Document(to_pdf(html), filename)


def render_many(
    scope: Scope, name: str, contexts: Iterable[Mapping[str, Any]]
) -> Iterator[Document]:
    """Yield one document per context, in order: for mass runs, on every core.

    Files are numbered. Raises NotFound where the plugin is off or has no such document.
    """
    title = document_title(scope, name)
    template = _environment(scope.installation).get_template(name)
    frames: dict[UUID | None, dict[str, Any]] = {}
    htmls = []
    for context in contexts:
        issuer = issuer_of(scope, context)
        if issuer not in frames:
            frames[issuer] = _frame(scope, name, issuer)
        htmls.append(template.render(_with_values(context) | frames[issuer]))
    for number, content in enumerate(to_pdfs(htmls), 1):
        stem = f"{title}-{scope.today.isoformat()}-{number:04}"
        yield Document(content, f"{stem}.pdf")


def render_html(scope: Scope, name: str, context: Mapping[str, Any]) -> str:
    """Return the document's HTML: what `render` prints, for tests and previews."""
    frame = _frame(scope, name, issuer_of(scope, context))
    template = _environment(scope.installation).get_template(name)
    return template.render(_with_values(context) | frame)


def issuer_of(scope: Scope, context: Mapping[str, Any]) -> UUID | None:
    """Return the community that issues a document: on a group's page that of what it is about."""
    if scope.community_id is not None:
        return scope.community_id
    found = {each.community_id for each in context.values() if isinstance(each, InCommunity)}
    return found.pop() if len(found) == 1 else None


def _frame(scope: Scope, name: str, issuer: UUID | None) -> dict[str, Any]:
    """Return what every copy of a document shares; raises NotFound where there is none."""
    return {
        "document_title": document_title(scope, name),
        "letterhead": letterhead(scope, issuer),
        "printed_at": scope.now,
        "zone": str(scope.zone),
        "locale": scope.locale,
        "shows_seal": bool(scope.setting("documents.shows_seal", True)),
        "_texts": _own_texts(scope, name, issuer),
    }


def _with_values(context: Mapping[str, Any]) -> dict[str, Any]:
    return {**context, "_values": texts.plain(dict(context))}


def document_title(scope: Scope, name: str) -> str:
    """Return what people call a document; raises NotFound where there is none."""
    plugin, _, document = name.partition(":")
    if plugin == KERNEL and document in KERNEL_DOCUMENTS:
        return str(KERNEL_DOCUMENTS[document])
    if plugin in scope.enabled and plugin != KERNEL:
        for entry in scope.installation.plugins.manifest(plugin).documents:
            if entry.id == document:
                return str(bilingual(entry.name.en, entry.name.zh_Hans_CN))
    raise NotFound(N_("There is no document %(name)s here."), name=name)


def letterhead(scope: Scope, issuer: UUID | None = None) -> Letterhead:
    """Return who issues documents in this place. issuer: a community, on a group's page."""
    issuer = issuer or scope.community_id
    group: str = getattr(scope.place, "group_name", "") or getattr(scope.place, "name", "")
    if issuer is None:
        return Letterhead(group)
    query = select(Community, LegalEntity).where(Community.id == issuer)
    query = query.outerjoin(LegalEntity, LegalEntity.id == Community.legal_entity_id)
    community, entity = scope.session.execute(query).one()
    return Letterhead(group, community.name, community.address or "", entity)


def template_texts(scope: Scope, name: str) -> list[TemplateText]:
    """Return the wordings of a document that a community may replace, in the template's order."""
    document_title(scope, name)
    environment = _environment(scope.installation)
    source = environment.loader.get_source(environment, name)[0]  # type: ignore[union-attr]
    found = []
    for call in environment.parse(source).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "text":
            text_name, default = (_constant(argument) for argument in call.args[:2])
            found.append(TemplateText(text_name, default))
    return found


def _constant(node: nodes.Node) -> str:
    """Return the literal of an argument, also of one inside ``_("…")``."""
    if isinstance(node, nodes.Call):
        node = node.args[0]
    return str(node.as_const())  # type: ignore[attr-defined]


def _own_texts(scope: Scope, name: str, issuer: UUID | None) -> dict[str, str]:
    query = select(DocumentText.name, DocumentText.body).where(
        DocumentText.document == name,
        DocumentText.locale == scope.locale,
        DocumentText.community_id == issuer,
    )
    if issuer is None:
        return {}
    return {row.name: row.body for row in scope.session.execute(query)}


@pass_context
def _text(context: Context, name: str, default: str) -> Markup:
    """Return a wording: the community's own, else the template's; line breaks are kept."""
    own: str | None = context["_texts"].get(name)
    if own is None:
        html = escape(default)
    else:
        html = Markup(texts.fill(own, context["_values"], zone=context["zone"], escape=True))
    return Markup(str(html).replace("\n", "<br>"))


@lru_cache(maxsize=4)
def _environment(installation: Any) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        loader=_Loader(installation.plugins),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    texts.add_translation(made)
    texts.add_formats(made)
    made.filters["capital"] = chinese_amount
    made.globals.update(qr=qr_image, seal=seal, text=_text)
    return made


class _Loader(BaseLoader):
    """Finds ``<plugin>:<name>`` in the plugin's ``templates/documents`` folder."""

    def __init__(self, plugins: Any) -> None:
        self.plugins = plugins

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        plugin, _, name = template.partition(":")
        if plugin == KERNEL:
            folder = KERNEL_TEMPLATES
        elif plugin in self.plugins.found:
            folder = self.plugins.found[plugin].folder / "templates/documents"
        else:
            raise TemplateNotFound(template)
        path = folder / f"{name}.html"
        if not name.replace("_", "").isalnum() or not path.is_file():
            raise TemplateNotFound(template)
        source = path.read_text(encoding="utf-8")
        changed = path.stat().st_mtime
        return source, str(path), lambda: path.exists() and path.stat().st_mtime == changed
