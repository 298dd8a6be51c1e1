"""Levels of reminders, what was sent, cases, contacts, promises, disputes, agreements, prints."""

from dougong_arrears.models.agreements import Agreement, AgreementBill, Instalment
from dougong_arrears.models.cases import (
    CollectionCase,
    Collector,
    CollectorBuilding,
    Contact,
    Dispute,
    PaymentPromise,
)
from dougong_arrears.models.reminders import (
    Base,
    Letter,
    NoticeRun,
    Reminder,
    ReminderChoice,
    ReminderLevel,
)

__all__ = [
    "Agreement",
    "AgreementBill",
    "Base",
    "CollectionCase",
    "Collector",
    "CollectorBuilding",
    "Contact",
    "Dispute",
    "Instalment",
    "Letter",
    "NoticeRun",
    "PaymentPromise",
    "Reminder",
    "ReminderChoice",
    "ReminderLevel",
]
