"""Work orders with their steps and parts; technicians; places; what people corrected."""

from dougong_repairs.models.costs import (
    Delivery,
    OnCall,
    Quotation,
    QuotationLine,
    QuotationState,
    VanStock,
    WarrantyTerm,
    WorkOrderHelper,
)
from dougong_repairs.models.ground import (
    BuildingPosition,
    CalendarDay,
    DutyContact,
    ReportPoint,
)
from dougong_repairs.models.orders import (
    CleanUp,
    SyncedOperation,
    TriageCorrection,
    WorkOrder,
    WorkOrderPart,
    WorkOrderStep,
)
from dougong_repairs.models.technicians import Technician, TechnicianSkill

__all__ = [
    "BuildingPosition",
    "CalendarDay",
    "CleanUp",
    "Delivery",
    "DutyContact",
    "OnCall",
    "Quotation",
    "QuotationLine",
    "QuotationState",
    "ReportPoint",
    "SyncedOperation",
    "Technician",
    "TechnicianSkill",
    "TriageCorrection",
    "VanStock",
    "WarrantyTerm",
    "WorkOrder",
    "WorkOrderHelper",
    "WorkOrderPart",
    "WorkOrderStep",
]
