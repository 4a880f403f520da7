"""Field values on their way in: numbers, days, instants and booleans in one canonical form for all CRMs."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from schemas.metadata import ConnectionMetadata, FieldType
from schemas.values import Amount, Value, format_instant, parse_instant, to_number


def field_types(metadata: ConnectionMetadata, tab: str) -> Mapping[str, FieldType]:
    """The types of a tab's fields by name; empty where the tab is not known."""
    known = metadata.tabs.get(tab)
    return {name: field.type for name, field in known.fields.items()} if known else {}


def number(raw: object) -> Value:
    """An int where it is whole, else an exact Amount without trailing zeros; what is no number stays text."""
    if raw is None or raw == "":
        return None
    if isinstance(raw, bool):
        return raw
    found = to_number(str(raw))
    if found is None:
        return str(raw)
    if isinstance(found, int):
        return found
    if found == found.to_integral_value() and found.adjusted() < 30:
        return int(found)
    return Amount(found.normalize())


def instant(raw: object, zone: tzinfo = UTC) -> Value:
    """ISO text in UTC with ``Z``; a time without a zone is of ``zone``. What is no time stays as it is."""
    if not isinstance(raw, str) or not raw.strip():
        return None
    at = milliseconds(raw, zone)
    return raw if at is None else format_instant(at)


def milliseconds(raw: object, zone: tzinfo = UTC) -> int | None:
    """Milliseconds since the epoch of a vendor's date-time text; none where it is not one."""
    if not isinstance(raw, str):
        return None
    try:
        moment = datetime.fromisoformat(raw)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return parse_instant(moment.astimezone(UTC).isoformat())
    except (ValueError, OverflowError):  # the first and the last day of the calendar have no UTC everywhere
        return None


def boolean(raw: object) -> Value:
    """True or false from what CRMs write for them; none where it is empty."""
    if isinstance(raw, bool):
        return raw
    if raw is None or raw == "":
        return None
    return str(raw).strip().lower() in {"1", "true", "on", "yes"}


def plain(raw: Any) -> Value:
    """A value of unknown type as a field value: fractions exact, objects reduced to their id or name."""
    if raw is None or isinstance(raw, bool | int | str):
        return raw
    if isinstance(raw, Decimal):
        return number(raw)
    if isinstance(raw, list):
        return [plain(item) for item in raw]
    if isinstance(raw, dict):
        return plain(raw.get("id", raw.get("name")))
    return str(raw)
