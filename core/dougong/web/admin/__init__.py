"""The admin: lists, forms and pages of every model, from a few lines of declaration.

A plugin's ``admin.py``::

    class LiftView(RecordView, model=Lift):
        columns = ("registration", "building", "state", "inspected_on")
        filters = ("state", "building", "inspected_on")
        search = ("registration",)
        actions = (action(services.take_out_of_service, confirm=True),)
"""

from importlib import import_module

from flask import Flask

from dougong.installation import Installation
from dougong.web.admin.menu import menu_page
from dougong.web.admin.registry import MenuPage, ViewExtension, extend_view
from dougong.web.admin.views import RecordAction, RecordView, action

__all__ = [
    "MenuPage",
    "RecordAction",
    "RecordView",
    "ViewExtension",
    "action",
    "extend_view",
    "install",
    "menu_page",
]


# Areas of the kernel that declare views of their own models.
KERNEL_VIEWS = (
    "dougong.web.admin.ground",
    "dougong.devices.admin",
    "dougong.documents.admin",
    "dougong.messages.admin",
    "dougong.privacy.admin",
    "dougong.webhooks.admin",
)


def load_views(installation: Installation) -> None:
    """Declare the views of the kernel and of every loaded plugin; a worker needs them too."""
    for module in KERNEL_VIEWS:
        import_module(module)
    for _plugin, _module in installation.plugins.modules("admin"):
        pass


def install(app: Flask, installation: Installation) -> None:
    """Add the admin's pages, and the views of every loaded plugin."""
    from dougong.web.admin import (  # noqa: F401
        approval_pages,
        attachments,
        bulk_pages,
        exports,
        import_files,
        imports,
        jobs_page,
        log,
        news,
        opening,
        pages,
        record_pages,
        reveal,
        role_editing,
        roles,
        sessions,
        uploads,
        users,
    )

    load_views(installation)
    app.request_class = uploads.UploadRequest
    app.register_blueprint(pages.blueprint)
    app.context_processor(pages.frame)
