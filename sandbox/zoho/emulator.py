"""Zoho CRM over HTTP: paths, envelopes, statuses and credits of REST v8."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from starlette.exceptions import HTTPException

from sandbox.clock import Clock
from sandbox.emulator import json_object, json_reply, new_app, users_of
from sandbox.faults import FAIL_ROW, Answer, FaultPlan
from sandbox.quota import Quota
from sandbox.seed import CrmSeed
from sandbox.store import Actor, Store
from sandbox.zoho import coql, settings
from sandbox.zoho.errors import RefusedError, invalid_module, missing_parameter
from sandbox.zoho.module import Module, is_id
from sandbox.zoho.reading import (
    PageTokens,
    deleted_page,
    list_page,
    render_deleted,
    render_row,
    requested_fields,
)
from sandbox.zoho.tokens import CREDENTIALS, Tokens
from sandbox.zoho.writing import BATCH, Result, Write, batch_status
from schemas.codec import to_json
from schemas.values import parse_instant

ROOT = "/crm/v8"


class Zoho:
    """The emulator: one store in Zoho's dialect."""

    def __init__(self, seed: CrmSeed, clock: Clock) -> None:
        self.store = Store(seed.metadata("zoho"), clock, lambda tab, number: str(5725767000000100000 + number))
        zone = ZoneInfo(seed.timezone)
        self.modules = {name: Module(self.store, tab, zone) for name, tab in seed.tabs.items()}
        robot, person = users_of(seed.users, seed.integration_user, seed.person)
        self.robot = Actor(robot, CREDENTIALS["client_id"])
        self.person = Actor(person)
        self.plan = FaultPlan()
        self.quota = Quota(clock, 50_000)
        self.credentials: Mapping[str, str] = CREDENTIALS
        self.tokens = Tokens(clock)
        self._pages = PageTokens()
        self.app = new_app()
        self._add_routes()

    def refusal(self, status: int) -> Answer:
        """Zoho's body for a status; 429 is TOO_MANY_REQUESTS (fact sheet 4)."""
        code, message = _REFUSALS.get(status, ("INTERNAL_ERROR", "Internal Server Error"))
        return Answer(status, to_json({"code": code, "details": {}, "message": message, "status": "error"}))

    def expire(self) -> None:
        """End all access tokens."""
        self.tokens.expire()

    def _add_routes(self) -> None:
        app, admitted = self.app, [Depends(self.admit)]
        app.add_exception_handler(RefusedError, self._refused)
        app.add_exception_handler(HTTPException, self._no_route)
        app.add_api_route("/oauth/v2/token", self.token, methods=["POST"])
        routes = (
            ("GET", "/settings/modules", self.settings_modules),
            ("GET", "/settings/fields", self.settings_fields),
            ("GET", "/settings/user_groups", self.settings_groups),
            ("GET", "/users", self.users),
            ("GET", "/org", self.organisation),
            ("POST", "/coql", self.coql),
            ("GET", "/{module}/deleted", self.deleted),
            ("POST", "/{module}/upsert", self.upsert),
            ("GET", "/{module}", self.list_records),
            ("POST", "/{module}", self.insert),
            ("PUT", "/{module}", self.update),
            ("DELETE", "/{module}", self.delete_many),
            ("GET", "/{module}/{record_id}", self.get_record),
            ("PUT", "/{module}/{record_id}", self.update_one),
            ("DELETE", "/{module}/{record_id}", self.delete_one),
        )
        for method, path, endpoint in routes:
            app.add_api_route(ROOT + path, endpoint, methods=[method], dependencies=admitted)

    async def admit(self, request: Request) -> None:
        """Check the token; credits are taken by the operation, because it knows its size."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Zoho-oauthtoken" or not token:
            raise RefusedError(401, "AUTHENTICATION_FAILURE", "Authentication failed")
        if self.tokens.ends(token) is None:
            raise RefusedError(401, "INVALID_TOKEN", "invalid oauth token")

    async def token(self, request: Request) -> Response:
        """``POST /oauth/v2/token``; the fields come as a form or as query parameters."""
        form = dict(parse_qsl((await request.body()).decode()))
        origin = f"{request.url.scheme}://{request.url.netloc}"
        return json_reply(200, self.tokens.exchange({**request.query_params, **form}, origin))

    async def list_records(self, request: Request, module: str) -> Response:
        """``GET /{module}``."""
        self._charge(1)
        chosen, parameters = self._module(module), dict(request.query_params)
        since = _instant_header(request, "If-Modified-Since")
        page = list_page(chosen, parameters, self._pages, since)
        names = requested_fields(parameters)
        rows = [render_row(chosen, row, names) for row in page.rows]
        return self._listed("data", rows, page.paging, nothing=204 if since is None else 304)

    async def get_record(self, module: str, record_id: str) -> Response:
        """``GET /{module}/{id}``: all fields."""
        self._charge(1)
        chosen = self._module(module)
        _refuse_malformed(record_id)
        row = chosen.store.row(module, record_id)
        return self._reply(204, None) if row is None else self._reply(200, {"data": [render_row(chosen, row)]})

    async def deleted(self, request: Request, module: str) -> Response:
        """``GET /{module}/deleted``."""
        self._charge(1)
        chosen, since = self._module(module), _instant_header(request, "If-Modified-Since")
        page = deleted_page(chosen, dict(request.query_params), since)
        rows = [render_deleted(chosen, row) for row in page.rows]
        return self._listed("data", rows, page.paging, nothing=204 if since is None else 304)

    async def insert(self, request: Request, module: str) -> Response:
        """``POST /{module}``."""
        write = self._write(request, module)
        rows = self._rows(await self._body(request))
        return self._written(write.insert(rows), success=201)

    async def update(self, request: Request, module: str) -> Response:
        """``PUT /{module}``: every row names its id."""
        write = self._write(request, module)
        rows = self._rows(await self._body(request))
        return self._written(write.update(rows), success=200)

    async def update_one(self, request: Request, module: str, record_id: str) -> Response:
        """``PUT /{module}/{id}``."""
        write = self._write(request, module)
        _refuse_malformed(record_id)
        rows = [{**row, "id": record_id} for row in self._rows(await self._body(request))[:1]]
        return self._written(write.update(rows), success=200)

    async def upsert(self, request: Request, module: str) -> Response:
        """``POST /{module}/upsert``."""
        write = self._write(request, module)
        body = await self._body(request)
        rows = self._rows(body)
        return self._written(write.upsert(rows, body.get("duplicate_check_fields") or ()), success=200)

    async def delete_many(self, request: Request, module: str) -> Response:
        """``DELETE /{module}?ids=a,b``."""
        write = self._write(request, module)
        if "ids" not in request.query_params:
            raise missing_parameter("ids")
        ids = request.query_params["ids"].split(",")
        _refuse_too_many(ids)
        self._charge(1)
        return self._written(write.delete(ids), success=200)

    async def delete_one(self, request: Request, module: str, record_id: str) -> Response:
        """``DELETE /{module}/{id}``."""
        write = self._write(request, module)
        self._charge(1)
        return self._written(write.delete([record_id]), success=200)

    async def coql(self, request: Request) -> Response:
        """``POST /coql``."""
        text = (await self._body(request)).get("select_query")
        if not isinstance(text, str):
            raise RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "select_query"})
        self._charge(coql.credits_of(text))
        rows, more = coql.run(self.modules, text)
        return self._listed("data", rows, {"count": len(rows), "more_records": more}, nothing=204)

    async def settings_modules(self) -> Response:
        """``GET /settings/modules``."""
        self._charge(1)
        entries = [settings.module_entry(module, number) for number, module in enumerate(self.modules.values(), 1)]
        return self._reply(200, {"modules": entries})

    async def settings_fields(self, request: Request) -> Response:
        """``GET /settings/fields?module=``."""
        self._charge(1)
        if "module" not in request.query_params:
            raise missing_parameter("module")
        module = self._module(request.query_params["module"])
        entries = [settings.field_entry(module, field, n) for n, field in enumerate(module.columns.values(), 1)]
        return self._reply(200, {"fields": entries})

    async def settings_groups(self) -> Response:
        """``GET /settings/user_groups``."""
        self._charge(1)
        groups = [settings.group_entry(team) for team in self.store.metadata.teams]
        return self._listed("user_groups", groups, {"count": len(groups), "more_records": False}, nothing=204)

    async def users(self, request: Request) -> Response:
        """``GET /users``."""
        self._charge(1)
        everyone, kind = self.store.metadata.users, request.query_params.get("type", "AllUsers")
        if kind == "CurrentUser":
            everyone = tuple(user for user in everyone if user.id == self.robot.user)
        elif kind in ("ActiveUsers", "DeactiveUsers"):
            everyone = tuple(user for user in everyone if user.active == (kind == "ActiveUsers"))
        entries = [settings.user_entry(user) for user in everyone]
        paging = {"per_page": 200, "count": len(entries), "page": 1, "more_records": False}
        return self._listed("users", entries, paging, nothing=204)

    async def organisation(self) -> Response:
        """``GET /org``."""
        self._charge(1)
        return self._reply(200, {"org": [{"company_name": "Practice Range", "zgid": "60000000", "id": "1"}]})

    def _module(self, name: str) -> Module:
        module = self.modules.get(name)
        if module is None:
            raise invalid_module()
        return module

    def _write(self, request: Request, module: str) -> Write:
        unmodified_since = _instant_header(request, "If-Unmodified-Since")
        return Write(self._module(module), self.robot, unmodified_since, request.scope.get(FAIL_ROW))

    async def _body(self, request: Request) -> dict[str, Any]:
        body = json_object(await request.body())
        if body is None:
            raise RefusedError(400, "INVALID_DATA", "invalid data", {"expected_data_type": "jsonobject"})
        return body

    def _rows(self, body: Mapping[str, Any]) -> list[Any]:
        """The rows of a write, charged at one credit for every ten."""
        rows = body.get("data")
        if not isinstance(rows, list) or not rows:
            raise RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "data"})
        _refuse_too_many(rows)
        self._charge(-(-len(rows) // 10))
        return rows

    def _charge(self, credits_: int) -> None:
        if not self.quota.spend(credits_):
            raise RefusedError(429, "TOO_MANY_REQUESTS", _REFUSALS[429][1])

    def _written(self, results: Sequence[Result], success: int) -> Response:
        return self._reply(batch_status(results, success), {"data": results})

    def _listed(self, key: str, rows: Sequence[Any], paging: Any, nothing: int) -> Response:
        return self._reply(200, {key: rows, "info": paging}) if rows else self._reply(nothing, None)

    def _reply(self, status: int, body: Any) -> Response:
        """An answer; the credits that remain are told once half of them are used (fact sheet 4)."""
        used, limit = self.quota.used(), self.quota.limit
        headers = {"X-API-CREDITS-REMAINING": str(limit - used)} if used * 2 >= limit else {}
        return json_reply(status, body, headers)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return self._reply(error.status, error.body)

    async def _no_route(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            refused = RefusedError(400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")
        else:
            refused = RefusedError(
                404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one"
            )
        return self._reply(refused.status, refused.body)


def _instant_header(request: Request, name: str) -> int | None:
    text = request.headers.get(name)
    try:
        return None if text is None else parse_instant(text)
    except ValueError:
        raise RefusedError(400, "INVALID_DATA", "invalid data", {"header_name": name}) from None


def _refuse_malformed(record_id: str) -> None:
    if not is_id(record_id):
        raise RefusedError(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 1})


def _refuse_too_many(rows: Sequence[Any]) -> None:
    if len(rows) > BATCH:
        raise RefusedError(400, "LIMIT_EXCEEDED", "the number of rows exceeds the limit", {"limit": BATCH})


_REFUSALS = {
    401: ("INVALID_TOKEN", "invalid oauth token"),
    429: ("TOO_MANY_REQUESTS", "You have exceeded the number of API calls allowed"),
    500: ("INTERNAL_ERROR", "Internal Server Error"),
    502: ("BAD_GATEWAY", "Bad Gateway"),
    503: ("SERVICE_UNAVAILABLE", "Service Unavailable"),
}
