"""The commands' gate, small: it sees misses without the protection, and none with it."""

from dougong.devices.gate_commands import Mode, run
from dougong.devices.gate_link import Losses


def test_without_protection_commands_are_seen_to_act_twice_and_late():
    tally = run(400, Mode.RESENDING)
    assert tally.took_effect_twice > 0
    assert tally.sent_after_deadline > 0


def test_a_host_that_takes_silence_for_success_is_seen_to_say_what_is_not_true():
    tally = run(300, Mode.BELIEVING)
    assert tally.done_but_not > 0
    assert tally.unknown_not_shown > 0


def test_no_command_acts_twice_or_late_or_is_reported_untruly():
    tally = run(1000)
    assert (tally.sent_twice, tally.took_effect_twice, tally.sent_after_deadline) == (0, 0, 0)
    assert (tally.done_but_not, tally.unknown_not_shown) == (0, 0)
    assert tally.took_effect > 800
    assert tally.unknown_read_back > 0
    assert tally.kills > 5


def test_a_write_that_is_still_on_its_way_is_unknown_and_never_failed():
    """Frames are held, and connections break over them: what is read first is from before."""
    tally = run(1000, losses=Losses(held=0.25, broken=0.15, held_s=(1.0, 6.0)))
    assert tally.failed_but_took_effect == 0
    assert tally.states["failed"] > 0
    assert tally.misses == 0
