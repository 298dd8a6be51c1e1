"""The owners' pages: notices, complaints, feedback, questionnaires, votes, public revenue."""

from flask import Flask

from dougong.installation import Installation
from dougong.web.admin.menu import menu_page
from dougong_participation.web import presets, votes  # noqa: F401 - they add their pages
from dougong_participation.web.pages import blueprint, open_blueprint


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application."""
    app.register_blueprint(blueprint)
    app.register_blueprint(open_blueprint)
    menu_page(
        "participation.show_presets",
        ("Presets of notices and forms", "通知与表单范本"),
        "participation.notice.draft",
        plugin="participation",
        icon="copy",
        order=12,
        only_in="community",
    )
