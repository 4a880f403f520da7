"""What the three emulators have in common: what hosts need of them, and JSON answers with exact decimals."""

from collections.abc import Mapping
from typing import Any, Protocol

from fastapi import FastAPI, Response

from sandbox.faults import Answer, FaultPlan
from sandbox.quota import Quota
from sandbox.store import Actor, Store
from schemas.codec import CodecError, from_json, to_json
from schemas.metadata import User

JSON = "application/json;charset=UTF-8"


class Emulator(Protocol):
    """One vendor's dialect over a store."""

    store: Store
    app: FastAPI
    plan: FaultPlan
    quota: Quota
    credentials: Mapping[str, str]
    """What a connector must know to log in, by the names that the vendor uses."""
    person: Actor
    """Who makes the edits of the person's hand."""

    def refusal(self, status: int) -> Answer:
        """The vendor's body for a status that a fault asks for."""
        ...

    def expire(self) -> None:
        """End all access tokens and sessions."""
        ...


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; no body at all where it is none."""
    content = b"" if body is None else to_json(body)
    return Response(content, status, dict(headers or {}), None if body is None else JSON)


def json_object(content: bytes) -> dict[str, Any] | None:
    """A request's JSON object, or none where the body is something else."""
    try:
        body = from_json(content)
    except CodecError:
        return None
    return body if isinstance(body, dict) else None


def new_app() -> FastAPI:
    """An application that answers nothing but its own routes."""
    return FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)


def users_of(users: tuple[User, ...], integration: str, person: str) -> tuple[str, str]:
    """The ids of the integration user and of the person whose hand edits, from a seed's users and wishes."""
    ids = [user.id for user in users if user.active] or ["1"]
    robot = integration or ids[0]
    others = [user_id for user_id in ids if user_id != robot]
    return robot, person or (others[0] if others else robot)
