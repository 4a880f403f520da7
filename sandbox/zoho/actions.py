"""What Zoho does to records beside writing fields: tags, owners, mails, locks, and the links between records."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import Request, Response

from sandbox.store import Row
from sandbox.zoho.desk import Desk, done, missing_field, refuse_too_many
from sandbox.zoho.errors import RefusedError, RowRefusedError, missing_parameter
from sandbox.zoho.module import LOCKED, LOCKS, MAILS, TAG, Module, as_id, is_id, texts
from sandbox.zoho.reading import PageTokens, list_page, render_row
from sandbox.zoho.writing import Result, Write
from schemas.values import Value

MOST_IDS = 500
MOST_TAG = 25
Route = tuple[str, str, Any]


class Actions:
    """The endpoints under ``/actions``, and those of related lists."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pages = PageTokens()

    def routes(self) -> Iterable[Route]:
        """Method, path and endpoint."""
        return (
            ("POST", "/{module}/actions/add_tags", self.add_tags),
            ("POST", "/{module}/actions/remove_tags", self.remove_tags),
            ("POST", "/{module}/{record_id}/actions/add_tags", self.add_tags),
            ("POST", "/{module}/{record_id}/actions/remove_tags", self.remove_tags),
            ("POST", "/{module}/actions/change_owner", self.change_owner),
            ("POST", "/{module}/{record_id}/actions/change_owner", self.change_owner),
            ("POST", "/{module}/{record_id}/actions/send_mail", self.send_mail),
            ("GET", "/{module}/{record_id}/Locking_Information__s", self.locks),
            ("POST", "/{module}/{record_id}/Locking_Information__s", self.lock),
            ("DELETE", "/{module}/{record_id}/Locking_Information__s/{lock_id}", self.unlock),
            ("POST", "/{module}/{record_id}/Notes", self.add_notes),
            ("GET", "/{module}/{record_id}/Notes", self.notes),
        )

    def related_routes(self) -> Iterable[Route]:
        """Method, path and endpoint of related lists, whose paths match what is left."""
        return (
            ("GET", "/{module}/{record_id}/{relation}", self.related),
            ("PUT", "/{module}/{record_id}/{relation}", self.link),
            ("DELETE", "/{module}/{record_id}/{relation}", self.unlink),
        )

    async def add_tags(self, request: Request, module: str, record_id: str = "") -> Response:
        """``POST /{module}/actions/add_tags``."""
        return await self._tagged(request, module, record_id, lambda old, new: list(dict.fromkeys([*old, *new])))

    async def remove_tags(self, request: Request, module: str, record_id: str = "") -> Response:
        """``POST /{module}/actions/remove_tags``."""
        return await self._tagged(request, module, record_id, lambda old, new: [one for one in old if one not in new])

    async def _tagged(self, request: Request, name: str, record_id: str, merge: Any) -> Response:
        module, body = self._write(name), await self._desk.body(request)
        tags = _tag_names(body)
        ids = [record_id] if record_id else _ids(body)
        self._desk.charge(1)

        def tag(row: Row) -> Result:
            held = [] if body.get("over_write") is True else texts(row, TAG)
            kept = merge(held, tags)
            self._desk.store.update(module.name, row.id, {TAG: kept}, self._desk.robot)
            return done("tags updated successfully", id=row.id, tags=kept)

        results = [self._each(module, one, tag) for one in ids]
        written = sum(result["status"] == "success" for result in results)
        status = 200 if written == len(results) else 207 if written else 400
        return self._desk.reply(status, {"data": results, "wf_scheduler": False, "success_count": str(written),
                                         "locked_count": "0"})  # fmt: skip

    async def change_owner(self, request: Request, module: str, record_id: str = "") -> Response:
        """``POST /{module}/actions/change_owner``."""
        self._desk.allow("ZohoCRM.change_owner.CREATE")
        chosen, body = self._write(module), await self._desk.body(request)
        owner = body.get("owner")
        user = self._desk.store.user(str(owner.get("id"))) if isinstance(owner, dict) else None
        ids = [record_id] if record_id else _ids(body)
        self._desk.charge(1)
        if user is None or not user.active:
            details = {"api_name": "id", "json_path": "$.owner.id"}
            raise RefusedError(400, "INVALID_DATA", "the owner id given is invalid", details)

        def change(row: Row) -> Result:
            self._desk.store.update(module, row.id, {"Owner": user.id}, self._desk.robot)
            return done("owner is successfully updated", id=row.id)

        return self._desk.written([self._each(chosen, one, change) for one in ids], success=200)

    async def send_mail(self, request: Request, module: str, record_id: str) -> Response:
        """``POST /{module}/{id}/actions/send_mail``: the mail is kept in the hidden tab of mails."""
        self._desk.allow("ZohoCRM.send_mail.all.CREATE")
        row = self._desk.live(self._desk.module(module), record_id)
        [mail, *_] = self._desk.rows(await self._desk.body(request))
        self._check_mail(mail)
        kept: dict[str, Value] = {
            "parent": row.id, "subject": mail["subject"], "content": str(mail.get("content", "")),
            "to": [str(one["email"]) for one in mail["to"]], "from": mail["from"]["email"],
        }  # fmt: skip
        sent = self._desk.store.insert(MAILS, kept, self._desk.robot)
        return self._desk.written([done("Your mail has been sent successfully.", message_id=sent.id)], success=200)

    def _check_mail(self, mail: Any) -> None:
        for name in ("from", "to", "subject"):
            if not isinstance(mail, Mapping) or not mail.get(name):
                raise missing_field(name, json_path=f"$.data[0].{name}")
        senders = {user.email for user in self._desk.store.metadata.users if user.active}
        if not isinstance(mail["from"], dict) or mail["from"].get("email") not in senders:
            details = {"api_name": "email", "json_path": "$.data[0].from.email"}
            raise RefusedError(400, "INVALID_DATA", "invalid data", details)

    async def locks(self, module: str, record_id: str) -> Response:
        """``GET /{module}/{id}/Locking_Information__s``."""
        self._desk.allow(f"ZohoCRM.modules.{module}.READ")
        self._desk.charge(1)
        chosen = self._desk.module(module)
        row = self._desk.live(chosen, record_id)
        rows = [_render_lock(chosen, lock) for lock in self._locks_of(row)]
        return self._desk.listed("data", rows, {"count": len(rows), "more_records": False})

    async def lock(self, request: Request, module: str, record_id: str) -> Response:
        """``POST /{module}/{id}/Locking_Information__s``."""
        chosen = self._write(module)
        row = self._desk.live(chosen, record_id)
        [wish, *_] = self._desk.rows(await self._desk.body(request))
        if self._locks_of(row):
            raise RefusedError(400, "RECORD_LOCKED", "The record is locked already")
        reason = wish.get("Locked_Reason__s") or wish.get("locked_reason__s") if isinstance(wish, Mapping) else ""
        fields: dict[str, Value] = {"parent": row.id, "reason": str(reason or "")}
        lock = self._desk.store.insert(LOCKS, fields, self._desk.robot)
        self._desk.store.update(module, row.id, {LOCKED: True}, self._desk.robot)
        return self._desk.written([done("record added", id=lock.id)], success=201)

    async def unlock(self, module: str, record_id: str, lock_id: str) -> Response:
        """``DELETE /{module}/{id}/Locking_Information__s/{lock_id}``."""
        row = self._desk.live(self._write(module), record_id)
        self._desk.charge(1)
        if lock_id not in [lock.id for lock in self._locks_of(row)]:
            details = {"resource_path_index": 3}
            raise RefusedError(400, "INVALID_DATA", "the id given seems to be invalid", details)
        self._desk.store.delete(LOCKS, lock_id, self._desk.robot)
        self._desk.store.update(module, row.id, {LOCKED: False}, self._desk.robot)
        return self._desk.written([done("record deleted", id=lock_id)], success=200)

    async def add_notes(self, request: Request, module: str, record_id: str) -> Response:
        """``POST /{module}/{id}/Notes``: the parent is that of the path."""
        row = self._desk.live(self._write(module), record_id)
        notes = self._desk.module("Notes")
        rows = self._desk.rows(await self._desk.body(request))
        parent = {"id": row.id, "module": {"api_name": module}}
        owned = [{**one, "Parent_Id": parent} if isinstance(one, Mapping) else one for one in rows]
        return self._desk.written(Write(notes, self._desk.robot).insert(owned), success=201)

    async def notes(self, request: Request, module: str, record_id: str) -> Response:
        """``GET /{module}/{id}/Notes``."""
        self._desk.allow(f"ZohoCRM.modules.{module}.READ")
        self._desk.live(self._desk.module(module), record_id)
        notes = self._desk.module("Notes")
        held = [row for row in self._desk.store.rows("Notes") if row.fields.get("Parent_Id") == record_id]
        return self._page(request, notes, [row.id for row in held])

    async def related(self, request: Request, module: str, record_id: str, relation: str) -> Response:
        """``GET /{module}/{id}/{related_list}``."""
        self._desk.allow(f"ZohoCRM.modules.{module}.READ")
        other = self._other(relation)
        row = self._desk.live(self._desk.module(module), record_id)
        return self._page(request, other, _linked(row, relation))

    async def link(self, request: Request, module: str, record_id: str, relation: str) -> Response:
        """``PUT /{module}/{id}/{related_list}``."""
        row, other = self._desk.live(self._write(module), record_id), self._other(relation)
        rows = self._desk.rows(await self._desk.body(request))
        ids = [as_id(one.get("id")) if isinstance(one, Mapping) else None for one in rows]
        return self._linked(row, relation, ids, other, "relation added")

    async def unlink(self, request: Request, module: str, record_id: str, relation: str) -> Response:
        """``DELETE /{module}/{id}/{related_list}?ids=``."""
        row, other = self._desk.live(self._write(module), record_id), self._other(relation)
        if "ids" not in request.query_params:
            raise missing_parameter("ids")
        self._desk.charge(1)
        ids = request.query_params["ids"].split(",")
        return self._linked(row, relation, ids, other, "relation removed")

    def _linked(self, row: Row, relation: str, ids: Sequence[Any], other: Module, message: str) -> Response:
        held, results = list(_linked(row, relation)), []
        for one in ids:
            known = one in held if message == "relation removed" else self._is_live(other, one)
            if known:
                held = [*(there for there in held if there != one), *([one] if message == "relation added" else [])]
            wrong = RowRefusedError("INVALID_DATA", "the related id given seems to be invalid", {"id": one}).result
            results.append(done(message, id=one) if known else wrong)
        if held != _linked(row, relation):
            self._desk.store.update(row.tab, row.id, {_LINKS + relation: list(held)}, self._desk.robot)
        return self._desk.written(results, success=200)

    def _page(self, request: Request, module: Module, ids: Sequence[str]) -> Response:
        self._desk.charge(1)
        asked = dict(request.query_params)
        wanted = asked["ids"].split(",") if "ids" in asked else ids
        asked["ids"] = ",".join(one for one in ids if one in wanted) or "0"
        asked.setdefault("fields", "id")
        page = list_page(module, asked, self._pages, None)
        names = [name.strip() for name in asked["fields"].split(",")]
        return self._desk.listed("data", [render_row(module, row, names) for row in page.rows], page.paging)

    def _other(self, relation: str) -> Module:
        module = self._desk.modules.get(relation)
        if module is None:
            details = {"resource_path_index": 2}
            raise RefusedError(400, "INVALID_DATA", "The relation name given seems to be invalid", details)
        return module

    def _write(self, name: str) -> Module:
        self._desk.allow(f"ZohoCRM.modules.{name}.UPDATE")
        return self._desk.module(name)

    def _locks_of(self, row: Row) -> list[Row]:
        return [lock for lock in self._desk.store.rows(LOCKS) if lock.fields.get("parent") == row.id]

    def _is_live(self, module: Module, record_id: Any) -> bool:
        return is_id(record_id) and self._desk.store.row(module.name, record_id) is not None

    def _each(self, module: Module, record_id: Any, act: Any) -> Result:
        with self._desk.store.lock:
            row = self._desk.store.row(module.name, record_id) if is_id(record_id) else None
            if row is None:
                return RowRefusedError("INVALID_DATA", "the id given seems to be invalid", {"id": record_id}).result
            if row.fields.get(LOCKED):
                return RowRefusedError("RECORD_LOCKED", "The record is locked", {"id": record_id}).result
            result: Result = act(row)
            return result


