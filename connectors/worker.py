"""The worker of one connection: takes commands, sends each effect once, and settles the outcome (D-42, D-47).

One ``turn`` is one synchronous round. A command is marked as sent, durably, before it leaves; one that was marked and
not answered is looked up before anything is repeated.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Protocol, TypeAlias, assert_never

import msgspec

from connectors.answers import uncertain
from connectors.base import Connector, NoAnswer, NotSent, Request, Response, Send
from connectors.guarded import Failed, Guarded
from connectors.ledger import EffectRows, Entry, State, nobody_knows
from connectors.limits import Limiter
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.values import MINUTE

Settled: TypeAlias = tuple[Command, Outcome]

_OVERLOADED = frozenset({403, 420, 429, 503})
"""Statuses by which a whole connection, not one record, is asked to wait."""


class CommandSource(Protocol):
    """Where a connection's commands wait."""

    def take(self, limit: int) -> Sequence[Command]:
        """The oldest commands that are not settled, in order."""
        ...

    def settle(self, outcomes: Sequence[Settled]) -> None:
        """Reports outcomes durably and moves on; the same one may be settled again after a crash."""
        ...


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the worker is; times in milliseconds."""

    window: int = 1000
    """Commands looked at in one turn."""
    attempts: int = 12
    """Tries of one command that the CRM itself postponed, before it is rejected as ``gave_up``."""
    first_wait: int = 1_000
    longest_wait: int = 15 * MINUTE
    first_look: int = 5_000
    """How long after an unanswered request its effect is first looked up: a slow CRM may still be applying it."""
    looks: int = 8
    """Lookups without a clear answer, before the effect counts as unknown."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn did, and until when there is nothing to do (none: until a command comes)."""

    applied: int = 0
    rejected: int = 0
    retried: int = 0
    unknown: int = 0
    idle_until: int | None = None
    problem: str = ""
    """Why the connection cannot be used at present; empty where it can."""


