"""The privacy gate in small: canaries, swaps, rotation, erased people, numbers in free text."""

import pytest

from dougong.privacy import gate
from dougong.privacy.purposes import declarations
from dougong.testing.canaries import found_in, make_canaries
from dougong.testing.gate_erasure import erased, shredded
from dougong.testing.gate_rotation import rotating
from dougong.testing.throwaway import throwaway_installation

pytestmark = pytest.mark.usefixtures("own_witness")


def test_no_canary_lies_in_clear_and_the_controls_are_found(installation, test_server):
    result = gate.canaries(installation, test_server, 100)
    assert result["passed"], result
    planted = {*result["sealed_columns"], *result["columns_kept_readable"]}
    assert planted >= set(declarations(installation.plugins))
    assert set(result["doors"]) == {"form", "api", "import", "file"}


def test_with_encryption_switched_off_every_canary_is_found_and_backups_can_be_shredded():
    with throwaway_installation() as (installation, server):
        result = shredded(installation, server)
        assert result["passed"], result
        result = gate.unprotected(installation, server)
        assert result["passed"] and result["found"]["dump"] == result["columns"] >= 14, result


def test_no_swapped_ciphertext_opens(installation):
    assert gate.swaps(installation, 500)["passed"]


def test_another_process_rotates_and_every_read_search_and_write_goes_on(installation):
    result = rotating(installation, 200, calm_s=1.0)
    assert result["passed"], result


def test_nothing_of_an_erased_person_can_be_read(installation, test_server):
    result = erased(installation, test_server)
    assert result["passed"], result


def test_the_detector_finds_numbers_of_people_and_no_others():
    assert gate.detector(300)["passed"]


@pytest.mark.parametrize("how", ["text", "hexadecimal", "across two blocks"])
def test_a_canary_is_found_however_it_is_written(how):
    canary = make_canaries(1)[0]
    blocks = {
        "text": [f"x{canary}y".encode()],
        "hexadecimal": [b"\\x" + canary.encode().hex().encode()],
        "across two blocks": [f"a{canary[:4]}".encode(), f"{canary[4:]}b".encode()],
    }
    assert found_in(iter(blocks[how]), {canary}) == {canary}
    assert found_in(iter(blocks[how]), {"10055000000"}) == set()
