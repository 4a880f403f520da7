"""The limiters of a project's connections: one each, shared by all parts of a program, kept over a restart."""

import logging
import threading
from collections.abc import Callable

import msgspec

from connectors.base import Connector, Limits
from connectors.limits import Limiter
from renkei.folder import Folder
from schemas.values import SECOND
from streams.store import Store

_log = logging.getLogger(__name__)
_EVERY = 5 * SECOND


def note_of(connection: str) -> str:
    """The name under which the state file keeps how a connection's limits stand."""
    return f"limits.{connection}"


class Limiting:
    """Makes each limiter once, by what its connector knows of the vendor and what the project file says."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._limiters: dict[str, Limiter] = {}

    def of(self, name: str, connector: Connector, store: Store | None = None) -> Limiter:
        """The limiter of a connection; with a store it goes on counting where an earlier run ended."""
        with self._lock:
            if name not in self._limiters:
                limiter = self._limiters[name] = Limiter(limits_of(self._folder, name, type(connector).limits))
                limiter.restore(None if store is None else store.note(note_of(name)))
            return self._limiters[name]


def limits_of(folder: Folder, name: str, known: Limits) -> Limits:
    """The vendor's limits, but for those that the project file names."""
    part = folder.settings.connections[name].limits
    named = {} if part is None else {key: value for key, value in part.model_dump().items() if value is not None}
    return msgspec.structs.replace(known, **named)


def keeper(name: str, limiter: Limiter, store: Store) -> Callable[[int], None]:
    """Keeps how the limits stand, every few seconds, and says once that a quota is nearly used."""
    kept_at = [0]

    def keep(now: int) -> None:
        if now - kept_at[0] < _EVERY:
            return
        kept_at[0] = now
        store.set_note(note_of(name), limiter.saved(now))
        warn(name, limiter, now)

    return keep


def warn(name: str, limiter: Limiter, now: int) -> None:
    """Say once in the log that a quota is nearly used."""
    if sentence := limiter.warning(now):
        _log.warning("connection %s: %s; what may wait is slowed (renkei limits)", name, sentence)
