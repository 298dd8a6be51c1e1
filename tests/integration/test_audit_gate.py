"""The audit gate in small: every kind of meddling three times."""

import pytest

from dougong.audit.gate import MUTATIONS, gate

pytestmark = pytest.mark.usefixtures("own_witness")


def test_every_mutation_by_the_superuser_is_found(installation, test_server):
    result = gate(installation, test_server, 3 * len(MUTATIONS))
    assert result["passed"], result
