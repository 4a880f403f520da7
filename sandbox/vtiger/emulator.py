"""Vtiger over HTTP: ``webservice.php``, where every operation is a parameter and every answer a 200."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response

from sandbox.clock import Clock
from sandbox.emulator import json_reply, new_app, users_of
from sandbox.faults import Answer, FaultPlan
from sandbox.quota import Quota
from sandbox.seed import CrmSeed
from sandbox.store import Actor, Store
from sandbox.vtiger import describe, vtql
from sandbox.vtiger.entity import MODULE_IDS, Entity
from sandbox.vtiger.errors import BrokenDownError, RefusedError, denied
from sandbox.vtiger.records import Records
from sandbox.vtiger.sessions import VERSION, Sessions, user_name
from sandbox.vtiger.tables import tables
from schemas.codec import to_json
from schemas.metadata import User

ACCESS_KEY = "sandboxAccessKey1"
FIRST_CUSTOM_MODULE = 40

Parameters = Mapping[str, str]


class Vtiger:
    """The emulator: one store in the dialect of Vtiger's open source edition."""

    def __init__(self, seed: CrmSeed, clock: Clock) -> None:
        numbers = _module_numbers(seed)
        first = 1 + _largest_number(seed)
        self.store = Store(seed.metadata("vtiger"), clock, lambda tab, number: f"{numbers[tab]}x{first + number}")
        self.entities = {name: Entity(self.store, tab, numbers[name], numbers) for name, tab in seed.tabs.items()}
        robot, person = users_of(seed.users, seed.integration_user, seed.person)
        self.person = Actor(person)
        self.plan = FaultPlan()
        self.quota = Quota(clock, 1_000_000)
        self.tables = tables(self.store.metadata, robot)
        self.sources: Mapping[str, vtql.Source] = {**self.entities, **self.tables}
        self.sessions = Sessions(clock, seed.users, ACCESS_KEY)
        user = self.store.user(robot)
        self.credentials: Mapping[str, str] = {
            "username": user_name(user) if user else "admin",
            "access_key": ACCESS_KEY,
        }
        self.app = new_app()
        self.app.add_api_route("/webservice.php", self.answer, methods=["GET", "POST"])

    def refusal(self, status: int) -> Answer:
        """The open source edition has no limits: a proxy answers with HTML, its PHP with nothing."""
        if status == 500:
            return Answer(500, b"", "text/html")
        return Answer(status, b"<html><body><h1>%d</h1></body></html>" % status, "text/html")

    def expire(self) -> None:
        """End all sessions."""
        self.sessions.expire()

    async def answer(self, request: Request) -> Response:
        """One operation; its name and the session may come in the query or in the form."""
        query = dict(request.query_params)
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        both = {**query, **form}
        name = both.get("operation", "").lower()
        try:
            result = self._result(name, query, form, both.get("sessionName", ""))
        except RefusedError as refused:
            return json_reply(200, refused.body)
        except BrokenDownError:
            return Response(b"", 500, media_type="text/html")
        return Response(to_json({"success": True, "result": result}), 200, media_type="application/json")

    def _result(self, name: str, query: Parameters, form: Parameters, session: str) -> Any:
        """An operation reads its own parameters from the query or from the form, by its declared verb."""
        if name == "getchallenge":
            return self.sessions.challenge(query.get("username", ""))
        if name == "login":
            return self.sessions.login(form.get("username", ""), form.get("accessKey", ""))
        operation = _OPERATIONS.get(name)
        if operation is None:
            raise BrokenDownError
        user = self.sessions.user(session)
        verb, run = operation
        return run(self, _Call(user, session, query if verb == "GET" else form))

    def records(self, user: User) -> Records:
        """The records as a user sees them."""
        return Records(self.store, self.entities, self.tables, Actor(user.id, "webservice"))


class _Call:
    """One call of an operation by a user who is logged in."""

    def __init__(self, user: User, session: str, parameters: Parameters) -> None:
        self.user = user
        self.session = session
        self.parameters = parameters

    def text(self, name: str) -> str:
        """A parameter, empty where it is not given."""
        return self.parameters.get(name, "")


def _extend(crm: Vtiger, call: _Call) -> Any:
    return {"sessionName": call.session, "userId": call.user.id, **VERSION}


def _describe(crm: Vtiger, call: _Call) -> Any:
    source = crm.sources.get(call.text("elementType"))
    if source is None:
        raise denied(f"name : {call.text('elementType')}")
    return describe.describe(source)


def _related_types(crm: Vtiger, call: _Call) -> Any:
    name = call.text("elementType")
    if name not in crm.entities:
        raise denied(f"name : {name}")
    return describe.related_types(crm.entities, name)


def _retrieve(crm: Vtiger, call: _Call) -> Any:
    return crm.records(call.user).retrieve(call.text("id"))


def _query(crm: Vtiger, call: _Call) -> Any:
    return vtql.run(crm.sources, call.text("query"))


def _create(crm: Vtiger, call: _Call) -> Any:
    return crm.records(call.user).create(call.text("elementType"), call.parameters.get("element"))


def _sync(crm: Vtiger, call: _Call) -> Any:
    asked = (call.text("modifiedTime"), call.text("elementType"), call.text("syncType"))
    return crm.records(call.user).sync(*asked)


_OPERATIONS: dict[str, tuple[str, Callable[[Vtiger, _Call], Any]]] = {
    "extendsession": ("POST", _extend),
    "logout": ("POST", lambda crm, call: crm.sessions.logout(call.session)),
    "listtypes": ("GET", lambda crm, call: describe.list_types(crm.sources.values())),
    "describe": ("GET", _describe),
    "relatedtypes": ("GET", _related_types),
    "retrieve": ("GET", _retrieve),
    "query": ("GET", _query),
    "sync": ("GET", _sync),
    "create": ("POST", _create),
    "update": ("POST", lambda crm, call: crm.records(call.user).update(call.parameters.get("element"))),
    "revise": ("POST", lambda crm, call: crm.records(call.user).revise(call.parameters.get("element"))),
    "delete": ("POST", lambda crm, call: crm.records(call.user).delete(call.text("id"))),
}


def _module_numbers(seed: CrmSeed) -> dict[str, int]:
    custom = (name for name in seed.tabs if name not in MODULE_IDS)
    return {**MODULE_IDS, **{name: number for number, name in enumerate(custom, FIRST_CUSTOM_MODULE)}}


def _largest_number(seed: CrmSeed) -> int:
    """The largest record number that the seed gives away itself."""
    ids = (str(record.get("id", "0")) for records in seed.records.values() for record in records)
    return max((int(text.rpartition("x")[2]) for text in ids), default=0)