class _Round:
    """The tally of one turn."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.applied = self.rejected = self.retried = self.unknown = 0
        self.idle_until: int | None = None
        self.problem = ""
        self.behind = False
        """Whether a command waits for another one of its record."""

    def ended(self) -> int:
        return self.applied + self.rejected + self.unknown

    def wake(self, at: int) -> None:
        self.idle_until = at if self.idle_until is None else min(self.idle_until, at)

    def hold(self, wait: int) -> bool:
        self.wake(self.now + wait)
        return False

    def count(self, outcome: Outcome) -> None:
        match outcome:
            case Applied():
                self.applied += 1
            case Rejected():
                self.rejected += 1
            case Uncertain():
                self.unknown += 1
            case RetryLater():
                self.retried += 1
            case _:
                assert_never(outcome)

    def turn(self) -> Turn:
        return Turn(
            applied=self.applied, rejected=self.rejected, retried=self.retried, unknown=self.unknown,
            idle_until=self.idle_until, problem=self.problem,
        )  # fmt: skip


class Worker:
    """Applies the commands of one connection, in order per record, batched to the vendor's size."""

    def __init__(  # noqa: PLR0913
        self,
        connector: Connector,
        send: Send,
        ledger: EffectRows,
        source: CommandSource,
        limits: Limiter,
        *,
        policy: Policy | None = None,
        chance: Random | None = None,
        at: Callable[[str], None] = lambda point: None,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._connector = connector
        self._guarded = Guarded(connector)
        self._send = send
        self._ledger = ledger
        self._source = source
        self._limits = limits
        self._policy = policy or Policy()
        self._chance = chance or Random()  # noqa: S311  # spreads retries, guards nothing
        self._at, self._may_go_on = at, may_go_on
        self._down = 0

    def turn(self, now: int) -> Turn:
        """One round: take, send what may be sent, look up what is uncertain, settle. ``now`` in milliseconds.

        ``at`` is called at claimed, sent, answered, recorded and settled, where a test may stop the worker.
        ``may_go_on`` is asked before each batch but the first: who shares commands has to look around in between.
        """
        tally = _Round(now)
        commands = self._source.take(self._policy.window)
        if commands:
            self._at("claimed")
        for number, batch in enumerate(_batches(self._ready(commands, tally), self._connector, self._guarded.most)):
            if number and not self._may_go_on():
                tally.wake(now)
                break
            if not self._batch(batch, tally):
                break
        if tally.ended() and (tally.behind or len(commands) == self._policy.window):
            tally.wake(now)  # more may be ready now
        return tally.turn()

    def _ready(self, commands: Sequence[Command], tally: _Round) -> list[Entry]:
        """What is due, at most one command per record; what is settled already is reported again."""
        entries = self._ledger.entries([command.id for command in commands])
        ready: list[Entry] = []
        settled: list[Entry] = []
        refused: list[Entry] = []
        busy: set[str] = set()
        for command in commands:
            entry = entries.get(command.id) or Entry(command=command, state="planned")
            lane = lane_of(command)
            if lane in busy:
                tally.behind = True  # its forerunner may end in this turn
            elif entry.state in {"done", "unknown"}:
                settled.append(entry)
            elif command.id not in entries and (refusal := self._guarded.refuse(command)):
                refused.append(_final(entry, refusal))
            else:
                busy.add(lane)
                self._await(entry, ready, tally)
        self._report(settled, tally)
        self._record(refused, tally)
        return ready

    def _await(self, entry: Entry, ready: list[Entry], tally: _Round) -> None:
        if entry.next_at <= tally.now:
            ready.append(entry)
        else:
            tally.wake(entry.next_at)

    def _batch(self, batch: list[Entry], tally: _Round) -> bool:
        """Whether the connection can be used further in this turn."""
        if batch[0].state == "sent" or _looks_first(batch[0].command, self._connector):
            return self._look(batch[0], tally)
        return self._apply(batch, tally)

    def _apply(self, batch: list[Entry], tally: _Round) -> bool:
        """Sends one batch and settles what came of it."""
        commands = [entry.command for entry in batch]
        request = self._guarded.request(commands)
        if isinstance(request, Failed):
            return self._apart(batch, request, tally)
        with self._limits.slot(tally.now) as wait:
            if wait:
                return tally.hold(wait)
            batch = [_marked(entry, tally.now + self._policy.first_look, tally.now) for entry in batch]
            self._ledger.write(batch, tally.now)
            self._at("sent")
            try:
                response = self._ask(request)
            except NotSent as error:
                self._ledger.write([_unmarked(entry) for entry in batch], tally.now)
                return self._away(str(error), tally)
            except NoAnswer as error:
                self._conclude(batch, uncertain(commands, str(error)), tally)
                return True
        self._at("answered")
        outcomes = self._guarded.outcomes(commands, response)
        self._conclude(batch, outcomes, tally)
        return not self._rest(response, outcomes, tally)

    def _apart(self, batch: list[Entry], failed: Failed, tally: _Round) -> bool:
        """Of commands that cannot be put into one request, those that cannot be sent alone are rejected."""
        if len(batch) > 1:
            return all(self._apply([entry], tally) for entry in batch)
        self._record([_final(batch[0], failed.rejected(batch[0].command))], tally)
        return True

    def _look(self, entry: Entry, tally: _Round) -> bool:
        """Looks one effect up, and goes on from what is there."""
        request = self._guarded.find(entry.command)
        if request is None:
            return self._without_lookup(entry, tally)
        if isinstance(request, Failed):
            self._conclude([entry], uncertain([entry.command], request.reason), tally)
            return True
        with self._limits.slot(tally.now) as wait:
            if wait:
                return tally.hold(wait)
            try:
                response = self._ask(request)
            except NotSent as error:
                return self._away(str(error), tally)
            except NoAnswer as error:
                self._conclude([entry], uncertain([entry.command], str(error)), tally)
                return True
        return self._go_on(entry, response, tally)

    def _go_on(self, entry: Entry, response: Response, tally: _Round) -> bool:
        """Does what a lookup's answer calls for."""
        found = self._guarded.found(entry.command, response)
        if isinstance(found, Command):
            return self._apply([msgspec.structs.replace(entry, command=found)], tally)
        if isinstance(found, RetryLater) and entry.attempts < self._policy.attempts:
            return self._apply([entry], tally)  # proven not there
        self._conclude([entry], [found], tally)
        return not self._rest(response, [found], tally)

    def _without_lookup(self, entry: Entry, tally: _Round) -> bool:
        if entry.state == "planned":
            return self._apply([entry], tally)
        self._record([self._blind(entry, tally)], tally)
        return True

    def _blind(self, entry: Entry, tally: _Round) -> Entry:
        """A sent command that cannot be looked up: repeated where that does no harm or its author said so."""
        command, kind = entry.command, self._connector
        wished = command.on_unknown == "retry" and command.operation not in kind.never_blind
        if command.operation in kind.repeatable or wished:
            return self._postponed(entry, RetryLater(command_id=command.id, reason="sent, not answered"), tally)
        return _final(entry, nobody_knows(command))

    def _ask(self, request: Request) -> Response:
        response = self._send(request)
        self._down = 0
        return response

    def _away(self, why: str, tally: _Round) -> bool:
        """The connection is not there: everybody waits, and no command loses a try."""
        wait = self._wait(self._down)
        self._down += 1
        self._limits.pause(tally.now + wait)
        tally.wake(tally.now + wait)
        tally.problem = why
        return False

    def _rest(self, response: Response, outcomes: Sequence[Outcome], tally: _Round) -> bool:
        """Whether the CRM asked the whole connection for a rest; then it gets one."""
        if response.status not in _OVERLOADED:
            return False
        after = max((outcome.after for outcome in outcomes if isinstance(outcome, RetryLater)), default=0.0)
        self._limits.pause(tally.now + int(after * 1000))
        return after > 0

    def _conclude(self, batch: Sequence[Entry], outcomes: Sequence[Outcome], tally: _Round) -> None:
        """Finishes what is decided and postpones the rest, in one note."""
        self._record(
            [self._after(entry, outcome, tally) for entry, outcome in zip(batch, outcomes, strict=True)],
            tally,
        )

    def _after(self, entry: Entry, outcome: Outcome, tally: _Round) -> Entry:
        match outcome:
            case Applied() | Rejected():
                return _final(entry, outcome)
            case RetryLater():
                return self._postponed(entry, outcome, tally)
            case Uncertain():
                return self._wondering(entry, outcome, tally)
            case _:
                assert_never(outcome)

    def _postponed(self, entry: Entry, outcome: RetryLater, tally: _Round) -> Entry:
        if entry.attempts >= self._policy.attempts:
            return _gave_up(entry, f"{entry.attempts} tries; the last one: {outcome.reason}")
        wait = max(int(outcome.after * 1000), self._wait(entry.attempts))
        tally.count(outcome)
        tally.wake(tally.now + wait)
        return Entry(command=entry.command, state="planned", attempts=entry.attempts, next_at=tally.now + wait)

    def _wondering(self, entry: Entry, outcome: Uncertain, tally: _Round) -> Entry:
        """Looks later, each time after a longer while; at last the effect counts as unknown."""
        if entry.lookups >= self._policy.looks:
            if entry.state == "planned":  # nothing was sent yet, so nothing is unknown
                return _gave_up(entry, f"not sent, since its key cannot be looked up: {outcome.reason}")
            return _final(entry, nobody_knows(entry.command))
        turns = max(entry.lookups, entry.attempts - 1)
        wait = min(self._policy.first_look * 2 ** min(turns, 30), self._policy.longest_wait)
        tally.wake(tally.now + wait)
        return msgspec.structs.replace(entry, lookups=entry.lookups + 1, next_at=tally.now + wait)

    def _record(self, entries: Sequence[Entry], tally: _Round) -> None:
        """Notes the rows durably, then reports those that are final."""
        if not entries:
            return
        self._ledger.write(entries, tally.now)
        self._at("recorded")
        self._report([entry for entry in entries if entry.outcome], tally)

    def _report(self, final: Sequence[Entry], tally: _Round) -> None:
        settled = [(entry.command, entry.outcome or nobody_knows(entry.command)) for entry in final]
        if not settled:
            return
        for _, outcome in settled:
            tally.count(outcome)
        self._source.settle(settled)
        self._at("settled")

    def _wait(self, attempt: int) -> int:
        """Exponential back-off with full jitter."""
        most = min(self._policy.first_wait * 2 ** min(attempt, 30), self._policy.longest_wait)
        return self._chance.randint(1, most)


def lane_of(command: Command) -> str:
    """Commands of one lane wait for each other: those of one record, or of one key."""
    if command.record_id:
        return f"{command.tab}/{command.record_id}"
    return f"{command.tab}?{command.key[0]}={command.key[1]}" if command.key else command.id


def _looks_first(command: Command, connector: Connector) -> bool:
    return connector.looks_first(command)


def group_of(command: Command) -> tuple[object, ...]:
    """Commands of one group may leave in one request."""
    key = command.key[0] if command.key else ""
    return (command.tab, command.operation, key, command.trigger_native, command.if_unmodified)


def _batches(ready: Sequence[Entry], connector: Connector, most: Callable[[Command], int]) -> Iterator[list[Entry]]:
    """Batches that one request can carry; those to be looked up go alone. In order of their oldest command."""
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in ready:
        command = entry.command
        alone = command.id if entry.state == "sent" or _looks_first(command, connector) else ""
        groups.setdefault((*group_of(command), alone), []).append(entry)
    for entries in groups.values():
        size = most(entries[0].command)
        for start in range(0, len(entries), size):
            yield entries[start : start + size]


def _marked(entry: Entry, next_at: int, now: int) -> Entry:
    attempts = entry.attempts + 1
    return msgspec.structs.replace(entry, state="sent", attempts=attempts, lookups=0, next_at=next_at, sent_at=now)


def _unmarked(entry: Entry) -> Entry:
    return msgspec.structs.replace(entry, state="planned", attempts=entry.attempts - 1, next_at=0)


def _final(entry: Entry, outcome: Outcome) -> Entry:
    state: State = "unknown" if isinstance(outcome, Uncertain) else "done"
    return msgspec.structs.replace(entry, state=state, outcome=outcome)


def _gave_up(entry: Entry, reason: str) -> Entry:
    return _final(entry, Rejected(command_id=entry.command.id, code="gave_up", reason=reason))
