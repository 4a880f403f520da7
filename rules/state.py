"""What a journey remembers of its rules: truths, timers, fires, and events that wait for data."""

from typing import Any

import msgspec

from rules.criteria.scope import Mark
from schemas.commands import CommandRank, Lane
from schemas.events import Chain
from schemas.values import Ref


class Truth(msgspec.Struct, array_like=True):
    """What is known of one rule on one anchor (D-21)."""

    value: bool | None = None
    """The last known verdict; none if it was never known."""
    epoch: int = 0
    """How many edges there were (D-41)."""
    since: int = 0
    last_fired: int | None = None
    recent: list[int] = []
    """When it fired within the last hour, for the breaker (D-62)."""
    quarantined: bool = False
    unknown: bool = False
    """Whether the latest verdict was unknown."""
    done_dues: list[int] = []
    """Date triggers: the planned instants that have fired."""
    discarded: int = 0
    """How many fires were given up because the CRMs said otherwise when they were asked again (D-36)."""


class Event(msgspec.Struct, frozen=True, array_like=True):
    """What happened to an anchor record in one change, as triggers see it."""

    id: str
    """``ref@source position``: the same on every runtime."""
    kinds: frozenset[str]
    """created, edited, deleted, undeleted, merged, converted, linked, unlinked, or ``signal:<name>``."""
    changed: frozenset[str] = frozenset()
    before: dict[str, Any] | None = None
    coalesced: bool = False
    chain: Chain | None = None

    @property
    def rank(self) -> CommandRank:
        """Of which rank the commands are that follow from it: who sends a signal waits for what it brings (D-101)."""
        return "interactive" if any(kind.startswith("signal:") for kind in self.kinds) else "rule"


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """An event whose rule could not be decided yet: something that it reads is unknown (D-04)."""

    rule: str
    anchor: Ref
    event: Event
    at: int


class Timer(msgspec.Struct, array_like=True):
    """Something to do later. ``kind`` is scheduled, wake, date, schedule or wait."""

    id: str
    kind: str
    due: int | None
    rule: str
    anchor: Ref
    epoch: str = ""
    fire: str = ""
    entry: int = 0
    planned: int = 0
    """The due time that the plan gave, when ``due`` is later because of a grace period."""
    chain: Chain | None = None
    event: Event | None = None
    ran: bool = False
    outputs: dict[str, dict[str, Any]] = {}
    """What the steps of the fire that planned it have given so far (D-46)."""
    of: str = ""
    """The fire that planned it."""
    base: int | None = None
    """When it was planned, where its time counts from then; none in rows of older versions (D-56)."""
    bulk: bool = False
    """Whether that fire may wait (D-101)."""


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """What one command writes: its record (empty for one that is to be created) and the field values."""

    ref: Ref
    fields: dict[str, Any] = {}
    lane: Lane = "live"
    before: dict[str, list[Any]] = {}
    """What these fields may have held when it was planned, where records are written on a condition."""
    seen: int | None = None
    """That condition: the record's modified time as it was known then (D-44)."""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """One command that did not succeed: refused for good, or of unknown fate."""

    code: str
    reason: str
    uncertain: bool = False
    ref: Ref = ""
    """The record that was to be written, if there is one."""


class Fire(msgspec.Struct, array_like=True):
    """One firing of a rule, on its way through its steps."""

    id: str
    rule: str
    anchor: Ref
    chain: Chain
    todo: list[tuple[str, str]]
    """Step paths still to run, each with the row that a ``for_each`` binds, as ``alias=ref`` or empty."""
    event: Event | None = None
    at: int = 0
    awaits: list[str] = []
    """Ids of the commands whose outcomes are not back."""
    outputs: dict[str, dict[str, Any]] = {}
    overlay: dict[Ref, dict[str, Any]] = {}
    """Values written by earlier steps of this fire, seen by the later ones (D-40)."""
    state: str = "running"
    """new, running, waiting (for a timer), unready (for data), fresh and overtaken (reading again), held,
    attention (it failed)."""
    scheduled: int = -1
    """The number of the scheduled entry, if a timer started it."""
    fallback: bool = False
    attempt: int = 0
    """Raised by an operator's retry, so that its commands are new ones."""
    reads: dict[str, Ref] = {}
    """The records being read again, by command id (D-36)."""
    sent: dict[str, Sent] = {}
    """What the commands that are out will have written, by command id (D-40)."""
    merged: int = 0
    """How many steps after the present one are in the same write (D-40)."""
    failures: list[Failure] = []
    """What went wrong with commands of the present step while others of it are still out."""
    bulk: bool = False
    """Whether the clock or a first load brought it, so that its commands may wait (D-101)."""
    rank: CommandRank | None = None
    """Whose its commands are at present (D-101); none in rows of older versions."""
    overtaken: int = 0
    """How often somebody else was quicker to change what the present step writes (D-44)."""


class Unseen(msgspec.Struct, array_like=True):
    """What we wrote to a record on a condition, and its newest image may not show yet."""

    seen: int
    """The modified time that the record had before, as far as was known."""
    told: int | None
    """The modified time that the CRM answered; none if it tells none."""
    fields: dict[str, list[Any]]
    """The value of each field now, then those that it may still be seen to hold."""


class JourneyRules(msgspec.Struct, array_like=True):
    """Everything that a journey remembers of its rules."""

    truths: dict[str, dict[Ref, Truth]] = {}
    waiting: list[Waiting] = []
    timers: dict[str, Timer] = {}
    fires: dict[str, Fire] = {}
    marks: dict[str, dict[str, Mark]] = {}
    written: dict[str, list[tuple[int, Any]]] = {}
    """Per ``ref/field`` the last values that our own writes gave it, for the breaker (D-62)."""
    unseen: dict[Ref, Unseen] = {}
    """Per record our writes that have not come back yet, of tabs that are written on a condition (D-44)."""
    agreed: dict[str, dict[str, Any]] = {}
    """Per ``rule@anchor`` of a sync the values that both sides held when they were last alike."""
    tried: dict[str, dict[str, tuple[Ref, Any]]] = {}
    """The same of writes that were refused after all: if that record holds that value, it is from us."""

    def truth(self, rule: str, anchor: Ref) -> Truth:
        """The truth of a rule on an anchor; a blank one if nothing is known yet."""
        by_anchor = self.truths.get(rule)
        if by_anchor is None:
            by_anchor = self.truths[rule] = {}
        truth = by_anchor.get(anchor)
        if truth is None:
            truth = by_anchor[anchor] = Truth()
        return truth

    @property
    def is_stalled(self) -> bool:
        """Whether an event or a fire waits for something that any message may bring."""
        if not self.fires:
            return bool(self.waiting)
        return bool(self.waiting) or any(fire.state in ("unready", "held") for fire in self.fires.values())

    def forget_truth(self, rule: str, anchor: Ref) -> None:
        """Forget what was known of a rule on an anchor."""
        by_anchor = self.truths.get(rule, {})
        by_anchor.pop(anchor, None)
        if not by_anchor:
            self.truths.pop(rule, None)

    @property
    def next_due(self) -> int | None:
        """When the next timer is due."""
        return min((timer.due for timer in self.timers.values() if timer.due is not None), default=None)
