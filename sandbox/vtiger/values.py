"""How Vtiger takes and gives values: it bends what is wrong, and says nothing of it."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.vtiger.errors import bad_id
from schemas.metadata import Field, FieldType
from schemas.values import Amount, Value, format_instant, parse_instant

SEPARATOR = " |##| "
PLACES = {"integer": 0, "double": 2, "currency": 8}
"""Decimal places that a number is told with; money is kept with two and told with eight."""

Options = Mapping[str, str]

_WIDE = re.compile(r"\d+x\d+")
_LEADING_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DAY = re.compile(r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)(?: .*)?")
_EUROPEAN_DAY = re.compile(r"(?P<day>\d\d?)-(?P<month>\d\d?)-(?P<year>\d{4})")
_SCRIPT = re.compile(r"<\s*script", re.IGNORECASE)
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_OWNERS = (19, 20)
_CENT = Decimal("0.01")
_LARGEST = Decimal(2**31 - 1)
_WIDEST = Decimal("99999999.99")
_ESCAPED = str.maketrans({"<": "&lt;", ">": "&gt;", '"': "&quot;"})


def split_id(text: str) -> tuple[int, int]:
    """The module's and the record's number of an id.

    Raises:
        RefusedError: not of the form ``NxM``.
    """
    if not _WIDE.fullmatch(text):
        raise bad_id()
    number, _, record = text.partition("x")
    return int(number), int(record)


def record_number(record_id: str) -> int:
    """The number behind the ``x``."""
    return int(record_id.rpartition("x")[2])


def local_time(text: str, options: Options) -> str:
    """An instant as Vtiger writes it: a time of the server's zone, without saying so."""
    moment = datetime.fromtimestamp(parse_instant(text) // 1000, ZoneInfo(options.get("zone", "UTC")))
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def utc(text: str, options: Options) -> str:
    """A time of the server's zone as an instant. Raises ValueError: the text is none."""
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(options.get("zone", "UTC")))
    return format_instant(parse_instant(moment.astimezone(UTC).isoformat()))


def _text(field: Field, raw: Any, options: Options) -> Value:
    """Text, cut to its column; of a list the first item; four-byte characters only where the database has them."""
    if isinstance(raw, bool | dict | list):
        raw = raw[0] if isinstance(raw, list) and raw else "1" if raw is True else ""
    text = str(raw)
    if options.get("charset") != "utf8mb4":
        text = _ASTRAL.sub("????", text)
    if _SCRIPT.search(text):
        text = text.translate(_ESCAPED)
    return text[: field.max_length]


def _number(field: Field, raw: Any, options: Options) -> Value:
    """The number that the text begins with, in cents: ``"1,5"`` is 1, ``"abc"`` is 0; doubles want all of it."""
    text = "1" if raw is True else str(raw)
    found = _LEADING_NUMBER.match(text)
    whole = field.native != "double" or text.rstrip("%") == (found[0] if found else "")
    number = Decimal(found[0] if found and whole else "0")
    try:
        if field.native == "integer":
            return Amount(max(-_LARGEST, min(number.quantize(Decimal(1), ROUND_HALF_UP), _LARGEST)))
        rounded = number.quantize(_CENT, ROUND_HALF_UP)
    except InvalidOperation:
        return Amount("99999999.99")
    return Amount(min(rounded, _WIDEST) if field.native == "double" else rounded)


def _boolean(field: Field, raw: Any, options: Options) -> Value:
    return raw is True or raw in ("1", "on") or (raw == 1 and not isinstance(raw, bool))


def _date(field: Field, raw: Any, options: Options) -> Value:
    """A day, also as European users write it; a time after it is cut, and what is no day is nothing."""
    found = _DAY.fullmatch(str(raw)) or _EUROPEAN_DAY.fullmatch(str(raw))
    if found is None:
        return None
    day = {name: int(number) for name, number in found.groupdict().items()}
    try:
        return date(**day).isoformat()
    except ValueError:
        return "0000-00-00"


def _datetime(field: Field, raw: Any, options: Options) -> Value:
    try:
        return utc(str(raw)[:19], options)
    except ValueError:
        return None


def _multipicklist(field: Field, raw: Any, options: Options) -> Value:
    items = raw[:1] if isinstance(raw, list) else str(raw).split(SEPARATOR)
    return [str(item) for item in items]


def _owner(field: Field, raw: Any, options: Options) -> Value:
    text = str(raw)
    number, record = (19, int(text)) if text.isdigit() else split_id(text)
    return f"{number if number in _OWNERS else 19}x{record}"


ACCEPT: dict[FieldType, Callable[[Field, Any, Options], Value]] = {
    "id": _text, "text": _text, "unknown": _text, "picklist": _text, "multipicklist": _multipicklist,
    "number": _number, "boolean": _boolean, "date": _date, "datetime": _datetime, "user": _owner,
}  # fmt: skip
"""What becomes of a written value, by type; a lookup has to be looked up."""
