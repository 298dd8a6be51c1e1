"""The admin's view of the endpoint."""

from dougong.web.admin import RecordView, action
from dougong_llm_triage import services
from dougong_llm_triage.models import Endpoint


class EndpointView(RecordView, model=Endpoint):
    title = ("Language model", "大语言模型")
    icon = "cpu"
    columns = ("model", "url", "is_active")
    filters = ("is_active",)
    form = ("url", "model", "api_key", "is_active")
    actions = (action(services.try_endpoint),)
    can_import = False
