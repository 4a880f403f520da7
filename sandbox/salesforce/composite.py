"""Several requests in one: ``/composite`` with references between them, ``/composite/batch`` without (sheet 2.3)."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from fastapi import FastAPI, Request
from starlette.types import Message

from sandbox.salesforce.errors import RefusedError
from sandbox.store import Store
from schemas.codec import from_json, to_json

MOST = 25
WITHIN = "renkei.within"
"""Key of the scope of a sub-request: admitted and paid for with the request around it."""

HALTED = "The transaction was rolled back since another operation in the same transaction failed."
_KEPT = ("type", "asgi", "http_version", "scheme", "root_path", "client", "server", "headers")
_REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\.\w+|\[\d+\])*)\}")


class _Answer(NamedTuple):
    status: int
    body: Any


async def composite(app: FastAPI, store: Store, request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
    """``POST /composite``; with ``allOrNone`` one failure undoes the others."""
    parts = _parts(body, "compositeRequest")
    with store.lock:
        start, answers = len(store.ledger()), dict[str, _Answer]()
        for part in parts:
            answers[str(part.get("referenceId"))] = await _referring(app, request, part, answers)
        if body.get("allOrNone") is True and any(answer.status >= 400 for answer in answers.values()):
            store.rollback(start)
            answers = {name: _halted(answer) for name, answer in answers.items()}
    return {"compositeResponse": [_told(name, answer) for name, answer in answers.items()]}


async def batch(app: FastAPI, request: Request, body: Mapping[str, Any], version: str) -> dict[str, Any]:
    """``POST /composite/batch``: independent requests; paths begin with the version."""
    answers: list[_Answer] = []
    for part in _parts(body, "batchRequests"):
        halted = body.get("haltOnError") is True and any(answer.status >= 400 for answer in answers)
        url = f"/services/data/{str(part.get('url', '')).lstrip('/')}"
        answers.append(_BATCH_HALTED if halted else await _run(app, request, part, url, part.get("richInput")))
    results = [{"statusCode": answer.status, "result": answer.body} for answer in answers]
    return {"hasErrors": any(answer.status >= 400 for answer in answers), "results": results}


_BATCH_HALTED = _Answer(412, [{"errorCode": "BATCH_PROCESSING_HALTED", "message": "Batch processing halted"}])


def _parts(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    parts = body.get(name)
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RefusedError(400, "JSON_PARSER_ERROR", f"{name} must be a list of objects")
    if not 0 < len(parts) <= MOST:
        raise RefusedError(400, "LIMIT_EXCEEDED", f"a request of this kind has 1 to {MOST} parts")
    return parts


async def _referring(
    app: FastAPI, request: Request, part: Mapping[str, Any], answers: Mapping[str, _Answer]
) -> _Answer:
    try:
        url, body = _filled(part.get("url", ""), answers), _filled(part.get("body"), answers)
    except RefusedError as refused:
        return _Answer(400, refused.body())
    return await _run(app, request, part, url, body)


async def _run(app: FastAPI, request: Request, part: Mapping[str, Any], url: str, body: Any) -> _Answer:
    """One sub-request, through the same application, with the headers of the request around it."""
    path, _, query = url.partition("?")
    content = b"" if body is None else to_json(body)
    around = {name: request.scope[name] for name in _KEPT}
    scope = {
        **around, "method": part.get("method", "GET"), "path": unquote(path), "raw_path": path.encode(),
        "query_string": query.encode(), WITHIN: True,
    }  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    told = b"".join(message.get("body", b"") for message in sent[1:])
    return _Answer(sent[0]["status"], from_json(told) if told else None)


def _filled(value: Any, answers: Mapping[str, _Answer]) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: _referred(found, answers), value)
    if isinstance(value, list):
        return [_filled(item, answers) for item in value]
    return {name: _filled(item, answers) for name, item in value.items()} if isinstance(value, dict) else value


def _referred(found: "re.Match[str]", answers: Mapping[str, _Answer]) -> str:
    answer = answers.get(found[1])
    value: Any = answer.body if answer is not None and answer.status < 400 else None
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", found[2]):
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            value = None
    if value is None:
        message = f"Invalid reference specified. No value for {found[1]}{found[2]} found in {found[1]}"
        raise RefusedError(400, "PROCESSING_HALTED", message)
    return str(value)


def _halted(answer: _Answer) -> _Answer:
    return answer if answer.status >= 400 else _Answer(400, RefusedError(400, "PROCESSING_HALTED", HALTED).body())


def _told(name: str, answer: _Answer) -> dict[str, Any]:
    return {"body": answer.body, "httpHeaders": {}, "httpStatusCode": answer.status, "referenceId": name}
