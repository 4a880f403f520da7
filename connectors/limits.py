"""Keeping a connection within its limits: rate, concurrency, quotas, retries, and who goes first (D-101)."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Literal, TypeAlias

import msgspec

from connectors.base import Limits, Pressure, Usage
from connectors.pace import Bucket, Concurrency
from connectors.quota import STEPS, Quota, QuotaState, Spent
from connectors.retries import RetryBudget
from schemas.codec import UNREADABLE
from schemas.values import DAY, HOUR, MINUTE, SECOND

Rank: TypeAlias = Literal["interactive", "rule", "capture", "schedule", "bulk"]
"""Whose a request is: a person's who waits, a rule's, the capture's, the clock's, a backlog's; in order of worth."""

RANKS: tuple[Rank, ...] = ("interactive", "rule", "capture", "schedule", "bulk")
CAPTURE: Rank = "capture"
_MAY_WAIT: dict[Rank, float] = {"capture": 0.5, "schedule": 0.5, "bulk": 0.25}
"""Those who are slowed once four fifths of a quota are used: to this part of the pace at which the rest would last."""
_SHORT, _LONGER, _LONG = 400, 1.3, MINUTE
"""The first rest where the CRM does not say how long, how much longer each next one is, and the longest."""
_NO_SLOT = 50
_GIVES_WAY = 0.25
"""Seconds that a backlog gives way at most, so that it goes on whatever comes."""


class LimitState(msgspec.Struct, kw_only=True):
    """What a limiter remembers over a restart, and what ``renkei limits`` reads."""

    at: int = 0
    day: QuotaState = msgspec.field(default_factory=QuotaState)
    hour: QuotaState = msgspec.field(default_factory=QuotaState)
    per_minute: int | None = None
    minute_left: int | None = None
    concurrency: int = 0
    at_once: int = 0
    paused_until: int = 0
    reason: str = ""
    retries_left: int = 0
    first: int = 0
    repeated: int = 0


