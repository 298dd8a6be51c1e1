"""The OpenAPI 3.1 document of one place: what is on there, from the typed models."""

from collections.abc import Mapping
from typing import Any, get_type_hints

import dougong
from dougong.db.base import Row
from dougong.db.scope import Scope
from dougong.i18n import N_, current_locale, gettext
from dougong.services import Service
from dougong.web.api.inputs import strict_record_input, strict_service_input
from dougong.web.api.listing import parameters
from dougong.web.api.resources import Resource, resources, services
from dougong.web.api.schemas import row_schema

REFUSALS = {
    400: ("Malformed", N_("The body is not JSON.")),
    401: ("SignInFirst", N_("Sign in first.")),
    403: ("NotAllowed", N_("The token may not do this here.")),
    404: ("NotFound", N_("It is not there, or not visible from here.")),
    409: ("Conflict", N_("The state of things does not allow it now; nothing was changed.")),
    412: ("ChangedMeanwhile", N_("Someone changed this meanwhile. Read it again.")),
    413: ("TooLarge", N_("The file is too large.")),
    415: ("WrongMediaType", N_("Send JSON, with Content-Type: application/json.")),
    422: ("Invalid", N_("Some fields are not right yet.")),
    429: ("TooManyRequests", N_("Too many requests. Wait a moment.")),
    503: ("Device", N_("A device did not do what was asked.")),
}
ALWAYS = (401, 403, 404, 422, 429)
WRITING = (*ALWAYS, 400, 409, 413, 415)
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "trace_id": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_cache: dict[Any, dict[str, Any]] = {}
MOST_CACHED = 64


def document(scope: Scope) -> dict[str, Any]:
    """Return the OpenAPI document of the scope; it is the same for all of its actors."""
    key = (
        scope.url_part,
        scope.enabled,
        scope.installation.plugins.generation,
        current_locale(),
    )
    if key not in _cache:
        if len(_cache) >= MOST_CACHED:
            _cache.clear()
        _cache[key] = _document(scope)
    return _cache[key]


def _document(scope: Scope) -> dict[str, Any]:
    schemas: dict[str, Any] = {"Problem": PROBLEM}
    paths: dict[str, Any] = {}
    exposed = resources(scope)
    for found in exposed.values():
        paths |= _resource_paths(scope, found, schemas)
    for service in services(scope).values():
        path = f"/v1/{service.plugin}/{service.name.partition('.')[2]}"
        paths[path] = {"post": _service_operation(service, exposed, schemas)}
    plugins = sorted({r.plugin for r in exposed.values()})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Dougong · {scope.place.name}",
            "version": dougong.__version__,
            "description": gettext(N_("The JSON API of this place, as far as plugins are on.")),
        },
        "servers": [{"url": f"/{scope.url_part}/api"}],
        "security": [{"token": []}],
        "tags": [{"name": plugin} for plugin in plugins],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": dict(sorted(schemas.items())),
            "responses": {name: _problem(text) for name, text in REFUSALS.values()},
            "headers": {"ETag": {"schema": {"type": "string"}}},
        },
    }


# --- paths ----------------------------------------------------------------------------------------


def _resource_paths(
    scope: Scope, found: Resource, schemas: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    offered, stem = found.offered(scope), found.schema_name
    schemas[stem] = row_schema(found.model)
    many: dict[str, Any] = {"get": _list(found)}
    one: dict[str, Any] = {"parameters": [IDENTITY], "get": _read(found)}
    if "create" in offered:
        _add_input(
            schemas, found.plugin, f"{stem}Create", strict_record_input(found.model, "create")
        )
        many["post"] = _write(found, "create", 201)
    if "change" in offered:
        _add_input(
            schemas, found.plugin, f"{stem}Change", strict_record_input(found.model, "change")
        )
        one["patch"] = _write(found, "change", 200)
    if "delete" in offered:
        one["delete"] = _operation(
            found.plugin,
            f"{found.plugin}_{found.name}_delete",
            parameters=[IF_MATCH, IDEMPOTENCY_KEY],
            responses={204: {"description": gettext(N_("It is gone."))}},
            refusals=(*ALWAYS, 409, 412),
        )
    return {found.path: many, f"{found.path}/{{id}}": one}


def _list(found: Resource) -> dict[str, Any]:
    shape = {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {
                "type": "array",
                "items": {"$ref": f"#/components/schemas/{found.schema_name}"},
            },
            "next": {"type": ["string", "null"]},
        },
    }
    return _operation(
        found.plugin,
        f"{found.plugin}_{found.name}_list",
        summary=_first_line(found.model),
        parameters=_query(found.model),
        responses={200: _content(gettext(N_("One page of records.")), shape)},
        refusals=ALWAYS,
    )


