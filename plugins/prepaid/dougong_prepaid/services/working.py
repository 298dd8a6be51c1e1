"""What runs every two minutes."""

from dougong.db import Scope
from dougong.services import service
from dougong_prepaid.services import settling, supply, warnings


@service("energy_account.settle", title=("Charge and look at supplies", "结算并检查供应"))
def settle(scope: Scope) -> int:
    """Charge usage, warn, cut and restore; return how many accounts were charged."""
    supply.follow_commands(scope)
    charged = settling.settle_usage(scope)
    settling.post_usage(scope)
    warnings.warn(scope)
    supply.cut_empty(scope)
    supply.restore_due(scope)
    return charged
