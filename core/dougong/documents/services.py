"""What people do with documents besides printing them."""

from sqlalchemy import select

from dougong import texts
from dougong.db.scope import Scope
from dougong.documents.models import DocumentText
from dougong.documents.rendering import template_texts
from dougong.errors import NotFound
from dougong.i18n import LOCALES, N_
from dougong.services import service


@service("document_text.write", title=("Change the wording", "修改文案"))
def write_text(
    scope: Scope, document: str, name: str, body: str, locale: str = LOCALES[0]
) -> DocumentText | None:
    """Replace one wording of a document in this community; an empty one restores the default.

    Returns the stored wording, None when restored. Raises NotFound for a wording that the template
    does not offer and Invalid for one that does more than fill in values.
    """
    if name not in {offered.name for offered in template_texts(scope, document)}:
        raise NotFound(N_("%(document)s has no text %(name)s."), document=document, name=name)
    texts.check(body)
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
