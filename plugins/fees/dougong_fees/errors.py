"""What can be wrong with fees."""

from dougong.errors import Conflict


class RunClosed(Conflict):
    """The bill run is not in a state for this step."""

    code = "fees.run_closed"


class BillNotOwed(Conflict):
    """The bill is paid, withdrawn, or less is owed than was asked for."""

    code = "fees.bill_not_owed"


class BillTouched(Conflict):
    """Something was paid or waived of the bill, so it cannot simply be withdrawn."""

    code = "fees.bill_touched"
