"""Renovations, their papers and steps, and what happens on the site."""

from dougong_renovation.models.applications import Application, ApplicationStep, Document
from dougong_renovation.models.declaring import (
    InspectionKind,
    RefundWay,
    ViolationKind,
    ViolationState,
)
from dougong_renovation.models.site import Inspection, Violation, WorkerPass

__all__ = [
    "Application",
    "ApplicationStep",
    "Document",
    "Inspection",
    "InspectionKind",
    "RefundWay",
    "Violation",
    "ViolationKind",
    "ViolationState",
    "WorkerPass",
]
