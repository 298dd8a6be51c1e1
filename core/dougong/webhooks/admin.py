"""The admin's views of subscriptions and of what was sent."""

from dougong.web.admin.menu import ADMINISTRATION
from dougong.web.admin.views import RecordView, action
from dougong.webhooks import services
from dougong.webhooks.models import WebhookDelivery, WebhookSubscription


class WebhookSubscriptionView(RecordView, model=WebhookSubscription):
    title = ("Webhooks", "事件推送")
    icon, menu_order, section = "send", 80, ADMINISTRATION
    columns = ("name", "url", "events", "is_active", "failing_since")
    filters = ("is_active",)
    search = ("name",)
    order = "name"
    actions = (action(services.ping),)


class WebhookDeliveryView(RecordView, model=WebhookDelivery):
    title = ("Webhook deliveries", "推送记录")
    icon, menu_order, section = "inbox", 81, ADMINISTRATION
    columns = ("happened_at", "subscription", "event", "state", "attempts", "status", "error")
    filters = ("state", "subscription", "happened_at")
    can_create = can_change = can_delete = can_import = False
    actions = (action(services.retry_delivery, bulk=True, states=("failed",)),)
