"""The small version of `make gate-tenancy`."""

from dougong.testing.gate_tenancy import gate


def test_no_probe_leaks_and_the_probes_can_fail(installation):
    result = gate(installation, 3_000)
    assert result["leaks"] == {}
    assert result["unprotected_leaks"] > 0
    assert result["unasked"] == [] and result["passed"]
