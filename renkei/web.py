"""Three small pages about a running program: ``/livez``, ``/readyz`` and ``/metrics``.

The standard library's server in threads of its own: it needs no event loop, so it answers, and tells the truth, also
while the loop of the program hangs, and it sets no signal handlers behind the program's back.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

SECONDS = 5.0
"""How long a visitor may take to ask."""


class Health:
    """Whether a program turns, and what it still waits for. Told by its parts, from any thread.

    ``patience``: seconds after its last turn at which a program no longer counts as alive; longer than any batch.
    """

    def __init__(self, patience: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience, self._clock = patience, clock
        self._turned = clock()
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {"start": "it has only just started"}

    def turn(self) -> None:
        """The program's loop has come round."""
        self._turned = self._clock()

    def waits(self, part: str, why: str) -> None:
        """A part is not ready, for this reason: ``waits("state", "restored 12,000 of 80,000 rows")``."""
        with self._lock:
            self._reasons = {**self._reasons, part: why}

    def ready(self, part: str) -> None:
        """A part is ready, or needs nothing any more. A program says so of ``start`` when it has named all others."""
        with self._lock:
            self._reasons = {name: why for name, why in self._reasons.items() if name != part}

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why the program is not ready, by part; nothing if it is."""
        return self._reasons

    @property
    def idle(self) -> float:
        """Seconds since the loop last came round."""
        return max(0.0, self._clock() - self._turned)

    @property
    def is_alive(self) -> bool:
        """Whether the loop came round lately."""
        return self.idle <= self.patience


class Page(NamedTuple):
    """An answer."""

    status: HTTPStatus
    kind: str
    body: bytes


class WebServer:
    """Serves the pages until it is closed; ``port`` 0 takes a free one. Loopback unless another host is named."""

    def __init__(self, health: Health, registry: CollectorRegistry, host: str = "127.0.0.1", port: int = 0) -> None:
        pages: dict[str, Callable[[str], Page]] = {
            "/livez": lambda _: _livez(health),
            "/readyz": lambda _: _readyz(health),
            "/metrics": lambda accept: _metrics(registry, accept),
        }
        visit = type("Visit", (_Visit,), {"pages": pages})
        self._server = _Server((host, port), visit)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="web", daemon=True)

    @property
    def address(self) -> str:
        """Where it is reached: ``http://127.0.0.1:9464``."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more; the port is free afterwards."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(SECONDS)
        self._server.server_close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16


class _Visit(BaseHTTPRequestHandler):
    """One visitor, one question."""

    timeout = SECONDS
    server_version, sys_version = "renkei", ""
    pages: Mapping[str, Callable[[str], Page]] = {}

    def do_GET(self) -> None:
        make = self.pages.get(self.path.partition("?")[0])
        page = make(self.headers.get("Accept", "")) if make else _not_found(self.pages)
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    do_HEAD = do_GET  # noqa: N815 - as the library calls it

    def log_message(self, format: str, *args: Any) -> None:
        """Visits are no news."""


def _livez(health: Health) -> Page:
    told = {"ok": health.is_alive, "turned_seconds_ago": round(health.idle, 3), "patience_seconds": health.patience}
    return _json(HTTPStatus.OK if health.is_alive else HTTPStatus.SERVICE_UNAVAILABLE, told)


def _readyz(health: Health) -> Page:
    reasons = dict(health.reasons)
    if not health.is_alive:
        reasons["loop"] = f"it has not come round for {health.idle:.0f} s"
    return _json(
        HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK, {"ok": not reasons, "waits_for": reasons}
    )


def _metrics(registry: CollectorRegistry, accept: str) -> Page:
    encode, kind = choose_encoder(accept)
    return Page(HTTPStatus.OK, kind, encode(registry))


def _not_found(pages: Mapping[str, object]) -> Page:
    return _json(HTTPStatus.NOT_FOUND, {"ok": False, "pages": sorted(pages)})


def _json(status: HTTPStatus, document: Mapping[str, object]) -> Page:
    return Page(status, "application/json", json.dumps(document).encode() + b"\n")
