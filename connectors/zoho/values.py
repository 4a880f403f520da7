"""Zoho's dialect of field values, both ways."""

from collections.abc import Mapping
from typing import Any

from connectors.fields import boolean, instant, number, plain
from schemas.metadata import FieldType
from schemas.values import Image, Value, is_empty

API = "/crm/v8"
JSON = "application/json"

_SYSTEM: Mapping[str, FieldType] = {
    "Owner": "user", "Created_By": "user", "Modified_By": "user",
    "Created_Time": "datetime", "Modified_Time": "datetime",
}  # fmt: skip


def read(raw: Any, kind: FieldType) -> Value:
    """A value as Zoho answers it: lookups become ids, instants UTC."""
    if kind == "datetime":
        return instant(raw)
    if kind == "number":
        return number(raw)
    if kind == "boolean":
        return boolean(raw)
    return plain(raw)


def image(row: Mapping[str, Any], types: Mapping[str, FieldType]) -> Image:
    """A row as an image, without Zoho's ``$`` keys."""
    return {
        name: read(raw, types.get(name) or _SYSTEM.get(name, "unknown"))
        for name, raw in row.items()
        if not name.startswith("$")
    }


def write(value: Value, kind: FieldType) -> object:
    """A value as Zoho takes it: a lookup as ``{"id": …}``, an instant with its offset, null to clear."""
    if is_empty(value):
        return [] if kind == "multipicklist" else None
    if kind in {"lookup", "user"} and isinstance(value, str):
        return {"id": value}
    if kind == "datetime" and isinstance(value, str):
        whole = instant(value)
        return whole.partition(".")[0].rstrip("Z") + "+00:00" if isinstance(whole, str) else value
    if kind == "multipicklist" and isinstance(value, str):
        return [value]
    return value


def literal(value: str) -> str:
    """Text as a COQL literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
