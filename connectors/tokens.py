"""Where the token of a login is kept: once for all who use a connection, with the times of its logins."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

import msgspec

from schemas.codec import UNREADABLE

WINDOW = 600.0
"""Seconds within which logins are counted."""
PATIENCE = 10.0
"""Seconds that the file is waited for. Who holds it logs in; or it is suspended, and nobody knows for how long."""
MOST = 10
"""Logins within the window: Zoho gives ten tokens for one refresh token, and an eleventh ends the oldest."""


class Token(msgspec.Struct, frozen=True):
    """What a login gave: the token, the host that it named, and from when on it should be renewed (none: unsaid)."""

    value: str
    base: str = ""
    renew_at: float | None = None


class Kept(msgspec.Struct):
    """What lies on a shelf. ``proof`` tells with which credentials the token was got; times in seconds."""

    proof: str = ""
    token: Token | None = None
    logins: list[float] = []

    def good(self, proof: str, now: float) -> Token | None:
        """The token, if it was got with these credentials and does not end soon."""
        token = self.token if self.proof == proof else None
        return token if token and (token.renew_at is None or now < token.renew_at) else None

    def must_wait(self, now: float) -> float:
        """Seconds until another login is allowed; 0 where it is."""
        self.logins = [at for at in self.logins if now - WINDOW < at <= now]
        return 0.0 if len(self.logins) < MOST else self.logins[0] + WINDOW - now


class Shelf:
    """Keeps one connection's token for all threads of this process; who opens it is alone with it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._kept = Kept()
        self._refusal = ("", 0.0, "")

    @contextmanager
    def open(self) -> Iterator[Kept]:
        """What lies there, to be read and changed."""
        with self._lock:
            yield self._kept

    def remember_refusal(self, proof: str, until: float, words: str) -> None:
        """These credentials were refused: they are not worth another try before this time."""
        self._refusal = (proof, until, words)

    def refused(self, proof: str, now: float) -> str:
        """Why these credentials were refused a short while ago; empty where they were not."""
        refused, until, words = self._refusal
        return words if proof == refused and now < until else ""


class FileShelf(Shelf):
    """Keeps it in a private file (0600) too, so that all processes on this machine share one token and one count.

    Where the file cannot be written, or is held for long, each process keeps its own; it is waited for no second time
    until it was free again.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._file = file
        self._is_free = True

    @contextmanager
    def open(self) -> Iterator[Kept]:
        """What lies there; what is changed is written when it is closed."""
        with self._lock, _private(self._file, PATIENCE if self._is_free else 0.0) as stream:
            self._is_free = stream is not None
            self._kept = _read(stream) or self._kept
            before = msgspec.json.encode(self._kept)
            try:
                yield self._kept
            finally:
                after = msgspec.json.encode(self._kept)
                if stream and after != before:
                    _write(stream, after)


@cache
def shelf_at(file: Path, clock: Callable[[], float] = time.time) -> FileShelf:
    """The one shelf of this process for a file."""
    return FileShelf(file, clock)


@contextmanager
def _private(file: Path, patience: float) -> Iterator[BinaryIO | None]:
    """The file, locked against other processes; none where it cannot be used, or not within so many seconds."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield None
        return
    with os.fdopen(descriptor, "r+b") as stream:
        os.fchmod(descriptor, 0o600)
        yield stream if _is_ours(descriptor, patience) else None


def _is_ours(descriptor: int, patience: float) -> bool:
    """Whether the lock could be had; it goes with the file."""
    deadline = time.monotonic() + patience
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)


def _read(stream: BinaryIO | None) -> Kept | None:
    """What the file holds; none where it is empty or torn, so that one logs in anew."""
    if stream is not None:
        with suppress(*UNREADABLE):
            return msgspec.json.decode(stream.read(), type=Kept)
    return None


def _write(stream: BinaryIO, content: bytes) -> None:
    stream.seek(0)
    stream.write(content)
    stream.truncate()
    stream.flush()
