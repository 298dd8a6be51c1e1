"""What a technician did on his phone, possibly without network: done here exactly once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

from dougong.db import Scope
from dougong.errors import Invalid
from dougong.i18n import N_
from dougong.services.offline import perform_once
from dougong_repairs.errors import NotYours
from dougong_repairs.models import SyncedOperation, Technician, WorkOrder
from dougong_repairs.services.helping import call_for_help
from dougong_repairs.services.people import WORK, technician_of
from dougong_repairs.services.photos import add_photo

# What a phone may ask for: the verb, and which of its values are handed on.
VERBS: dict[str, tuple[str, ...]] = {
    "grab": (),
    "accept": (),
    "start": (),
    "pause": ("pause_reason", "note"),
    "resume": (),
    "finish": ("solution",),
    "give_back": ("reason",),
    "add_part": ("name", "quantity"),
    "quote": ("name", "unit_price", "quantity"),
    "offer": ("outside_warranty",),
}
PHOTOS = {"photo_before": "before-", "photo_after": "after-", "signature": "signature-"}


@dataclass(frozen=True)
class Operation:
    """One thing done on the phone: its id there, the verb, the order, and what was said."""

    client_id: UUID
    verb: str
    work_order_id: UUID
    values: Mapping[str, Any]


def perform(scope: Scope, operation: Operation, photo: IO[bytes] | None = None) -> SyncedOperation:
    """Do what a phone sent, once: the same id again returns what came of it the first time.

    What cannot be done any more is kept as a conflict that the technician sees; it is not an error
    of the request. Raises Invalid for a verb that phones may not ask for.
    """
    technician = technician_of(scope)
    if operation.verb not in VERBS and operation.verb not in PHOTOS and operation.verb != "help":
        raise Invalid(N_("A phone may not ask for this (%(verb)s)."), verb=operation.verb)
    return perform_once(
        scope,
        SyncedOperation,
        operation.client_id,
        lambda: _do(scope, technician, operation, photo),
        audit=("repairs.work_order.sync", WORK),
        technician_id=technician.id,
        verb=operation.verb,
    )


def _do(
    scope: Scope, technician: Technician, operation: Operation, photo: IO[bytes] | None
) -> None:
    order = scope.get(WorkOrder, operation.work_order_id, lock=True)
    if operation.verb != "grab" and order.technician_id != technician.id:
        raise NotYours(N_("This order is not yours any more."))
    if operation.verb in PHOTOS:
        if photo is None:
            raise Invalid(N_("The file is empty."))
        name = f"{PHOTOS[operation.verb]}{operation.client_id.hex[:8]}.jpg"
        add_photo(scope, order, name, photo)
    elif operation.verb == "help":
        call_for_help(scope, order, technician)
    else:
        names = VERBS[operation.verb]
        given = {n: operation.values[n] for n in names if operation.values.get(n) not in (None, "")}
        scope.call(f"repairs.work_order.{operation.verb}", work_order=order, **given)
