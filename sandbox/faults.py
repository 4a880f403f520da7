"""What can go wrong between a client and a practice CRM, on order: statuses, delays, lost answers."""

import asyncio
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.clock import Clock

What: TypeAlias = Literal[
    "status", "delay", "reset_before", "reset_after", "expire_token", "fail_row", "short_answer", "drop_row",
    "lose_notice", "repeat_notice", "spent", "hang", "hang_after", "late",
]  # fmt: skip

FAIL_ROW = "renkei.fail_row"
"""Key of the request scope under which a batch write finds the row that must fail."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, for the requests it matches.

    ``where`` is a regular expression searched in ``METHOD path?query body`` (form bodies only), decoded. The
    first ``skip`` matching requests pass, of the next ``times`` a ``share`` is hit, drawn by the plan's chance; only
    from ``since`` to ``until`` by the sandbox's clock (ms), where these are named.

    - ``status``: answer with ``status`` and the vendor's body, after ``after`` seconds again; nothing is applied.
    - ``spent``: the day's quota is used up as far as this request is concerned; the vendor's own answer.
    - ``delay``: wait ``seconds``, then answer as usual.
    - ``reset_before``: drop the connection, nothing is applied.
    - ``reset_after``: apply, then drop the connection without an answer.
    - ``expire_token``: all access tokens and sessions end just before the request.
    - ``fail_row``: row number ``row`` of a batch write fails with an internal error, the others are applied.
    - ``short_answer``: apply, then send half of the answer and drop the connection.
    - ``drop_row``: apply, then leave the last row out of the answer.
    - ``lose_notice``, ``repeat_notice``: a callback of Zoho's is not sent, or twice; ``where`` begins with ``NOTIFY``.
    - ``hang``: take the request and never answer; nothing is applied.
    - ``hang_after``: apply, and never answer.
    - ``late``: drop the connection, and apply ``seconds`` later.
    """

    do: What
    where: str = ""
    times: int = 1
    skip: int = 0
    status: int = 500
    seconds: float = 0.0
    row: int = 0
    share: float = 1.0
    since: int = 0
    until: int | None = None
    after: float = 0.0


def storm(where: str = "", *, share: float = 0.5, status: int = 429, since: int = 0, until: int | None = None) -> Fault:
    """A part of all calls is refused for a time."""
    return Fault("status", where, times=sys.maxsize, status=status, share=share, since=since, until=until)


class Call(NamedTuple):
    """One request that arrived; status 0 where the connection was dropped."""

    method: str
    target: str
    status: int


@dataclass(slots=True)
class _Planned:
    fault: Fault
    seen: int = 0


