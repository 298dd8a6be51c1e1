"""Serves the script that hands a payment to WeChat's own window."""

from flask import Flask

from dougong.installation import Installation
from dougong.web.app import plugin_blueprint

blueprint = plugin_blueprint("online_payment", __name__, static_folder="static")


def install(app: Flask, installation: Installation) -> None:
    """Add the plugin's static files to the application."""
    app.register_blueprint(blueprint)
