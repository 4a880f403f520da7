"""What was seen of one partition of a consumer over a span of time, and what it shows."""

from dataclasses import dataclass, replace
from itertools import pairwise

from renkei.lag.burrow import Commit, Evidence, Status, evaluate, still_to_regain
from schemas.lag import NO_TIME, Observation
from schemas.values import MINUTE


@dataclass(frozen=True, slots=True)
class Frame:
    """How long a window is (ms), and in how many slots it is kept; looks that are closer together become one."""

    span: int = 10 * MINUTE
    slots: int = 10

    @property
    def step(self) -> int:
        """The length of a slot in ms."""
        return self.span // self.slots


@dataclass(frozen=True, slots=True)
class Look:
    """One look: when, the offset committed then, the end of what could be read, and the lowest end of the slot."""

    at: int
    committed: int
    end: int
    low_end: int


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window over one partition of a group. Each look gives a new one.

    It holds the looks of one span, and one from before it; the newest commits, however old; and what a rewound consumer
    still has to regain, for as long as that takes.
    """

    looks: tuple[Look, ...] = ()
    commits: tuple[Commit, ...] = ()
    regain: int | None = None
    told: int | None = None
    """The broker's own time of the newest commit, as told at the newest look."""

    def seen(self, one: Observation, frame: Frame) -> "Window":
        """The window after one more look. A look from before the newest one begins anew: the clock was set back."""
        if self.looks and one.at < self.looks[-1].at:
            return Window(regain=self.regain).seen(one, frame)
        regain = still_to_regain(self.regain, self.commits[-1].offset if self.commits else None, one.committed)
        if regain is not None and one.end < regain:  # the topic was cut or made anew: there is no more to regain
            regain = one.end if one.committed < one.end else None
        return Window(self._looks(one, frame), self._commits(one, frame), regain, one.committed_at)

    def status(self, one: Observation, frame: Frame, allowed: int = 0) -> Status:
        """The verdict at the newest look ``one``. OK until the window is complete."""
        if self.complete(frame) < 1:
            return Status.OK
        since = one.at - frame.span
        case = Evidence(
            commits=self._recent(since),
            ends=[look.low_end for look in self.looks if look.at >= since],
            lag=one.lag,
            now=one.at,
            quiet=self._quiet(frame),
            waiting_since=self._waiting_since(one, allowed),
            regain=self.regain,
        )
        return evaluate(case, allowed)

    def complete(self, frame: Frame) -> float:
        """Which part of the span was watched, 0 to 1."""
        return min(1.0, self._seconds * 1000 / frame.span)

    @property
    def rate(self) -> float | None:
        """Offsets committed per second; steps back do not count. None after a single look."""
        if not self._seconds:
            return None
        return sum(max(0, b.committed - a.committed) for a, b in pairwise(self.looks)) / self._seconds

    @property
    def inflow(self) -> float | None:
        """Offsets that came in per second. None after a single look."""
        return max(0, self.looks[-1].end - self.looks[0].end) / self._seconds if self._seconds else None

    def drain(self, lag: int) -> float | None:
        """Seconds until the lag is gone at this pace; none if it never ends, or the pace is not known."""
        if lag == 0:
            return 0.0
        net = (self.rate or 0.0) - (self.inflow or 0.0)
        return lag / net if net > 0 else None

    @property
    def _seconds(self) -> float:
        return (self.looks[-1].at - self.looks[0].at) / 1000 if self.looks else 0.0

    def _looks(self, one: Observation, frame: Frame) -> tuple[Look, ...]:
        end = one.committed + one.lag  # markers behind the last record are nothing to wait for
        look, looks = Look(one.at, one.committed, end, end), self.looks
        if len(looks) > 1 and one.at - looks[-2].at < frame.step:
            look, looks = replace(look, low_end=min(end, looks[-1].low_end)), looks[:-1]
        looks += (look,)
        while len(looks) > 1 and looks[1].at <= one.at - frame.span:
            looks = looks[1:]
        return looks

    def _commits(self, one: Observation, frame: Frame) -> tuple[Commit, ...]:
        commits, lag = self.commits, one.lag
        last = commits[-1] if commits else None
        at = one.at if one.committed_at is None else min(one.committed_at, one.at)
        if last is None:
            return (Commit(one.committed, at, lag, lag),)
        if one.committed == last.offset and not self._again(one):
            return (*commits[:-1], replace(last, low=min(last.low, lag)))
        # It happened since the look before, whatever the broker's clock says.
        new = Commit(one.committed, max(at, last.at, self.looks[-1].at), lag, lag)
        if len(commits) > 1 and new.at - commits[-2].at < frame.step:
            new, commits = replace(new, low=min(lag, last.low)), commits[:-1]
        return (*commits, new)[-frame.slots :]

    def _again(self, one: Observation) -> bool:
        """Whether the same offset was committed once more since the look before."""
        return one.committed_at is not None and self.told is not None and one.committed_at > self.told

    def _recent(self, since: int) -> tuple[Commit, ...]:
        """The commits since then, and the one before them."""
        older = sum(commit.at < since for commit in self.commits)
        return self.commits[max(0, older - 1) :]

    def _quiet(self, frame: Frame) -> int:
        """As Burrow: as long as a full row of commits is apart; at most a span, and a span while the row is short."""
        if len(self.commits) < frame.slots:
            return frame.span
        return min(frame.span, self.commits[-1].at - self.commits[0].at)

    def _waiting_since(self, one: Observation, allowed: int) -> int:
        """Since when records wait behind the newest commit: as its oldest record says, or as the looks have shown."""
        seen = one.at
        for look in reversed(self.looks):
            if look.low_end <= one.committed + allowed:
                break
            seen = look.at
        known = one.oldest_at is not None and one.oldest_at != NO_TIME
        return min(seen, one.oldest_at) if known and one.oldest_at is not None else seen
