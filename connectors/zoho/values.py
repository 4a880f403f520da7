"""Zoho's dialect of field values, both ways; and which values it would refuse or mangle."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from connectors.fields import boolean, instant, milliseconds, number, plain
from schemas.metadata import Field, FieldType, Tab
from schemas.values import Amount, Image, Value, is_empty, parse_date, to_number

API = "/crm/v8"
JSON = "application/json"
TAGS = "Tag"

_SYSTEM: Mapping[str, FieldType] = {
    "Owner": "user", "Created_By": "user", "Modified_By": "user",
    "Created_Time": "datetime", "Modified_Time": "datetime",
}  # fmt: skip
_ALWAYS = frozenset({"id", "Owner", "Layout", TAGS, *_SYSTEM})
"""Fields that every module has, whatever its description says."""
_WORDS = {"true": True, "false": False}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    """A row as an image, without Zoho's ``$`` keys; tags are told by name."""
    return {
        name: _tags(raw) if name == TAGS else read(raw, types.get(name) or _SYSTEM.get(name, "unknown"))
        for name, raw in row.items()
        if not name.startswith("$")
    }


def write(value: Value, kind: FieldType, zone: str = "UTC") -> object:
    """A value as Zoho takes it: a lookup as ``{"id": …}``, an instant with its offset, null to clear.

    Text that says a number, a boolean or a day becomes one; a day is taken as its midnight in ``zone``, an instant as
    its day there. What does not fit stays as it is: ``misfit`` says so.
    """
    if is_empty(value):
        return [] if kind == "multipicklist" else None
    if isinstance(value, str):
        return _FROM_TEXT[kind](value, zone) if kind in _FROM_TEXT else value
    if isinstance(value, int | Amount) and not isinstance(value, bool) and kind in {"text", "picklist"}:
        return format(Decimal(value), "f")
    return value


def misfit(known: Tab, fields: Mapping[str, Value]) -> str:
    """Why Zoho would refuse one of these values, or silently leave it out: names the field, never the value.

    Empty where all fit. What is not known is not refused: an empty picklist restricts nothing.
    """
    for name, value in fields.items():
        reason = _misfit(known, name, value)
        if reason:
            return f"field {name}: {reason}"
    return ""


def literal(value: str) -> str:
    """Text as a COQL literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _misfit(known: Tab, name: str, value: Value) -> str:
    field = known.fields.get(name)
    if field is None:
        return (
            ""
            if name in _ALWAYS or name.startswith("$")
            else f"Zoho's {known.name} has no such field, and would leave it out"
        )
    if not field.writable:
        return "it is read-only, so Zoho would leave it out"
    return "" if is_empty(value) else _unfit(field, value)


def _unfit(field: Field, value: Value) -> str:
    written = write(value, field.type)
    if field.type == "multipicklist":
        return _unlisted(field, written if isinstance(written, list) else [written])
    check = _CHECKS.get(field.type)
    if check and not check(written):
        return f"it takes {_TAKES[field.type]}"
    if field.type == "picklist":
        return _unlisted(field, [written])
    if isinstance(written, str) and field.max_length is not None and len(written) > field.max_length:
        return f"it holds {field.max_length} characters, and this is longer"
    return ""


def _unlisted(field: Field, values: list[Any]) -> str:
    if not all(isinstance(one, str) for one in values):
        return "it takes texts of its list"
    return "the value is not one of its list" if field.values and not set(values) <= set(field.values) else ""


def _number(text: str, zone: str) -> object:
    found = to_number(text.strip())
    return text if found is None else found if isinstance(found, int) else number(text.strip())


def _instant(text: str, zone: str) -> str:
    whole = instant(text, ZoneInfo(zone))
    good = isinstance(whole, str) and milliseconds(text) is not None
    return str(whole).partition(".")[0].rstrip("Z") + "+00:00" if good else text


def _day(text: str, zone: str) -> str:
    at = milliseconds(text, ZoneInfo(zone)) if len(text) > len("2026-01-31") else None
    if at is None:
        return text
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(ZoneInfo(zone)).date().isoformat()


def _is_day(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value) == len("2026-01-31") and bool(parse_date(value))
    except ValueError:
        return False


def _is_reference(value: object) -> bool:
    found = value.get("id") if isinstance(value, dict) else None
    return isinstance(found, str) and found.isascii() and found.isalnum()


_FROM_TEXT: Mapping[FieldType, Callable[[str, str], object]] = {
    "lookup": lambda text, zone: {"id": text},
    "user": lambda text, zone: {"id": text},
    "multipicklist": lambda text, zone: [text],
    "boolean": lambda text, zone: _WORDS.get(text.strip().lower(), text),
    "number": _number,
    "datetime": _instant,
    "date": _day,
}
_CHECKS: Mapping[FieldType, Any] = {
    "text": lambda value: isinstance(value, str),
    "picklist": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | Amount) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "date": _is_day,
    "datetime": lambda value: isinstance(value, str) and milliseconds(value) is not None,
    "lookup": _is_reference,
    "user": _is_reference,
}
_TAKES: Mapping[FieldType, str] = {
    "text": "text", "picklist": "a text of its list", "number": "a number", "boolean": "true or false",
    "date": "a day: 2026-01-31", "datetime": "a moment with its zone: 2026-01-31T09:00:00Z",
    "lookup": "the id of a record", "user": "the id of a user",
}  # fmt: skip


def _tags(raw: Any) -> Value:
    tags = raw if isinstance(raw, list) else []
    return [str(tag.get("name", "")) if isinstance(tag, dict) else str(tag) for tag in tags]
