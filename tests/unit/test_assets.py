"""What browsers are sent of Bootstrap."""

from dougong.web.assets import served_part


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
