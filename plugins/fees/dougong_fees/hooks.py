"""What fees answers when others ask."""

from dougong.hookspecs import hookimpl
from dougong_fees import services


@hookimpl
def payment_settled(scope, payment, items):
    return services.settle(scope, payment, items)


@hookimpl
def payment_refunded(scope, payment, refund):
    return services.take_back(scope, payment, refund)
