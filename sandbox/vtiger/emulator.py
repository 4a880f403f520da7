"""Vtiger over HTTP: ``webservice.php``, where every answer is a 200, and the cloud's REST surface beside it."""

from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response

from sandbox.clock import Clock
from sandbox.emulator import json_reply, new_app, users_of
from sandbox.faults import Answer, FaultPlan
from sandbox.quota import Quota
from sandbox.seed import CrmSeed
from sandbox.store import Actor, Store
from sandbox.vtiger.cloud import PATH, Cloud
from sandbox.vtiger.entity import MODULE_IDS, Entity
from sandbox.vtiger.errors import BrokenDownError, RefusedError
from sandbox.vtiger.operations import OPEN_SOURCE, Call, Installation
from sandbox.vtiger.records import Records
from sandbox.vtiger.relations import Relations
from sandbox.vtiger.rights import Rights
from sandbox.vtiger.sessions import Sessions, user_name
from sandbox.vtiger.tables import NUMBERS, tables
from schemas.codec import to_json
from schemas.metadata import User

ACCESS_KEY = "sandboxAccessKey1"
FIRST_CUSTOM_MODULE = 40
LONGEST_ADDRESS = 7_900
"""Bytes of a request's query that the web server before Vtiger lets through."""

Parameters = Mapping[str, str]


class Vtiger:
    """The emulator: one store in the dialect of Vtiger's two surfaces.

    ``options``: ``version`` (8.4.0 or 8.3.0), ``sync`` (repaired or stock), ``zone`` (the server's), ``charset``
    (utf8mb3 or utf8mb4), ``private`` (modules whose records only their owners see), ``inactive`` (users who may no
    longer log in, by id), ``per_minute`` (the cloud's limit).
    """

    def __init__(self, seed: CrmSeed, clock: Clock) -> None:
        numbers = _module_numbers(seed)
        first = _largest_number(seed)
        self.options: MutableMapping[str, str] = {"zone": seed.timezone, **seed.options}
        self.store = Store(seed.metadata("vtiger"), clock, lambda tab, number: f"{numbers[tab]}x{first + number}")
        self._admin, person = users_of(seed.users, seed.integration_user, seed.person)
        self.person = Actor(person)
        self.plan = FaultPlan()
        self.quota = Quota(clock, 1_000_000)
        sessions = Sessions(clock, seed.users, ACCESS_KEY, self._admin, self.options)
        user = self.store.user(self._admin)
        self.credentials: Mapping[str, str] = {
            "username": user_name(user) if user else "admin",
            "access_key": ACCESS_KEY,
        }
        self._at = self._installed(seed, numbers, sessions)
        self._cloud = Cloud(self._at, clock, self.quota, ACCESS_KEY, self._call)
        self.app = new_app()
        self.app.add_api_route("/webservice.php", self.answer, methods=["GET", "POST"])
        self.app.add_api_route(PATH, self.answer_cloud, methods=["GET", "POST"])

    def refusal(self, status: int) -> Answer:
        """The open source edition has no limits: a proxy answers with HTML, its PHP with nothing."""
        if status == 500:
            return Answer(500, b"", "text/html")
        return Answer(status, b"<html><body><h1>%d</h1></body></html>" % status, "text/html")

    def expire(self) -> None:
        """End all sessions."""
        self._at.sessions.expire()

    async def answer(self, request: Request) -> Response:
        """One operation; its name and the session may come in the query or in the form."""
        query, form = dict(request.query_params), await _form(request)
        if len(request.url.query) > LONGEST_ADDRESS:
            return Response(b"<html>414 Request-URI Too Large</html>", 414, media_type="text/html")
        both = {**query, **form}
        name = both.get("operation", "").lower()
        try:
            if both.get("format", "json") != "json" or any(key.endswith("[]") for key in both):
                raise BrokenDownError
            session = both.get("sessionName") or request.cookies.get("PHPSESSID", "")
            result = self._result(name, query, form, session)
        except RefusedError as refused:
            return json_reply(200, refused.body)
        except BrokenDownError:
            return Response(b"", 500, media_type="text/html")
        found = {} if result is None else {"result": result}
        return Response(to_json({"success": True, **found}), 200, media_type="application/json")

    async def answer_cloud(self, operation: str, request: Request) -> Response:
        """One operation of the cloud's surface."""
        return self._cloud.answer(operation, request, await _form(request))

    def _result(self, name: str, query: Parameters, form: Parameters, session: str) -> Any:
        """An operation reads its own parameters from the query or from the form, by its declared verb."""
        if name == "getchallenge":
            return self._at.sessions.challenge(query.get("username", ""))
        if name == "login":
            return self._at.sessions.login(form.get("username", ""), form.get("accessKey", ""))
        operation = OPEN_SOURCE.get(name)
        if operation is None:
            raise BrokenDownError
        user = self._at.sessions.user(session)
        verb, run = operation
        return run(self._call(user, session, query if verb == "GET" else form))

    def _call(self, user: User, session: str, parameters: Parameters) -> Call:
        rights = Rights(self.store, user, user.id == self._admin, self.options)
        actor = Actor(user.id, "webservice")
        records = Records(self.store, self._at.entities, self._at.tables, actor, rights)
        return Call(self._at, records, session, parameters)

    def _installed(self, seed: CrmSeed, numbers: Mapping[str, int], sessions: Sessions) -> Installation:
        entities = {
            name: Entity(self.store, tab, numbers, self.options, seed.native.get(name))
            for name, tab in seed.tabs.items()
            if name not in NUMBERS
        }
        others = tables(self.store, seed.native, self._admin)
        return Installation(self.store, entities, others, Relations(entities, seed.relations), sessions, self.options)


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


def _module_numbers(seed: CrmSeed) -> dict[str, int]:
    known = {**MODULE_IDS, **NUMBERS}
    described = {name: int(told["idPrefix"]) for name, told in seed.native.items()}
    custom = (name for name in seed.tabs if name not in known and name not in described)
    return {**known, **{name: number for number, name in enumerate(custom, FIRST_CUSTOM_MODULE)}, **described}


def _largest_number(seed: CrmSeed) -> int:
    """The largest record number that the seed gives away itself."""
    ids = (str(record.get("id", "0")) for records in seed.records.values() for record in records)
    return max((int(text.rpartition("x")[2]) for text in ids), default=0)
