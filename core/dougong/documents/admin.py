"""The admin's view of the wordings of documents that a community has replaced."""

from dougong.documents.models import DocumentText
from dougong.web.admin.menu import ADMINISTRATION
from dougong.web.admin.views import RecordView


class DocumentTextView(RecordView, model=DocumentText):
    title = ("Wordings of documents", "单据文案")
    icon, menu_order, section = "file-text", 64, ADMINISTRATION
    columns = ("document", "name", "locale", "body")
    filters = ("locale",)
    search = ("document",)
    order = "document"
    can_import = False
