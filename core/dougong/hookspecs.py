"""Every question that the kernel asks plugins, and every fact that it tells them.

A plugin answers in its ``hooks.py``::

    from dougong.hookspecs import hookimpl

    @hookimpl
    def dashboard_cards(scope):
        return [overdue_inspections(scope)]

An implementation takes the arguments that it needs, by name. It runs only where its plugin is
switched on, in the caller's transaction, inside a savepoint of its own: when it raises, what it
wrote is undone, the others still answer, and the failure is counted. A plugin whose failures
repeat is quarantined. ``None`` means "nothing to say" and is left out. It has a deadline of five
seconds, or what ``DEADLINES_S`` says.

What an answer needs from the database it may *yield*: a select, or several, and is given their
rows; then it returns the answer. All plugins' selects go out as one statement, so that a page asks
as much of the database with fifty plugins as with five::

    @hookimpl
    def dashboard_cards(scope):
        if not scope.may("lifts.lift.view"):
            return None
        rows = yield select(func.count()).where(Lift.state == LiftState.STOPPED)
        return [Card(gettext("Lifts out of service"), str(rows.scalar_one()))]

``first, second = yield select(…), select(…)`` asks two things at once. Rows are SQLAlchemy results
(``.one()``, ``.scalars()``, …) of columns or records. What depends on an earlier answer is yielded
in a further round; there are at most three. ``dashboard_cards``, ``compare_communities``,
``portal_cards`` and ``record_panels`` stand on pages that every plugin shares: they ask only so.

A plugin may ask questions of its own: it declares them with ``@hookspec`` in its ``hookspecs.py``,
and asks with ``scope.ask("room_arrears", room=room)``. Plugins that depend on it answer like here.
"""

# mypy: disable-error-code="empty-body"

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import pluggy

if TYPE_CHECKING:
    from random import Random

    from dougong.db.scope import Scope
    from dougong.devices import Reading
    from dougong.devices.models import DeviceCommand
    from dougong.installation import Installation

Said = TypeVar("Said")
# What an implementation that yields selects returns: a generator that ends with the answer.
Asks = Generator[Any, Any, Sequence[Said] | None]

hookspec = pluggy.HookspecMarker("dougong")
hookimpl = pluggy.HookimplMarker("dougong")

# Seconds within which an implementation must answer; where nothing is said, five. After that its
# statements are cancelled, and it counts as a failure. A plugin's own ``hookspecs.py`` may have
# such a table, too.
DEADLINES_S = {
    "event_happened": 60.0,
    "readings_received": 30.0,
    "usage_for_period": 120.0,
    "hand_over_work": 60.0,
    "plugin_enabled": 60.0,
    "export_subject": 60.0,
    "erase_subject": 60.0,
    "health_checks": 30.0,
    "load_demo": 600.0,
}


@dataclass(frozen=True)
class Card:
    """One figure on the dashboard or on the first page of a portal.

    value: already formatted for people. tone: ``plain``, ``good``, ``warning`` or ``danger``.
    url: where a click leads, relative to the scope (``fees/bill/?state=unpaid``).
    action: what the button says, where the page shows one (``Pay now``).
    """

    title: Any
    value: str
    note: str = ""
    tone: str = "plain"
    url: str | None = None
    order: int = 100
    action: Any = None


@dataclass(frozen=True)
class Comparison:
    """One figure of every community of a group: a column of the group's table.

    values: by community id, already formatted for people. tones: by community id, like a card's.
    url: where a click leads, relative to the community (``admin/fees/bill/?state=open``).
    """

    title: Any
    values: Mapping[UUID, str]
    tones: Mapping[UUID, str] = field(default_factory=dict)
    url: str | None = None
    order: int = 100


@dataclass(frozen=True)
class SearchHit:
    """One line of the palette's answer: what it is, and where a click leads."""

    title: str
    url: str
    kind: Any = ""
    note: str = ""


@dataclass(frozen=True)
class RoomHit:
    """A room that was found by something other than its code.

    found_by: what was matched, as people read it (``水表 10023457``). kind: what that is.
    """

    room_id: UUID
    found_by: str
    kind: Any = ""


@dataclass(frozen=True)
class Panel:
    """A table of facts that a plugin adds to another record's page.

    rows: label and text, in order. url: where the whole story stands, relative to the scope.
    """

    title: Any
    rows: Sequence[tuple[Any, str]]
    url: str | None = None
    order: int = 100


@dataclass(frozen=True)
class Event:
    """A past fact from the outbox.

    name: ``<plugin>.<fact>`` such as ``fees.bill_paid``. ids: what it is about, ids only.
    """

    id: UUID
    name: str
    ids: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HealthFinding:
    """What a check found. repair: what a person can do about it, None when all is well.

    is_urgent: False for what is not well and stops nobody, such as a backup that is missing.
    """

    title: Any
    is_well: bool
    detail: str = ""
    repair: str | None = None
    is_urgent: bool = True

    @property
    def level(self) -> str:
        """Return ``well``, ``warning`` or ``wrong``."""
        return "well" if self.is_well else "wrong" if self.is_urgent else "warning"


