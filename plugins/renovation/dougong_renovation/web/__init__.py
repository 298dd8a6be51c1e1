"""The pages of applicants and neighbours, the papers, and the page behind a pass."""

from flask import Flask

from dougong.installation import Installation
from dougong_renovation.web import desk, papers  # noqa: F401 - it adds its pages
from dougong_renovation.web.pages import blueprint
from dougong_renovation.web.passes import open_blueprint


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application."""
    app.register_blueprint(blueprint)
    app.register_blueprint(open_blueprint)