@dataclass(slots=True)
class FaultPlan:
    """The faults of one CRM, and the calls that arrived there; thread-safe."""

    _planned: list[_Planned] = field(default_factory=list)
    _calls: list[Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _chance: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - a rehearsal must be repeatable
    clock: Clock = field(default_factory=Clock)
    """By which faults that last for a time are over."""

    def add(self, fault: Fault) -> None:
        """Plan a fault; the first planned that matches a request hits it."""
        with self._lock:
            self._planned.append(_Planned(fault))

    def clear(self) -> None:
        """Forget all planned faults."""
        with self._lock:
            self._planned.clear()

    @contextmanager
    def planned(self, fault: Fault) -> Iterator[None]:
        """The fault holds within the block; afterwards all faults are forgotten."""
        self.add(fault)
        try:
            yield
        finally:
            self.clear()

    def calls(self) -> tuple[Call, ...]:
        """The requests that arrived so far, in order of their answers."""
        with self._lock:
            return tuple(self._calls)

    def forget_calls(self) -> None:
        """Empty the list of calls."""
        with self._lock:
            self._calls.clear()

    def next_for(self, request_line: str) -> Fault | None:
        """The fault that hits this request now, counting it."""
        with self._lock:
            for planned in self._planned:
                fault = planned.fault
                if planned.seen < fault.skip + fault.times and self._is_now(fault):
                    if not re.search(fault.where, request_line):
                        continue
                    planned.seen += 1
                    if planned.seen > fault.skip and (fault.share >= 1 or self._chance.random() < fault.share):
                        return fault
        return None

    def _is_now(self, fault: Fault) -> bool:
        if not fault.since and fault.until is None:
            return True
        now = self.clock.now()
        return fault.since <= now and (fault.until is None or now < fault.until)

    def note(self, call: Call) -> None:
        """Remember a call."""
        with self._lock:
            self._calls.append(call)


class Answer(NamedTuple):
    """An HTTP answer of a vendor."""

    status: int
    body: bytes
    media_type: str = "application/json;charset=UTF-8"
    headers: tuple[tuple[bytes, bytes], ...] = ()


Drop: TypeAlias = Callable[[Scope], None]
"""Drops the connection that a request came on."""


class Faulty:
    """An ASGI application in front of an emulator that lets the planned faults happen."""

    def __init__(
        self,
        app: ASGIApp,
        plan: FaultPlan,
        refusal: Callable[[int], Answer],
        expire: Callable[[], None],
        drop: Drop,
        exhausted: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._exhausted = exhausted
        self._late: set[asyncio.Task[object]] = set()
        self._app = app
        self._plan = plan
        self._refusal = refusal
        self._expire = expire
        self._drop = drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or spoil it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        content = await _read(receive)
        target = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        fault = self._plan.next_for(_line(scope, target, content))
        answer = await self._answer(fault, scope, content)
        cut = fault is not None and fault.do in (*_CUTTING, *_HANGING)
        # Noted before the client can see that anything happened.
        self._plan.note(Call(scope["method"], target, 0 if cut else int(answer[0]["status"])))
        for message in answer:
            await send(message)
        if cut:
            await self._end(scope, receive, hang_up=fault is not None and fault.do not in _HANGING)

    async def _answer(self, fault: Fault | None, scope: Scope, content: bytes) -> list[Message]:
        """What is sent: nothing where the connection is only cut."""
        do = "" if fault is None else fault.do
        if fault is not None:
            await self._prepare(fault, scope, content)
        if fault is not None and do == "status":
            answer = _messages(_again_after(self._refusal(fault.status), fault.after))
        elif do == "spent":
            with self._exhausted():
                answer = await self._run(scope, content)
        else:
            answer = [] if do in _UNAPPLIED else await self._run(scope, content)
        return _SPOIL.get(do, _whole)(answer)

    async def _prepare(self, fault: Fault, scope: Scope, content: bytes) -> None:
        """What a fault does before the request is answered."""
        if fault.do == "delay":
            await asyncio.sleep(fault.seconds)
        elif fault.do == "expire_token":
            self._expire()
        elif fault.do == "fail_row":
            scope[FAIL_ROW] = fault.row
        elif fault.do == "late":
            task = asyncio.create_task(self._run_late(scope, content, fault.seconds))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    async def _run_late(self, scope: Scope, content: bytes, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._run(scope, content)

    async def _run(self, scope: Scope, content: bytes) -> list[Message]:
        """The emulator's whole answer to a request."""
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def collect(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, collect)
        return messages

    async def _end(self, scope: Scope, receive: Receive, *, hang_up: bool) -> None:
        """Wait for the end of the connection, or make it."""
        if hang_up:
            self._drop(scope)
        while (await receive())["type"] != "http.disconnect":
            pass


def _line(scope: Scope, target: str, content: bytes) -> str:
    form = b"" if b"application/json" in dict(scope["headers"]).get(b"content-type", b"") else content[:10_000]
    return unquote_plus(f"{scope['method']} {target} {form.decode('utf-8', 'replace')}")


async def _read(receive: Receive) -> bytes:
    content = b""
    while True:
        message = await receive()
        content += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return content


def _messages(answer: Answer) -> list[Message]:
    headers = [(b"content-type", answer.media_type.encode()), (b"content-length", b"%d" % len(answer.body))]
    headers += answer.headers
    return [
        {"type": "http.response.start", "status": answer.status, "headers": headers},
        {"type": "http.response.body", "body": answer.body},
    ]


def _again_after(answer: Answer, seconds: float) -> Answer:
    return answer._replace(headers=((b"retry-after", b"%d" % seconds),)) if seconds else answer


def _whole_body(messages: list[Message]) -> bytes:
    return b"".join(bytes(message.get("body", b"")) for message in messages[1:])


def _first_half(messages: list[Message]) -> list[Message]:
    body = _whole_body(messages)
    return [messages[0], {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}]


def _without_last_row(messages: list[Message]) -> list[Message]:
    answer = json.loads(_whole_body(messages))
    rows = answer if isinstance(answer, list) else _list_in(answer)
    del rows[-1:]
    return _messages(Answer(messages[0]["status"], json.dumps(answer).encode()))


def _list_in(answer: MutableMapping[str, Any]) -> list[Any]:
    return next((value for value in answer.values() if isinstance(value, list)), [])


def _whole(messages: list[Message]) -> list[Message]:
    return messages


def _nothing(messages: list[Message]) -> list[Message]:
    return []


_CUTTING = ("reset_before", "reset_after", "short_answer", "late")
_HANGING = ("hang", "hang_after")
_UNAPPLIED = ("reset_before", "hang", "late")
_SPOIL: dict[str, Callable[[list[Message]], list[Message]]] = {
    "reset_after": _nothing,
    "hang_after": _nothing,
    "short_answer": _first_half,
    "drop_row": _without_last_row,
}