_LINKS = "~"
"""Before the name of a relation, in the fields of a record: the ids that it is linked to."""


def _linked(row: Row, relation: str) -> list[str]:
    return texts(row, _LINKS + relation)


def _tag_names(body: Mapping[str, Any]) -> list[str]:
    tags = body.get("tags")
    if not isinstance(tags, list) or not tags:
        raise missing_field("tags")
    names = [tag.get("name") if isinstance(tag, dict) else None for tag in tags]
    for index, name in enumerate(names):
        if not isinstance(name, str) or not 0 < len(name) <= MOST_TAG:
            details = {"api_name": "name", "json_path": f"$.tags[{index}].name", "maximum_length": MOST_TAG}
            raise RefusedError(400, "INVALID_DATA", "invalid data", details)
    return [str(name) for name in names]


def _ids(body: Mapping[str, Any]) -> list[Any]:
    ids = body.get("ids")
    if not isinstance(ids, list) or not ids:
        raise missing_field("ids")
    refuse_too_many(ids, MOST_IDS)
    return [as_id(one) for one in ids]


def _render_lock(module: Module, lock: Row) -> dict[str, Any]:
    return {
        "id": lock.id, "locked_reason__s": lock.fields.get("reason"), "lock_source__s": "Manual",
        "locked_by__s": module.user(lock.created_by), "Locked_time__s": module.local_time(lock.created_at),
        "Created_Time": module.local_time(lock.created_at), "Modified_Time": module.local_time(lock.modified_at),
    }  # fmt: skip
