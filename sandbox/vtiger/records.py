"""Vtiger's record operations: create, retrieve, update, revise, delete, sync; one record per call."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sandbox.store import Actor, Row, Store, mark
from sandbox.vtiger.entity import Entity, split_id
from sandbox.vtiger.errors import BrokenDownError, RefusedError, bad_id, denied, no_value
from sandbox.vtiger.tables import Table
from schemas.codec import CodecError, from_json
from schemas.values import Value, is_empty

SYNC_PAGE = 100


class Records(NamedTuple):
    """The records of one installation, as one user sees them."""

    store: Store
    entities: Mapping[str, Entity]
    tables: Mapping[str, Table]
    actor: Actor

    def create(self, element_type: str, element: str | None) -> dict[str, Any]:
        """Add a record; all mandatory fields must have a value."""
        if element_type not in self.entities:
            raise denied()
        entity, given = self.entities[element_type], _element(element)
        _require(entity, given, entity.fields)
        fields = _accepted(entity, given)
        with self.store.lock:
            _refuse_duplicates(entity, fields, but="")
            return entity.render(self.store.insert(entity.name, fields, self.actor))

    def retrieve(self, record_id: str) -> dict[str, Any]:
        """A record, or a user or group."""
        table = next((one for one in self.tables.values() if record_id.startswith(f"{one.number}x")), None)
        if table is not None:
            return _find(table, record_id)
        entity, row = self._row(record_id)
        return entity.render(row)

    def update(self, element: str | None) -> dict[str, Any]:
        """Overlay fields; all mandatory fields must be given, an empty reference is dropped."""
        given = _element(element)
        entity, row = self._row(str(given.get("id", "")), missing=bad_id())
        _require(entity, given, entity.fields)
        kept = {name: raw for name, raw in given.items() if raw or not _is_reference(entity, name)}
        return self._overlay(entity, row, kept)

    def revise(self, element: str | None) -> dict[str, Any]:
        """Overlay fields; a mandatory field must have a value only where it is given."""
        given = _element(element)
        entity, row = self._row(str(given.get("id", "")), missing=bad_id())
        _require(entity, given, given)
        return self._overlay(entity, row, given)

    def delete(self, record_id: str) -> dict[str, Any]:
        """Move a record to the recycle bin."""
        entity, row = self._row(record_id)
        self.store.delete(entity.name, row.id, self.actor)
        return {"status": "successful"}

    def sync(self, modified_time: str, element_type: str, sync_type: str) -> dict[str, Any]:
        """Records changed after a second, up to the second of the hundredth, and ids of deleted ones."""
        since = _seconds(modified_time)
        if not element_type:
            raise BrokenDownError
        if element_type in self.tables:
            return {"updated": [], "deleted": [], "lastModifiedTime": modified_time, "more": False}
        if element_type not in self.entities:
            raise denied()
        entity = self.entities[element_type]
        changed = self.store.changed_since(element_type, since * 1000 + 999)
        changed = [row for row in changed if sync_type == "application" or self._mine(row)]
        bound = changed[min(len(changed), SYNC_PAGE) - 1].modified_at // 1000 if changed else since
        page = [row for row in changed if row.modified_at // 1000 <= bound]
        return {
            "updated": [entity.render(row) for row in page if row.live],
            "deleted": [row.id for row in page if not row.live],
            "more": len(page) < len(changed),
            "lastModifiedTime": bound,
        }

    def _overlay(self, entity: Entity, row: Row, given: Mapping[str, Any]) -> dict[str, Any]:
        fields = _accepted(entity, given)
        with self.store.lock:
            _refuse_duplicates(entity, {**row.fields, **fields}, but=row.id)
            return entity.render(self.store.update(entity.name, row.id, fields, self.actor))

    def _row(self, record_id: str, missing: RefusedError | None = None) -> tuple[Entity, Row]:
        """The live record of an id, of which only the part up to a second ``x`` counts."""
        prefix, mark, rest = record_id.strip().partition("x")
        if missing is not None and not record_id:
            raise missing
        entity = next((one for one in self.entities.values() if str(one.number) == prefix), None)
        if entity is None:
            raise denied("id")
        if not mark:
            raise denied()
        number, record = split_id(f"{prefix}x{rest.partition('x')[0]}")
        if self._of_another_module(number, record):
            raise bad_id()
        row = self.store.row(entity.name, f"{number}x{record}")
        if row is None:
            raise denied()
        return entity, row

    def _of_another_module(self, number: int, record: int) -> bool:
        others = (one for one in self.entities.values() if one.number != number)
        return any(self.store.row(one.name, f"{one.number}x{record}") is not None for one in others)

    def _mine(self, row: Row) -> bool:
        return row.fields.get("assigned_user_id") == self.actor.user


def _element(text: str | None) -> dict[str, Any]:
    """The fields in a call's ``element``; what is not an object breaks Vtiger down in one way or another."""
    if text is None:
        raise BrokenDownError
    try:
        element = from_json(text)
    except CodecError:
        raise RefusedError("INTERNAL_SERVER_ERROR", "Unknown Error while processing request") from None
    if isinstance(element, list):
        return {}
    if not isinstance(element, dict):
        raise BrokenDownError
    return element


def _require(entity: Entity, given: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        field = entity.fields.get(name)
        if field is not None and field.mandatory and given.get(name) in (None, ""):
            raise no_value(name)


def _accepted(entity: Entity, given: Mapping[str, Any]) -> dict[str, Value]:
    """The writable fields in our values; names that the module does not know are ignored."""
    known = {name: raw for name, raw in given.items() if name in entity.fields and entity.fields[name].writable}
    fields = {name: entity.accept(name, raw) for name, raw in known.items()}
    source = given.get("source")
    return {**fields, "source": str(source).upper()} if source else fields


def _is_reference(entity: Entity, name: str) -> bool:
    return name in entity.fields and entity.fields[name].type == "lookup"


def _refuse_duplicates(entity: Entity, fields: Mapping[str, Value], but: str) -> None:
    """A module has one rule over all its unique fields together, empty ones included (read in its sources)."""
    unique = [field.name for field in entity.tab.fields.values() if field.unique]
    given = next((name for name in unique if not is_empty(fields.get(name))), None)
    if given is None:
        return
    for other in entity.store.holders(entity.name, given, fields[given]):
        if other.id != but and all(_agree(other.fields.get(name), fields.get(name)) for name in unique):
            raise RefusedError(0, "Duplicate(s) detected!")


def _agree(left: Value, right: Value) -> bool:
    return mark(left) == mark(right) if not (is_empty(left) or is_empty(right)) else is_empty(left) and is_empty(right)


def _find(table: Table, record_id: str) -> dict[str, Any]:
    image = next((image for image in table.images() if image["id"] == record_id), None)
    if image is None:
        raise denied()
    return {name: table.render_value(name, image.get(name)) for name in table.fields}


def _seconds(text: str) -> int:
    """The asked second; zero, nothing and what is no number break Vtiger down."""
    try:
        seconds = int(float(text))
    except ValueError:
        raise BrokenDownError from None
    if not seconds:
        raise BrokenDownError
    return seconds
