"""One application on a free loopback port, in a thread of its own, with connections that can be dropped."""

import socket
import struct
import threading
from asyncio import BaseTransport, Transport
from typing import Any, NamedTuple

import h11
import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol


class Address(NamedTuple):
    """Where to listen; port 0 is any free one."""

    host: str = "127.0.0.1"
    port: int = 0


LOOPBACK = Address()
REASON = "x-sandbox-reason"
"""An answer's header of this name becomes the reason phrase of its status line (Vtiger's cloud says why there)."""

_RESET = struct.pack("ii", 1, 0)


class Connections:
    """The open connections of one server by the client's port, so that a fault can cut one."""

    def __init__(self) -> None:
        self._open: dict[int, Transport] = {}

    def note(self, transport: BaseTransport) -> None:
        """Remember an open connection."""
        if isinstance(transport, Transport):
            self._open[transport.get_extra_info("peername")[1]] = transport

    def forget(self, transport: BaseTransport) -> None:
        """A connection is closed."""
        self._open = {port: other for port, other in self._open.items() if other is not transport}

    def drop(self, scope: Scope) -> None:
        """Cut the connection that a request came on, as a broken network does (TCP reset)."""
        transport = self._open[scope["client"][1]]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()


class _Spoken(h11.Connection):
    """A connection whose status lines may have a reason phrase of their own."""

    def send(self, event: h11.Event) -> bytes | None:  # type: ignore[override]  # one form for all overloads
        return super().send(_with_reason(event) if isinstance(event, h11.Response) else event)


def _with_reason(event: h11.Response) -> h11.Response:
    said = [value for name, value in event.headers if name == REASON.encode()]
    if not said:
        return event
    headers = [(name, value) for name, value in event.headers if name != REASON.encode()]
    return h11.Response(status_code=event.status_code, headers=headers, reason=said[0])


def _protocol(connections: Connections) -> type[H11Protocol]:
    class Tracked(H11Protocol):
        """HTTP/1.1 that tells which connections are open."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.conn = _Spoken(h11.SERVER)

        def connection_made(self, transport: Any) -> None:
            connections.note(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.forget(self.transport)
            super().connection_lost(exc)

    return Tracked


class _Server(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class Host:
    """Serves an application from ``start`` until ``stop``."""

    def __init__(self, app: ASGIApp, connections: Connections, name: str, address: Address = LOOPBACK) -> None:
        self._address = address
        self.url = ""
        """Where it listens; empty before ``start``."""
        config = uvicorn.Config(
            app, http=_protocol(connections), ws="none", lifespan="off", log_config=None, access_log=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        self._server = _Server(config)
        self._name = f"sandbox-{name}"
        self._thread = threading.Thread()

    def start(self) -> None:
        """Begin to answer. Raises OSError: the port is taken; RuntimeError: not up within ten seconds."""
        # asyncio switches Nagle's delay off only where the protocol is named; without it every answer takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bind(listener, self._address)
        self.url = f"http://{self._address.host}:{listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, args=(listener,), name=self._name, daemon=True)
        self._thread.start()
        if not self._server.listening.wait(10):
            raise RuntimeError(f"{self._name} did not start within ten seconds; start it again")

    def ask_to_stop(self) -> None:
        """Take no new requests; ``stop`` waits for the end."""
        self._server.should_exit = True

    def stop(self) -> None:
        """End, with all connections closed."""
        self.ask_to_stop()
        self._thread.join(10)

    def _run(self, listener: socket.socket) -> None:
        with listener:
            self._server.run(sockets=[listener])


def bind(listener: socket.socket, address: Address) -> None:
    """Take an address. Raises OSError that names it when it is taken; the listener is closed then."""
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        where = f"{address.host}:{address.port}"
        raise OSError(error.errno, f"{error.strerror}; name another port", where) from None
