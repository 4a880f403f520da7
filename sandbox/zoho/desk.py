"""What all of Zoho's endpoints share: modules, credits, scopes, request bodies and answers."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fastapi import Request, Response

from sandbox.emulator import json_object, json_reply
from sandbox.quota import Quota
from sandbox.store import Actor, Row, Store
from sandbox.zoho.errors import RefusedError, invalid_module
from sandbox.zoho.module import Module, is_id
from sandbox.zoho.writing import BATCH, Result, batch_status
from schemas.values import parse_instant

TOO_MANY = "You have exceeded the number of API calls allowed"
_WRITES = frozenset({"CREATE", "UPDATE", "DELETE"})


class Desk:
    """Where requests are admitted, charged and answered."""

    def __init__(
        self, store: Store, modules: Mapping[str, Module], robot: Actor, quota: Quota, scopes: Collection[str]
    ) -> None:
        self.store, self.modules, self.robot, self.quota = store, modules, robot, quota
        self._scopes = scopes

    def allow(self, scope: str) -> None:
        """Refuse what the client was not granted; no scopes at all means that everything was."""
        if self._scopes and not any(_covers(granted, scope) for granted in self._scopes):
            raise RefusedError(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")

    def module(self, name: str) -> Module:
        """The module of a path."""
        module = self.modules.get(name)
        if module is None:
            raise invalid_module()
        return module

    def live(self, module: Module, record_id: str) -> Row:
        """The record of a path."""
        refuse_malformed(record_id)
        row = self.store.row(module.name, record_id)
        if row is None:
            raise RefusedError(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 1})
        return row

    async def body(self, request: Request) -> dict[str, Any]:
        """The request's JSON object."""
        body = json_object(await request.body())
        if body is None:
            raise RefusedError(400, "INVALID_DATA", "invalid data", {"expected_data_type": "jsonobject"})
        return body

    def rows(self, body: Mapping[str, Any], name: str = "data") -> list[Any]:
        """The rows of a write, charged at one credit for every ten."""
        rows = body.get(name)
        if not isinstance(rows, list) or not rows:
            raise missing_field(name)
        refuse_too_many(rows)
        self.charge(-(-len(rows) // 10))
        return rows

    def charge(self, credits_: int) -> None:
        """Take credits, or refuse."""
        if not self.quota.spend(credits_):
            raise RefusedError(429, "TOO_MANY_REQUESTS", TOO_MANY)

    def written(self, results: Sequence[Result], success: int) -> Response:
        """The answer to a write: its rows' results."""
        return self.reply(batch_status(results, success), {"data": results})

    def listed(self, key: str, rows: Sequence[Any], paging: Any, nothing: int = 204) -> Response:
        """The answer to a list; a status without a body where nothing is found."""
        return self.reply(200, {key: rows, "info": paging}) if rows else self.reply(nothing, None)

    def reply(self, status: int, body: Any) -> Response:
        """An answer; the credits that remain are told once half of them are used (fact sheet 4)."""
        used, limit = self.quota.used(), self.quota.limit
        headers = {"X-API-CREDITS-REMAINING": str(limit - used)} if used * 2 >= limit else {}
        return json_reply(status, body, headers)


def missing_field(name: str, **details: Any) -> RefusedError:
    """A field of the body that must be there is not."""
    return RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": name, **details})


def instant_header(request: Request, name: str) -> int | None:
    """A header's moment in milliseconds."""
    text = request.headers.get(name)
    try:
        return None if text is None else parse_instant(text)
    except ValueError:
        raise RefusedError(400, "INVALID_DATA", "invalid data", {"header_name": name}) from None


def refuse_malformed(record_id: str) -> None:
    """An id in a path must look like one."""
    if not is_id(record_id):
        raise RefusedError(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 1})


def refuse_too_many(rows: Sequence[Any], most: int = BATCH) -> None:
    """One request has a greatest number of rows."""
    if len(rows) > most:
        raise RefusedError(400, "LIMIT_EXCEEDED", "the number of rows exceeds the limit", {"limit": most})


def done(message: str, **details: Any) -> Result:
    """The result of a row that was written."""
    return {"code": "SUCCESS", "details": details, "message": message, "status": "success"}


def _covers(granted: str, wanted: str) -> bool:
    """Whether a granted scope covers a wanted one: ``ZohoCRM.modules.ALL`` covers ``ZohoCRM.modules.Deals.READ``."""
    *where, what = granted.split(".")
    *there, needed = wanted.split(".")
    allowed = what in {needed, "ALL"} or (what == "WRITE" and needed in _WRITES)
    return allowed and there[: len(where)] == where
