"""What people do with documents besides printing them."""

from sqlalchemy import select

from dougong import texts
from dougong.db.scope import Scope
from dougong.documents.models import DocumentText
from dougong.documents.rendering import template_texts
from dougong.errors import Invalid, NotFound
from dougong.i18n import LOCALES, N_, translate_error
from dougong.services import service


@service("document_text.write", title=("Change the wording", "修改文案"))
def write_text(
    scope: Scope, document: str, name: str, body: str, locale: str = LOCALES[0]
) -> DocumentText | None:
    """Replace one wording of a document in this community; an empty one restores the default.

    Returns the stored wording, None when restored. Raises NotFound for a wording that the template
    does not offer and Invalid for one that does more than fill in values.
    """
    _check(scope, document, name, body)
    known = scope.session.scalars(
        select(DocumentText).filter_by(document=document, name=name, locale=locale)
    ).first()
    if not body.strip():
        if known is not None:
            scope.session.delete(known)
        return None
    if known is None:
        known = DocumentText(document=document, name=name, locale=locale, body=body)
        scope.session.add(known)
    known.body = body
    scope.session.flush()
    return known


@service("document_text.create", title=("Add a wording", "新增文案"))
def create_text(
    scope: Scope, document: str, name: str, body: str, locale: str = LOCALES[0]
) -> DocumentText:
    """Write a community's own wording; raises NotFound, Invalid, Conflict for a second one."""
    _check(scope, document, name, body)
    made = DocumentText(document=document, name=name, locale=locale, body=body)
    scope.session.add(made)
    scope.session.flush()
    return made


@service("document_text.change", title=("Change the wording", "修改文案"))
def change_text(
    scope: Scope,
    record: DocumentText,
    document: str | None = None,
    name: str | None = None,
    body: str | None = None,
    locale: str | None = None,
) -> DocumentText:
    """Change a community's own wording; what is None stays. Raises NotFound, Invalid."""
    record.document, record.name = document or record.document, name or record.name
    record.body, record.locale = body or record.body, locale or record.locale
    _check(scope, record.document, record.name, record.body)
    scope.session.flush()
    return record


def _check(scope: Scope, document: str, name: str, body: str) -> None:
    if name not in {offered.name for offered in template_texts(scope, document)}:
        raise NotFound(N_("%(document)s has no text %(name)s."), document=document, name=name)
    try:
        texts.check(body)
    except Invalid as error:
        fields = {"body": translate_error(error)}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from error
