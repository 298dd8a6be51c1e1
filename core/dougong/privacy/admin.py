"""The admin's view of what people ask about their own data."""

from dougong.privacy import requests
from dougong.privacy.models import PrivacyRequest, RequestState
from dougong.web.admin.menu import ADMINISTRATION
from dougong.web.admin.views import RecordView, action


class PrivacyRequestView(RecordView, model=PrivacyRequest):
    title = ("Privacy requests", "个人信息请求")
    icon, menu_order, section = "user", 64, ADMINISTRATION
    columns = ("person", "kind", "state", "asked_on", "due_on", "answered_at")
    filters = ("state", "kind", "due_on", "person")
    form = ("person", "kind", "note")
    order = "due_on"
    actions = (
        action(requests.answer_request, states=(RequestState.OPEN,)),
        action(requests.erase_requested, confirm=True, states=(RequestState.OPEN,)),
        action(requests.refuse_request, states=(RequestState.OPEN,)),
    )
    can_change = can_delete = can_import = False
