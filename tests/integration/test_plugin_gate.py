"""The small version of `make gate-plugins`."""

from dougong.plugins.gate import gate

FAULTS = ("a bad relation", "a raising hook", "a raising view")


def test_beside_broken_plugins_everything_answers_and_the_probes_can_fail(test_server, tmp_path):
    result = gate(test_server, tmp_path, FAULTS, switches=20, rows=500)
    assert result["misses"] == {}
    assert result["unprotected_misses"] >= 2
    assert result["passed"]