@dataclass(frozen=True)
class OpeningColumn:
    """One column of a sheet that a plugin reads itself.

    key: of the value in ``load``'s rows; a relation's is the record's id. kind: ``text``,
    ``number``, ``money``, ``day``, ``flag``, ``state`` with ``members``, or ``relation`` to the
    model ``target``, whose records are named in the cell.
    """

    key: str
    label: Any
    kind: str = "text"
    is_needed: bool = False
    note: Any = ""
    members: Any = None
    target: Any = None


@dataclass(frozen=True)
class OpeningSheet:
    """One sheet of the opening workbook, with which a community starts.

    Either ``model`` with the names of its attributes as ``columns``: every row is a new record.
    Or ``load`` with ``OpeningColumn``s: called once with all rows as mappings, it writes them and
    returns what is wrong by position; it requires the permissions that it needs. order: sheets
    are read in this order; rooms are 30, people 40, ownerships 50, occupancies 60.
    """

    title: Any
    columns: Sequence[Any]
    model: Any = None
    load: "Callable[[Scope, Sequence[Mapping[str, Any]]], Mapping[int, str]] | None" = None
    order: int = 100
    note: Any = ""


@dataclass(frozen=True)
class OpenWork:
    """What somebody still has to do: in words of the trade, how many, and where they are shown."""

    label: str
    count: int
    url: str = ""


@hookspec
def dashboard_cards(scope: "Scope") -> Sequence[Card]:
    """Return the figures that belong on the dashboard of a community or group.

    scope: the place shown; one of a group reads every community that the actor may read.
    Called when the dashboard is rendered, once per enabled plugin. Yield the selects, and return
    only cards whose records the actor may view (``scope.may``).
    Result: cards in any order; the page sorts them by ``order``.
    """


@hookspec
def compare_communities(scope: "Scope") -> Sequence[Comparison]:
    """Return figures by which a group compares its communities.

    scope: the group; it reads every community that the actor may read. Called when the group's
    dashboard is rendered, once per plugin that is on in any of them. Answer all communities in one
    select; one that is left out shows no figure. Result: columns, sorted by ``order``.
    """


@hookspec
def search_records(scope: "Scope", words: str, limit: int) -> Sequence[SearchHit]:
    """Return records that match what someone typed into the palette (Ctrl+K).

    scope: the place searched. words: as typed, stripped, at least two characters.
    limit: at most so many hits per plugin are shown.
    Called while typing; answer from an index or not at all. Result: best hit first.
    """


@hookspec
def find_rooms(scope: "Scope", words: str, limit: int) -> Sequence[RoomHit]:
    """Return rooms that something of the plugin's belongs to: a plate, a meter, a card.

    scope: the community. words: as typed at the front desk, stripped, at least two characters.
    limit: at most so many hits per plugin are shown.
    Called when someone at the front desk looks for a room; answer from an index, and only what the
    actor may view. Result: best hit first.
    """


@hookspec
def record_panels(scope: "Scope", record: Any) -> Sequence[Panel]:
    """Return facts to show on the page of another distribution's record.

    scope: the place shown. record: the row, such as a Room or a Person; check its class first.
    Called when the record's page is rendered, so yield the selects. A fees plugin shows a room's
    arrears this way.
    Result: panels in any order; the page sorts them by ``order``.
    """


@hookspec
def portal_cards(scope: "Scope", person_id: UUID) -> Sequence[Card]:
    """Return the figures that an owner or occupant sees first in the portal.

    scope: the person's community. person_id: who looks; show nothing of anybody else.
    Called when the portal's first page is rendered, so yield the selects. Result: cards, sorted by
    ``order``.
    """


@hookspec
def event_happened(scope: "Scope", event: Event) -> None:
    """Act on a past fact that the plugin subscribes to in its manifest.

    scope: the community of the fact, with the system as actor. event: name and ids.
    Called by the worker after the fact's transaction has committed, at least once and possibly
    again after a crash, so the implementation must bear repetition. Each plugin has its own
    transaction; when it raises, only that plugin's delivery is retried. Result: none.
    """


@hookspec
def readings_received(scope: "Scope", readings: "Sequence[Reading]") -> None:
    """Take over readings that devices of this community have sent.

    scope: the community, with the device host as actor. readings: of any device; each says what it
    is about (``subject_kind``, ``subject_id``), which point, value, quality, two times, and the
    number that could be trusted before it (``before``).
    Called once per batch, in the transaction that stores it. The same reading never comes twice.
    Result: none.
    """


@hookspec
def command_interlocks(scope: "Scope", device_id: UUID, command: str) -> Sequence[str]:
    """Return the names of interlocks that must agree before a device obeys a command.

    scope: the community. device_id: the device. command: its name in the device's profile, such as
    ``start``. Called when anybody orders a command, whatever page or plugin he uses; the names stay
    with the command. Result: names that begin with the plugin's id, such as
    ``equipment.conditions``; the same plugin answers ``interlock_refusal`` for them. An empty list
    for none: a plugin that does not answer at all refuses every command.
    """


