"""Files on their way in and out: imports that a worker writes, exports that it prepares."""

from dougong.exchange.models import (
    Export,
    ExportFile,
    FileState,
    ImportMapping,
    ImportRow,
    ImportRun,
    RunState,
)
from dougong.exchange.parts import drop_parts, read_json, read_parts, write_json, write_parts
from dougong.exchange.sweeping import sweep

__all__ = [
    "Export",
    "ExportFile",
    "FileState",
    "ImportMapping",
    "ImportRow",
    "ImportRun",
    "RunState",
    "drop_parts",
    "read_json",
    "read_parts",
    "sweep",
    "write_json",
    "write_parts",
]
