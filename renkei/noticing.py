"""Notices of a connection at work: the door, the subscription's upkeep, and which tabs are to be read at once."""

import threading
from collections.abc import Callable, Sequence

from connectors.base import Connector, NoAnswer, NotSent, Send
from connectors.capture import CaptureFailed
from connectors.credentials import Credentials
from connectors.notices import BadNoticeOptions, Gate, Notices, place_of
from connectors.notices_server import Door, NoticeServer
from renkei.timetable import RETRY_AFTER, Wake
from rules.errors import Place, refuse
from schemas.values import MINUTE


class Noticing:
    """Hears notices once it is asked what it heard, until ``close``; where nobody waits for them, it hears none.

    The door opens only in the process that captures: the others, which stand by, may share its address.
    """

    def __init__(self, connection: str, notices: Notices, serve: Callable[[Gate], NoticeServer]) -> None:
        self._connection, self._notices, self._serve = connection, notices, serve
        self._wake: Wake | None = None
        self._server: NoticeServer | None = None
        self._lock = threading.Lock()
        self._heard: set[str] = set()
        self._next_at = 0
        self.problem = ""

    def open(self, wake: Wake) -> None:
        """From now on somebody waits; ``wake`` is called, from another thread, when something was heard."""
        self._wake = wake

    def heard(self, now: int) -> tuple[set[str] | None, int | None]:
        """The tabs to be read at once, none meaning all of them; and when to ask again for the upkeep's sake."""
        if self._wake is None:
            return set(), None
        missed = self._keep(now) if now >= self._next_at else False
        with self._lock:
            heard, self._heard = self._heard, set()
        return None if missed else heard, self._next_at

    def close(self) -> None:
        """Subscribe no longer, and close the door."""
        if self._server is not None:
            self._notices.close()
            self._server.close()

    def _keep(self, now: int) -> bool:
        """Whether changes may have been missed."""
        try:
            self._stand()
            kept = self._notices.keep(now)
        except (NotSent, NoAnswer, CaptureFailed, OSError) as error:
            self._next_at, self.problem = now + MINUTE, f"notices: {error}"
            return False
        self._next_at, self.problem = max(kept.next_at, now + RETRY_AFTER), ""
        return kept.missed

    def _stand(self) -> None:
        """Open the door, if it is not."""
        if self._server is None:
            server = self._serve(Gate(self._notices, self._tell))
            server.start()
            self._server = server

    def _tell(self, tab: str) -> None:
        with self._lock:
            self._heard.add(f"{self._connection}:{tab}")
        if self._wake is not None:
            self._wake()


def noticing_of(connector: Connector, credentials: Credentials, send: Send, tabs: Sequence[str]) -> Noticing | None:
    """What hears a connection's notices, where its options say that there are any.

    Raises:
        WorkflowError: the options name no good place.
    """
    name, options = connector.settings.connection, connector.settings.options
    try:
        notices = connector.notices(credentials, send, tabs)
        place = place_of(options, connector.settings.allow_private)
    except BadNoticeOptions as error:
        refuse(f"connection '{name}': {error}", "Leave both options out to poll only.", _FILE)
    if notices is None or place is None:
        return None
    return Noticing(name, notices, lambda gate: NoticeServer(Door(gate), place.host, place.port))


_FILE = Place("renkei.yaml")
