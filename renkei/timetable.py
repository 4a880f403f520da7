"""When each capture of a connection is polled next: by its interval, after a failure, or at once on a hint."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from connectors.base import Polled
from schemas.values import SECOND

RETRY_AFTER = 5 * SECOND
HINT_GAP = SECOND
"""However many hints come, a tab is not read more often than this because of them."""

Wake: TypeAlias = Callable[[], None]
"""Asks, from any thread, that the parts take their turns now."""


class Hints(Protocol):
    """What tells that something changed, before it is found by polling."""

    problem: str

    def open(self, wake: Wake) -> None:
        """Hear from now on."""
        ...

    def heard(self, now: int) -> tuple[set[str] | None, int | None]:
        """The captures to be polled at once by name, none meaning all; and when to ask again, if at all."""
        ...

    def close(self) -> None:
        """Hear no more."""
        ...


class Timetable:
    """The times of the captures of one connection, by name; in milliseconds."""

    def __init__(self, names: Sequence[str], interval: int, hints: Hints | None = None) -> None:
        self._names, self._interval, self._hints = names, interval, hints
        self._due: dict[str, int] = {}
        self._polled_at: dict[str, int] = {}
        self._hinted: set[str] = set()
        self._upkeep: int | None = None

    def open(self, wake: Wake) -> None:
        """Hear hints from now on."""
        if self._hints is not None:
            self._hints.open(wake)

    def close(self) -> None:
        """Hear no more."""
        if self._hints is not None:
            self._hints.close()

    def listen(self, now: int) -> str:
        """Lets those be due that were told of; what is wrong with the hints, if anything."""
        if self._hints is None:
            return ""
        heard, self._upkeep = self._hints.heard(now)
        for name in self._names:
            if heard is None or name in heard:
                self._hinted.add(name)
                soon = max(now, self._polled_at.get(name, 0) + HINT_GAP)
                self._due[name] = min(soon, self._due.get(name, soon))
        return self._hints.problem

    def is_due(self, name: str, now: int) -> bool:
        """Whether a capture is to be polled now."""
        return self._due.get(name, 0) <= now

    def polled(self, name: str, polled: Polled, now: int) -> None:
        """It was; what a hint told of, and was not there yet, is looked for again soon."""
        early = name in self._hinted and not polled.events
        self._hinted.discard(name)
        self._polled_at[name] = now
        rest = min(RETRY_AFTER, self._interval) if early else self._interval
        self._due[name] = now if polled.more else now + rest

    def failed(self, name: str, now: int) -> None:
        """It could not be polled."""
        self._due[name] = now + RETRY_AFTER

    def put_off(self, name: str, until: int) -> None:
        """It may not be polled before."""
        self._due[name] = until

    def ask_now(self) -> None:
        """Everything is due."""
        self._due.clear()

    @property
    def next_at(self) -> int | None:
        """When something is due next; none where there is nothing."""
        upkeep = [] if self._upkeep is None else [self._upkeep]
        return min([*self._due.values(), *upkeep], default=None)
