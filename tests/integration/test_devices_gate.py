"""The devices' gate, small: it sees wrong values without the protection, and none with it."""

import asyncio

from dougong.devices import gate


def test_no_wrong_value_from_mute_refusing_late_and_noisy_devices():
    async def both():
        return await asyncio.gather(
            gate.run(60, 8, settle_s=0), gate.run(60, 8, settle_s=gate.SETTLE_S)
        )

    without, tally = asyncio.run(both())
    assert without.wrong > 0, "the gate would not see a wrong value"
    assert (tally.wrong, tally.from_the_mute) == (0, 0)
    assert tally.devices_read > 45
    assert tally.qualities["bad_comm"] > 0
