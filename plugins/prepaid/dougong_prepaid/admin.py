"""The admin's view of accounts, movements, prices, the calendar and cards."""

from dougong.i18n import bilingual
from dougong.web.admin import RecordView, action
from dougong_prepaid import services
from dougong_prepaid.models import (
    CalendarPeriod,
    CardWrite,
    EnergyAccount,
    MeterCard,
    Movement,
    Student,
    SupplierBill,
    Tariff,
)


class EnergyAccountView(RecordView, model=EnergyAccount):
    title = bilingual("Rooms' energy", "房间电费账户")
    icon, menu_order = "zap", 10
    columns = (
        "room",
        "commodity",
        "balance",
        "month_used",
        "month_free",
        "supply",
        "cut_reason",
        "protection",
        "empty_at",
        "problem",
    )
    filters = ("supply", "balance", "protection", "cut_reason", "commodity", "room", "empty_at")
    search = ("room",)
    actions = (
        action(services.top_up),
        action(services.restore_supply),
        action(services.protect),
        action(services.count_anew),
        action(services.pay_back, confirm=True, bulk=True),
        action(services.issue_card),
    )


class MovementView(RecordView, model=Movement):
    title = bilingual("Energy bought and used", "充值与用电明细")
    icon, menu_order = "list", 20
    columns = ("booked_on", "account", "kind", "amount", "quantity", "free", "counter", "price")
    filters = ("kind", "booked_on", "account")
    search = ("account",)
    order = "-booked_on"
    can_create = can_change = can_delete = can_import = False


class TariffView(RecordView, model=Tariff):
    title = bilingual("Prices of energy", "能源价格")
    icon, menu_order = "tag", 30
    columns = ("commodity", "from_on", "price", "grid_price", "free_per_person", "source")
    filters = ("commodity", "from_on")
    order = "-from_on"


class SupplierBillView(RecordView, model=SupplierBill):
    title = bilingual("Suppliers' bills", "供能单位账单")
    icon, menu_order = "file-text", 40
    columns = ("commodity", "from_on", "to_on", "quantity", "amount", "number")
    filters = ("commodity", "from_on")
    order = "-from_on"


class CalendarPeriodView(RecordView, model=CalendarPeriod):
    title = bilingual("Exams and vacations", "考试周与假期")
    icon, menu_order = "calendar", 50
    columns = ("kind", "name", "from_on", "to_on")
    filters = ("kind", "from_on")
    order = "-from_on"


class MeterCardView(RecordView, model=MeterCard):
    title = bilingual("Meter cards", "购电卡")
    icon, menu_order = "credit-card", 60
    columns = ("serial", "account", "state", "lost_because")
    filters = ("state", "account")
    search = ("serial", "account")
    can_create = can_change = can_delete = can_import = False
    actions = (
        action(services.top_up_card, states=("active",)),
        action(services.report_lost, states=("active",)),
    )


class CardWriteView(RecordView, model=CardWrite):
    title = bilingual("Top-ups on cards", "写卡记录")
    icon, menu_order = "edit-2", 70
    columns = ("account", "card", "sequence", "amount", "state", "tries", "written_at")
    filters = ("state", "account", "written_at")
    search = ("account",)
    order = "-written_at"
    can_create = can_change = can_delete = can_import = False


class StudentView(RecordView, model=Student):
    title = bilingual("Students", "学生")
    icon, menu_order = "users", 15
    columns = ("number", "person")
    filters = ("person",)
    search = ("number", "person")
    order = "number"
