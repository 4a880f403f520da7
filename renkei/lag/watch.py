"""Looking at all consumers again and again, and remembering what was seen between one run of a program and the next."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from renkei.lag.burrow import SEVERITY, GroupStatus, Status, of_group
from renkei.lag.window import Frame, Window
from schemas.codec import UNREADABLE
from schemas.lag import Observation, Observer
from schemas.values import DAY

FILE = "lag.json"
Key = tuple[str, str, int]
"""Group, topic, partition."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """What an operator wants to know of one partition of a group.

    ``lag`` counts offsets; ``age`` is how long (s) the oldest unread record has waited; ``rate`` and ``inflow`` are
    offsets per second; ``drain`` is how long (s) until the lag is gone; none where it is not known, or never.
    ``complete`` is the part of the window that was watched.
    """

    group: str
    topic: str
    partition: int
    status: Status
    committed: int
    end: int
    lag: int
    age: float | None
    rate: float | None
    inflow: float | None
    drain: float | None
    complete: float
    committed_at: int | None
    at: int


@dataclass(frozen=True, slots=True)
class GroupLag:
    """A group in one line: its worst verdict, the share of complete windows, all lag, and its worst partition."""

    group: str
    status: GroupStatus
    complete: float
    totallag: int
    maxlag: PartitionLag


class History:
    """The windows in a small file, so that a verdict does not begin anew with each run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> dict[Key, Window]:
        """What was kept; nothing if there is no file, or it cannot be read: it only costs one window of waiting."""
        try:
            rows = msgspec.json.decode(self.path.read_bytes(), type=list[tuple[str, str, int, Window]])
        except (FileNotFoundError, *UNREADABLE):
            return {}
        return {(group, topic, partition): window for group, topic, partition, window in rows}

    def save(self, windows: Mapping[Key, Window]) -> None:
        """Keep the windows. A reader sees the old file or the new one, never a part.

        Raises:
            OSError: the folder cannot be written to.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        part.write_bytes(msgspec.json.encode([(*key, window) for key, window in windows.items()]))
        part.replace(self.path)


class LagWatch:
    """Watches consumers through an observer; each look extends their windows."""

    def __init__(
        self, observer: Observer, frame: Frame | None = None, allowed: int = 0, history: History | None = None
    ) -> None:
        self.observer, self.frame, self.allowed, self.history = observer, frame or Frame(), allowed, history
        self._windows: dict[Key, Window] = {}

    def look(self) -> tuple[PartitionLag, ...]:
        """Look once: every partition that the observer shows, the worst first."""
        seen = self.observer.observe()
        # Another run may have looked in between: the file is shared by all of them.
        windows = self.history.load() if self.history else self._windows
        for one in seen:
            key = (one.group, one.topic, one.partition)
            windows[key] = windows.get(key, Window()).seen(one, self.frame)
        now = max((one.at for one in seen), default=0)
        self._windows = {key: window for key, window in windows.items() if window.looks[-1].at > now - DAY}
        if self.history:
            self.history.save(self._windows)
        return worst_first(self._row(one) for one in seen)

    def _row(self, one: Observation) -> PartitionLag:
        window = self._windows[one.group, one.topic, one.partition]
        return PartitionLag(
            one.group, one.topic, one.partition,
            status=window.status(one, self.frame, self.allowed),
            committed=one.committed, end=one.end, lag=one.lag, age=one.age,
            rate=window.rate, inflow=window.inflow, drain=window.drain(one.lag),
            complete=window.complete(self.frame), committed_at=one.committed_at, at=one.at,
        )  # fmt: skip


def worst_first(rows: Iterable[PartitionLag]) -> tuple[PartitionLag, ...]:
    """Bad verdicts first, then what has waited longest, then the largest lag."""
    return tuple(
        sorted(
            rows, key=lambda row: (SEVERITY[row.status], -(row.age or 0), -row.lag, row.group, row.topic, row.partition)
        )
    )


def by_group(rows: Iterable[PartitionLag]) -> Iterator[GroupLag]:
    """The groups of these partitions, in the order in which they first appear."""
    groups: dict[str, list[PartitionLag]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    for group, members in groups.items():
        yield GroupLag(
            group,
            of_group(member.status for member in members),
            complete=sum(member.complete == 1 for member in members) / len(members),
            totallag=sum(member.lag for member in members),
            maxlag=max(members, key=lambda member: member.lag),
        )
