"""The verdict on a consumer by Burrow's rules, in Burrow's order: how its commits move, never how large its lag is.

The rules are those of linkedin/Burrow, ``core/internal/evaluator/caching.go`` (facts; the code is ours). Two things are
added: a rewind is remembered beyond the window until it is regained, and one commit alone shows neither a stall nor a
growing lag.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


class Status(StrEnum):
    """The verdict on one partition, worst first."""

    STOP = "STOP"
    REWIND = "REWIND"
    STALL = "STALL"
    WARN = "WARN"
    OK = "OK"


SEVERITY = {status: place for place, status in enumerate(Status)}
"""0 is the worst."""

BAD = frozenset({Status.STOP, Status.REWIND, Status.STALL})
"""What somebody must look at now."""


class GroupStatus(StrEnum):
    """The verdict on a group: its worst partition, where all that is worse than a warning counts as an error."""

    ERR = "ERR"
    WARN = "WARN"
    OK = "OK"
    NOTFOUND = "NOTFOUND"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its offset, its time (ms), the lag that was seen with it, and the lowest lag seen while it stood."""

    offset: int
    at: int
    lag: int
    low: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict rests on.

    ``commits`` in their order; ``ends`` are the log end offsets that were seen lately; ``lag`` is that of now.
    ``quiet`` is how long (ms) a consumer may commit nothing while records wait; ``waiting_since`` is when records are
    known to have begun to wait; ``regain`` is the offset that a rewound consumer has to reach again.
    """

    commits: Sequence[Commit]
    ends: Sequence[int]
    lag: int
    now: int
    quiet: int
    waiting_since: int = 0
    regain: int | None = None


def evidence(commits: Sequence[Commit], ends: Sequence[int], lag: int, now: int) -> Evidence:
    """What Burrow itself would look at: it allows a silence as long as its commits are apart."""
    quiet = commits[-1].at - commits[0].at if commits else 0
    return Evidence(commits, ends, lag, now, quiet, regain=to_regain(commit.offset for commit in commits))


def evaluate(case: Evidence, allowed: int = 0) -> Status:
    """The verdict; without commits, or with no more lag than ``allowed``, it is OK."""
    if not case.commits or case.lag <= allowed:
        return Status.OK
    if _stopped(case) and not _was_at_the_end(case, allowed):
        return Status.STOP
    if case.regain is not None:
        return Status.REWIND
    return _pace(case, allowed)


def to_regain(offsets: Iterable[int]) -> int | None:
    """The highest offset that was left backwards and not reached again; none if there is no such offset."""
    regain: int | None = None
    last: int | None = None
    for offset in offsets:
        regain, last = still_to_regain(regain, last, offset), offset
    return regain


def still_to_regain(regain: int | None, last: int | None, offset: int) -> int | None:
    """What is to be regained after a commit of ``offset`` that follows one of ``last``."""
    if last is not None and offset < last:
        return last if regain is None else max(regain, last)
    return None if regain is None or offset >= regain else regain


def of_group(statuses: Iterable[Status]) -> GroupStatus:
    """The verdict on a group from those on its partitions."""
    worst = min(statuses, key=SEVERITY.__getitem__, default=None)
    if worst is None:
        return GroupStatus.NOTFOUND
    return GroupStatus.ERR if worst in BAD else GroupStatus(worst.value)


def _pace(case: Evidence, allowed: int) -> Status:
    """Whether a consumer that commits gets on."""
    if len(case.commits) < 2 or any(commit.low <= allowed for commit in case.commits):
        return Status.OK
    if len({commit.offset for commit in case.commits}) == 1:
        return Status.STALL
    falls = any(later.lag < earlier.lag for earlier, later in pairwise(case.commits))
    return Status.OK if falls else Status.WARN


def _stopped(case: Evidence) -> bool:
    silent, waiting = case.now - case.commits[-1].at, case.now - case.waiting_since
    return silent > case.quiet and waiting >= case.quiet


def _was_at_the_end(case: Evidence, allowed: int) -> bool:
    """Whether the newest commit was, not long ago, all that there was: then work has only just come."""
    return any(end <= case.commits[-1].offset + allowed for end in case.ends)
