"""Past facts: written in the business transaction, delivered to plugins at least once.

`emit` writes the fact and one delivery per plugin that subscribes to it and is switched on there.
The worker then calls each plugin's ``event_happened`` in a transaction of its own, which also marks
the delivery: what the plugin writes to the database happens exactly once, everything else (mail, a
device) at least once. A delivery that fails is tried again with growing pauses.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.audit.sealing import LIVE
from dougong.db.base import uuid7
from dougong.db.scope import Scope
from dougong.errors import Invalid
from dougong.events.models import EventDelivery, EventState, OutboxEvent
from dougong.events.queue import defer
from dougong.i18n import N_
from dougong.services import plugin_of_module

DELIVER = "dougong.deliver"
# How a notice names its addressee: nobody in particular, or someone besides those who may view.
NOBODY, ALSO = "-", "+"
# Called with every fact in its own transaction: (scope, the new rows). Webhooks listen this way.
LISTENERS: list[Callable[[Scope, Sequence[OutboxEvent]], None]] = []
OWN_MODULES = ("dougong.db.scope", "dougong.installation", __name__)


def emit(scope: Scope, name: str, /, **ids: Any) -> UUID:
    """Write the fact ``<plugin>.<name>`` to the outbox, in the caller's transaction; return its id.

    name: the fact alone means the calling plugin's. ids: what it is about, ids only: the outbox is
    not for personal data. Raises Invalid outside of a community.
    """
    return emit_many(scope, name, [ids])[0]


def emit_many(scope: Scope, name: str, /, facts: Iterable[Mapping[str, Any]]) -> list[UUID]:
    """Write the same fact about many things, with a few statements for all of them."""
    if scope.community_id is None:
        raise Invalid(N_("Choose a community first; a group page writes no rows."))
    full = name if "." in name else f"{_calling_plugin()}.{name}"
    made = [OutboxEvent(id=_next_id(scope), name=full, ids=_plain(ids)) for ids in facts]
    scope.session.add_all(made)
    plugins = subscribers(scope, full)
    if plugins and made:
        scope.session.flush()
        scope.session.add_all(
            EventDelivery(event_id=event.id, plugin=plugin, state=EventState.WAITING)
            for event in made
            for plugin in plugins
        )
        _wake_worker(scope)
    for listener in LISTENERS:
        listener(scope, made)
    tell_live(scope, full)
    return [event.id for event in made]


def subscribers(scope: Scope, name: str) -> list[str]:
    """Return the plugins that are on here and whose manifest subscribes to the fact."""
    plugins = scope.installation.plugins
    return [
        plugin
        for plugin in plugins.loaded
        if plugin in scope.enablement and name in plugins.manifest(plugin).events.subscribes
    ]


def _wake_worker(scope: Scope) -> None:
    """Enqueue one round of deliveries per transaction; it commits with what it will deliver."""
    if scope.session.info.get("events_deferred"):
        return
    scope.session.info["events_deferred"] = True
    community = str(scope.community_id)
    defer(scope, DELIVER, {"community": community}, lock=f"events:{community}", queue="events")


def tell_live(scope: Scope, name: str, to: UUID | None = None) -> None:
    """Tell open pages of this community that something of this kind happened, when it commits.

    The page reads again what it shows; the message holds no contents. Once per transaction, name
    and addressee. to: a login or person who may hear of it whatever his permissions are.
    """
    told = scope.session.info.setdefault("told_live", set())
    if (name, to) not in told:
        told.add((name, to))
        scope.session.execute(
            text("select pg_notify(:channel, :what)"),
            {
                "channel": LIVE,
                "what": f"{scope.community_id} {name} {f'{ALSO}{to}' if to else NOBODY}",
            },
        )


def tell_person(scope: Scope, person_id: UUID, name: str) -> None:
    """Tell the open pages of one person in this community, and of nobody else, when it commits.

    What `emit` and `tell_live` say is for staff: residents hear only what concerns themselves.
    """
    scope.session.execute(
        text("select pg_notify(:channel, :what)"),
        {"channel": LIVE, "what": f"{scope.community_id} {name} {person_id}"},
    )


def _next_id(scope: Scope) -> UUID:
    """Return an id above the transaction's last one, so that facts are delivered in their order."""
    last = scope.session.info.get("last_event_id", UUID(int=0))
    made = scope.session.info["last_event_id"] = max(uuid7(), UUID(int=last.int + 1))
    return made


def _plain(ids: Mapping[str, Any]) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, UUID) else v for k, v in ids.items()}


def _calling_plugin() -> str:
    """Return the plugin whose code states the fact: the first module outside of the kernel's way.

    Not the verb's plugin: a service of fees may call one of meters, which states its own facts.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") in OWN_MODULES:
        frame = frame.f_back
    return plugin_of_module(frame.f_globals.get("__name__", ""))


__all__ = [
    "EventDelivery",
    "EventState",
    "OutboxEvent",
    "emit",
    "emit_many",
    "subscribers",
    "tell_live",
    "tell_person",
]
