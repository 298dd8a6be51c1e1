"""Verbs: declared once, called by the admin, the API, portals, imports, jobs and the CLI.

The outermost service checks plugin gate and permission and names the audit verb; services that it
calls are trusted with what it was allowed to do. Whoever opened the scope commits.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from dougong.db.base import Row, plugin_of_module
from dougong.db.scope import Scope
from dougong.errors import NotAllowed, NotFound
from dougong.i18n import N_, LazyText, bilingual
from dougong.services.approvals import Approval
from dougong.services.constraints import explain_constraint
from dougong.services.inputs import argument_type, invalid_from, record_input
from dougong.services.phones import PhoneNumber, given_phone

P = ParamSpec("P")
R = TypeVar("R")

SERVICES: dict[str, "Service"] = {}


@dataclass(frozen=True)
class Service:
    """One verb: its full name is also the permission that it needs."""

    name: str
    function: Callable[..., Any]
    title: LazyText
    permission: str
    is_public: bool = True
    step_up: bool = False
    approves: Approval | None = None

    @property
    def plugin(self) -> str:
        return self.name.partition(".")[0]

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Return the declared type of each argument after ``scope``."""
        hints = get_type_hints(self.function)
        names = list(inspect.signature(self.function).parameters)[1:]
        return {name: hints.get(name, Any) for name in names}

    @cached_property
    def models(self) -> dict[str, type]:
        """Return the arguments that are records."""
        return {
            name: kind
            for name, kind in self.parameters.items()
            if isinstance(kind, type) and issubclass(kind, Row)
        }

    @cached_property
    def input(self) -> type[BaseModel]:
        """Return the pydantic model of the arguments; records are given by id."""
        signature = inspect.signature(self.function)
        fields: dict[str, Any] = {}
        for name, kind in self.parameters.items():
            default = signature.parameters[name].default
            required = ... if default is inspect.Parameter.empty else default
            fields[name] = (UUID if name in self.models else argument_type(kind), required)
        title = "".join(part.title() for part in self.name.replace(".", "_").split("_"))
        return create_model(
            title,
            __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True),
            **fields,
        )


