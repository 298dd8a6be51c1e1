"""Documents: PDF in Chinese and English from plugins' templates, with codes and label sheets."""

from dougong.documents.amounts import chinese_amount
from dougong.documents.codes import qr_image
from dougong.documents.fonts import missing_characters
from dougong.documents.labels import Label, Sheet, label_pages
from dougong.documents.printing import EmbeddedFile, to_archive_pdf
from dougong.documents.rendering import (
    Document,
    Letterhead,
    TemplateText,
    document_title,
    letterhead,
    render,
    render_html,
    render_many,
    template_texts,
)
from dougong.documents.seals import seal
from dougong.documents.services import write_text

__all__ = [
    "Document",
    "EmbeddedFile",
    "Label",
    "Letterhead",
    "Sheet",
    "TemplateText",
    "chinese_amount",
    "document_title",
    "label_pages",
    "letterhead",
    "missing_characters",
    "qr_image",
    "render",
    "render_html",
    "render_many",
    "seal",
    "template_texts",
    "to_archive_pdf",
    "write_text",
]
