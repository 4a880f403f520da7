"""Vtiger's dialect of field values, both ways: everything is text."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from connectors.answers import text
from connectors.base import Response
from connectors.fields import boolean, instant, milliseconds, number, plain
from schemas.codec import CodecError, from_json
from schemas.metadata import FieldType
from schemas.values import Amount, Image, Value, is_empty

PATH = "/webservice.php"

_SYSTEM: Mapping[str, FieldType] = {"createdtime": "datetime", "modifiedtime": "datetime"}
_SEPARATOR = " |##| "


def read(raw: Any, kind: FieldType, zone: tzinfo) -> Value:
    """A value as Vtiger answers it; empty text is nothing, times are of the server's zone."""
    if raw is None or raw == "":
        return None
    if kind == "datetime":
        return instant(raw, zone)
    if kind == "number":
        return number(raw)
    if kind == "boolean":
        return boolean(raw)
    if kind == "multipicklist" and isinstance(raw, str):
        return list[Value](raw.split(_SEPARATOR))
    return plain(raw)


def image(row: Mapping[str, Any], types: Mapping[str, FieldType], zone: tzinfo) -> Image:
    """A row as an image."""
    return {name: read(raw, types.get(name) or _SYSTEM.get(name, "unknown"), zone) for name, raw in row.items()}


def write(value: Value, kind: FieldType, zone: tzinfo) -> str:
    """A value as Vtiger takes it; empty text clears."""
    if is_empty(value):
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list):
        return _SEPARATOR.join(str(item) for item in value)
    if kind == "datetime" and isinstance(value, str):
        at = milliseconds(value)
        return value if at is None else local_time(at, zone)
    return str(value) if not isinstance(value, Amount) else f"{value:f}"


def local_time(at: int, zone: tzinfo) -> str:
    """Milliseconds since the epoch as Vtiger writes a time: no zone, whole seconds."""
    return datetime.fromtimestamp(at // 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def literal(value: str) -> str:
    """Text as a VTQL literal: quotes and backslashes doubled."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def envelope(response: Response) -> dict[str, Any] | None:
    """Vtiger's answer from the first brace on (PHP may print notices before it); none where there is none."""
    start = response.body.find(b"{")
    try:
        answer = from_json(response.body[start:]) if start >= 0 else None
    except CodecError:
        return None
    return answer if isinstance(answer, dict) and isinstance(answer.get("success"), bool) else None


def error_code(answer: Mapping[str, Any]) -> str:
    """The code of a failure; the unique rule's numeric 0 becomes ``DUPLICATE``."""
    error = answer.get("error")
    if not isinstance(error, dict):
        return ""
    return "DUPLICATE" if error.get("code") == 0 else text(error.get("code"))