def service(
    name: str,
    *,
    title: tuple[str, str] | None = None,
    permission: str | None = None,
    is_public: bool = True,
    step_up: bool = False,
    approves: Approval | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare a function ``(scope, …)`` as the service ``<plugin>.<name>``.

    title: English and Chinese, for buttons and the audit timeline. permission: another full name
    than the service's own. is_public: offered by the JSON API. step_up: whoever calls it himself
    must have proved within five minutes that it is he (second factor, else password). approves: it
    decides what somebody else asked for; its record is locked and checked before it runs.
    """

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        plugin = plugin_of_module(function.__module__)
        full = f"{plugin}.{name}"
        words = title or (name.rpartition(".")[2].replace("_", " ").capitalize(), None)
        done = approves.guard(full, function) if approves else function
        made = Service(
            full, done, bilingual(*words), permission or full, is_public, step_up, approves
        )

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            scope: Any = args[0]
            with entered(scope, made.name, made.permission):
                return done(*args, **kwargs)

        run.service = made  # type: ignore[attr-defined]
        SERVICES[full] = made
        return run

    return declare


@contextmanager
def entered(scope: Scope, name: str, permission: str | None) -> Any:
    """Run a verb: check gate and permission when outermost, name it for the audit log.

    Constraint violations become errors that people understand.
    """
    outermost = getattr(scope, "_verb", None) is None
    if outermost:
        plugin = name.partition(".")[0]
        if plugin not in scope.enabled:
            raise NotFound(N_("%(plugin)s is not switched on here."), plugin=plugin)
        if permission:
            scope.require(permission)
        declared = SERVICES.get(name)
        if declared is not None and declared.step_up:
            scope.actor.require_proof(name)
        scope._verb = name  # type: ignore[attr-defined]
        scope.session.execute(
            text(
                "select set_config('dougong.verb', :v, true),"
                " set_config('dougong.reason', :r, true)"
            ),
            {"v": name, "r": scope.reason or ""},
        )
    try:
        yield
        if outermost:
            scope.session.flush()
    except IntegrityError as error:
        raise explain_constraint(error) from error
    finally:
        if outermost:
            scope._verb = None  # type: ignore[attr-defined]


def call(scope: Scope, name: str, arguments: Mapping[str, Any]) -> Any:
    """Call a service by its full name with plain arguments; records are given by id.

    Raises NotFound for an unknown service or record, Invalid for wrong arguments.
    """
    found = find(name)
    try:
        checked = found.input.model_validate(
            {
                k: getattr(v, "id", v) if k in found.models and isinstance(v, Row) else v
                for k, v in arguments.items()
            }
        )
    except ValidationError as error:
        raise invalid_from(error) from error
    values = {key: getattr(checked, key) for key in type(checked).model_fields}
    with entered(scope, found.name, found.permission):
        for key, model in found.models.items():
            given = arguments.get(key)
            values[key] = (
                given if isinstance(given, Row) else scope.get(model, values[key], lock=True)
            )
        return found.function(scope, **values)


def find(name: str) -> Service:
    """Return the service of this full name; raises NotFound."""
    if name not in SERVICES:
        raise NotFound(N_("There is no service %(name)s."), name=name)
    return SERVICES[name]


def permission_of(model: Any, verb: str) -> str:
    """Return the full name of a permission on a model: ``lifts.lift.view``."""
    return f"{plugin_of_module(model.__module__)}.{model.__tablename__}.{verb}"


def create(scope: Scope, model: type[R], values: Mapping[str, Any]) -> R:
    """Create a record from column values; raises Invalid naming the wrong fields.

    A plugin that declares the service ``<model>.create`` replaces this for its model; it then
    gets the checked values as keyword arguments.
    """
    name = permission_of(model, "create")
    good = checked(model, "create", values)
    _refuse_restricted(scope, model, good)
    if name in SERVICES:
        return SERVICES[name].function(scope, **good) if _inside(scope) else call(scope, name, good)
    with entered(scope, name, name):
        record = model(**good)
        scope.session.add(record)
        scope.session.flush()
    return record


def change(scope: Scope, record: R, values: Mapping[str, Any]) -> R:
    """Change some columns of a record; raises Invalid naming the wrong fields."""
    name = permission_of(type(record), "change")
    good = checked(type(record), "change", values)
    _refuse_restricted(scope, type(record), good, record)
    if name in SERVICES:
        return call(scope, name, {"record": record, **good})
    with entered(scope, name, name):
        for key, value in good.items():
            setattr(record, key, value)
        scope.session.flush()
    return record


def delete(scope: Scope, record: Any) -> None:
    """Delete a record; raises Conflict that names what still uses it."""
    name = permission_of(type(record), "delete")
    if name in SERVICES:
        call(scope, name, {"record": record})
        return
    with entered(scope, name, name):
        scope.session.delete(record)
        scope.session.flush()


def _refuse_restricted(
    scope: Scope, model: Any, values: Mapping[str, Any], record: Any = None
) -> None:
    """Raise NotAllowed for a value that the actor's roles may not set, unless it stays the same."""
    if _inside(scope):
        return
    refused = [
        key
        for key in scope.restrictions(model)
        if key in values and values[key] != (getattr(record, key) if record is not None else None)
    ]
    if refused:
        raise NotAllowed(
            N_("Your roles may not set this: %(fields)s."),
            fields=", ".join(label_of(model, key) for key in sorted(refused)),
        )


def label_of(model: Any, key: str) -> str:
    """Return what people call an attribute, in the locale in force."""
    field = model.__encrypted__.get(key)
    info = field.info if field else getattr(model, key).info
    return str(info.get("label") or key)


def acts_as(scope: Scope, name: str) -> bool:
    """Tell whether the actor called this very service himself, rather than another that uses it."""
    return getattr(scope, "_verb", None) == name


def _inside(scope: Scope) -> bool:
    return getattr(scope, "_verb", None) is not None


def checked(model: Any, mode: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as their columns take them; raises Invalid naming the wrong fields."""
    try:
        made = record_input(model, mode).model_validate(dict(values))
    except ValidationError as error:
        raise invalid_from(error) from error
    return {
        key: getattr(made, key)
        for key in type(made).model_fields
        if key in made.model_fields_set or mode == "create" and getattr(made, key) is not None
    }


__all__ = [
    "SERVICES",
    "Approval",
    "PhoneNumber",
    "Service",
    "acts_as",
    "call",
    "change",
    "checked",
    "create",
    "delete",
    "entered",
    "find",
    "given_phone",
    "label_of",
    "permission_of",
    "plugin_of_module",
    "service",
]
