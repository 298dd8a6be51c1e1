"""Photos of an order: from whoever reports it, and from the technician before and after."""

from typing import IO

from dougong.db import Scope
from dougong.files import Attachment, attach
from dougong.services import entered
from dougong_repairs.models import WorkOrder


def add_photo(scope: Scope, order: WorkOrder, name: str, stream: IO[bytes]) -> Attachment:
    """Attach a photo to an order that the caller has checked; raises what `attach` does."""
    with entered(scope, "repairs.work_order.attach", None):
        return attach(scope, order, name[-120:], stream)
