"""What renovation asks other plugins."""

from typing import TYPE_CHECKING

from dougong.hookspecs import hookspec

if TYPE_CHECKING:
    from dougong.db.scope import Scope
    from dougong_renovation.models import Application


@hookspec
def renovation_objections(scope: "Scope", application: "Application", verb: str) -> str | None:
    """Return why a step of a renovation may not be taken now, None when nothing speaks against it.

    scope: the community, in the transaction of the step. application: as it stands before the
    step. verb: the step's name in the state machine (``agree``, ``permit``, ``settle`` and so on).
    Asked before every step; the first objection refuses it and is shown to whoever takes it.
    Result: a sentence in the locale in force, or None.
    """
