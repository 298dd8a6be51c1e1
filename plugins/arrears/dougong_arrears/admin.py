"""The admin's view of levels, portfolios, contacts, promises, disputes, agreements and prints."""

from dougong.i18n import bilingual
from dougong.web.admin import RecordView, action
from dougong_arrears import services
from dougong_arrears.models import (
    Agreement,
    Collector,
    CollectorBuilding,
    Contact,
    Dispute,
    Instalment,
    Letter,
    NoticeRun,
    PaymentPromise,
    Reminder,
    ReminderLevel,
)


class ReminderLevelView(RecordView, model=ReminderLevel):
    title = bilingual("Levels of reminders", "提醒级别")
    icon = "bell"
    columns = ("name", "days", "wording", "is_active")
    inline = ("days", "wording", "is_active")
    order = "days"
    menu_order = 20


class ReminderView(RecordView, model=Reminder):
    title = bilingual("Reminders sent", "提醒记录")
    icon = "message-square"
    columns = ("sent_at", "level", "room", "payer", "bill", "amount")
    filters = ("level", "sent_at", "payer", "room", "bill")
    search = ("room", "payer")
    order = "-sent_at"
    can_create = can_change = can_delete = False
    menu_order = 25


class CollectorView(RecordView, model=Collector):
    title = bilingual("Collectors", "催收员")
    icon = "user"
    columns = ("name", "is_active")
    search = ("name",)
    menu_order = 30


class CollectorBuildingView(RecordView, model=CollectorBuilding):
    title = bilingual("Portfolios", "催收分片")
    icon = "map"
    columns = ("building", "collector")
    filters = ("collector",)
    inline = ("collector",)
    menu_order = 35


class ContactView(RecordView, model=Contact):
    title = bilingual("Contacts", "催缴记录")
    icon = "phone"
    columns = ("happened_on", "room", "payer", "kind", "outcome", "interrupts")
    filters = ("happened_on", "kind", "outcome", "interrupts", "room", "payer")
    search = ("room", "payer")
    order = "-happened_on"
    can_create = can_change = can_delete = False
    menu_order = 40


class PaymentPromiseView(RecordView, model=PaymentPromise):
    title = bilingual("Promises to pay", "缴费承诺")
    icon = "clock"
    columns = ("by_on", "room", "payer", "amount", "state")
    filters = ("state", "by_on", "room", "payer")
    order = "-by_on"
    can_create = can_change = can_delete = False
    menu_order = 45


class DisputeView(RecordView, model=Dispute):
    title = bilingual("Disputes", "争议账单")
    icon = "alert-circle"
    columns = ("bill", "state", "opened_at", "settled_at", "outcome")
    filters = ("state", "opened_at", "bill")
    actions = (action(services.settle_dispute, states=("open",)),)
    order = "-opened_at"
    can_create = can_change = can_delete = False
    menu_order = 50


class AgreementView(RecordView, model=Agreement):
    title = bilingual("Instalment agreements", "分期协议")
    icon = "file-text"
    columns = ("signed_on", "room", "payer", "amount", "state", "ended_on")
    filters = ("state", "signed_on", "room", "payer")
    search = ("room", "payer")
    actions = (
        action(services.take_instalment, states=("active",)),
        action(services.cancel_agreement, confirm=True, states=("active",)),
    )
    order = "-signed_on"
    can_create = can_change = can_delete = False
    menu_order = 55


class InstalmentView(RecordView, model=Instalment):
    title = bilingual("Instalments", "分期明细")
    columns = ("agreement", "number", "due_on", "amount")
    filters = ("agreement", "due_on")
    can_create = can_change = can_delete = False
    menu_order = 60


class LetterView(RecordView, model=Letter):
    title = bilingual("Printed demands", "催费函")
    icon = "mail"
    columns = ("number", "room", "payer", "amount", "delivered_on")
    filters = ("delivered_on", "run", "room", "payer")
    search = ("number", "room", "payer")
    actions = (action(services.deliver_letter, bulk=True),)
    order = "-number"
    can_create = can_change = can_delete = False
    menu_order = 65


class NoticeRunView(RecordView, model=NoticeRun):
    title = bilingual("Print runs", "打印批次")
    columns = ("made_at", "kind", "building", "least", "state", "count")
    filters = ("kind", "state", "made_at")
    order = "-made_at"
    can_create = can_change = can_delete = False
    menu_order = 70
