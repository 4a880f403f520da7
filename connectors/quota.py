"""What is left of a vendor's quota over a rolling time, in the vendor's own units (D-101)."""

import msgspec

from connectors.base import Usage
from connectors.pace import LEAST
from schemas.values import HOUR

STEPS = 96
"""A day is counted in quarters of an hour."""
NEARLY = 0.8
"""The part of a quota from which on those who may wait are slowed."""


class Told(msgspec.Struct, frozen=True):
    """What the CRM said was left, when, and until when that counts at most."""

    left: int
    at: int
    until: int


class Spent(msgspec.Struct):
    """Units spent, by step of the quota's time and by class of work."""

    steps: dict[int, dict[str, int]] = {}

    def add(self, step: int, rank: str, units: int) -> None:
        """So much more."""
        counts = self.steps.setdefault(step, {})
        counts[rank] = counts.get(rank, 0) + units

    def since(self, step: int) -> dict[str, int]:
        """By class, from a step on."""
        found: dict[str, int] = {}
        for at, counts in self.steps.items():
            for rank, units in counts.items() if at >= step else ():
                found[rank] = found.get(rank, 0) + units
        return found

    def join(self, other: "Spent") -> None:
        """What was counted elsewhere too."""
        for step, counts in other.steps.items():
            for rank, units in counts.items():
                self.add(step, rank, units)

    def trim(self) -> None:
        """Forget what is older than the whole time before the newest step."""
        oldest = max(self.steps, default=0) - STEPS
        self.steps = {step: counts for step, counts in self.steps.items() if step > oldest}


class QuotaState(msgspec.Struct):
    """What a quota remembers over a restart."""

    most: int | None = None
    at_least: int | None = None
    """As much as it is at least, where nobody says how much it is."""
    spent: Spent = msgspec.field(default_factory=Spent)
    told: Told | None = None
    since_told: int = 0
    """Units that we have spent since the CRM last told what is left."""
    share: float = 1.0
    """The part of it that is ours, where others work on the same connection and the CRM does not tell what is left."""


class Quota:
    """So many units in any ``length`` milliseconds; without a known size it only counts."""

    def __init__(self, length: int, most: int | None = None) -> None:
        self.length = length
        self._step = length // STEPS
        self.state = QuotaState(most=most)

    def spend(self, units: int, rank: str, now: int) -> None:
        """A request has left."""
        state, oldest = self.state, (now - self.length) // self._step
        state.spent.add(self.step(now), rank, units)
        state.since_told += units
        for step in [step for step in state.spent.steps if step <= oldest]:
            del state.spent.steps[step]

    def step(self, now: int) -> int:
        """The step in which what is spent now is counted."""
        return now // self._step

    def hear(self, usage: Usage, now: int) -> None:
        """What an answer told wins over our own count, which knows nothing of others."""
        state = self.state
        state.most = usage.most or state.most
        if usage.from_half:
            state.at_least = max(state.at_least or 0, 2 * usage.left)
        state.told = Told(usage.left, now, usage.resets_at or now + self.length)
        state.since_told = 0

    def left(self, now: int) -> int | None:
        """Units left; none where the quota's size is not known."""
        state = self.state
        if (told := self._told(now)) is not None:
            return max(0, told.left - state.since_told)
        return None if state.most is None else max(0, self._ours() - self.own(now))

    def used(self, now: int) -> int:
        """Units used, by others too where the CRM tells."""
        told, most = self._told(now), self.state.most
        return self.own(now) if told is None or most is None else max(0, most - (self.left(now) or 0))

    def own(self, now: int) -> int:
        """Units that we have used ourselves."""
        return sum(self.by_rank(now).values())

    def by_rank(self, now: int) -> dict[str, int]:
        """Units that we have used, by class of work."""
        return self.state.spent.since((now - self.length) // self._step + 1)

    def is_nearly_used(self, now: int) -> bool:
        """Whether four fifths are used."""
        left, most = self.left(now), self._size(now) or self.state.at_least
        return left is not None and bool(most) and left <= (most or 0) * (1 - NEARLY)

    def wait(self, units: int, now: int) -> int:
        """Until when nobody needs to ask for so many units; 0: they are there.

        A rolling quota gives back what was used a day ago, a step at a time; what was told counts no longer then.
        """
        left = self.left(now)
        if left is None or left >= min(units, self._size(now) or units):
            return 0
        told = self._told(now)
        if told is None or told.until == told.at + self.length:
            opens_at = (now // self._step + 1) * self._step
            self.state.told = None if told is None else Told(told.left, told.at, opens_at)
            return opens_at
        return told.until

    def is_spent(self, now: int) -> int:
        """The CRM refused, and did not say until when: until when nobody asks."""
        self.hear(Usage(quota="day", left=0), now)
        return self.wait(1, now)

    def ends_at(self, now: int) -> int | None:
        """When nothing is left at the rate of the last hour; none where it will not come to that."""
        left = self.left(now)
        steps = min(HOUR, self.length) // self._step
        recent = sum(self.state.spent.since(now // self._step - steps + 1).values())
        if left is None or not recent:
            return None
        span = (steps - 1) * self._step + now % self._step + 1
        ends = now + int(left * span / recent)
        return ends if ends < self._frees_at(now) else None

    def _ours(self) -> int:
        return max(1, int((self.state.most or 0) * max(self.state.share, LEAST)))

    def _size(self, now: int) -> int | None:
        """All of it where the CRM tells what is left of all, else what is ours."""
        return self.state.most if self.state.most is None or self._told(now) is not None else self._ours()

    def _frees_at(self, now: int) -> int:
        told = self._told(now)
        return told.until if told is not None and told.until < told.at + self.length else now + self.length

    def _told(self, now: int) -> Told | None:
        told = self.state.told
        return told if told is not None and now < told.until else None
