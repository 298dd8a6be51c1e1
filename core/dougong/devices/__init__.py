"""Devices: one driver contract, lines, polling and commands. Drivers import from here.

Nothing here needs a database but ``models``, ``store`` and ``services``; the rest also runs in an
edge box.
"""

from dougong.devices.commands import (
    Command,
    CommandResult,
    CommandSpec,
    CommandState,
    Effect,
    Ground,
    Verdict,
    Verification,
)
from dougong.devices.contract import (
    Codec,
    DeviceConfig,
    DeviceStore,
    Driver,
    Event,
    Found,
    GatewayConfig,
    Health,
    LineError,
    LineLost,
    LineTimeout,
    LineUnreachable,
    PushCodec,
    Request,
    SimulatedDevice,
    Told,
    Transport,
)
from dougong.devices.lists import Entries, ListSpec, ListState, WantedList
from dougong.devices.profiles import Profile, ProfileError, read_profile, read_profiles
from dougong.devices.readings import Measured, Point, PointKind, Quality, Reading

__all__ = [
    "Codec", "Command", "CommandResult", "CommandSpec", "CommandState", "DeviceConfig",
    "DeviceStore", "Driver", "Effect", "Entries", "Event", "Found", "GatewayConfig", "Ground",
    "Health", "ListSpec", "ListState", "WantedList",
    "LineError", "LineLost", "LineTimeout", "LineUnreachable", "Measured", "Point", "PointKind",
    "Profile", "ProfileError", "PushCodec", "Quality", "Reading", "Request", "SimulatedDevice",
    "Told", "Transport", "Verdict", "Verification", "read_profile", "read_profiles",
]  # fmt: skip
