"""What the API shows of a record, as JSON Schema, from its columns."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column
from sqlalchemy import Enum as SqlEnum

from dougong.db.columns import member_label
from dougong.web.api.representation import shown_columns

NUMBER = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
TYPES: dict[Any, dict[str, Any]] = {
    UUID: {"type": "string", "format": "uuid"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: NUMBER,
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
}


def row_schema(model: Any) -> dict[str, Any]:
    """Return the schema of a record as it is shown; ``fields`` may leave any column out."""
    return {
        "type": "object",
        "required": ["id"],
        "description": (model.__doc__ or "").strip(),
        "properties": {
            name: column_schema(model, name, column)
            for name, column in shown_columns(model).items()
        },
        "additionalProperties": False,
    }


def column_schema(model: Any, name: str, column: Column[Any]) -> dict[str, Any]:
    """Return the schema of one column, with its label in the locale in force."""
    encrypted = column.info.get("encrypted")
    made = _may_be_null(_type(column), column.nullable or bool(encrypted))
    label = column.info.get("label")
    if label is not None:
        made["title"] = str(label)
    if encrypted:
        made["x-personal"] = model.__encrypted__[name].mask
    if column.info.get("api") == "read" or column.computed is not None:
        made["readOnly"] = True
    return made


def _type(column: Column[Any]) -> dict[str, Any]:
    if column.info.get("encrypted"):
        return {"type": "string"}
    if isinstance(column.type, SqlEnum):
        members = list(column.type.enum_class)  # type: ignore[arg-type]
        return {
            "type": "string",
            "enum": [member.value for member in members],
            "x-labels": {member.value: member_label(member) for member in members},
        }
    if isinstance(column.type, JSON):
        return {}
    return dict(TYPES.get(column.type.python_type, {}))


def _may_be_null(schema: dict[str, Any], is_nullable: bool) -> dict[str, Any]:
    if not is_nullable or "type" not in schema:
        return schema
    made = {**schema, "type": [schema["type"], "null"]}
    if "enum" in made:
        made["enum"] = [*made["enum"], None]
    return made
