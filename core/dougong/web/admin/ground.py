"""The views of the organisation and the ground: the kernel's own records."""

from dougong.access.models import Staff
from dougong.services.living import end_occupancy
from dougong.tenancy.models import (
    Building,
    Community,
    Family,
    LegalEntity,
    Occupancy,
    Ownership,
    Person,
    Region,
    Room,
    Unit,
)
from dougong.web.admin.menu import ADMINISTRATION
from dougong.web.admin.views import RecordView, action


class BuildingView(RecordView, model=Building):
    title = ("Buildings", "楼栋")
    icon, menu_order = "layers", 10
    columns = ("code", "name", "floors")
    search = ("code", "name")
    form = ("code", "name", "floors")
    order = "sort_key"


class UnitView(RecordView, model=Unit):
    title = ("Units", "单元")
    icon, menu_order = "grid", 20
    columns = ("code", "name", "building")
    filters = ("building",)
    search = ("code", "name")


class RoomView(RecordView, model=Room):
    title = ("Rooms", "房屋")
    icon, menu_order = "home", 30
    columns = ("code", "building", "unit", "floor", "room_kind", "state", "built_area")
    filters = ("building", "room_kind", "state", "built_area")
    search = ("code",)
    form = ("building", "unit", "code", "floor", "room_kind", "state", "built_area", "inner_area",
            "old_code")  # fmt: skip
    inline = ("state", "built_area")
    order = "sort_key"


class PersonView(RecordView, model=Person):
    title = ("People", "人员")
    icon, menu_order = "users", 40
    columns = ("name", "kind", "phone", "id_number", "is_protected", "note")
    filters = ("kind", "is_protected")
    search = ("name", "phone", "id_number")
    form = ("name", "kind", "phone", "id_number", "is_protected", "note")
    inline = ("note",)
    order = "name"


class OwnershipView(RecordView, model=Ownership):
    title = ("Ownerships", "产权")
    icon, menu_order = "key", 50
    columns = ("room", "person", "share", "from_on", "to_on")
    filters = ("room", "person", "from_on")


class OccupancyView(RecordView, model=Occupancy):
    title = ("Occupancies", "入住")
    icon, menu_order = "user", 60
    columns = ("room", "bed", "person", "kind", "pays_fees", "from_on", "to_on")
    filters = ("room", "person", "kind", "from_on", "to_on")
    actions = (action(end_occupancy, bulk=True),)


class FamilyView(RecordView, model=Family):
    title = ("Families", "家庭关系")
    icon, menu_order = "users", 70
    columns = ("person", "relative", "relation", "may_pay", "from_on", "to_on")
    filters = ("person", "relative")


class CommunityView(RecordView, model=Community):
    title = ("Communities", "小区")
    icon, menu_order, section = "map", 10, ADMINISTRATION
    columns = ("name", "kind", "address", "zone")
    filters = ("kind",)
    search = ("name",)
    order = "name"
    can_create = can_change = can_delete = False


class LegalEntityView(RecordView, model=LegalEntity):
    title = ("Legal entities", "法人主体")
    icon, menu_order, section = "file-text", 20, ADMINISTRATION
    columns = ("name", "tax_number", "bank_name", "bank_account")
    search = ("name",)


class RegionView(RecordView, model=Region):
    title = ("Regions", "大区")
    icon, menu_order, section = "map-pin", 30, ADMINISTRATION
    columns = ("name",)
    search = ("name",)


class StaffView(RecordView, model=Staff):
    title = ("Staff", "员工")
    icon, menu_order, section = "user", 40, ADMINISTRATION
    columns = ("name", "post", "phone")
    search = ("name", "phone")
    form = ("name", "post", "phone")
