"""Meters and their base readings in the opening workbook of a community."""

from dougong.hookspecs import OpeningSheet
from dougong.i18n import bilingual
from dougong_meters.models import Meter


def sheets() -> list[OpeningSheet]:
    """Return the sheet of meters: every row is one that hangs, with the reading to start from."""
    columns = ("serial", "commodity", "room", "building", "multiplier", "digits")
    columns += ("installed_on", "install_value")
    return [OpeningSheet(bilingual("Meters", "表计"), columns, Meter, order=80)]
