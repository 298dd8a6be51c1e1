"""What the admin has a worker do; loaded by the worker, which serves no pages."""

from dougong.installation import Installation
from dougong.web.admin import export_jobs, import_jobs, load_views

__all__ = ["export_jobs", "import_jobs", "install"]


def install(installation: Installation) -> None:
    """Declare the services and the views that they write into and read from."""
    load_views(installation)
