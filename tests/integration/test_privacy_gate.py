"""The privacy gate in small: canaries, swaps, an erased person, numbers in free text."""

import pytest

from dougong.privacy import gate
from dougong.privacy.canaries import found_in, make_canaries


def test_no_canary_lies_in_clear_and_the_controls_are_found(installation, test_server):
    result = gate.canaries(installation, test_server, 100)
    assert result["passed"], result
    assert {"dougong.person.phone", "dougong.message.body"} <= set(result["columns"])


def test_no_swapped_ciphertext_opens(installation):
    assert gate.swaps(installation, 500)["passed"]


def test_a_dump_holds_nothing_of_an_erased_person(installation, test_server):
    result = gate.erased(installation, test_server)
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
