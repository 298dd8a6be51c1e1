"""The pages of whoever looks after equipment, and of anybody who scans a code."""

from flask import Flask

from dougong.installation import Installation
from dougong_equipment.web import (  # noqa: F401 - they add their pages
    record,
    records,
    scanned,
    shifts,
    work,
)
from dougong_equipment.web.pages import blueprint, open_blueprint


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application."""
    app.register_blueprint(blueprint)
    app.register_blueprint(open_blueprint)
