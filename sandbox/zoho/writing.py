"""Zoho's writes, row by row: insert, update, upsert, delete; each row has its own result."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sandbox.store import Actor, Row
from sandbox.zoho.errors import RefusedError, RowRefusedError, invalid_row
from sandbox.zoho.module import LOCKED, Module, as_id, is_id
from schemas.values import Value, is_empty

BATCH = 100
"""The most rows of one request (fact sheet 2.1)."""

Result = dict[str, Any]


class Write(NamedTuple):
    """One write request: who writes to which module, and under which conditions."""

    module: Module
    actor: Actor
    unmodified_since: int | None = None
    """Milliseconds: rows changed later are refused as ALREADY_MODIFIED."""
    fail_row: int | None = None
    """The row that an injected fault lets fail."""

    def insert(self, rows: Sequence[Any]) -> list[Result]:
        """Add every acceptable row."""
        return self._each(rows, self._insert)

    def update(self, rows: Sequence[Any]) -> list[Result]:
        """Overlay every acceptable row on the record that its id names."""
        return self._each(rows, self._update)

    def upsert(self, rows: Sequence[Any], check_fields: Sequence[str]) -> list[Result]:
        """Update the record that a row is found to be, else add it."""
        self._refuse_other_check_fields(check_fields)
        order = self._check_order(check_fields)
        return self._each(rows, lambda row, path: self._upsert(row, path, order))

    def delete(self, ids: Sequence[str]) -> list[Result]:
        """Move every existing record to the recycle bin."""
        return self._each(ids, self._delete)

    def _each(self, rows: Sequence[Any], write: Callable[[Any, str], Result]) -> list[Result]:
        with self.module.store.lock:
            return [self._one(index, row, write) for index, row in enumerate(rows)]

    def _one(self, index: int, row: Any, write: Callable[[Any, str], Result]) -> Result:
        try:
            if index == self.fail_row:
                raise RowRefusedError("INTERNAL_ERROR", "Internal Server Error", {})
            return write(row, f"$.data[{index}]")
        except RowRefusedError as refused:
            return refused.result

    def _insert(self, row: Any, path: str) -> Result:
        fields = self._accepted(row, path)
        self._require_mandatory(fields, path)
        self._refuse_duplicates(fields, path, but="")
        owned = {"Owner": self.actor.user, **fields}
        return self._success("record added", self.module.store.insert(self.module.name, owned, self.actor))

    def _update(self, row: Any, path: str) -> Result:
        record_id = as_id(row.get("id")) if isinstance(row, Mapping) else None
        if record_id is None:
            raise RowRefusedError(
                "MANDATORY_NOT_FOUND",
                "required field not found",
                {"api_name": "id", "json_path": f"{path}.id"},
            )
        stored = self.module.store.row(self.module.name, record_id) if is_id(record_id) else None
        if stored is None:
            raise invalid_row("id", f"{path}.id", "the id given seems to be invalid")
        return self._overlay(stored, row, path)

    def _overlay(self, stored: Row, row: Any, path: str) -> Result:
        self._refuse_modified(stored)
        self._refuse_locked(stored)
        fields = self._accepted(row, path)
        self._refuse_in_blueprint(stored, fields, path)
        self._require_mandatory({**stored.fields, **fields}, path)
        self._refuse_duplicates(fields, path, but=stored.id)
        changed = self.module.store.update(self.module.name, stored.id, fields, self.actor)
        return self._success("record updated", changed)

    def _upsert(self, row: Any, path: str, order: Sequence[str]) -> Result:
        fields = self._accepted(row, path)
        for name in order:
            stored = self.module.store.holder(self.module.name, name, fields.get(name))
            if stored is not None:
                return {**self._overlay(stored, row, path), "action": "update", "duplicate_field": name}
        return {**self._insert(row, path), "action": "insert", "duplicate_field": None}

    def _delete(self, record_id: Any, path: str) -> Result:
        if not is_id(record_id) or self.module.store.row(self.module.name, record_id) is None:
            raise RowRefusedError("INVALID_DATA", "the id given seems to be invalid", {"id": record_id})
        self.module.store.delete(self.module.name, record_id, self.actor)
        return {
            "code": "SUCCESS",
            "details": {"id": record_id},
            "message": "record deleted",
            "status": "success",
        }

    def _accepted(self, row: Any, path: str) -> dict[str, Value]:
        """The writable fields of a row in our values; names that the module does not know are ignored."""
        if not isinstance(row, Mapping):
            raise RowRefusedError(
                "INVALID_DATA", "invalid data", {"expected_data_type": "jsonobject", "json_path": path}
            )
        self._refuse_loose_link(row, path)
        known = (name for name in row if name in self.module.columns and self.module.columns[name].writable)
        return {name: self.module.accept(name, row[name], f"{path}.{name}") for name in known}

    def _refuse_loose_link(self, row: Mapping[str, Any], path: str) -> None:
        """``What_Id`` names a record of any module, so ``$se_module`` must say of which."""
        if "What_Id" not in self.module.columns or is_empty(row.get("What_Id")):
            return
        where = {"api_name": "$se_module", "json_path": f"{path}.$se_module"}
        if is_empty(row.get("$se_module")):
            raise RowRefusedError("MANDATORY_NOT_FOUND", "required field not found", where)
        if row["$se_module"] not in self.module.columns["What_Id"].refers_to:
            raise RowRefusedError("INVALID_DATA", "invalid data", where)

    def _require_mandatory(self, fields: Mapping[str, Value], path: str) -> None:
        for field in self.module.tab.fields.values():
            if field.mandatory and is_empty(fields.get(field.name)):
                details = {"api_name": field.name, "json_path": f"{path}.{field.name}"}
                raise RowRefusedError("MANDATORY_NOT_FOUND", "required field not found", details)

    def _refuse_duplicates(self, fields: Mapping[str, Value], path: str, but: str) -> None:
        for name in self.module.unique_fields:
            other = self.module.store.holder(self.module.name, name, fields.get(name))
            if other is not None and other.id != but:
                details = {"api_name": name, "json_path": f"{path}.{name}", "id": other.id}
                owner = self.module.user(str(other.fields.get("Owner") or other.created_by))
                duplicate = {"id": other.id, "Owner": owner, "module": {"api_name": self.module.name}}
                raise RowRefusedError("DUPLICATE_DATA", "duplicate data", {**details, "duplicate_record": duplicate})

    def _refuse_modified(self, stored: Row) -> None:
        if self.unmodified_since is not None and stored.modified_at // 1000 > self.unmodified_since // 1000:
            details = self._details(stored)
            raise RowRefusedError("ALREADY_MODIFIED", "the record has been modified already", details)

    def _refuse_locked(self, stored: Row) -> None:
        if stored.fields.get(LOCKED):
            raise RowRefusedError("RECORD_LOCKED", "The record is locked", {"id": stored.id})

    def _refuse_in_blueprint(self, stored: Row, fields: Mapping[str, Value], path: str) -> None:
        """The field of a blueprint moves by its transitions alone."""
        blueprint = self.module.blueprint
        name = "" if blueprint is None else blueprint.field
        if name in fields and fields[name] != stored.fields.get(name):
            details = {"api_name": name, "json_path": f"{path}.{name}"}
            raise RowRefusedError("RECORD_IN_BLUEPRINT", "The record is in blue print", details)

    def _refuse_other_check_fields(self, names: Sequence[str]) -> None:
        allowed = {self.module.duplicate_field, *self.module.unique_fields}
        for index, name in enumerate(names):
            if name not in allowed:
                details = {"api_name": name, "json_path": f"$.duplicate_check_fields[{index}]"}
                raise RefusedError(400, "INVALID_DATA", "invalid data", details)

    def _check_order(self, names: Sequence[str]) -> tuple[str, ...]:
        """Fields listed, in order, then the other unique ones; none listed: the system field first (2.4)."""
        first = tuple(names) or (self.module.duplicate_field,)
        return first + tuple(name for name in self.module.unique_fields if name not in first)

    def _success(self, message: str, row: Row) -> Result:
        details = {**self._details(row), "$approval_state": "approved"}
        return {"code": "SUCCESS", "details": details, "message": message, "status": "success"}

    def _brief(self, user_id: str) -> dict[str, str]:
        return {"name": self.module.user(user_id)["name"], "id": user_id}

    def _details(self, row: Row) -> Result:
        return {
            "id": row.id,
            "Created_Time": self.module.local_time(row.created_at),
            "Modified_Time": self.module.local_time(row.modified_at),
            "Created_By": self._brief(row.created_by),
            "Modified_By": self._brief(row.modified_by),
        }


def batch_status(results: Sequence[Result], success: int) -> int:
    """All done: the operation's status; mixed: 207; all refused: 400, or 412 where that is the reason."""
    refused = [result for result in results if result["status"] == "error"]
    if not refused:
        return success
    if len(refused) < len(results):
        return 207
    return 412 if all(result["code"] == "ALREADY_MODIFIED" for result in refused) else 400
