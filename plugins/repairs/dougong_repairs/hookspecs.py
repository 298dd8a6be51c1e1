"""What repairs asks other plugins."""

from typing import TYPE_CHECKING

from dougong.hookspecs import hookspec

if TYPE_CHECKING:
    from dougong.db.scope import Scope
    from dougong_repairs.models import WorkOrder


@hookspec
def work_order_objections(scope: "Scope", work_order: "WorkOrder", verb: str) -> str | None:
    """Return why a step of a work order may not be taken now, None when nothing speaks against it.

    scope: the community, in the transaction of the step. work_order: as it stands before the step.
    verb: the step's name in the state machine (``dispatch``, ``start``, ``finish`` and so on).
    Asked before every step; the first objection refuses it and is shown to whoever takes it.
    Result: a sentence in the locale in force, or None.
    """
