"""What can be wrong with meters and readings."""

from dougong.errors import Conflict, Invalid


class MeterRemoved(Conflict):
    """The meter hangs no longer; it takes no reading."""

    code = "meters.removed"


class Implausible(Invalid):
    """The reading contradicts the ones before it and was not confirmed."""

    code = "meters.implausible"
