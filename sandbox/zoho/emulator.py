"""Zoho CRM over HTTP: the emulator put together; tokens, paths, errors."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from starlette.exceptions import HTTPException

from sandbox.clock import Clock
from sandbox.emulator import json_reply, new_app, users_of
from sandbox.faults import Answer, FaultPlan
from sandbox.quota import Quota
from sandbox.seed import CrmSeed
from sandbox.store import Actor, Store
from sandbox.zoho.actions import Actions
from sandbox.zoho.bell import Bell, TellingStore
from sandbox.zoho.blueprint import Blueprints
from sandbox.zoho.conversion import Conversion
from sandbox.zoho.desk import TOO_MANY, Desk
from sandbox.zoho.errors import RefusedError
from sandbox.zoho.module import HIDDEN, Module
from sandbox.zoho.people import People
from sandbox.zoho.records import Records
from sandbox.zoho.tokens import CREDENTIALS, Tokens
from sandbox.zoho.watching import Watching
from schemas.codec import to_json
from schemas.metadata import ConnectionMetadata

ROOT = "/crm/v8"


class Zoho:
    """The emulator: one store in Zoho's dialect."""

    def __init__(self, seed: CrmSeed, clock: Clock) -> None:
        self.plan = FaultPlan()
        self.bell = Bell(clock, self.plan)
        self.store: Store = TellingStore(_with_hidden(seed), clock, _new_id, self.bell.ring)
        zone = ZoneInfo(seed.timezone)
        modules = {name: Module(self.store, tab, zone, seed.blueprints.get(name)) for name, tab in seed.tabs.items()}
        robot, person = users_of(seed.users, seed.integration_user, seed.person)
        self.robot = Actor(robot, CREDENTIALS["client_id"])
        self.person = Actor(person)
        self.quota = Quota(clock, 50_000)
        self.credentials: Mapping[str, str] = CREDENTIALS
        self.tokens = Tokens(clock)
        self.app = new_app()
        self._add_routes(Desk(self.store, modules, self.robot, self.quota, seed.scopes))

    def refusal(self, status: int) -> Answer:
        """Zoho's body for a status; 429 is TOO_MANY_REQUESTS (fact sheet 4)."""
        code, message = _REFUSALS.get(status, ("INTERNAL_ERROR", "Internal Server Error"))
        return Answer(status, to_json({"code": code, "details": {}, "message": message, "status": "error"}))

    def expire(self) -> None:
        """End all access tokens."""
        self.tokens.expire()

    def _add_routes(self, desk: Desk) -> None:
        app, admitted = self.app, [Depends(self.admit)]
        app.add_exception_handler(RefusedError, self._refused(desk))
        app.add_exception_handler(HTTPException, self._no_route(desk))
        app.add_api_route("/oauth/v2/token", self.token, methods=["POST"])
        for method, path, endpoint in _routes(desk, self.bell):
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

    def _refused(self, desk: Desk) -> Any:
        async def answer(request: Request, error: Exception) -> Response:
            assert isinstance(error, RefusedError)
            return desk.reply(error.status, error.body)

        return answer

    def _no_route(self, desk: Desk) -> Any:
        async def answer(request: Request, error: Exception) -> Response:
            wrong_verb = isinstance(error, HTTPException) and error.status_code == 405
            refused = _WRONG_VERB if wrong_verb else _WRONG_PATH
            return desk.reply(refused.status, refused.body)

        return answer


def _routes(desk: Desk, bell: Bell) -> Iterable[tuple[str, str, Any]]:
    """All endpoints; the paths of records come last, because they match nearly everything."""
    yield from People(desk).routes()
    yield from Watching(desk, bell).routes()
    yield from Conversion(desk).routes()
    yield from Blueprints(desk).routes()
    actions = Actions(desk)
    yield from actions.routes()
    yield from Records(desk).routes()
    yield from actions.related_routes()


def _with_hidden(seed: CrmSeed) -> ConnectionMetadata:
    """The seed's tabs, and those that hold mails and locks: no module of Zoho's, but effects too."""
    known = seed.metadata("zoho")
    return known.model_copy(update={"tabs": {**HIDDEN, **known.tabs}})


def _new_id(tab: str, number: int) -> str:
    return str(5725767000000100000 + number)


_WRONG_VERB = RefusedError(400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")
_WRONG_PATH = RefusedError(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")
_REFUSALS = {
    401: ("INVALID_TOKEN", "invalid oauth token"),
    429: ("TOO_MANY_REQUESTS", TOO_MANY),
    500: ("INTERNAL_ERROR", "Internal Server Error"),
    502: ("BAD_GATEWAY", "Bad Gateway"),
    503: ("SERVICE_UNAVAILABLE", "Service Unavailable"),
}
