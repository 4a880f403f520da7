"""Vtiger's cloud surface: the same operations below ``/restapi/v1/vtiger/default``, Basic auth, limits in headers."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response

from sandbox.clock import Clock
from sandbox.emulator import json_reply
from sandbox.hosting import REASON
from sandbox.quota import Quota
from sandbox.vtiger.errors import BrokenDownError, RefusedError
from sandbox.vtiger.operations import CLOUD, Call, Installation, Operation
from sandbox.vtiger.sessions import user_name
from schemas.codec import CodecError, from_json
from schemas.metadata import User
from schemas.values import DAY, MINUTE

PATH = "/restapi/v1/vtiger/default/{operation}"
PER_MINUTE = 60

Open = Callable[[User, str, Mapping[str, str]], Call]


class Cloud:
    """The cloud's door to an installation."""

    def __init__(self, at: Installation, clock: Clock, quota: Quota, access_key: str, open_call: Open) -> None:
        self._at = at
        self._clock = clock
        self._quota = quota
        self._access_key = access_key
        self._open = open_call
        self._minute = (0, 0)

    def answer(self, operation: str, request: Request, form: Mapping[str, str]) -> Response:
        """One operation; a refusal is a 400 whose reason phrase says why."""
        user = self._user(request.headers.get("authorization", ""))
        if user is None:
            return _refusal(401, RefusedError("AUTHENTICATION_FAILURE", "Authentication failed"), {})
        if not self._spend():
            return _refusal(429, RefusedError("TOO_MANY_REQUESTS", "Too many requests"), self._limits())
        name, (verb, run) = operation.lower(), _OPERATIONS.get(operation.lower(), ("GET", _unknown))
        parameters = dict(request.query_params) if verb == "GET" else form
        try:
            result = run(self._open(user, "", parameters))
        except RefusedError as refused:
            return _refusal(400, refused, self._limits())
        except BrokenDownError:
            return Response(b"", 500, self._limits())
        found = {} if name == "convertlead" and result is None else {"result": result}
        return json_reply(200, {"success": True, **found}, self._limits())

    def _user(self, header: str) -> User | None:
        scheme, _, proof = header.partition(" ")
        try:
            name, _, key = base64.b64decode(proof, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if scheme != "Basic" or key != self._access_key:
            return None
        people = (user for user in self._at.store.metadata.users if user.active)
        return next((user for user in people if name.casefold() in (user_name(user).casefold(), user.email)), None)

    def _spend(self) -> bool:
        minute = self._clock.now() // MINUTE
        used = self._minute[1] if self._minute[0] == minute else 0
        if used >= self._per_minute() or not self._quota.spend():
            return False
        self._minute = (minute, used + 1)
        return True

    def _per_minute(self) -> int:
        return int(self._at.options.get("per_minute", PER_MINUTE))

    def _limits(self) -> dict[str, str]:
        minute, used = self._minute
        return {
            "X-FloodControl-MinuteLimit": str(self._per_minute()),
            "X-FloodControl-Remaining": str(max(0, self._per_minute() - used)),
            "X-FloodControl-Reset": str((minute + 1) * MINUTE // 1000),
            "X-RateLimit-DailyLimit": str(self._quota.limit),
            "X-RateLimit-Remaining": str(max(0, self._quota.limit - self._quota.used())),
            "X-RateLimit-Reset": str((self._clock.now() + DAY) // 1000),
            "X-Vtiger-Version": self._at.version,
        }


def _refusal(status: int, refused: RefusedError, limits: Mapping[str, str]) -> Response:
    message = refused.message.encode("ascii", "replace").decode()
    return json_reply(status, refused.body, {**limits, REASON: message})


def _unknown(call: Call) -> Any:
    raise RefusedError("UNKNOWN_OPERATION", "Unknown operation requested")


def _me(call: Call) -> Any:
    user = call.records.rights.user
    names = {"id": user.id, "user_name": user_name(user), "first_name": "", "last_name": user.name}
    return {**names, "email1": user.email}


def _lookup(call: Call) -> Any:
    wanted, where = call.text("value"), _json(call.text("searchIn"))
    found = []
    for module, columns in (where if isinstance(where, dict) else {}).items():
        entity = call.at.entities.get(module)
        rows = entity.rows() if entity else []
        found += [
            entity.render(row) for row in rows if entity and any(row.fields.get(name) == wanted for name in columns)
        ]
    return found


def _tags_add(call: Call) -> Any:
    return _retagged(call, lambda tags, named: [*tags, *(tag for tag in named if tag not in tags)])


def _tags_delete(call: Call) -> Any:
    every = call.text("delete_all") == "1"
    return _retagged(call, lambda tags, named: [] if every else [tag for tag in tags if tag not in named])


def _tags_retrieve(call: Call) -> Any:
    _, row = call.records.row(call.text("id"))
    return {"tags": _tags(row.fields.get("tags"))}


def _retagged(call: Call, change: Callable[[list[str], list[str]], list[str]]) -> Any:
    entity, row = call.records.row(call.text("id"))
    named = _json(call.text("tags"))
    tags = change(_tags(row.fields.get("tags")), [str(tag) for tag in named] if isinstance(named, list) else [])
    call.at.store.update(entity.name, row.id, {"tags": ",".join(tags)}, call.records.actor)
    return {"tags": tags}


def _tags(value: object) -> list[str]:
    return [tag for tag in str(value or "").split(",") if tag]


def _json(text: str) -> Any:
    try:
        return from_json(text)
    except CodecError:
        return None


_OPERATIONS: Mapping[str, Operation] = {
    **CLOUD,
    "me": ("GET", _me),
    "lookup": ("GET", _lookup),
    "tags_add": ("POST", _tags_add),
    "tags_delete": ("POST", _tags_delete),
    "tags_retrieve": ("POST", _tags_retrieve),
    "reopen": ("POST", lambda call: call.records.retrieve(call.text("id"))),
}
