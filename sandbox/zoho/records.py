"""Zoho's endpoints of records: lists, single records, batch writes, COQL, search and counts."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request, Response

from sandbox.faults import FAIL_ROW
from sandbox.zoho import coql
from sandbox.zoho.desk import Desk, instant_header, missing_field, refuse_malformed, refuse_too_many
from sandbox.zoho.errors import RefusedError, missing_parameter
from sandbox.zoho.module import Module
from sandbox.zoho.reading import (
    PageTokens,
    deleted_page,
    list_page,
    render_deleted,
    render_row,
    requested_fields,
)
from sandbox.zoho.search import matching
from sandbox.zoho.writing import Write

Route = tuple[str, str, Any]


class Records:
    """Reads and writes of modules."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pages = PageTokens()

    def routes(self) -> Iterable[Route]:
        """Method, path and endpoint; what is more special comes first."""
        return (
            ("POST", "/coql", self.coql),
            ("GET", "/{module}/deleted", self.deleted),
            ("GET", "/{module}/search", self.search),
            ("GET", "/{module}/actions/count", self.count),
            ("POST", "/{module}/upsert", self.upsert),
            ("GET", "/{module}", self.list_records),
            ("POST", "/{module}", self.insert),
            ("PUT", "/{module}", self.update),
            ("DELETE", "/{module}", self.delete_many),
            ("GET", "/{module}/{record_id}", self.get_record),
            ("PUT", "/{module}/{record_id}", self.update_one),
            ("DELETE", "/{module}/{record_id}", self.delete_one),
        )

    async def list_records(self, request: Request, module: str) -> Response:
        """``GET /{module}``."""
        chosen, parameters = self._read(module), dict(request.query_params)
        since = instant_header(request, "If-Modified-Since")
        page = list_page(chosen, parameters, self._pages, since)
        names = requested_fields(parameters)
        rows = [render_row(chosen, row, names) for row in page.rows]
        return self._desk.listed("data", rows, page.paging, nothing=204 if since is None else 304)

    async def get_record(self, module: str, record_id: str) -> Response:
        """``GET /{module}/{id}``: all fields."""
        chosen = self._read(module)
        refuse_malformed(record_id)
        row = chosen.store.row(module, record_id)
        if row is None:
            return self._desk.reply(204, None)
        return self._desk.reply(200, {"data": [render_row(chosen, row)]})

    async def deleted(self, request: Request, module: str) -> Response:
        """``GET /{module}/deleted``."""
        chosen, since = self._read(module), instant_header(request, "If-Modified-Since")
        page = deleted_page(chosen, dict(request.query_params), since)
        rows = [render_deleted(chosen, row) for row in page.rows]
        return self._desk.listed("data", rows, page.paging, nothing=204 if since is None else 304)

    async def search(self, request: Request, module: str) -> Response:
        """``GET /{module}/search``."""
        self._desk.allow("ZohoSearch.securesearch.READ")
        chosen, parameters = self._read(module), dict(request.query_params)
        names = requested_fields(parameters) if "fields" in parameters else None
        found = matching(chosen, parameters)
        per_page, page = int(parameters.get("per_page", "200")), int(parameters.get("page", "1"))
        if page * per_page > 2_000:
            raise RefusedError(400, "LIMIT_REACHED", "the limit of the search is reached", {"limit": 2_000})
        some = found[(page - 1) * per_page : page * per_page]
        paging = {"per_page": per_page, "count": len(some), "page": page, "more_records": page * per_page < len(found)}
        return self._desk.listed("data", [render_row(chosen, row, names) for row in some], paging)

    async def count(self, request: Request, module: str) -> Response:
        """``GET /{module}/actions/count``."""
        chosen, parameters = self._read(module), dict(request.query_params)
        rows = matching(chosen, parameters) if parameters else chosen.store.rows(module)
        return self._desk.reply(200, {"count": len(rows)})

    async def insert(self, request: Request, module: str) -> Response:
        """``POST /{module}``."""
        write = self._write(request, module, "CREATE")
        rows = self._desk.rows(await self._desk.body(request))
        return self._desk.written(write.insert(rows), success=201)

    async def update(self, request: Request, module: str) -> Response:
        """``PUT /{module}``: every row names its id."""
        write = self._write(request, module, "UPDATE")
        rows = self._desk.rows(await self._desk.body(request))
        return self._desk.written(write.update(rows), success=200)

    async def update_one(self, request: Request, module: str, record_id: str) -> Response:
        """``PUT /{module}/{id}``."""
        write = self._write(request, module, "UPDATE")
        refuse_malformed(record_id)
        rows = [{**row, "id": record_id} for row in self._desk.rows(await self._desk.body(request))[:1]]
        return self._desk.written(write.update(rows), success=200)

    async def upsert(self, request: Request, module: str) -> Response:
        """``POST /{module}/upsert``."""
        write = self._write(request, module, "CREATE")
        if module in _NOT_UPSERTABLE:
            raise RefusedError(400, "INVALID_MODULE", "the module name given seems to be invalid",
                               {"resource_path_index": 0})  # fmt: skip
        body = await self._desk.body(request)
        rows = self._desk.rows(body)
        return self._desk.written(write.upsert(rows, body.get("duplicate_check_fields") or ()), success=200)

    async def delete_many(self, request: Request, module: str) -> Response:
        """``DELETE /{module}?ids=a,b``."""
        write = self._write(request, module, "DELETE")
        if "ids" not in request.query_params:
            raise missing_parameter("ids")
        ids = request.query_params["ids"].split(",")
        refuse_too_many(ids)
        self._desk.charge(1)
        return self._desk.written(write.delete(ids), success=200)

    async def delete_one(self, request: Request, module: str, record_id: str) -> Response:
        """``DELETE /{module}/{id}``."""
        write = self._write(request, module, "DELETE")
        self._desk.charge(1)
        return self._desk.written(write.delete([record_id]), success=200)

    async def coql(self, request: Request) -> Response:
        """``POST /coql``."""
        self._desk.allow("ZohoCRM.coql.READ")
        text = (await self._desk.body(request)).get("select_query")
        if not isinstance(text, str):
            raise missing_field("select_query")
        self._desk.charge(coql.credits_of(text))
        rows, more = coql.run(self._desk.modules, text)
        return self._desk.listed("data", rows, {"count": len(rows), "more_records": more})

    def _read(self, name: str) -> Module:
        self._desk.allow(f"ZohoCRM.modules.{name}.READ")
        self._desk.charge(1)
        return self._desk.module(name)

    def _write(self, request: Request, name: str, what: str) -> Write:
        self._desk.allow(f"ZohoCRM.modules.{name}.{what}")
        unmodified_since = instant_header(request, "If-Unmodified-Since")
        fail_row: Mapping[str, Any] = request.scope
        return Write(self._desk.module(name), self._desk.robot, unmodified_since, fail_row.get(FAIL_ROW))


_NOT_UPSERTABLE = frozenset({"Tasks", "Events", "Calls", "Notes"})
"""Activities and notes have no upsert (fact sheet 2.4)."""
