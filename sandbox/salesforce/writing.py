"""Salesforce's writes: single rows, upserts by external id, and collections of up to 200 rows."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sandbox.salesforce.errors import RefusedError, not_found
from sandbox.salesforce.ids import full_id
from sandbox.salesforce.sobject import SObject
from sandbox.store import Actor, Row
from schemas.values import Value, is_empty

BATCH = 200
"""The most rows of one collection (fact sheet 2.3)."""
CHUNKS = 10
"""The most runs of rows of one type in a collection."""

_OF_THE_BODY = frozenset({"INVALID_FIELD", "JSON_PARSER_ERROR"})
"""What is wrong with the body as a whole: nothing of it is written."""

Result = dict[str, Any]

ROLLED_BACK = "Record rolled back because not all records were valid and the request was using AllOrNone header"


class Write(NamedTuple):
    """Writes by one actor on the objects of one organisation."""

    sobjects: Mapping[str, SObject]
    actor: Actor
    locked: Collection[str] = ()
    """Ids of records that an approval has locked."""
    matching: Mapping[str, str] = {}
    """Duplicate rules: by object the field in which two records may not be alike."""

    def insert(self, sobject: SObject, body: Mapping[str, Any]) -> Row:
        """Add a record."""
        fields = _accepted(sobject, body)
        _require_mandatory(sobject, fields)
        with sobject.store.lock:
            _refuse_duplicates(sobject, fields, but="")
            _refuse_alike(sobject, fields, self.matching.get(sobject.name, ""))
            return sobject.store.insert(sobject.name, {"OwnerId": self.actor.user, **fields}, self.actor)

    def update(self, sobject: SObject, record_id: object, body: Mapping[str, Any]) -> Row:
        """Overlay fields on a record."""
        with sobject.store.lock:
            stored = self._open(sobject, record_id)
            fields = _accepted(sobject, body)
            _require_mandatory(sobject, {**stored.fields, **fields})
            _refuse_duplicates(sobject, fields, but=stored.id)
            return sobject.store.update(sobject.name, stored.id, fields, self.actor)

    def delete(self, sobject: SObject, record_id: object) -> Row:
        """Move a record to the recycle bin."""
        with sobject.store.lock:
            stored = self._open(sobject, record_id)
            return sobject.store.delete(sobject.name, stored.id, self.actor)

    def upsert(self, sobject: SObject, field: str, value: Value, body: Mapping[str, Any]) -> tuple[Row, bool]:
        """Update the record with that external id, else add it; the second value says that it was added."""
        with sobject.store.lock:
            stored = by_external_id(sobject, field, value)
            if stored is not None:
                return self.update(sobject, stored.id, body), False
            return self.insert(sobject, {**body, field: value}), True

    def collection(self, rows: Sequence[Any], write: Callable[[Any], Result], options: "Options") -> list[Result]:
        """Every row's result in order; with ``all_or_none`` one failure undoes the others."""
        if len(rows) > BATCH:
            message = f"record limit reached. cannot submit more than {BATCH} records in this call"
            raise RefusedError(400, "LIMIT_EXCEEDED", message)
        if _chunks(rows) > CHUNKS:
            message = f"Cannot have more than {CHUNKS} chunks in a single operation. Please rearrange the data."
            raise RefusedError(400, "LIMIT_EXCEEDED", message)
        store = next(iter(self.sobjects.values())).store
        with store.lock:
            start = len(store.ledger())
            try:
                results = [_one(index, row, write, options.fail_row) for index, row in enumerate(rows)]
            except RefusedError:
                store.rollback(start)
                raise
            if options.all_or_none and any(not result["success"] for result in results):
                store.rollback(start)
                results = [_rolled_back(result) for result in results]
        return results

    def insert_row(self, row: Any) -> Result:
        """One row of ``POST /composite/sobjects``."""
        created = self.insert(self._sobject_of(row), _without(row, "id"))
        return {"id": created.id, "success": True, "errors": []}

    def update_row(self, row: Any) -> Result:
        """One row of ``PATCH /composite/sobjects``."""
        sobject = self._sobject_of(row)
        record_id = row.get("id") or row.get("Id")
        if record_id is None:
            raise RefusedError(400, "MISSING_ARGUMENT", "Id not specified in an update call")
        changed = self.update(sobject, record_id, _without(row, "id"))
        return {"id": changed.id, "success": True, "errors": []}

    def upsert_row(self, field: str) -> Callable[[Any], Result]:
        """One row of ``PATCH /composite/sobjects/{Obj}/{ExtField}``."""

        def write(row: Any) -> Result:
            sobject = self._sobject_of(row)
            value = row.get(field)
            if is_empty(value):
                raise RefusedError(400, "MISSING_ARGUMENT", f"{field} not specified", (field,))
            stored, created = self.upsert(sobject, field, value, _without(row, field))
            return {"id": stored.id, "success": True, "errors": [], "created": created}

        return write

    def delete_row(self, record_id: Any) -> Result:
        """One id of ``DELETE /composite/sobjects``."""
        sobject = next((one for one in self.sobjects.values() if str(record_id).startswith(one.prefix)), None)
        if sobject is None:
            raise RefusedError(400, "MALFORMED_ID", f"malformed id {record_id}")
        return {"id": self.delete(sobject, record_id).id, "success": True, "errors": []}

    def _open(self, sobject: SObject, record_id: object) -> Row:
        """A live record that may be written: a converted lead or a record in approval may not."""
        row = live_row(sobject, record_id)
        if row.id in self.locked:
            raise RefusedError(400, "ENTITY_IS_LOCKED", "the entity is locked for editing")
        if sobject.name == "Lead" and row.fields.get("IsConverted"):
            raise RefusedError(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        return row

    def _sobject_of(self, row: Any) -> SObject:
        if not isinstance(row, Mapping) or not isinstance(row.get("attributes"), Mapping):
            raise RefusedError(400, "INVALID_INPUT", "the attributes of a record must name its type")
        sobject = self.sobjects.get(str(row["attributes"].get("type")))
        if sobject is None:
            raise RefusedError(400, "INVALID_TYPE", "sObject type is not supported")
        return sobject


class Options(NamedTuple):
    """How a collection is written."""

    all_or_none: bool = False
    fail_row: int | None = None
    """The row that an injected fault lets fail."""


def live_row(sobject: SObject, record_id: object) -> Row:
    """The record of an id.

    Raises:
        RefusedError: MALFORMED_ID, ENTITY_IS_DELETED or NOT_FOUND.
    """
    name = full_id(record_id)
    if name is None:
        raise RefusedError(400, "MALFORMED_ID", "malformed id", ("Id",))
    row = sobject.store.any_row(sobject.name, name)
    if row is None:
        raise not_found()
    if not row.live:
        raise RefusedError(404, "ENTITY_IS_DELETED", "entity is deleted")
    return row


def by_external_id(sobject: SObject, field: str, value: Value) -> Row | None:
    """The live record that holds a value in an external id field.

    Raises:
        RefusedError: the field is not an external id.
    """
    if not sobject.field(field).unique:
        raise RefusedError(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: " + field)
    return sobject.store.holder(sobject.name, sobject.field(field).name, value)


def _one(index: int, row: Any, write: Callable[[Any], Result], fail_row: int | None) -> Result:
    try:
        if index == fail_row:
            message = "unable to obtain exclusive access to this record or 1 records"
            raise RefusedError(400, "UNABLE_TO_LOCK_ROW", message)
        return write(row)
    except RefusedError as refused:
        if refused.code in _OF_THE_BODY:
            raise
        return refused.row()


def _rolled_back(result: Result) -> Result:
    return RefusedError(400, "ALL_OR_NONE_OPERATION_ROLLED_BACK", ROLLED_BACK).row() if result["success"] else result


def _accepted(sobject: SObject, body: Mapping[str, Any]) -> dict[str, Value]:
    return dict(sobject.accept(name, raw) for name, raw in body.items() if name != "attributes")


def _require_mandatory(sobject: SObject, fields: Mapping[str, Value]) -> None:
    missing = [
        field.name for field in sobject.tab.fields.values() if field.mandatory and is_empty(fields.get(field.name))
    ]
    if missing:
        message = f"Required fields are missing: [{', '.join(missing)}]"
        raise RefusedError(400, "REQUIRED_FIELD_MISSING", message, tuple(missing))


def _refuse_duplicates(sobject: SObject, fields: Mapping[str, Value], but: str) -> None:
    for name in sobject.unique_fields:
        other = sobject.store.holder(sobject.name, name, fields.get(name))
        if other is not None and other.id != but:
            message = f"duplicate value found: {name} duplicates value on record with id: {other.id}"
            raise RefusedError(400, "DUPLICATE_VALUE", message, (name,))


def _refuse_alike(sobject: SObject, fields: Mapping[str, Value], name: str) -> None:
    if name and sobject.store.holder(sobject.name, name, fields.get(name)) is not None:
        raise RefusedError(400, "DUPLICATES_DETECTED", "Use one of these records?")


def _chunks(rows: Sequence[Any]) -> int:
    """The runs of rows of one type; the type of a row to delete is in its id."""
    kinds = [_kind(row) for row in rows]
    return sum(1 for before, kind in zip([None, *kinds], kinds, strict=False) if kind != before)


def _kind(row: Any) -> str:
    attributes = row.get("attributes") if isinstance(row, Mapping) else None
    return str(attributes.get("type")) if isinstance(attributes, Mapping) else str(row)[:3]


def _without(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key.lower() != name.lower() and key != "attributes"}
