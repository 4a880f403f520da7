"""Salesforce over HTTP: paths, envelopes, statuses and limits of the REST API."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from fastapi import Depends, Request, Response
from starlette.exceptions import HTTPException

from sandbox.clock import Clock
from sandbox.emulator import json_reply, new_app, users_of
from sandbox.faults import FAIL_ROW, Answer, FaultPlan
from sandbox.quota import Quota
from sandbox.salesforce import composite, describe, soql
from sandbox.salesforce.approvals import Approvals
from sandbox.salesforce.changes import ChangeLog
from sandbox.salesforce.deeds import Deeds, Endpoint
from sandbox.salesforce.errors import REFUSALS, RefusedError, json_body, no_column, not_found
from sandbox.salesforce.ids import full_id, make_id
from sandbox.salesforce.people import People, people
from sandbox.salesforce.sobject import SObject, local_form, prefixes
from sandbox.salesforce.standard import settled, standard
from sandbox.salesforce.tokens import CREDENTIALS, Tokens
from sandbox.salesforce.writing import Options, Write, by_external_id, live_row
from sandbox.seed import CrmSeed
from sandbox.store import Actor, Row, Store
from schemas.codec import to_json
from schemas.values import DAY, SECOND, format_instant, parse_instant

ROOT = "/services/data/{version}"
VERSIONS = (("Winter '24", "59.0"), ("Spring '24", "60.0"), ("Summer '26", "67.0"))


class Salesforce:
    """The emulator: one store in Salesforce's dialect."""

    def __init__(self, seed: CrmSeed, clock: Clock) -> None:
        tabs = standard(seed.tabs)
        by_tab = prefixes(tabs)
        known = seed.metadata("salesforce").model_copy(update={"tabs": tabs})
        self.store = Store(known, clock, lambda tab, number: make_id(by_tab[tab], number))
        self.sobjects = {name: SObject(self.store, tab, by_tab[name]) for name, tab in tabs.items()}
        self.tables: Mapping[str, SObject | People] = {**self.sobjects, **people(self.store), **settled()}
        robot, person = users_of(seed.users, seed.integration_user, seed.person)
        self.robot = Actor(robot, CREDENTIALS["client_id"])
        self.person = Actor(person)
        self.plan = FaultPlan()
        self.quota = Quota(clock, 15_000)
        self.credentials: Mapping[str, str] = CREDENTIALS
        self.tokens = Tokens(clock, robot)
        self.approvals = Approvals(self.store, self.sobjects, person)
        self.matching: Mapping[str, str] = {}
        """Duplicate rules: by object the field in which two records may not be alike."""
        self.mails: list[Mapping[str, Any]] = []
        """What ``emailSimple`` sent."""
        self.changes = ChangeLog(self.store, self.sobjects)
        self._cursors = soql.Cursors()
        self.app = new_app()
        self._add_routes()

    def refusal(self, status: int) -> Answer:
        """Salesforce's body for a status; 403 is the used-up daily allocation (fact sheet 4)."""
        code, message = REFUSALS.get(status, ("UNKNOWN_EXCEPTION", "An unexpected error occurred."))
        return Answer(status, to_json([{"message": message, "errorCode": code}]))

    def expire(self) -> None:
        """End all sessions."""
        self.tokens.expire()

    def _add_routes(self) -> None:
        app, admitted = self.app, [Depends(self.admit)]
        app.add_exception_handler(RefusedError, self._refused)
        app.add_exception_handler(HTTPException, self._no_route)
        app.add_api_route("/services/oauth2/token", self.token, methods=["POST"])
        app.add_api_route("/services/data", self.versions, methods=["GET"])
        deeds = Deeds(self)
        app.add_api_route("/services/oauth2/userinfo", deeds.userinfo, methods=["GET"], dependencies=admitted)
        app.add_api_route("/services/Soap/u/{version}", deeds.soap, methods=["POST"])
        row, by_key = "/sobjects/{name}/{record_id}", "/sobjects/{name}/{field}/{value:path}"
        routes: tuple[tuple[str, str, Endpoint], ...] = (
            ("GET", "/limits", self.limits),
            ("GET", "/query", self.query),
            ("GET", "/queryAll", self.query_all),
            ("GET", "/query/{locator}", self.query_more),
            *deeds.routes(),
            ("GET", "/sobjects", self.global_describe),
            ("GET", "/sobjects/{name}", self.object_basics),
            ("GET", "/sobjects/{name}/describe", self.describe),
            ("GET", "/sobjects/{name}/updated", self.updated),
            ("GET", "/sobjects/{name}/deleted", self.deleted),
            ("POST", "/composite/sobjects", self.insert_collection),
            ("PATCH", "/composite/sobjects", self.update_collection),
            ("DELETE", "/composite/sobjects", self.delete_collection),
            ("PATCH", "/composite/sobjects/{name}/{field}", self.upsert_collection),
            ("POST", "/composite/sobjects/{name}", self.get_collection),
            ("POST", "/sobjects/{name}", self.insert),
            ("GET", row, self.get_row),
            ("PATCH", row, self.update),
            ("DELETE", row, self.delete),
            ("GET", by_key, self.get_by_key),
            ("PATCH", by_key, self.upsert),
            ("DELETE", by_key, self.delete_by_key),
        )
        for method, path, endpoint in routes:
            for slash in ("",) if path.endswith("}") and "path" in path else ("", "/"):
                app.add_api_route(ROOT + path + slash, endpoint, methods=[method], dependencies=admitted)

    async def admit(self, request: Request) -> None:
        """Check the session and take one call from the daily allocation; a part of a request is paid for with it."""
        if request.scope.get(composite.WITHIN):
            return
        if not self.tokens.admit(request.headers.get("Authorization", "")):
            raise RefusedError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if not self.quota.spend():
            raise RefusedError(403, "REQUEST_LIMIT_EXCEEDED", REFUSALS[403][1])

    async def token(self, request: Request) -> Response:
        """``POST /services/oauth2/token``."""
        form = dict(parse_qsl((await request.body()).decode()))
        origin = f"{request.url.scheme}://{request.url.netloc}"
        return json_reply(*self.tokens.exchange(form, request.headers.get("Authorization", ""), origin))

    async def versions(self) -> Response:
        """``GET /services/data``: without a session."""
        entries = [{"label": label, "url": f"/services/data/v{n}", "version": n} for label, n in VERSIONS]
        return json_reply(200, entries)

    async def limits(self) -> Response:
        """``GET /limits``."""
        limit = self.quota.limit
        return self.reply(200, {"DailyApiRequests": {"Max": limit, "Remaining": limit - self.quota.used()}})

    async def query(self, request: Request, version: str) -> Response:
        """``GET /query?q=``."""
        return self._query(request, version, with_deleted=False)

    async def query_all(self, request: Request, version: str) -> Response:
        """``GET /queryAll?q=``: with deleted records."""
        return self._query(request, version, with_deleted=True)

    async def query_more(self, version: str, locator: str) -> Response:
        """``GET /query/{locator}``."""
        return self._page(self._cursors.further(locator), version)

    async def global_describe(self, version: str) -> Response:
        """``GET /sobjects``."""
        return self.reply(200, describe.global_describe(self.tables.values(), version))

    async def describe(self, version: str, name: str) -> Response:
        """``GET /sobjects/{name}/describe``."""
        if name not in self.tables:
            raise not_found()
        return self.reply(200, describe.describe(self.tables[name], version))

    async def object_basics(self, version: str, name: str) -> Response:
        """``GET /sobjects/{name}``."""
        if name not in self.tables:
            raise not_found()
        return self.reply(200, {"objectDescribe": describe.summary(self.tables[name], version), "recentItems": []})

    async def updated(self, request: Request, name: str) -> Response:
        """``GET /sobjects/{name}/updated?start&end``."""
        start, end = self._window(request)
        rows = [row for row in self._changes(name, start, end) if row.live]
        covered = local_form(format_instant(end))
        return self.reply(200, {"ids": [row.id for row in rows], "latestDateCovered": covered})

    async def deleted(self, request: Request, name: str) -> Response:
        """``GET /sobjects/{name}/deleted?start&end``."""
        start, end = self._window(request)
        rows = [
            {"id": row.id, "deletedDate": local_form(format_instant(row.modified_at // 1000 * 1000))}
            for row in self._changes(name, start, end)
            if not row.live
        ]
        earliest = local_form(format_instant((self.store.clock.now() - 15 * DAY) // 1000 * 1000))
        covered = local_form(format_instant(end))
        return self.reply(
            200, {"deletedRecords": rows, "earliestDateAvailable": earliest, "latestDateCovered": covered}
        )

    async def get_row(self, request: Request, version: str, name: str, record_id: str) -> Response:
        """``GET /sobjects/{name}/{id}?fields=``."""
        sobject = self._sobject(name)
        return self.reply(200, self._render(sobject, live_row(sobject, record_id), request, version))

    async def get_by_key(self, request: Request, version: str, name: str, field: str, value: str) -> Response:
        """``GET /sobjects/{name}/{external id field}/{value}``."""
        sobject = self._sobject(name)
        row = by_external_id(sobject, field, value)
        if row is None:
            raise not_found()
        return self.reply(200, self._render(sobject, row, request, version))

    async def insert(self, request: Request, name: str) -> Response:
        """``POST /sobjects/{name}``."""
        row = self.write(request).insert(self._sobject(name), await json_body(request))
        return self.reply(201, {"id": row.id, "success": True, "errors": []})

    async def update(self, request: Request, name: str, record_id: str) -> Response:
        """``PATCH /sobjects/{name}/{id}``; conditional where the header ``If-Unmodified-Since`` says so."""
        _refuse_if_modified(request, live_row(self._sobject(name), record_id))
        self.write(request).update(self._sobject(name), record_id, await json_body(request))
        return self.reply(204, None)

    async def delete(self, request: Request, name: str, record_id: str) -> Response:
        """``DELETE /sobjects/{name}/{id}``."""
        self.write(request).delete(self._sobject(name), record_id)
        return self.reply(204, None)

    async def upsert(self, request: Request, name: str, field: str, value: str) -> Response:
        """``PATCH /sobjects/{name}/{external id field}/{value}``."""
        body = await json_body(request)
        if field in body:
            raise RefusedError(400, "INVALID_FIELD", f"The {field} field should not be specified in the sobject data.")
        sobject = self._sobject(name)
        if request.query_params.get("updateOnly") == "true" and by_external_id(sobject, field, value) is None:
            raise not_found()
        row, created = self.write(request).upsert(sobject, field, value, body)
        return self.reply(201 if created else 200, {"id": row.id, "success": True, "errors": [], "created": created})

    async def delete_by_key(self, request: Request, name: str, field: str, value: str) -> Response:
        """``DELETE /sobjects/{name}/{external id field}/{value}``."""
        sobject = self._sobject(name)
        row = by_external_id(sobject, field, value)
        if row is None:
            raise not_found()
        self.write(request).delete(sobject, row.id)
        return self.reply(204, None)

    async def insert_collection(self, request: Request) -> Response:
        """``POST /composite/sobjects``."""
        rows, options = await _collection(request)
        write = self.write(request)
        return self.reply(200, write.collection(rows, write.insert_row, options))

    async def update_collection(self, request: Request) -> Response:
        """``PATCH /composite/sobjects``."""
        rows, options = await _collection(request)
        write = self.write(request)
        return self.reply(200, write.collection(rows, write.update_row, options))

    async def upsert_collection(self, request: Request, name: str, field: str) -> Response:
        """``PATCH /composite/sobjects/{name}/{external id field}``."""
        rows, options = await _collection(request)
        if not self._sobject(name).field(field).unique:
            raise not_found()
        write = self.write(request)
        return self.reply(200, write.collection(rows, write.upsert_row(field), options))

    async def get_collection(self, request: Request, version: str, name: str) -> Response:
        """``POST /composite/sobjects/{name}``: records by id; none in the place of what is not there."""
        sobject, body = self._sobject(name), await json_body(request)
        names = [sobject.field(one).name for one in body.get("fields") or ["Id"]]
        rows = [self.store.row(name, full_id(one) or "") for one in body.get("ids") or []]
        return self.reply(200, [row and self._shown(sobject, row, names, version) for row in rows])

    async def delete_collection(self, request: Request) -> Response:
        """``DELETE /composite/sobjects?ids=a,b&allOrNone=``."""
        ids = [one for one in request.query_params.get("ids", "").split(",") if one]
        all_or_none = request.query_params.get("allOrNone", "false") == "true"
        write = self.write(request)
        options = Options(all_or_none, request.scope.get(FAIL_ROW))
        return self.reply(200, write.collection(ids, write.delete_row, options))

    def _query(self, request: Request, version: str, with_deleted: bool) -> Response:
        text = request.query_params.get("q")
        if not text:
            raise RefusedError(400, "MALFORMED_QUERY", "A query string has to be specified")
        total, records = soql.run(self.tables, text, version, with_deleted)
        if not records:
            return self.reply(200, {"totalSize": total, "done": True, "records": []})
        size = soql.page_size(request.headers.get("Sforce-Query-Options", ""))
        return self._page(self._cursors.first(records, size), version)

    def _page(self, answer: soql.Answer, version: str) -> Response:
        body: dict[str, Any] = {"totalSize": answer.total, "done": not answer.following}
        if answer.following:
            body["nextRecordsUrl"] = f"/services/data/{version}/query/{answer.following}"
        return self.reply(200, {**body, "records": answer.records})

    def _sobject(self, name: str) -> SObject:
        if name not in self.sobjects:
            raise not_found()
        return self.sobjects[name]

    def write(self, request: Request, api: str = "rest", client: str = "") -> Write:
        """Writes of one request, which says who its client is."""
        named = _CLIENT.search(request.headers.get("Sforce-Call-Options", ""))
        client = client or (named[1] if named else "")
        version = str(request.path_params.get("version", "")).removeprefix("v")
        origin = f"com/salesforce/api/{api}/{version}" + (f";client={client}" if client else "")
        actor = self.robot._replace(origin=origin, transaction=str(uuid4()))
        saved = "allowSave=true" in request.headers.get("Sforce-Duplicate-Rule-Header", "")
        return Write(self.sobjects, actor, self.approvals.locked, {} if saved else self.matching)

    def _window(self, request: Request) -> tuple[int, int]:
        try:
            return tuple(parse_instant(request.query_params[name]) for name in ("start", "end"))  # type: ignore[return-value]
        except (KeyError, ValueError):
            raise RefusedError(400, "INVALID_REPLICATION_DATE", "start and end must be ISO 8601 date-times") from None

    def _changes(self, name: str, start: int, end: int) -> list[Row]:
        rows = self.store.changed_since(self._sobject(name).name, start - 1)
        return [row for row in rows if row.modified_at // 1000 * 1000 <= end]

    def _render(self, sobject: SObject, row: Row, request: Request, version: str) -> dict[str, Any]:
        asked = request.query_params.get("fields", "")
        names = [name for name in asked.split(",") if name] or list(sobject.fields)
        for name in names:
            if name not in sobject.fields:
                raise no_column(name, sobject.name)
        return self._shown(sobject, row, names, version)

    def _shown(self, sobject: SObject, row: Row, names: list[str], version: str) -> dict[str, Any]:
        image = sobject.image(row)
        attributes = {
            "type": sobject.name,
            "url": f"/services/data/{version}/sobjects/{sobject.name}/{row.id}",
        }
        return {"attributes": attributes, **{name: sobject.render(name, image.get(name)) for name in names}}

    def reply(self, status: int, body: Any) -> Response:
        """An answer, with the calls used so far in its header."""
        usage = f"api-usage={self.quota.used()}/{self.quota.limit}"
        return json_reply(status, body, {"Sforce-Limit-Info": usage})

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return self.reply(error.status, error.body())

    async def _no_route(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            message = f"HTTP Method '{request.method}' not allowed."
            return self.reply(405, RefusedError(405, "METHOD_NOT_ALLOWED", message).body())
        return self.reply(404, not_found().body())


async def _collection(request: Request) -> tuple[list[Any], Options]:
    body = await json_body(request)
    rows = body.get("records")
    if not isinstance(rows, list):
        raise RefusedError(400, "JSON_PARSER_ERROR", "records must be a list")
    return rows, Options(body.get("allOrNone") is True, request.scope.get(FAIL_ROW))


def _refuse_if_modified(request: Request, row: Row) -> None:
    since = request.headers.get("If-Unmodified-Since")
    if since is None:
        return
    try:
        at = int(parsedate_to_datetime(since).timestamp())
    except ValueError:
        raise RefusedError(400, "INVALID_HEADER", "If-Unmodified-Since is no HTTP date") from None
    if row.modified_at // SECOND > at:
        raise RefusedError(412, "PRECONDITION_FAILED", "The record was modified since")


_CLIENT = re.compile(r"client=([^,;\s]+)")
