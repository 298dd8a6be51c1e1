"""Errors as pages say them: codes of permissions, records and tables in the words of the menu."""

from dougong.errors import Sayable
from dougong.i18n import gettext
from dougong.web.admin import registry


def tell(error: Sayable) -> str:
    """Return what happened, in the locale in force and without a name that only programs know."""
    said = {name: _said(name, value) for name, value in error.parameters.items()}
    return gettext(error.message, **said)


def _said(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if name == "permission" and value.count(".") >= 2:
        from dougong.web.admin.role_editing import full_label

        return full_label(value)
    if name in ("kind", "table"):
        return _thing(value)
    return value


def _thing(name: str) -> str:
    """Return the title of the list that shows a class or table, the name where none does."""
    wanted = name.lower().replace(" ", "").replace("_", "")
    for view in registry.views():
        if view.model.__name__.lower() == wanted:
            return view.label()
    return name
