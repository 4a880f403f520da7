"""The door for notices: a small HTTP server in a thread of its own, in front of a gate."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from connectors.notices import MOST_BYTES, Gate

_SECONDS = 10.0
"""How long one may take to bring a notice."""
_AT_ONCE = 64


def wall_clock() -> int:
    """Milliseconds since the epoch, now."""
    return time.time_ns() // 1_000_000


class Door:
    """The ASGI application: one path, POST only, size and time capped; it never says why it refuses."""

    def __init__(self, gate: Gate, clock: Callable[[], int] = wall_clock) -> None:
        self._gate, self._clock = gate, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request with a status and nothing else."""
        if scope["type"] != "http":
            return
        status = await self._status(scope, receive)
        headers = [(b"content-length", b"0"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _status(self, scope: Scope, receive: Receive) -> int:
        if not self._gate.knows(scope["path"]):
            return 404  # first, so that strangers use up nothing of the rate
        if not self._gate.may_come(self._clock()):
            return 429
        if scope["method"] != "POST":
            return 405
        try:
            async with asyncio.timeout(_SECONDS):
                body = await _body(receive)
        except TimeoutError:
            return 408
        return 413 if body is None else self._gate.hear(body, self._clock())


async def _body(receive: Receive) -> bytes | None:
    """What was brought; none where it is too much."""
    body = b""
    while True:
        message: Message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return body


class NoticeServer:
    """Serves a door from ``start`` until ``close``."""

    def __init__(self, door: Door, host: str, port: int) -> None:
        self._where = (host, port)
        app: Any = door
        config = uvicorn.Config(
            app, ws="none", lifespan="off", log_config=None, access_log=False, limit_concurrency=_AT_ONCE,
            timeout_graceful_shutdown=2, server_header=False, date_header=False,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._listener: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def start(self) -> None:
        """Listen from now on. Raises OSError that names the address where it is taken."""
        family = socket.AF_INET6 if ":" in self._where[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(self._where)
            listener.listen()  # from here on nobody is turned away, though it may be a moment until one is answered
        except OSError as error:
            listener.close()
            raise OSError(
                error.errno, f"{error.strerror}: name another address in `listen`", str(self._where)
            ) from None
        self._listener = listener
        self._thread.start()

    def close(self) -> None:
        """Listen no longer."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(5)
        if self._listener is not None:
            self._listener.close()

    def _run(self) -> None:
        assert self._listener is not None, "started"
        self._server.run(sockets=[self._listener])
