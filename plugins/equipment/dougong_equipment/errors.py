"""What can go wrong with equipment, beyond what the kernel knows."""

from dougong.errors import Conflict


class Locked(Conflict):
    """Somebody has hung his lock on the equipment."""

    code = "equipment_locked"


class NotEnough(Conflict):
    """There is less on the shelf than was asked for."""

    code = "equipment_stock"