@hookspec
def interlock_refusal(scope: "Scope", name: str, command: "DeviceCommand") -> str | None:
    """Return why an interlock speaks against a command now.

    scope: the community. name: one of the names that ``command_interlocks`` gave. command: the row,
    not sent yet. Called when it is ordered, when it is approved, and by the device host in the
    moment before it is sent. A name that nobody answers refuses the command, so a plugin that is
    off or fails is never a yes. Result: the reason in words, an empty text when the interlock
    agrees, None for a name of another plugin.
    """


@hookspec
def usage_for_period(
    scope: "Scope", room_ids: Sequence[UUID], from_on: date, to_on: date, commodity: str
) -> Sequence[Any]:
    """Return what rooms used of a commodity in the half-open period [from_on, to_on).

    scope: the community. room_ids: the rooms asked about. from_on: the first day. to_on: the day
    after the last. commodity: ``water``, ``electricity``, ``gas`` or ``heat``. Called by fees when
    it charges by usage, once per run of bills, so answer all rooms in a few statements.
    Result: one entry per meter with room, opening and closing reading, quantity (None when it is
    not known) and the problem in words. A room without a meter is left out.
    """


@hookspec
def open_work(scope: "Scope", user_id: UUID) -> Sequence[OpenWork]:
    """Return what a login of the staff still has to do.

    scope: the group, or a community. user_id: whose work it is.
    Called when somebody is about to leave, so yield the selects. Result: kinds of work; one with
    a count of 0 is left out of the page.
    """


@hookspec
def hand_over_work(scope: "Scope", user_id: UUID, successor_id: UUID | None) -> int:
    """Give what a login has open in a community to a successor, or back to where it is given out.

    scope: the community, with whoever lets him leave as actor. user_id: who leaves; he may do
    nothing any more. successor_id: the login that takes over, None for nobody in particular;
    where he cannot do this kind of work it goes back too.
    Called once per community, in a transaction of its own, and again when somebody asks for it.
    Result: how many things were given on.
    """


@hookspec
def plugin_enabled(scope: "Scope") -> None:
    """Prepare a community in which the implementing plugin has just been switched on.

    scope: the community, with whoever switched it on as actor.
    Called for that plugin alone, after the switch has committed, in a transaction of its own; it
    is called again when the plugin is switched off and on, so create only what is missing.
    Result: none.
    """


@hookspec
def export_subject(scope: "Scope", person_id: UUID) -> Mapping[str, Any]:
    """Return what the plugin keeps about a person beyond the rows that refer to the person.

    scope: the person's community. person_id: who asked for a copy of the data.
    Called when someone's personal data is exported, for every loaded plugin, on or off. Rows that
    refer to the person by a foreign key are exported already: add files, devices and the like.
    Result: plain JSON values, personal ones in clear.
    """


@hookspec
def erase_subject(scope: "Scope", person_id: UUID) -> None:
    """Delete or empty what the plugin keeps about a person beyond its declared columns.

    scope: the person's community, with whoever erases as actor. person_id: who is erased.
    Called before the declared columns are emptied, for every loaded plugin, on or off; when it
    raises, nobody is erased. What a law makes the plugin keep stays. Result: none.
    """


@hookspec
def health_checks(installation: "Installation") -> Sequence[HealthFinding]:
    """Return what `dougong doctor` should know of the plugin.

    installation: the running system; open scopes with it, read only.
    Called by the doctor for every loaded plugin, enabled anywhere or not. Result: findings.
    """


@hookspec
def opening_sheets(scope: "Scope") -> Sequence[OpeningSheet]:
    """Return the sheets that the plugin adds to the opening workbook of a community.

    scope: the community. Called when the empty workbook is downloaded and when a filled one is
    read. What a sheet's rows write is taken back when any row of the workbook is refused.
    Result: sheets in any order; the workbook sorts them by ``order``.
    """


@hookspec
def load_demo(scope: "Scope", chance: "Random") -> None:
    """Write the plugin's part of the demonstration into a community that has its ground.

    scope: a demonstration community, with the system as actor; rooms and people are there.
    chance: a seeded source of randomness, so that every demonstration is the same.
    Called once per community where the plugin is enabled, dependencies first, in a transaction of
    its own. Write in bulk (``insert_rows``): people wait for it. Result: none.
    """


@hookspec
def trial_partners(installation: "Installation") -> Mapping[str, Any]:
    """Return the partners that a demonstration plays, such as payment gateways.

    installation: the running system. Called for every loaded plugin when the simulators start,
    never in production; they are served together at ``Settings.trial_host``, each below its path.
    Result: path (``/wechat_pay``) → WSGI application, empty where there is no demonstration.
    """
