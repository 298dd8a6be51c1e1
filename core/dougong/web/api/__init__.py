"""The JSON API: every exposed model and public service of the plugins that are on in a place.

Below ``/<scope>/api``: ``openapi.json``, ``v1/<plugin>/<model>`` and ``v1/<plugin>/<service>``.
Programs sign in with a bearer token (`dougong.access.tokens`).
"""

from flask import Flask

from dougong.installation import Installation


def install(app: Flask, installation: Installation) -> None:
    """Add the API to the application."""
    from dougong.web.api.limits import Limiter
    from dougong.web.api.pages import blueprint

    app.extensions["dougong_api_limiter"] = Limiter()
    app.register_blueprint(blueprint)
