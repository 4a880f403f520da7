"""What Vtiger would silently change: refused before it is sent, with the field's name and never its value.

Option ``mangled: send`` turns it off. ``charset: utf8mb4`` says that the database keeps characters of four bytes;
``lengths: Leads.lastname=80, Leads.cf_1=20`` tells lengths, which ``describe`` does not; ``decimals`` (2) how many
places numbers and money keep.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from html import unescape
from typing import Any

from connectors.fields import milliseconds
from connectors.vtiger.values import SEPARATOR
from schemas.metadata import ConnectionMetadata, Field
from schemas.values import is_empty, to_number

_SCRIPT = re.compile(r"<\s*/?script", re.IGNORECASE)
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_LARGEST = 2**31 - 1
_DIGITS = 60
_LENGTHS = {"string": 255, "phone": 50, "email": 100, "url": 255, "skype": 255}
"""The longest column of a type in stock installations; many are shorter (facts from their schema and recordings)."""

_KNOWN = {"Leads.lastname": 80, "Leads.company": 100, "Contacts.lastname": 80}
_WORDS = {"1", "0", "true", "false", "on", "off", "yes", "no"}


class Mangling:
    """What a connection's Vtiger would do to values."""

    def __init__(self, options: Mapping[str, str], metadata: ConnectionMetadata) -> None:
        self._metadata = metadata
        self._off = options.get("mangled") == "send"
        self._wide = options.get("charset") == "utf8mb4"
        self._lengths = {**_KNOWN, **_told(options.get("lengths", ""))}
        self._decimals = int(options.get("decimals", "2"))

    def complaint(self, tab: str, fields: Mapping[str, Any]) -> str:
        """Why these fields would not be stored as they are, naming the first of them; empty where all would be."""
        known = self._metadata.tabs.get(tab)
        if self._off or known is None:
            return ""
        # Only a tab that was read from Vtiger is complete; one that somebody wrote down may leave fields out.
        complete = "createdtime" in known.fields
        for name, value in fields.items():
            field = known.fields.get(name)
            why = self._why(tab, field, value) if field else "the module has no such field" if complete else ""
            if why:
                return f"field {name}: {why}"
        return ""

    def _why(self, tab: str, field: Field, value: Any) -> str:
        if not field.writable and field.type != "id":
            return "it is read-only, and would silently stay as it is"
        if is_empty(value):
            return ""
        rule = _RULES.get(field.type)
        found = rule(field, value) if rule else ""
        return found or next(self._textual(tab, field, value), "") or self._places(field, value)

    def _textual(self, tab: str, field: Field, value: Any) -> Iterator[str]:
        text = value if isinstance(value, str) else "".join(value) if _is_texts(value) else ""
        if not self._wide and _ASTRAL.search(text):
            yield "a character of four bytes (an emoji) would become question marks; option charset: utf8mb4 allows it"
        if _SCRIPT.search(text):
            yield "a script tag would be stored escaped"
        longest = self._longest(tab, field)
        if longest is not None and len(text) > longest:
            yield f"its text is longer than {longest} characters and would be cut"

    def _longest(self, tab: str, field: Field) -> int | None:
        told = self._lengths.get(f"{tab}.{field.name}")
        return told or field.max_length or _LENGTHS.get(field.native)

    def _places(self, field: Field, value: Any) -> str:
        number = to_number(value) if field.type == "number" else None
        if not isinstance(number, Decimal) or field.native == "integer":
            return ""
        lost = _decimals(number) > self._decimals
        return f"it has more than {self._decimals} decimals and would be rounded" if lost else ""


def _decimals(number: Decimal) -> int:
    """Places behind the point, without zeros at the end."""
    text = f"{number:f}"
    return len(text.rstrip("0").partition(".")[2])


def _told(text: str) -> dict[str, int]:
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return {name.strip(): int(length) for name, _, length in pairs if length.strip().isdigit()}


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _number(field: Field, value: Any) -> str:
    told = to_number(value)
    if told is None:
        return "it is no number and would become 0"
    number = Decimal(told)
    if abs(number.adjusted()) > _DIGITS:
        return "it is a number that does not fit"
    if field.native != "integer":
        return ""
    whole = abs(number) <= _LARGEST and number == int(number)
    return "" if whole else "it is no whole number that fits and would be changed to one"


def _boolean(field: Field, value: Any) -> str:
    return "" if isinstance(value, bool) or str(value).lower() in _WORDS else "it is neither true nor false"


def _date(field: Field, value: Any) -> str:
    text = str(value)
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return "it is no date and would be emptied"
    return "" if len(text) == 10 or milliseconds(text) is not None else "it is no date and would be emptied"


def _datetime(field: Field, value: Any) -> str:
    return "" if milliseconds(str(value)) is not None else "it is no time and would be emptied"


def _picked(field: Field, value: Any) -> str:
    for item in value if isinstance(value, list) else [value]:
        if SEPARATOR.strip() in str(item) and isinstance(value, list):
            return "a value holds the separator |##| and would become two"
        if unescape(str(item)) != str(item):
            return "a value holds an HTML entity and would be decoded"
    return ""


_RULES: Mapping[str, Callable[[Field, Any], str]] = {
    "number": _number, "boolean": _boolean, "date": _date, "datetime": _datetime, "picklist": _picked,
    "multipicklist": _picked,
}  # fmt: skip
