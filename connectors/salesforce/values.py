"""Salesforce's dialect of field values, both ways."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from connectors.fields import boolean, instant, number, plain
from schemas.metadata import Field, FieldType
from schemas.values import Image, Value, format_instant, is_empty, parse_date, parse_instant, to_number

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
    """A value as Salesforce takes it. Raises ValueError: it has no such form; the message holds no value."""
    if is_empty(value):
        return None
    written = _WRITE.get(kind)
    if written is not None:
        return written(value)
    return ";".join(str(item) for item in value) if isinstance(value, list) else value


def misfit(value: Value, field: Field) -> str:
    """Why Salesforce would not take a value, or not store it as it is; empty where it would. Never tells the value."""
    try:
        written = write(value, field.type)
    except ValueError as error:
        return str(error)
    if field.type in {"lookup", "user"} and written is not None and not is_id(str(written)):
        return "not the id of a record (15 or 18 letters and digits)"
    if field.max_length and isinstance(written, str) and field.type == "text" and len(written) > field.max_length:
        return f"longer than {field.max_length} characters"
    if field.values and field.restricted and field.type in {"picklist", "multipicklist"} and written is not None:
        chosen = str(written).split(";") if field.type == "multipicklist" else [written]
        return "" if all(one in field.values for one in chosen) else "not one of its picklist values"
    return ""


def _number(value: Value) -> object:
    found = to_number(value)
    if found is None:
        raise ValueError("not a number")
    return found


def _boolean(value: Value) -> object:
    if isinstance(value, bool):
        return value
    if str(value).strip().lower() not in {"true", "false"}:
        raise ValueError("neither true nor false")
    return str(value).strip().lower() == "true"


def _date(value: Value) -> object:
    try:
        return parse_date(str(value)).isoformat()
    except ValueError:
        raise ValueError("not a date") from None


def _datetime(value: Value) -> object:
    text = str(value)
    try:
        return format_instant(parse_instant(text)) if "T" in text or " " in text else format_instant(_midnight(text))
    except ValueError:
        raise ValueError("not a date and time") from None


def _midnight(text: str) -> int:
    return parse_instant(f"{parse_date(text).isoformat()}T00:00:00Z")


def _text(value: Value) -> object:
    if isinstance(value, list):
        raise ValueError("several values for one text")
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _multipicklist(value: Value) -> object:
    chosen = value if isinstance(value, list) else str(value).split(";")
    if any(";" in str(one) for one in chosen):
        raise ValueError("a chosen value with a semicolon, which Salesforce would take for two")
    return ";".join(str(one) for one in chosen)


_WRITE: Mapping[FieldType, Callable[[Value], object]] = {
    "number": _number, "boolean": _boolean, "date": _date, "datetime": _datetime, "text": _text,
    "picklist": _text, "multipicklist": _multipicklist,
}  # fmt: skip

_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")


def is_id(text: str) -> bool:
    """Whether this can be a record id; one that cannot would spoil a request for all others in it."""
    return _ID.fullmatch(text) is not None


def literal(value: str) -> str:
    """Text as a SOQL literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
