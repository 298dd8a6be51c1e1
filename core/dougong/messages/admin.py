"""The admin's views of messages, how they were delivered, addresses and wordings."""

from dougong.messages import services
from dougong.messages.channels import channel_title
from dougong.messages.models import ContactPoint, Message, MessageDelivery, MessageTemplate
from dougong.messages.wording import title_of
from dougong.web.admin.menu import ADMINISTRATION
from dougong.web.admin.views import RecordView, action


class ContactPointView(RecordView, model=ContactPoint):
    title = ("Addresses for messages", "联系方式")
    icon, menu_order, section = "phone", 60, ADMINISTRATION
    columns = ("person", "channel", "address", "locale", "is_active")
    filters = ("person", "channel", "is_active")
    search = ("address",)
    said = {"channel": lambda _scope, record: channel_title(record.channel)}
    form = ("person", "channel", "address", "locale", "is_active")


class MessageView(RecordView, model=Message):
    title = ("Messages", "消息")
    icon, menu_order, section = "message-circle", 61, ADMINISTRATION
    columns = ("created_at", "person", "template", "is_urgent", "read_at")
    filters = ("person", "template", "is_urgent", "created_at", "read_at")
    said = {"template": lambda scope, record: title_of(scope, record.template)}
    can_create = can_change = can_delete = can_import = False


class MessageDeliveryView(RecordView, model=MessageDelivery):
    title = ("Deliveries of messages", "消息发送记录")
    icon, menu_order, section = "send", 62, ADMINISTRATION
    columns = ("due_at", "channel", "state", "attempts", "sent_at", "detail")
    filters = ("state", "channel", "due_at")
    said = {"channel": lambda _scope, record: channel_title(record.channel)}
    can_create = can_change = can_delete = can_import = False
    actions = (action(services.resend_delivery, bulk=True),)


class MessageTemplateView(RecordView, model=MessageTemplate):
    title = ("Wordings of messages", "消息模板")
    icon, menu_order, section = "tag", 63, ADMINISTRATION
    columns = ("template", "locale", "subject", "body")
    filters = ("locale",)
    search = ("template",)
    said = {"template": lambda scope, record: title_of(scope, record.template)}
    empty = (
        "Wordings of your own take the place of ours. Begin at Sending of messages, Wordings.",
        "这里保存小区自己的文案，用来替换系统自带的。请从“消息发送”中的“文案”开始修改。",
    )
    order = "template"
    can_import = False