def _read(found: Resource) -> dict[str, Any]:
    return _operation(
        found.plugin,
        f"{found.plugin}_{found.name}_view",
        responses={200: _record(found), 304: {"description": gettext(N_("It did not change."))}},
        refusals=ALWAYS,
    )


def _write(found: Resource, verb: str, status: int) -> dict[str, Any]:
    is_change = verb == "change"
    return _operation(
        found.plugin,
        f"{found.plugin}_{found.name}_{verb}",
        parameters=[*([IF_MATCH] if is_change else []), IDEMPOTENCY_KEY],
        body=f"{found.schema_name}{verb.title()}",
        responses={status: _record(found)},
        refusals=(*WRITING, 412) if is_change else WRITING,
    )


def _service_operation(
    service: Service, exposed: Mapping[str, Resource], schemas: dict[str, Any]
) -> dict[str, Any]:
    stem = "".join(p.title() for p in service.name.replace(".", "_").split("_"))
    _add_input(schemas, service.plugin, f"{stem}Input", strict_service_input(service))
    shape = {
        "type": "object",
        "required": ["result"],
        "properties": {"result": _result_schema(service, exposed)},
    }
    return _operation(
        service.plugin,
        service.name.replace(".", "_"),
        summary=str(service.title),
        description=(service.function.__doc__ or "").strip(),
        parameters=[IDEMPOTENCY_KEY],
        body=f"{stem}Input",
        responses={200: _content(gettext(N_("What the service returned.")), shape)},
        refusals=(*WRITING, 503),
    )


def _result_schema(service: Service, exposed: Mapping[str, Resource]) -> dict[str, Any]:
    kind = get_type_hints(service.function).get("return")
    if isinstance(kind, type) and issubclass(kind, Row):
        for found in exposed.values():
            if found.model is kind:
                identity = {"type": "object", "required": ["id"]}
                return {"anyOf": [{"$ref": f"#/components/schemas/{found.schema_name}"}, identity]}
    return {}


# --- parts ----------------------------------------------------------------------------------------

IDENTITY = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def _operation(
    tag: str,
    name: str,
    *,
    responses: dict[int, Any],
    refusals: tuple[int, ...],
    summary: str = "",
    description: str = "",
    parameters: list[dict[str, Any]] | None = None,
    body: str = "",
) -> dict[str, Any]:
    made: dict[str, Any] = {"tags": [tag], "operationId": name}
    if summary:
        made["summary"] = summary
    if description:
        made["description"] = description
    if parameters:
        made["parameters"] = parameters
    if body:
        schema = {"$ref": f"#/components/schemas/{body}"}
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    made["responses"] = {str(status): said for status, said in responses.items()}
    for status in sorted(refusals):
        made["responses"][str(status)] = {"$ref": f"#/components/responses/{REFUSALS[status][0]}"}
    return made


def _query(model: Any) -> list[dict[str, Any]]:
    """Return the parameters of a list, from its pydantic model."""
    schema = parameters(model).model_json_schema()
    made = []
    for name, property_schema in schema["properties"].items():
        plain = next(
            (s for s in property_schema.get("anyOf", ()) if s.get("type") != "null"),
            property_schema,
        )
        plain = {k: v for k, v in plain.items() if k not in ("title", "default")}
        plain = _text_only(plain)
        made.append({"name": name, "in": "query", "required": False, "schema": plain})
    return made


def _text_only(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the form of a number that a query can carry."""
    for choice in schema.get("anyOf", ()):
        if choice.get("type") == "string":
            return choice
    return schema


def _content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _record(found: Resource) -> dict[str, Any]:
    identity = {"type": "object", "required": ["id"]}
    shape = {"anyOf": [{"$ref": f"#/components/schemas/{found.schema_name}"}, identity]}
    made = _content(gettext(N_("The record.")), shape)
    made["headers"] = {"ETag": {"$ref": "#/components/headers/ETag"}}
    return made


def _problem(message: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": gettext(message),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _add_input(schemas: dict[str, Any], plugin: str, name: str, model: Any) -> None:
    """Add an input's schema, with its parts beside it under the plugin's name."""
    stem = plugin.title().replace("_", "")
    made = model.model_json_schema(ref_template=f"#/components/schemas/{stem}.{{model}}")
    for part, schema in made.pop("$defs", {}).items():
        schemas.setdefault(f"{stem}.{part}", schema)
    made.pop("title", None)
    schemas[name] = made


def _first_line(model: Any) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]
