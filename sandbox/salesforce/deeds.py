"""What is done beyond writing rows: mail, topics, approvals, conversion, and several requests in one."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from fastapi import FastAPI, Request, Response

from sandbox.quota import Quota
from sandbox.salesforce import actions, composite, soap
from sandbox.salesforce.approvals import Approvals
from sandbox.salesforce.errors import REFUSALS, RefusedError, json_body
from sandbox.salesforce.tokens import ORGANISATION, USERNAME, Tokens
from sandbox.salesforce.writing import Write
from sandbox.store import Actor, Store

Endpoint = Callable[..., Awaitable[Response]]


class Office(Protocol):
    """What the deeds need of the emulator."""

    app: FastAPI
    store: Store
    robot: Actor
    quota: Quota
    tokens: Tokens
    approvals: Approvals
    mails: list[Mapping[str, Any]]

    def reply(self, status: int, body: Any) -> Response:
        """An answer, with the calls used so far in its header."""
        ...

    def write(self, request: Request, api: str = "rest", client: str = "") -> Write:
        """Writes of one request."""
        ...


class Deeds:
    """Endpoints beside those of rows and queries."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def routes(self) -> list[tuple[str, str, Endpoint]]:
        """Those below the version: method, path, endpoint."""
        return [
            ("POST", "/composite", self.composite),
            ("POST", "/composite/batch", self.batch),
            ("POST", "/process/approvals", self.approve),
            ("POST", "/actions/standard/emailSimple", self.send_mail),
            ("POST", "/connect/records/{record_id}/topics", self.assign_topic),
        ]

    async def userinfo(self) -> Response:
        """``GET /services/oauth2/userinfo``."""
        told = {"user_id": self._office.robot.user, "organization_id": ORGANISATION, "preferred_username": USERNAME}
        return self._office.reply(200, told)

    async def soap(self, request: Request) -> Response:
        """``POST /services/Soap/u/{version}``: ``convertLead``, its session in the envelope."""
        try:
            call = soap.read(await request.body())
            if not self._office.tokens.admit(f"Bearer {call.session}"):
                raise RefusedError(500, "INVALID_SESSION_ID", "Invalid Session ID found in SessionHeader")
            if not self._office.quota.spend():
                raise RefusedError(500, "REQUEST_LIMIT_EXCEEDED", REFUSALS[403][1])
            answer = soap.convert(self._office.write(request, "soap", call.client), call.leads)
        except RefusedError as refused:
            return Response(soap.fault(refused), 500, media_type="text/xml;charset=UTF-8")
        return Response(answer, 200, media_type="text/xml;charset=UTF-8")

    async def composite(self, request: Request) -> Response:
        """``POST /composite``."""
        return self._office.reply(
            200, await composite.composite(self._office.app, self._office.store, request, await json_body(request))
        )

    async def batch(self, request: Request, version: str) -> Response:
        """``POST /composite/batch``."""
        return self._office.reply(
            200, await composite.batch(self._office.app, request, await json_body(request), version)
        )

    async def approve(self, request: Request) -> Response:
        """``POST /process/approvals``."""
        requests = (await json_body(request)).get("requests")
        results = self._office.approvals.act(
            requests if isinstance(requests, list) else [], self._office.write(request).actor
        )
        return self._office.reply(200 if any(one["success"] for one in results) else 400, results)

    async def send_mail(self, request: Request) -> Response:
        """``POST /actions/standard/emailSimple``."""
        inputs = (await json_body(request)).get("inputs")
        inputs = inputs if isinstance(inputs, list) else []
        results = [actions.send_mail(one) for one in inputs]
        self._office.mails += [one for one, result in zip(inputs, results, strict=True) if result["isSuccess"]]
        return self._office.reply(200 if all(one["isSuccess"] for one in results) else 400, results)

    async def assign_topic(self, request: Request, record_id: str) -> Response:
        """``POST /connect/records/{id}/topics``."""
        name = str((await json_body(request)).get("topicName") or "")
        return self._office.reply(200, actions.assign_topic(self._office.write(request), record_id, name))
