"""Vtiger's record operations: create, retrieve, update, revise, delete; one record per call."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from sandbox.store import Actor, Row, Store, mark
from sandbox.vtiger.entity import Entity
from sandbox.vtiger.errors import BrokenDownError, RefusedError, bad_id, denied, no_value
from sandbox.vtiger.rights import Rights
from sandbox.vtiger.tables import Table
from sandbox.vtiger.values import split_id
from schemas.codec import CodecError, from_json
from schemas.values import Value, is_empty


class Records(NamedTuple):
    """The records of one installation, as one user sees them."""

    store: Store
    entities: Mapping[str, Entity]
    tables: Mapping[str, Table]
    actor: Actor
    rights: Rights

    def create(self, element_type: str, element: str | None) -> dict[str, Any]:
        """Add a record; all mandatory fields must have a value."""
        if element_type not in self.entities:
            self.rights.enter(element_type)
            raise bad_id() if element_type == "Users" else denied()
        self.rights.enter(element_type)
        entity, given = self.entities[element_type], element_of(element)
        _require(entity, given, entity.fields)
        return entity.render(self.add(entity, given))

    def add(self, entity: Entity, given: Mapping[str, Any]) -> Row:
        """The new record of an element whose mandatory fields are known to be there."""
        fields = {**_accepted(entity, given), **entity.numbered()}
        if entity.name == "ModComments" and "creator" in entity.fields:
            fields["creator"] = self.actor.user
        with self.store.lock:
            _refuse_duplicates(entity, fields, but="")
            row = self.store.insert(self._place(entity, fields), fields, self.actor)
            self._touch_commented(entity, fields)
        # What was made under a foreign prefix is answered with the asked one, and found by its own alone.
        return replace(row, id=f"{entity.number}x{row.id.partition('x')[2]}")

    def retrieve(self, record_id: str) -> dict[str, Any]:
        """A record, or a user or group."""
        table = next((one for one in self.tables.values() if record_id.startswith(f"{one.number}x")), None)
        if table is not None:
            self.rights.enter(table.name)
            return _find(table, record_id)
        entity, row = self.row(record_id)
        retired = self.rights.options.get("inactive", "").split()
        by = {"modifiedby": None} if row.modified_by in retired and "modifiedby" in entity.fields else {}
        return {**entity.render(row), **by}

    def update(self, element: str | None) -> dict[str, Any]:
        """Overlay fields; all mandatory fields must be given, an empty reference is dropped."""
        given = element_of(element)
        entity, row = self.row(str(given.get("id", "")), missing=bad_id())
        _require(entity, given, entity.fields)
        kept = {name: raw for name, raw in given.items() if raw or not _is_reference(entity, name)}
        return self._overlay(entity, row, kept)

    def revise(self, element: str | None) -> dict[str, Any]:
        """Overlay fields; a mandatory field must have a value only where it is given."""
        given = element_of(element)
        entity, row = self.row(str(given.get("id", "")), missing=bad_id())
        _require(entity, given, given)
        return self._overlay(entity, row, given)

    def delete(self, record_id: str) -> dict[str, Any]:
        """Move a record to the recycle bin; an account takes its deals along, and no change feed tells of those.

        A user becomes inactive; whoever calls may do that to himself.
        """
        if record_id.startswith("19x"):
            return self._retire(record_id)
        entity, row = self.row(record_id)
        with self.store.lock:
            gone = self.store.delete(entity.name, row.id, self.actor)
            for other in self._referring(row, "Potentials", "related_to") if entity.name == "Accounts" else ():
                self.store.quietly(replace(other, deleted_at=gone.deleted_at), "delete", self.actor)
            for other in self._referring(row, "Contacts", "account_id") if entity.name == "Accounts" else ():
                fields = {**other.fields, "account_id": None}
                self.store.quietly(replace(other, fields=fields), "update", self.actor)
        return {"status": "successful"}

    def _retire(self, user_id: str) -> dict[str, Any]:
        self.rights.enter("Users")
        self.rights.options["inactive"] = f"{self.rights.options.get('inactive', '')} {user_id}"
        return {"status": "successful"}

    def row(self, record_id: str, missing: RefusedError | None = None) -> tuple[Entity, Row]:
        """The live record of an id, of which only the part up to a second ``x`` counts."""
        prefix, cross, rest = record_id.strip().partition("x")
        if missing is not None and not record_id:
            raise missing
        entity = next((one for one in self.entities.values() if str(one.number) == prefix), None)
        if entity is None:
            raise denied("id")
        if not cross:
            raise denied()
        self.rights.enter(entity.name)
        number, record = split_id(f"{prefix}x{rest.partition('x')[0]}")
        if self._of_another_module(number, record):
            raise bad_id()
        row = self.store.row(entity.name, f"{number}x{record}")
        if row is None:
            raise denied()
        self.rights.read(row)
        return entity, row

    def _overlay(self, entity: Entity, row: Row, given: Mapping[str, Any]) -> dict[str, Any]:
        fields = _accepted(entity, given)
        with self.store.lock:
            _refuse_duplicates(entity, {**row.fields, **fields}, but=row.id)
            return entity.render(self.store.update(entity.name, row.id, fields, self.actor))

    def _place(self, entity: Entity, fields: Mapping[str, Value]) -> str:
        """Tasks and events share a table: whatever is no task is an event, however it was made."""
        if entity.name == "Calendar" and "Events" in self.entities and fields.get("activitytype") != "Task":
            return "Events"
        return entity.name

    def _touch_commented(self, entity: Entity, fields: Mapping[str, Value]) -> None:
        about = str(fields.get("related_to") or "") if entity.name == "ModComments" else ""
        of = next((one for one in self.entities.values() if about.startswith(f"{one.number}x")), None)
        if of is not None:
            self.store.update(of.name, about, {}, self.actor)

    def _referring(self, row: Row, tab: str, field: str) -> list[Row]:
        return self.store.holders(tab, field, row.id) if tab in self.entities else []

    def _of_another_module(self, number: int, record: int) -> bool:
        others = (one for one in self.entities.values() if one.number != number)
        return any(self.store.row(one.name, f"{one.number}x{record}") is not None for one in others)


def element_of(text: str | None) -> dict[str, Any]:
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
