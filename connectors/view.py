"""How a connection's limits stand, in the words of those who look at them (D-101)."""

import msgspec

from connectors.limits import LimitState
from connectors.quota import Quota
from schemas.values import DAY


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Limits to look at. Times in milliseconds; what is not known is none."""

    at: int
    used: int
    left: int | None
    of: int | None
    at_least: int | None
    """What is known of it where it is not known how much it is."""
    ends_at: int | None
    """When nothing of the day is left at the rate of the last hour."""
    by_rank: dict[str, int]
    per_minute: int | None
    minute_left: int | None
    concurrency: int
    at_once: int
    retries_left: int
    first: int
    repeated: int
    paused_until: int | None
    reason: str

    @property
    def attempts_per_command(self) -> float:
        """How often a command was sent on the average, since the program started."""
        return 1 + self.repeated / self.first if self.first else 1.0


def view(state: LimitState, now: int) -> View:
    """How limits that were noted at some time stand now."""
    day = Quota(DAY)
    day.state = state.day
    return View(
        at=state.at, used=day.used(now), left=day.left(now), of=day.state.most, at_least=day.state.at_least,
        ends_at=day.ends_at(now), by_rank=day.by_rank(now), per_minute=state.per_minute,
        minute_left=state.minute_left, concurrency=state.concurrency, at_once=state.at_once,
        retries_left=state.retries_left, first=state.first, repeated=state.repeated,
        paused_until=state.paused_until if state.paused_until > now else None,
        reason=state.reason if state.paused_until > now else "",
    )  # fmt: skip