class Limiter:
    """The limits of one connection; shared by the threads that work on it. Times in milliseconds."""

    def __init__(self, limits: Limits, chance: Random | None = None) -> None:
        self._lock, self._calm = threading.Lock(), threading.Event()
        self._calm.set()
        self._chance = chance or Random()  # noqa: S311  # spreads rests, guards nothing
        self._bucket, self._concurrency = Bucket(limits.per_minute), Concurrency(limits.at_once)
        self._day, self._hour = Quota(DAY, limits.per_day), Quota(HOUR)
        self._news = {of_capture: Spent() for of_capture in (False, True)}
        self._retries = RetryBudget()
        self._paused_until, self._reason = 0, ""
        self._refusals, self._refused_at = 0, -1
        self._slow_until: dict[Rank, int] = {}
        self._is_warned = False

    # -- asking -----------------------------------------------------------

    def enter(self, now: int, rank: Rank = "rule", price: int = 1, follows: bool = False) -> int:
        """The right to send a request, until ``leave``: 0, or the milliseconds to wait before asking again.

        What ``follows`` from a lookup does not wait for the rate, or the lookup was for nothing where one request is
        all that the rate lets through at once; whoever comes next pays for it.
        """
        with self._lock:
            wait = self._wait(now, rank, price, follows)
            if wait == 0:
                self._concurrency.busy += 1
                self._take(now, rank, price)
            return wait

    def leave(self, seconds: float | None = None, rows: int = 1) -> None:
        """A request is over; with how long its answer took, if one came."""
        with self._lock:
            if seconds is not None:
                self._concurrency.answered(seconds, rows)
            self._concurrency.busy -= 1

    def wait(self, now: int, rank: Rank, price: int = 1) -> int:
        """Milliseconds until a request of this rank may leave; 0: now. Nothing is taken."""
        with self._lock:
            return self._wait(now, rank, price)

    def worth(self, now: int, requests: int) -> int:
        """Milliseconds until it is worth the while to look again: a quarter of a burst is there, or all that wait."""
        with self._lock:
            return self._bucket.wait(now, min(float(requests), max(1.0, self._bucket.burst / 4)))

    def spend(self, now: int, rank: Rank, price: int = 1) -> None:
        """A request leaves that did not ask, such as the second of a poll: whoever comes next pays for it."""
        with self._lock:
            self._take(now, rank, price)

    def spare(self, now: int) -> bool:
        """Whether more is left than is kept back for what must not wait."""
        with self._lock:
            return self._bucket.wait(now, self._bucket.kept_back()) == 0

    def share(self, part: float) -> None:
        """Use only this part of the limits: others, who work on the same connection, use the rest."""
        with self._lock:
            self._bucket.share = self._day.state.share = part
            self._concurrency.share(part)

    @property
    def at_once(self) -> int:
        """Requests at once, at most."""
        return self._concurrency.most

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """Inside the block somebody works who must not wait: those who may wait give way."""
        self._calm.clear()
        try:
            yield
        finally:
            self._calm.set()

    def give_way(self) -> bool:
        """Wait a moment while somebody works who must not wait; then go on."""
        self._calm.wait(_GIVES_WAY)
        return True

    # -- learning ------------------------------------------------------

    def pause(self, until: int, reason: str = "") -> None:
        """Nobody sends before this time: the vendor asked for a rest, or is not there."""
        with self._lock:
            self._pause(until, reason)

    def hear(self, usages: Sequence[Usage], now: int) -> None:
        """What an answer told of quotas wins over our own count."""
        with self._lock:
            for usage in usages:
                if usage.quota != "minute":
                    (self._day if usage.quota == "day" else self._hour).hear(usage, now)
                    continue
                self._bucket.hear(usage.left, usage.most, now)
                if usage.left <= 0 and usage.resets_at:
                    self._pause(usage.resets_at, "this minute's calls are used up")

    def accepted(self) -> None:
        """The CRM took a request in."""
        self._refusals = 0

    def press(self, pressure: Pressure, now: int) -> int:
        """The CRM had no room; until when everybody rests. Without a word of the CRM's, with full jitter."""
        with self._lock:
            self._refusals += now > self._refused_at  # those of one wave are one
            self._refused_at = now
            self._concurrency.refused()
            until = now + int(pressure.after * SECOND)
            if pressure.kind == "spent":
                until = until if pressure.after else self._day.is_spent(now)
            elif not pressure.after:
                longest = min(_LONG, _SHORT * _LONGER ** min(self._refusals - 1, 20))
                until = now + self._chance.randint(1, int(longest))
            self._pause(until, _REASONS[pressure.kind])
            return until

    # -- retries -----------------------------------------------------------

    def begin(self, commands: int) -> None:
        """So many commands leave for the first time."""
        with self._lock:
            self._retries.earn(commands)

    def again(self, commands: int, now: int) -> int:
        """Milliseconds until so many commands may leave again; 0: now, and they are counted."""
        with self._lock:
            return self._retries.wait(commands, now)

    def not_again(self, commands: int) -> None:
        """So many that were counted did not leave."""
        with self._lock:
            self._retries.give_back(commands)

    # -- telling ------------------------------------------------------------

    def warning(self, now: int) -> str:
        """Once, when four fifths of a quota are used: a sentence for the log; else nothing."""
        with self._lock:
            nearly = self._day.is_nearly_used(now)
            news = nearly and not self._is_warned
            self._is_warned = nearly
            day = self._day.state
            most = f"{day.most}" if day.most is not None else f"at least {day.at_least}"
            return f"{self._day.left(now)} of {most} calls of the day are left" if news else ""

    def saved(self, now: int) -> bytes:
        """How it stands, to be kept."""
        with self._lock:
            bucket, concurrency, retries = self._bucket, self._concurrency, self._retries
            return msgspec.json.encode(LimitState(
                at=now, day=self._day.state, hour=self._hour.state, per_minute=bucket.per_minute,
                minute_left=int(bucket.left(now)) if bucket.per_minute else None,
                concurrency=int(concurrency.size), at_once=concurrency.most,
                paused_until=self._paused_until, reason=self._reason if self._paused_until > now else "",
                retries_left=int(retries.left), first=retries.first, repeated=retries.repeated,
            ))  # fmt: skip

    def state(self, now: int) -> LimitState:
        """How it stands."""
        return msgspec.json.decode(self.saved(now), type=LimitState)

    def restore(self, kept: bytes | None) -> None:
        """Go on counting the quotas where an earlier run ended; what it learned of concurrency is learned anew."""
        state = read_state(kept)
        if state is None:
            return
        with self._lock:
            day = self._day.state.most
            self._day.state, self._hour.state = state.day, state.hour
            self._day.state.most = self._day.state.most if self._day.state.told else day

    def count_from(self, spent: Spent, *, of_capture: bool = False) -> None:
        """Go on counting the workers' day, or the capture's, from what was kept elsewhere, instead of our own count."""
        with self._lock:
            own = self._day.state.spent
            for counts in own.steps.values():
                for rank in [rank for rank in counts if (rank == CAPTURE) == of_capture]:
                    del counts[rank]
            own.join(spent)
            own.join(self._news[of_capture])

    def news(self, *, of_capture: bool = False) -> Spent:
        """What the workers, or the capture, have spent since this was last asked, to be kept elsewhere."""
        with self._lock:
            news, self._news[of_capture] = self._news[of_capture], Spent()
            return news

    # -- inside the lock -----------------------------------------------------------

    def _wait(self, now: int, rank: Rank, price: int, follows: bool = False) -> int:
        if now < self._paused_until:
            return self._paused_until - now
        for quota in (self._day, self._hour):
            if opens_at := quota.wait(price, now):
                self._pause(opens_at, _REASONS["spent"])
                return opens_at - now
        # Who may wait leaves a place to those who may not; where there is one place only, it is for all of them, or
        # nobody would ever learn that there is more room again.
        if self._concurrency.room < (2 if rank in _MAY_WAIT and int(self._concurrency.size) > 1 else 1):
            return _NO_SLOT
        if follows:
            return 0
        slow = self._slow_until.get(rank, 0) - now
        return max(0, slow, self._bucket.wait(now, self._bucket.kept_back() if rank in _MAY_WAIT else 1.0))

    def _take(self, now: int, rank: Rank, price: int) -> None:
        self._bucket.take(now)
        self._day.spend(price, rank, now)
        news = self._news[rank == CAPTURE]
        news.add(self._day.step(now), rank, price)
        if len(news.steps) > STEPS:
            news.trim()
        self._hour.spend(price, rank, now)
        if rank in _MAY_WAIT and self._day.is_nearly_used(now):
            pace = DAY * price / max(1, self._day.left(now) or 0)
            self._slow_until[rank] = now + int(pace / _MAY_WAIT[rank])

    def _pause(self, until: int, reason: str) -> None:
        if until > self._paused_until:
            self._paused_until, self._reason = until, reason


_REASONS = {
    "busy": "the CRM has no room", "spent": "the quota is used up", "unwell": "the CRM is not well",
}  # fmt: skip


def read_state(kept: bytes | None) -> LimitState | None:
    """A state that was kept; none where there is none, or it is of another release."""
    try:
        return msgspec.json.decode(kept, type=LimitState) if kept else None
    except UNREADABLE:
        return None
