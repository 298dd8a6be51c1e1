"""Promises about services, permissions and hooks: what the plugin does, and for whom."""

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event

from dougong.db.scope import Actor, Scope
from dougong.db.together import TOGETHER
from dougong.errors import DougongError, NotAllowed, NotFound
from dougong.hookspecs import Card, Comparison, HealthFinding, Panel, RoomHit, SearchHit
from dougong.i18n import use_locale
from dougong.services import SERVICES
from dougong.tenancy.models import Room
from dougong.testing.promises import Subject, promise
from dougong.testing.promises.subject import has_chinese
from dougong.web.admin.role_editing import COLUMN, VERBS

PORTAL = "portal"  # what owners may do with their own; the shipped roles hold it
GENERIC = ("view", "create", "change", "delete")
MOST_STATEMENTS = 12
# Their pages are shared by all plugins; what each sends on its own would add up.
SHARED = ("dashboard_cards", "portal_cards", "record_panels", "compare_communities")
ANSWERS: dict[str, type] = {
    "dashboard_cards": Card,
    "portal_cards": Card,
    "search_records": SearchHit,
    "find_rooms": RoomHit,
    "record_panels": Panel,
    "compare_communities": Comparison,
    "health_checks": HealthFinding,
}


@promise
def every_service_is_explained(subject: Subject) -> Iterator[str]:
    for name, function in subject.services.items():
        if not function.service.function.__doc__:
            yield f"{name} has no docstring"
        with use_locale("zh_Hans_CN"):
            if not has_chinese(str(function.service.title)):
                yield f"{name} has no Chinese title"


@promise
def every_service_takes_the_scope_first_and_says_its_types(subject: Subject) -> Iterator[str]:
    for name, function in subject.services.items():
        parameters = list(inspect.signature(function.service.function).parameters.values())
        if not parameters or parameters[0].name != "scope":
            yield f"{name} does not take the scope first"
        for parameter in parameters[1:]:
            if parameter.annotation is inspect.Parameter.empty:
                yield f"{name}: {parameter.name} has no type"


@promise
def every_permission_means_something(subject: Subject) -> Iterator[str]:
    tables = {model.__tablename__ for model in subject.models}
    needed = {f.service.permission for f in subject.services.values()} | set(subject.services)
    for thing, verbs in subject.manifest.permissions.items():
        for verb in verbs:
            is_generic = thing in tables and verb in GENERIC
            is_asked = _is_asked(subject, f"{subject.plugin}.{thing}.{verb}")
            name = f"{subject.plugin}.{thing}.{verb}"
            if not is_generic and name not in needed and not is_asked:
                yield f"nothing asks for {thing}.{verb}"


@promise
def every_right_is_named_in_both_languages(subject: Subject) -> Iterator[str]:
    shown = {model.__tablename__ for model in subject.shown_models}
    said = subject.manifest.words.get(COLUMN, {})
    for thing, verbs in subject.manifest.permissions.items():
        kind = f"{subject.plugin}.{thing}"
        if thing not in shown and kind not in said:
            yield f'[words."{COLUMN}"] of the manifest lacks {kind!r}'
        for name in (f"{kind}.{verb}" for verb in verbs if verb not in VERBS):
            if name not in SERVICES and name not in said:
                yield f'[words."{COLUMN}"] of the manifest lacks {name!r}'


def _is_asked(subject: Subject, permission: str) -> bool:
    texts = [path.read_text("utf-8") for path in subject.sources]
    return any(permission in text for text in [*texts, *subject.templates.values()])


@promise
def every_service_has_its_permission(subject: Subject) -> Iterator[str]:
    declared = {
        f"{subject.plugin}.{thing}.{verb}"
        for thing, verbs in subject.manifest.permissions.items()
        for verb in verbs
    } | {f"{subject.plugin}.{PORTAL}"}
    for name, function in subject.services.items():
        permission = function.service.permission
        if permission.startswith(f"{subject.plugin}.") and permission not in declared:
            yield f"{name} needs {permission}, which the manifest does not declare"


@promise
def every_model_can_be_granted(subject: Subject) -> Iterator[str]:
    for model in subject.shown_models:
        if "view" not in subject.manifest.permissions.get(model.__tablename__, ()):
            yield f"there is no permission {model.__tablename__}.view"


@promise
def its_services_do_nothing_where_it_is_off(subject: Subject) -> Iterator[str]:
    community = subject.place_without_plugins.community_id
    for name, function in subject.services.items():
        with subject.installation.scope(Actor.system("test"), community=community) as scope:
            yield from _refused(name, function, scope, NotFound)


@promise
def its_services_refuse_whom_nobody_allowed(subject: Subject) -> Iterator[str]:
    actor = subject.place.actor("nothing.at.all")
    for name, function in subject.services.items():
        with subject.installation.scope(actor, community=subject.place.community_id) as scope:
            yield from _refused(name, function, scope, NotAllowed)


