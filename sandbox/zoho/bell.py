"""Zoho's notifications as they leave: real HTTP to loopback, some of them lost, late or repeated by plan."""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sandbox.clock import Clock
from sandbox.faults import FaultPlan
from sandbox.store import Actor, Change, Effect, NewId, Row, Store
from schemas.codec import to_json
from schemas.metadata import ConnectionMetadata
from schemas.values import Value

LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_WORDS: Mapping[Change, tuple[str, str]] = {
    "insert": ("create", "insert"), "update": ("edit", "update"), "delete": ("delete", "delete"),
    "restore": ("create", "insert"),
}  # fmt: skip
"""What a change is called in a subscription, and in a callback."""
_IDLE = 1.0
"""Seconds after which the thread that rings ends where there is nothing to tell."""


@dataclass(frozen=True)
class Channel:
    """One subscription; ``expiry`` in milliseconds."""

    id: str
    events: tuple[str, ...]
    notify_url: str
    expiry: int
    token: str = ""
    values: bool = False

    def hears(self, module: str, word: str) -> bool:
        """Whether a change of this kind is told on it."""
        return f"{module}.{word}" in self.events or f"{module}.all" in self.events


class TellingStore(Store):
    """A store that tells every effect as it is committed."""

    def __init__(
        self, metadata: ConnectionMetadata, clock: Clock, new_id: NewId, tell: Callable[[Effect], None]
    ) -> None:
        super().__init__(metadata, clock, new_id)
        self._tell = tell

    def _commit(self, operation: Change, row: Row, fields: Mapping[str, Value], actor: Actor) -> Row:
        row = super()._commit(operation, row, fields, actor)
        self._tell(self._ledger[-1])
        return row


class Bell:
    """The channels, and the thread that tells them. A plan's ``lose_notice`` and ``repeat_notice`` hit callbacks.

    Their ``where`` is searched in ``NOTIFY <module> <operation> <record id>``.
    """

    def __init__(self, clock: Clock, plan: FaultPlan) -> None:
        self.channels: dict[str, Channel] = {}
        self._clock, self._plan = clock, plan
        self._waiting: queue.Queue[tuple[Channel, Mapping[str, Any]]] = queue.Queue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def live(self) -> dict[str, Channel]:
        """The channels that have not expired; what has expired is forgotten."""
        now = self._clock.now()
        self.channels = {name: channel for name, channel in self.channels.items() if channel.expiry > now}
        return self.channels

    def ring(self, effect: Effect) -> None:
        """Tell a change on all channels that hear it."""
        word, operation = _WORDS[effect.operation]
        for channel in self.live().values() if self.channels else ():
            if channel.hears(effect.tab, word):
                self._plan_callback(channel, effect, operation)

    def _plan_callback(self, channel: Channel, effect: Effect, operation: str) -> None:
        fault = self._plan.next_for(f"NOTIFY {effect.tab} {operation} {effect.record_id}")
        times = 1 if fault is None else {"lose_notice": 0, "repeat_notice": 2}.get(fault.do, 1)
        for _ in range(times):
            self._waiting.put((channel, _callback(channel, effect, operation, self._clock.now())))
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sandbox-zoho-bell", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                _post(*self._waiting.get(timeout=_IDLE))
            except queue.Empty:
                with self._lock:
                    if self._waiting.empty():
                        self._thread = None
                        return


def _callback(channel: Channel, effect: Effect, operation: str, now: int) -> Mapping[str, Any]:
    changed = list(effect.fields) if operation == "update" else []
    values = {"affected_values": [{"record_id": effect.record_id, "values": dict(effect.fields)}]}
    return {
        "server_time": now, "module": effect.tab, "ids": [effect.record_id], "operation": operation,
        "resource_uri": f"https://www.zohoapis.com/crm/v8/{effect.tab}",
        "affected_fields": [{effect.record_id: changed}] if changed else [],
        **(values if channel.values else {}),
        "query_params": {name: some[0] for name, some in parse_qs(urlsplit(channel.notify_url).query).items()},
        "channel_id": channel.id, "token": channel.token,
    }  # fmt: skip


def _post(channel: Channel, callback: Mapping[str, Any]) -> None:
    where = urlsplit(channel.notify_url)
    connection = HTTPConnection(where.hostname or "", where.port or 80, timeout=5)
    path = where.path + (f"?{where.query}" if where.query else "")
    try:
        connection.request("POST", path, to_json(callback), {"Content-Type": "application/json"})
        connection.getresponse().read()
    except (OSError, HTTPException):
        return  # nobody listens: the vendor tells once, and forgets
    finally:
        connection.close()
