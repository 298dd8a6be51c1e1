"""What browsers are sent of Bootstrap, and of pictures."""

import pytest

from dougong.web.assets import drawing, served_part


def test_rules_of_components_without_their_script_are_left_out():
    css = (
        ":root{--x:1}.modal{top:0}.modal-body,.toast{top:1px}.btn,.modal .btn{top:2px}"
        "@media (min-width:1px){.carousel{top:3px}.table{top:4px}}"
        "@keyframes turn{0%{top:5px}}.table-modal{top:6px}"
    )
    assert served_part(css) == (
        ":root{--x:1}.btn,.modal .btn{top:2px}"
        "@media (min-width:1px){.table{top:4px}}"
        "@keyframes turn{0%{top:5px}}.table-modal{top:6px}"
    )


def test_a_picture_drawn_into_a_page_needs_no_sprite():
    svg = drawing("droplet", "symbol")
    assert svg.startswith('<svg class="symbol" viewBox="0 0 24 24" aria-hidden="true"><path')
    assert "use" not in svg
    with pytest.raises(KeyError):
        drawing("no such picture")
