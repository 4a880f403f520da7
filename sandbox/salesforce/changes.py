"""Change events of the emulator: made from the ledger of effects, in Avro, kept for 72 hours (sheet 3.1, 3.2)."""

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeAlias

import fastavro

from sandbox.salesforce.sobject import SObject
from sandbox.store import Effect, Row, Store
from schemas.metadata import Field
from schemas.values import HOUR, Value, is_empty, parse_date, parse_instant

RETENTION = 72 * HOUR
WILDCARD, NOBODY = "{prefix}*", "000000000000000AAA"
HEADER = "ChangeEventHeader"

Spoil: TypeAlias = Literal["gap", "wildcard", "overflow", "lose", "twice"]

_NAME_PARTS = ("Salutation", "FirstName", "LastName")
_TYPES = {"number": "double", "boolean": "boolean", "datetime": "long", "date": "long"}
_STRINGS = {"type": "array", "items": "string"}
_KINDS = ("CREATE", "UPDATE", "DELETE", "UNDELETE", "GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE",
          "GAP_OVERFLOW", "SNAPSHOT")  # fmt: skip
_OPERATIONS = {"insert": "CREATE", "update": "UPDATE", "delete": "DELETE", "restore": "UNDELETE"}
_TIMES = ("LastModifiedDate", "LastModifiedById")


class Told(NamedTuple):
    """One event as a subscriber gets it; ``replay`` rises, not by ones."""

    replay: int
    id: str
    at: int
    tab: str
    schema_id: str
    payload: bytes


@dataclass(slots=True)
class Planned:
    """What shall go wrong with the next events of an object: ``times`` of them, after ``skip``."""

    do: Spoil
    tab: str
    times: int = 1
    skip: int = 0


