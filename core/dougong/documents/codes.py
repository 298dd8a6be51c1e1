"""QR codes as vector images that scanners read also from a worn label."""

import segno


def qr_image(text: str, *, quiet_zone: int = 4) -> str:
    """Return a QR code of ``text`` as a ``data:`` URI of an SVG that fills its box.

    Error level Q: a quarter of the code may be dirty. quiet_zone: white modules around it; four
    are what the standard wants. Source: ISO/IEC 18004, 6.3.8.
    """
    # make_qr, because make may choose a Micro QR that phones do not read; omitsize, because a
    # fixed size in the SVG would print a code of 22 px whatever its box.
    code = segno.make_qr(text, error="q", boost_error=False)
    return code.svg_data_uri(border=quiet_zone, omitsize=True)
