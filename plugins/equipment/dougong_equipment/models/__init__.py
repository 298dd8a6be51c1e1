"""Ledger, contractors, maintenance, rounds, shifts, alarms and control, stock."""

from dougong_equipment.models.contractors import Contractor, ContractorWarning
from dougong_equipment.models.control import (
    Alarm,
    AlarmRule,
    Condition,
    ControlRun,
    ControlSchedule,
)
from dougong_equipment.models.ledger import (
    Equipment,
    EquipmentCost,
    EquipmentKind,
    Fault,
    Watcher,
)
from dougong_equipment.models.maintenance import (
    Checklist,
    ChecklistItem,
    MaintenancePlan,
    MaintenanceTask,
)
from dougong_equipment.models.rounds import (
    Answer,
    InspectionPlan,
    InspectionPoint,
    InspectionRound,
    InspectionRoute,
    PointVisit,
    RouteStop,
    SyncedWork,
)
from dougong_equipment.models.shifts import Shift, ShiftNote
from dougong_equipment.models.stock import SparePart, StockMove

__all__ = [
    "Alarm",
    "AlarmRule",
    "Answer",
    "Checklist",
    "ChecklistItem",
    "Condition",
    "Contractor",
    "ContractorWarning",
    "ControlRun",
    "ControlSchedule",
    "Equipment",
    "EquipmentCost",
    "EquipmentKind",
    "Fault",
    "InspectionPlan",
    "InspectionPoint",
    "InspectionRound",
    "InspectionRoute",
    "MaintenancePlan",
    "MaintenanceTask",
    "PointVisit",
    "RouteStop",
    "Shift",
    "ShiftNote",
    "SparePart",
    "StockMove",
    "SyncedWork",
    "Watcher",
]
