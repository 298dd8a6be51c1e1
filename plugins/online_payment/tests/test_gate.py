"""The payments gate in small: the full one is ``make gate-payments``."""

from dougong.installation import Installation
from dougong.testing.pytest_plugin import with_settings
from dougong_online_payment.gate import CARELESS, free_port, play


def test_kills_lose_and_double_nothing_and_the_gate_would_notice(installation, settings):
    own = with_settings(settings, trial_port=free_port())
    opened = Installation.open(own)
    try:
        gate, off = play(own, opened, 2, seed=1, application=CARELESS)
        gate.check_careless()
        assert off.lost + off.doubled > 0
        gate, on = play(own, opened, 3, seed=2)
        gate.check()
        assert (on.lost, on.doubled, on.faults) == (0, 0, [])
        assert len(on.paid) == on.kills == 3 and on.notices >= 9
    finally:
        opened.close()
