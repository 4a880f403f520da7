"""Field values: what a record may hold, and when two values are the same.

An image is one record's fields by name, always with ``id``. Its values are what JSON can say, plus exact
decimals: money is never a binary float (D-90). Dates are ISO text (``2026-01-31``), instants are ISO text in UTC
(``2026-01-31T09:00:00Z``); the tab's metadata says which text is a date.
"""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeAlias, Union


class Amount(Decimal):
    """An exact decimal that keeps its type through msgpack and JSON (see ``schemas.codec``)."""

    __slots__ = ()


Value: TypeAlias = Union[None, bool, int, Amount, str, list["Value"]]  # noqa: UP007, RUF036 - quoted, it could not be joined to more
Image: TypeAlias = dict[str, Any]  # field name -> Value; msgspec cannot spell the recursive alias
Ref: TypeAlias = str  # "connection:Tab/record id", see ``ref``

TRAIL = "~"
"""Prefix of the hidden image field that keeps a field's history: ``"~Stage": [[since_ms, value], ...]``."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def ref(tab: str, record_id: str) -> Ref:
    """The name of one record everywhere: ``ref("zoho:Deals", "17") == "zoho:Deals/17"``."""
    return f"{tab}/{record_id}"


def tab_of(record: Ref) -> str:
    """The tab of a record: ``tab_of("zoho:Deals/17") == "zoho:Deals"``."""
    return record.partition("/")[0]


def id_of(record: Ref) -> str:
    """The record id inside its tab: ``id_of("zoho:Deals/17") == "17"``."""
    return record.partition("/")[2]


@lru_cache(maxsize=65_536)
def fold(text: str) -> str:
    """Text as criteria compare it: NFKC, trimmed, case-folded (D-113), so ``ＡＣＭＥ`` equals ``acme``."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


@lru_cache(maxsize=65_536)
def parse_instant(text: str) -> int:
    """Milliseconds since the epoch of an ISO date-time; one without a zone is taken as UTC.

    Raises:
        ValueError: the text is not an ISO date-time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=65_536)
def parse_date(text: str) -> date:
    """The calendar day of an ISO date; of a date-time, the day that is written in it.

    Raises:
        ValueError: the text does not start with an ISO date.
    """
    return date.fromisoformat(text[:10])


def format_instant(at: int) -> str:
    """Milliseconds since the epoch as ISO text in UTC, with a fraction only where there is one."""
    moment = _EPOCH + timedelta(milliseconds=at)
    text = moment.isoformat(timespec="milliseconds" if at % 1000 else "seconds")
    return text.replace("+00:00", "Z")


def to_number(value: Value) -> int | Decimal | None:
    """The value as an exact number, or none where it is not one; booleans are not numbers."""
    if isinstance(value, bool) or value is None or isinstance(value, list):
        return None
    if isinstance(value, int | Decimal):
        return value
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def same(left: Value, right: Value) -> bool:
    """Whether two values of one field are the same once trimmed and in canonical form (D-02)."""
    if left == right:
        return isinstance(left, bool) == isinstance(right, bool)
    if isinstance(left, str) and isinstance(right, str):
        return left.strip() == right.strip()
    return is_empty(left) and is_empty(right)


def is_empty(value: Value) -> bool:
    """Whether a field holds nothing: none, blank text or an empty list. Zero and false are something."""
    if value:
        return isinstance(value, str) and not value.strip()
    return value is None or value == "" or value == []


def changed_fields(before: Mapping[str, Value], after: Mapping[str, Value]) -> frozenset[str]:
    """The visible fields whose value differs between two images of one record (D-02)."""
    names = after if before.keys() == after.keys() else before.keys() | after.keys()
    changed = []
    for name in names:
        was, now = before.get(name), after.get(name)
        if was is not now and not same(was, now) and not name.startswith(TRAIL):
            changed.append(name)
    return frozenset(changed)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
