"""The pages of owners, technicians and dispatchers, and of anybody who scans a code."""

from flask import Flask

from dougong.installation import Installation
from dougong_repairs.web import board, portal, voice, work  # noqa: F401 - they add their pages
from dougong_repairs.web.pages import blueprint
from dougong_repairs.web.scanned import open_blueprint


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application."""
    app.register_blueprint(blueprint)
    app.register_blueprint(open_blueprint)
