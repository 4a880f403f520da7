"""Change events as Salesforce tells them: Avro by a schema, field names as bitmaps, parts of compound fields.

Pure. Facts: the vendor's Change Data Capture guide (header, gap events, bitmaps) and Pub/Sub API guide.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple, cast, get_args

import fastavro

from connectors.salesforce.values import SYSTEM, image
from schemas.metadata import FieldType
from schemas.values import DAY, Image, format_instant

Kind = Literal[
    "CREATE", "UPDATE", "DELETE", "UNDELETE", "GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE", "GAP_OVERFLOW",
]  # fmt: skip
HEADER = "ChangeEventHeader"
_KINDS = frozenset(get_args(Kind))
_CLIENT = re.compile(r";client=([^;/]*)")
_BITMAP = re.compile(r"(?:(\d{1,4})-)?0x([0-9A-Fa-f]{1,4096})")


class Unreadable(ValueError):  # noqa: N818
    """An event that cannot be read: nobody knows which record changed."""


class Change(NamedTuple):
    """One event: what happened to which records, when, by whom, and the fields that it tells, in our values.

    ``unclear`` names fields that changed and whose value is not told (large texts come as differences); ``tells``
    holds every field that events of this schema can tell.
    """

    kind: Kind
    records: tuple[str, ...]
    at: int
    user: str
    client: str
    """Who the writer said it was (``Sforce-Call-Options``); empty where nobody said."""
    changed: tuple[str, ...]
    fields: Image
    unclear: tuple[str, ...]
    tells: frozenset[str]


class EventSchema:
    """The schema of one object's events; ``text`` is as the service tells it. Raises Unreadable."""

    def __init__(self, text: str) -> None:
        try:
            described = json.loads(text)
            self._parsed = fastavro.parse_schema(described)
            self._fields = [(str(field["name"]), _record_of(field["type"])) for field in described["fields"]]
        except Exception as error:
            raise Unreadable(f"a schema that cannot be read ({type(error).__name__})") from None

    @cached_property
    def names(self) -> frozenset[str]:
        """Every field that these events can tell, the parts of compound ones under their own names."""
        return frozenset(name for place in range(1, len(self._fields)) for name in self._named(place, None))

    def read(self, payload: bytes, types: Mapping[str, FieldType]) -> Change:
        """The event. Raises Unreadable."""
        try:
            told = fastavro.schemaless_reader(io.BytesIO(payload), self._parsed, None)
            return self._change(cast(dict[str, Any], told), types)
        except Unreadable:
            raise
        except Exception as error:  # an Avro reader over foreign bytes may raise anything
            raise Unreadable(f"an event that cannot be read ({type(error).__name__})") from None

    def _change(self, told: Mapping[str, Any], types: Mapping[str, FieldType]) -> Change:
        header = told[HEADER]
        kind, records = header["changeType"], tuple(header["recordIds"])
        if kind not in _KINDS or not records:
            raise Unreadable(f"an event of the unknown kind {str(kind)[:20]!r}, or of no record")
        changed = self._listed(header.get("changedFields") or ())
        known, types = dict(self._flat(told)), {**SYSTEM, **types}
        differing = (name for name, value in known.items() if isinstance(value, dict | list))
        unclear = tuple(dict.fromkeys([*self._listed(header.get("diffFields") or ()), *differing]))
        wanted = changed if kind == "UPDATE" else tuple(name for name, value in known.items() if value is not None)
        raw = {name: _plain(known.get(name), types.get(name)) for name in wanted if name not in unclear}
        client = _CLIENT.search(header.get("changeOrigin") or "")
        return Change(
            kind=kind, records=records, at=int(header["commitTimestamp"]), user=header.get("commitUser") or "",
            client=client[1] if client else "", changed=changed, fields=_without_id(image(raw, types)), unclear=unclear,
            tells=self.names,
        )  # fmt: skip

    def _listed(self, bitmaps: Sequence[str]) -> tuple[str, ...]:
        """The names that bitmaps stand for: ``0x06`` the fields 1 and 2, ``3-0x01`` the first part of field 3."""
        return tuple(dict.fromkeys(name for bitmap in bitmaps for name in self._of_bitmap(bitmap)))

    def _of_bitmap(self, bitmap: str) -> Iterator[str]:
        found = _BITMAP.fullmatch(bitmap)
        if found is None:
            raise Unreadable("a bitmap of another form")
        bits = int(found[2], 16)
        for place in (place for place in range(bits.bit_length()) if bits >> place & 1):
            outer, inner = (place, None) if found[1] is None else (int(found[1]), place)
            if outer:
                yield from self._named(outer, inner)

    def _named(self, place: int, part: int | None) -> list[str]:
        """The field at a place; of a compound one its part, or all parts."""
        if place >= len(self._fields):
            raise Unreadable("a bitmap names a field that the schema does not have")
        name, parts = self._fields[place]
        if parts is None:
            return [name]
        if part is not None and part >= len(parts):
            raise Unreadable("a bitmap names a part that the schema does not have")
        return [_part_name(name, one) for one in (parts if part is None else [parts[part]])]

    def _flat(self, told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, parts in self._fields[1:]:
            value = told.get(name)
            if parts is None:
                yield name, value
            for part in parts or ():
                yield _part_name(name, part), value.get(part) if isinstance(value, dict) else None


def _record_of(kind: Any) -> list[str] | None:
    """The parts of a compound field; none of a plain one. A text that may come as a difference is a plain one."""
    choices = kind if isinstance(kind, list) else [kind]
    if "string" in choices:
        return None
    inner = next((one for one in choices if isinstance(one, dict) and one.get("type") == "record"), None)
    return None if inner is None else [str(field["name"]) for field in inner["fields"]]


def _part_name(compound: str, part: str) -> str:
    """``Name.LastName`` is LastName, ``MailingAddress.City`` MailingCity, ``Spot__c.Latitude`` Spot__Latitude__s."""
    if compound.endswith("__c"):
        return f"{compound[:-3]}__{part}__s"
    return part if compound == "Name" else compound.removesuffix("Address") + part


def _plain(value: Any, kind: FieldType | None) -> Any:
    """A value of Avro in the form in which REST answers it: times as text in whole seconds, numbers exact."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int) and not isinstance(value, bool) and kind in {"date", "datetime", None}:
        return _time(value, kind)
    return value


def _time(value: int, kind: FieldType | None) -> Any:
    # Instants are milliseconds. Days are counted or, in other versions, the milliseconds of midnight.
    if kind == "date":
        return format_instant(value if value % DAY == 0 else value * DAY)[:10]
    return format_instant(value // 1000 * 1000) if kind == "datetime" else value


def _without_id(read: Image) -> Image:
    return {name: value for name, value in read.items() if name != "id"}