class Shape:
    """The Avro schema of one object's change events; the parts of a person's name are a record of their own."""

    def __init__(self, sobject: SObject) -> None:
        self.sobject = sobject
        known = [name for name in sobject.fields if name not in ("Id", "IsDeleted", "SystemModstamp")]
        told = [name for name in known if sobject.fields[name].writable or name in _SYSTEM]
        compound = "LastName" in told and "Name" not in told
        self.parts = tuple(name for name in _NAME_PARTS if name in told) if compound else ()
        self.names = (HEADER, *(("Name",) if compound else ()), *(name for name in told if name not in self.parts))

    @cached_property
    def text(self) -> str:
        """The schema as JSON."""
        fields = [{"name": name, "type": self._type(name)} for name in self.names]
        name = event_name(self.sobject.name)
        return json.dumps({"type": "record", "name": name, "namespace": "com.sforce.eventbus", "fields": fields})

    @cached_property
    def id(self) -> str:
        """The schema's id: its fingerprint."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:22]

    def encode(self, header: Mapping[str, Any], image: Mapping[str, Value]) -> bytes:
        """An event in Avro; what the image does not have is null."""
        told = {name: self._value(name, image.get(name)) for name in self.names[1:]}
        if self.parts:
            name = {part: image.get(part) for part in self.parts}
            told["Name"] = name if any(name.values()) else None
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, self._parsed, {HEADER: header, **told})
        return buffer.getvalue()

    def bitmaps(self, names: Sequence[str]) -> list[str]:
        """Field names as hexadecimal bitmaps; those of parts are prefixed with the number of their record."""
        top = _hex(self.names.index(name) for name in names if name in self.names)
        inner = _hex(self.parts.index(name) for name in names if name in self.parts)
        outer = self.names.index("Name") if self.parts else 0
        return [*([top] if top else []), *([f"{outer}-{inner}"] if inner else [])]

    @cached_property
    def _parsed(self) -> Any:
        return fastavro.parse_schema(json.loads(self.text))

    def _type(self, name: str) -> Any:
        if name == HEADER:
            return _HEADER
        if name == "Name" and self.parts:
            parts = [{"name": part, "type": ["null", "string"]} for part in self.parts]
            return ["null", {"type": "record", "name": "PersonName", "fields": parts}]
        return ["null", _TYPES.get(self.sobject.fields[name].type, "string")]

    def _value(self, name: str, value: Value) -> Any:
        if is_empty(value) or (name == "Name" and self.parts):
            return None
        return _written(self.sobject.fields[name], value)


_SYSTEM = ("OwnerId", "CreatedDate", "CreatedById", *_TIMES)


def _written(field: Field, value: Value) -> Any:
    if field.type == "datetime":
        return parse_instant(str(value))
    if field.type == "date":
        return parse_instant(f"{parse_date(str(value)).isoformat()}T00:00:00Z")
    if field.type == "number":
        return float(str(value))
    if field.type == "boolean":
        return bool(value)
    return ";".join(str(item) for item in value) if isinstance(value, list) else str(value)


def event_name(tab: str) -> str:
    """``Lead`` as ``LeadChangeEvent``, ``My__c`` as ``My__ChangeEvent``."""
    return re.sub(r"__c$", "__", tab) + "ChangeEvent"


def _hex(places: Iterator[int]) -> str:
    bits = sum(1 << place for place in places)
    return f"0x{bits:02x}" if bits else ""


_HEADER = {
    "type": "record", "name": HEADER,
    "fields": [
        {"name": "entityName", "type": "string"}, {"name": "recordIds", "type": _STRINGS},
        {"name": "changeType", "type": {"type": "enum", "name": "ChangeType", "symbols": list(_KINDS)}},
        {"name": "changeOrigin", "type": "string"}, {"name": "transactionKey", "type": "string"},
        {"name": "sequenceNumber", "type": "int"}, {"name": "commitTimestamp", "type": "long"},
        {"name": "commitNumber", "type": "long"}, {"name": "commitUser", "type": "string"},
        {"name": "nulledFields", "type": _STRINGS}, {"name": "diffFields", "type": _STRINGS},
        {"name": "changedFields", "type": _STRINGS},
    ],
}  # fmt: skip


class ChangeLog:
    """The change events of one organisation, in order; hold the store's lock to read several things at once."""

    def __init__(self, store: Store, sobjects: Mapping[str, SObject]) -> None:
        self.shapes = {name: Shape(sobject) for name, sobject in sobjects.items()}
        self._store = store
        self._events: list[Told] = []
        self._planned: list[Planned] = []
        self._read = 0
        self._replay = 1_000
        self._given = {self._replay: store.clock.now()}
        """Replay ids that a subscriber may come back with, and when they were given out."""

    def plan(self, planned: Planned) -> None:
        """Let something go wrong with coming events."""
        self._planned.append(planned)

    def latest(self) -> int:
        """The replay id of the present moment, valid for 72 hours."""
        with self._store.lock:
            self._refresh()
            self._given[self._replay] = self._store.clock.now()
            return self._replay

    def earliest(self) -> int:
        """The replay id before the oldest event that is kept."""
        with self._store.lock:
            self._refresh()
            return self._events[0].replay - 1 if self._events else self._replay

    def is_valid(self, replay: int) -> bool:
        """Whether events after this replay id can still be told: it was given out within 72 hours."""
        with self._store.lock:
            self._refresh()
            given = self._given.get(replay)
            return given is not None and given + RETENTION > self._store.clock.now()

    def after(self, replay: int, tab: str, most: int) -> list[Told]:
        """Events of an object after a replay id; no object means of all."""
        with self._store.lock:
            self._refresh()
            return [event for event in self._events if event.replay > replay and tab in ("", event.tab)][:most]

    def _refresh(self) -> None:
        """Make events of what happened since the last look, and forget what is older than 72 hours."""
        ledger = self._store.ledger()
        fresh, self._read = ledger[min(self._read, len(ledger)) :], len(ledger)
        for (transaction, _), effects in groupby(fresh, lambda one: (one.actor.transaction or one.sequence, one.tab)):
            for number, group in enumerate(_alike(list(effects)), 1):
                self._tell(group, str(transaction), number)
        start = self._store.clock.now() - RETENTION
        self._events = [event for event in self._events if event.at > start]

    def _tell(self, effects: Sequence[Effect], transaction: str, number: int) -> None:
        first = effects[-1]
        kind, spoil = _OPERATIONS[first.operation], self._spoil(first.tab)
        if first.tab not in self.shapes or spoil == "lose":
            return
        header = {
            "entityName": first.tab, "recordIds": [effect.record_id for effect in effects], "changeType": kind,
            "changeOrigin": first.actor.origin, "transactionKey": transaction, "sequenceNumber": number,
            "commitTimestamp": first.at, "commitNumber": 10_000_000 + first.sequence, "commitUser": first.actor.user,
            "nulledFields": [], "diffFields": [], "changedFields": [],
        }  # fmt: skip
        if spoil in ("gap", "wildcard", "overflow"):
            self._append(first, {**header, **self._gap(spoil, kind, first.tab)}, {})
            return
        told, image = self._image(first)
        event = self._append(first, {**header, **told}, image)
        if spoil == "twice":
            self._events.append(event._replace(replay=self._next_replay(event.at)))

    def _gap(self, spoil: str, kind: str, tab: str) -> dict[str, Any]:
        if spoil == "overflow":
            return {"changeType": "GAP_OVERFLOW", "recordIds": [NOBODY]}
        wild = {"recordIds": [WILDCARD.format(prefix=self.shapes[tab].sobject.prefix)]} if spoil == "wildcard" else {}
        return {"changeType": f"GAP_{kind}", **wild}

    def _image(self, effect: Effect) -> tuple[dict[str, Any], Mapping[str, Value]]:
        """What the header says of fields, and the fields told: all of a new record, the changed ones of another."""
        shape = self.shapes[effect.tab]
        after = _after(effect)
        if after is None:
            return {}, {}
        image = shape.sobject.image(after)
        if effect.operation != "update" or effect.before is None:
            return {}, image
        before = shape.sobject.image(effect.before)
        changed = [name for name in image if image[name] != before.get(name) or name == "LastModifiedDate"]
        nulled = [name for name in changed if is_empty(image[name])]
        bitmaps = {"changedFields": shape.bitmaps(changed), "nulledFields": shape.bitmaps(nulled)}
        return bitmaps, {name: image[name] for name in changed}

    def _append(self, effect: Effect, header: Mapping[str, Any], image: Mapping[str, Value]) -> Told:
        shape, replay = self.shapes[effect.tab], self._next_replay(effect.at)
        payload = shape.encode(header, image)
        event = Told(replay, f"{header['transactionKey']}-{replay}", effect.at, effect.tab, shape.id, payload)
        self._events.append(event)
        return event

    def _next_replay(self, at: int) -> int:
        self._replay += 1 + self._replay % 3
        self._given[self._replay] = at
        return self._replay

    def _spoil(self, tab: str) -> Spoil | None:
        for planned in self._planned:
            if planned.tab == tab and planned.skip + planned.times > 0:
                if planned.skip:
                    planned.skip -= 1
                    return None
                planned.times -= 1
                return planned.do
        return None


def _after(effect: Effect) -> Row | None:
    """The record as the effect left it; none where it is deleted."""
    at, user, before = effect.at, effect.actor.user, effect.before
    if effect.operation == "delete":
        return None
    if before is None:
        return Row(effect.tab, effect.record_id, effect.fields, at, at, user, user)
    merged = {**before.fields, **effect.fields}
    return replace(before, fields=merged, modified_at=at, modified_by=user, deleted_at=None)


def _alike(effects: Sequence[Effect]) -> Iterator[Sequence[Effect]]:
    """Edits and deletions of one transaction that say the same of several records are one event."""
    for _, group in groupby(effects, _sameness):
        yield list(group)


def _sameness(effect: Effect) -> tuple[str, str, int]:
    alone = effect.sequence if effect.operation in ("insert", "restore") else 0
    return effect.operation, repr(sorted(effect.fields.items())), alone
