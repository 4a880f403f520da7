"""Vtiger's dialect of field values, both ways: everything is text."""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from html import unescape
from typing import Any

from connectors.fields import boolean, instant, milliseconds, number, plain
from schemas.metadata import FieldType
from schemas.values import Amount, Image, Value, is_empty

SEPARATOR = " |##| "
NO_DATE = "0000-00-00"

_SYSTEM: Mapping[str, FieldType] = {"createdtime": "datetime", "modifiedtime": "datetime"}
_ESCAPED_SCRIPT = re.compile(r"&lt;\s*/?script", re.IGNORECASE)


def read(raw: Any, kind: FieldType, zone: tzinfo) -> Value:
    """A value as Vtiger answers it; empty text is nothing, times are of the server's zone."""
    if raw is None or raw == "" or (kind in {"date", "datetime"} and str(raw).startswith(NO_DATE)):
        return None
    if kind == "datetime":
        return instant(raw, zone)
    if kind == "number":
        return number(raw)
    if kind == "boolean":
        return boolean(raw)
    if kind == "multipicklist" and isinstance(raw, str):
        return list[Value](raw.split(SEPARATOR))
    # A text with a script in it comes with all its marks escaped in lists, and plain in the answer to its writing.
    return unescape(raw) if isinstance(raw, str) and _ESCAPED_SCRIPT.search(raw) else plain(raw)


def image(row: Mapping[str, Any], types: Mapping[str, FieldType], zone: tzinfo) -> Image:
    """A row as an image."""
    return {name: read(raw, types.get(name) or _SYSTEM.get(name, "unknown"), zone) for name, raw in row.items()}


def write(value: Value, kind: FieldType, zone: tzinfo) -> str:
    """A value as Vtiger takes it; empty text clears."""
    if is_empty(value):
        return ""
    if kind == "boolean":
        value = boolean(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list):
        return SEPARATOR.join(str(item) for item in value)
    if kind in {"date", "datetime"} and isinstance(value, str):
        return _time(value, kind, zone)
    return str(value) if not isinstance(value, Amount) else f"{value:f}"


def local_time(at: int, zone: tzinfo) -> str:
    """Milliseconds since the epoch as Vtiger writes a time: no zone, whole seconds."""
    return datetime.fromtimestamp(at // 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def literal(value: str) -> str:
    """Text as a VTQL literal: quotes and backslashes doubled."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _time(value: str, kind: FieldType, zone: tzinfo) -> str:
    """A day as it is; an instant as the server's clock showed it, of which a date field takes the day."""
    at = milliseconds(value) if len(value) > len(NO_DATE) else None
    if at is None:
        return value
    return local_time(at, zone)[: len(NO_DATE)] if kind == "date" else local_time(at, zone)
