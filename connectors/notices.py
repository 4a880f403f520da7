"""Word from a CRM that something changed: who may bring it, and what it does. The body is a hint, never a fact.

Whoever knows the path and the token may say which tab to read; nothing of what is said is taken over.
"""

import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from schemas.values import HOUR, MINUTE

URL, LISTEN = "notices", "listen"
"""The options of a connection: where the CRM reaches us, and where we listen (``host:port``)."""

MOST_BYTES = 1 << 20
"""The largest notice that is read."""
PER_SECOND, BURST = 50, 200
OLDEST, AHEAD = HOUR, 5 * MINUTE
"""How old a notice may be, and how far the CRM's clock may go before ours."""
_REMEMBERED = 10_000


class Heard(NamedTuple):
    """One notice that was understood: which tab it is about, when it was said, and what makes a repeat the same."""

    tab: str
    at: int
    mark: str


class Kept(NamedTuple):
    """What upkeep did: when to come again (ms), and whether changes may have been missed meanwhile."""

    next_at: int
    missed: bool = False


class Notices(Protocol):
    """One CRM's notices for one connection."""

    path: str
    """Where they come in: secret, so that nobody else finds it."""

    def keep(self, now: int) -> Kept:
        """Subscribe, renew or verify, as is due. Raises NotSent, NoAnswer or CaptureFailed."""
        ...

    def hear(self, body: bytes) -> Heard | None:
        """What a notice says; none where its token is not ours or it cannot be read. Pure."""
        ...

    def close(self) -> None:
        """Subscribe no longer."""
        ...


class BadNoticeOptions(ValueError):  # noqa: N818
    """The options of a connection name no place where notices could come in; the message says what to write."""


class Place(NamedTuple):
    """Where notices come in: the base of the address that the CRM calls, and what we listen on."""

    url: str
    host: str
    port: int


def place_of(options: Mapping[str, str], allow_private: bool) -> Place | None:
    """The place that a connection's options name; none where they name none.

    Raises:
        BadNoticeOptions: only one of the two is given, or one of them is no address.
    """
    url, listen = options.get(URL, ""), options.get(LISTEN, "")
    if not url and not listen:
        return None
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise BadNoticeOptions(f"option `{LISTEN}`: write host:port, for example 127.0.0.1:8700")
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and allow_private)
    if not parts.hostname or not secure or parts.username or parts.query:
        raise BadNoticeOptions(f"option `{URL}`: write the https address at which the CRM reaches `{LISTEN}`")
    return Place(url.rstrip("/"), host, int(port))


def derived(secret: str, *about: str) -> str:
    """32 hexadecimal digits that only who knows the secret can find, and that are the same after every restart."""
    return hmac.new(secret.encode(), "\x1f".join(("renkei notices", *about)).encode(), hashlib.sha256).hexdigest()[:32]


class Gate:
    """Decides about each notice that comes in; thread-safe. Times in milliseconds."""

    def __init__(self, notices: Notices, tell: Callable[[str], None]) -> None:
        self._notices, self._tell = notices, tell
        self._lock = threading.Lock()
        self._tokens, self._at = float(BURST), 0
        self._seen: dict[str, int] = {}

    def knows(self, path: str) -> bool:
        """Whether a path is ours, in constant time."""
        return hmac.compare_digest(path.encode("utf-8", "surrogateescape"), self._notices.path.encode())

    def may_come(self, now: int) -> bool:
        """Whether the rate lets one more in."""
        with self._lock:
            elapsed = max(0, now - self._at) if self._at else 0
            self._tokens = min(BURST, self._tokens + elapsed * PER_SECOND / 1000)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def hear(self, body: bytes, now: int) -> int:
        """The HTTP status for a notice: 200 where its tab will be read; 403, or 208 where it was told before."""
        heard = self._notices.hear(body)
        if heard is None or not now - OLDEST <= heard.at <= now + AHEAD:
            return 403
        with self._lock:
            if heard.mark in self._seen:
                return 208
            self._forget(now)
            self._seen[heard.mark] = heard.at
        self._tell(heard.tab)
        return 200

    def _forget(self, now: int) -> None:
        """What is too old to be let in need not be remembered; of too much, the oldest is forgotten."""
        if len(self._seen) >= _REMEMBERED:
            self._seen = {mark: at for mark, at in self._seen.items() if at >= now - OLDEST}
        while len(self._seen) >= _REMEMBERED:
            del self._seen[next(iter(self._seen))]
