"""The admin's views of items and enquiries."""

from dougong.web.admin import RecordView, action
from dougong_lost_property import services
from dougong_lost_property.models import Enquiry, Item


class ItemView(RecordView, model=Item):
    columns = ("name", "building", "found_on", "state", "receiver")
    filters = ("state", "building", "found_on")
    search = ("name",)
    actions = (action(services.give_back),)


class EnquiryView(RecordView, model=Enquiry):
    columns = ("what", "person", "lost_on", "state", "item")
    filters = ("state", "lost_on")
    search = ("what",)