def _refused(
    name: str, function: Callable[..., Any], scope: Scope, expected: type[DougongError]
) -> Iterator[str]:
    missing = len(function.service.parameters)  # type: ignore[attr-defined]
    try:
        function(scope, *([None] * missing))
    except expected:
        return
    except Exception as error:  # noqa: BLE001 - whatever else it raises is the finding
        yield f"{name} raised {type(error).__name__} instead of {expected.__name__}"
    else:
        yield f"{name} was done"


@promise
def it_leaves_the_commit_to_whoever_opened_the_scope(subject: Subject) -> Iterator[str]:
    for name in ("commit", "rollback"):
        for path, call in subject.calls(name):
            owner = getattr(call.func, "value", None)
            if getattr(owner, "attr", getattr(owner, "id", "")) == "session":
                yield f"{subject.where(path, call)} calls {name}"


@promise
def no_error_is_swallowed(subject: Subject) -> Iterator[str]:
    for path, tree in subject.sources.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            kind = getattr(node.type, "id", "") if node.type else "BaseException"
            is_wide = kind in ("BaseException", "Exception")
            is_empty = all(isinstance(s, ast.Pass | ast.Continue) for s in node.body)
            if is_wide and is_empty:
                yield f"{subject.where(path, node)} passes over every error"


def _parts(subject: Subject) -> Iterator[tuple[tuple[str, str], Any]]:
    import sys

    plugins = subject.installation.plugins
    for plugin in plugins.loaded:
        for part in ("hookspecs", "hooks"):
            module = sys.modules.get(f"{plugins.manifest(plugin).package}.{part}")
            if module is not None:
                yield (plugin, part), module


@promise
def every_hook_that_it_declares_is_explained(subject: Subject) -> Iterator[str]:
    for (plugin, part), module in _parts(subject):
        if plugin != subject.plugin or part != "hookspecs":
            continue
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if not getattr(function, "dougong_spec", None):
                continue
            said = inspect.getdoc(function) or ""
            missing = [a for a in inspect.signature(function).parameters if f"{a}:" not in said]
            if not said or missing:
                yield f"the hook {name} does not explain {', '.join(missing) or 'itself'}"


@promise
def its_answers_are_of_the_kind_that_was_asked_for(subject: Subject) -> Iterator[str]:
    hooks, place = subject.installation.plugins.hooks, subject.place
    for name, kind in ANSWERS.items():
        if not any(i.plugin == subject.plugin for i in hooks.implementations(name)):
            continue
        with subject.installation.scope(
            Actor.system("test"), community=place.community_id
        ) as scope:
            arguments = {
                "words": "张三",
                "limit": 5,
                "person_id": place.person_ids[0],
                "record": scope.get(Room, place.room_ids[0]),
                "installation": subject.installation,
            }
            yield from _asked(subject, scope, name, kind, arguments)


def _asked(
    subject: Subject, scope: Scope, name: str, kind: type, arguments: dict[str, Any]
) -> Iterator[str]:
    counted: list[str] = []
    bind = scope.session.get_bind()

    def count(connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        counted.append(statement)

    event.listen(bind, "before_cursor_execute", count)
    try:
        hooks = subject.installation.plugins.hooks
        answer = hooks.tell(scope, subject.plugin, name, **arguments)
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        yield f"{name} raised {type(error).__name__}: {error}"
        return
    finally:
        event.remove(bind, "before_cursor_execute", count)
    wrong = [type(a).__name__ for a in answer or () if not isinstance(a, kind)]
    if wrong:
        yield f"{name} answered with {', '.join(wrong)} instead of {kind.__name__}"
    if scope.session.new or scope.session.dirty or scope.session.deleted:
        yield f"{name} changed something"
    if len(counted) > MOST_STATEMENTS:
        yield f"{name} sent {len(counted)} statements"


@promise
def it_asks_together_with_others_on_shared_pages(subject: Subject) -> Iterator[str]:
    place, community = subject.place, subject.place.community_id
    hooks = subject.installation.plugins.hooks
    for name in SHARED:
        if not any(i.plugin == subject.plugin for i in hooks.implementations(name)):
            continue
        with subject.installation.scope(Actor.system("test"), community=community) as scope:
            record = scope.get(Room, place.room_ids[0])
            given = {"person_id": place.person_ids[0], "record": record}
            yield from _sent_alone(subject.plugin, scope, name, given)


def _sent_alone(plugin: str, scope: Scope, name: str, given: dict[str, Any]) -> Iterator[str]:
    """Yield what a hook sends itself: on pages that all plugins share it would add up."""
    counted: list[str] = []
    bind = scope.session.get_bind()
    scope.setting("messages.channels")  # a page reads the settings once, whoever asks

    def count(_link: Any, _cursor: Any, sent: str, _values: Any, context: Any, _many: Any) -> None:
        if not (context and context.execution_options.get(TOGETHER)):
            counted.append(sent)

    event.listen(bind, "before_cursor_execute", count)
    try:
        scope.installation.plugins.hooks.tell(scope, plugin, name, **given)
    except Exception:  # noqa: BLE001 - another promise tells what it raises
        return
    finally:
        event.remove(bind, "before_cursor_execute", count)
    if counted:
        yield f"{name} sends statements instead of yielding them: {counted[0][:80]}"
