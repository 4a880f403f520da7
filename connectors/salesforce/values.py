"""Salesforce's dialect of field values, both ways."""

from collections.abc import Mapping
from typing import Any

from connectors.fields import boolean, instant, number, plain
from schemas.metadata import FieldType
from schemas.values import Image, Value, is_empty

API = "/services/data/v60.0"
JSON = "application/json"

SYSTEM: Mapping[str, FieldType] = {
    "CreatedDate": "datetime",
    "LastModifiedDate": "datetime",
    "SystemModstamp": "datetime",
}
"""Types of what every record has."""


def read(raw: Any, kind: FieldType) -> Value:
    """A value as Salesforce answers it: ``a;b`` becomes a list, instants UTC."""
    if kind == "datetime":
        return instant(raw)
    if kind == "number":
        return number(raw)
    if kind == "boolean":
        return boolean(raw)
    if kind == "multipicklist" and isinstance(raw, str):
        return [part for part in raw.split(";") if part]
    return plain(raw)


def image(row: Mapping[str, Any], types: Mapping[str, FieldType]) -> Image:
    """A row as an image; ``Id`` becomes ``id``, and the attributes are left out."""
    fields = {
        name: read(raw, types.get(name) or SYSTEM.get(name, "unknown"))
        for name, raw in row.items()
        if name not in {"attributes", "Id", "IsDeleted"}
    }
    return {"id": row.get("Id"), **fields}


def write(value: Value, kind: FieldType) -> object:
    """A value as Salesforce takes it."""
    if is_empty(value):
        return None
    if isinstance(value, list):
        return ";".join(str(item) for item in value)
    return value


def literal(value: str) -> str:
    """Text as a SOQL literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
