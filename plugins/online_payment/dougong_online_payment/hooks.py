"""What online payment answers when others ask."""

from dougong.hookspecs import hookimpl
from dougong_online_payment.gateways import CHANNELS


@hookimpl
def payment_channels(scope):
    return CHANNELS


@hookimpl
def health_checks(installation):
    from dougong_online_payment import health

    return health.checks(installation)


@hookimpl
def load_demo(scope, chance):
    from dougong_online_payment import demonstration

    demonstration.load(scope)


@hookimpl
def trial_partners(installation):
    from dougong_online_payment import demonstration

    return demonstration.partners(installation)
