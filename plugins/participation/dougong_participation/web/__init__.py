"""The owners' pages: notices, complaints, feedback, questionnaires, votes, public revenue."""

from flask import Flask

from dougong.installation import Installation
from dougong_participation.web import votes  # noqa: F401 - it adds its pages
from dougong_participation.web.pages import blueprint, open_blueprint


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application."""
    app.register_blueprint(blueprint)
    app.register_blueprint(open_blueprint)
