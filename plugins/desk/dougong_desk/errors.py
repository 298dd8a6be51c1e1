"""What can be wrong at the counter."""

from dougong.errors import Conflict


class NoShift(Conflict):
    """Nobody takes money at the counter without a shift of his own."""

    code = "desk.no_shift"


class DifferenceUnexplained(Conflict):
    """The drawer or the terminal differs from the books, and nobody says why."""

    code = "desk.difference_unexplained"


class TooLateToVoid(Conflict):
    """A payment is voided on its own day and in its own shift only; later it is refunded."""

    code = "desk.too_late_to_void"
