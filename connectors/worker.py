"""The worker of one connection: takes commands, sends each effect once, and settles the outcome (D-42, D-47).

One ``turn`` is one synchronous round. A command is marked as sent, durably, before it leaves; one that was marked and
not answered is looked up before anything is repeated.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from connectors.answers import retry_after, uncertain
from connectors.base import OVERLOADED, Connector, NoAnswer, NotSent, Pressure, Request, Response, Send
from connectors.guarded import Failed, Guarded
from connectors.ledger import EffectRows, Entry, nobody_knows
from connectors.limits import RANKS, Limiter, Rank
from connectors.patience import Patience, Policy, apart, final, of, unmarked
from connectors.rounds import Round, Turn
from connectors.units import Unit, batches, joins, lane_of, rank_of, unit
from connectors.waves import Alone, Answered, Crew
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater

ROWS = 2_000
"""Rows that are made ready in one turn; what follows is looked at only for later updates of the same records."""
Settled: TypeAlias = tuple[Command, Outcome]


class CommandSource(Protocol):
    """Where a connection's commands wait."""

    def take(self, limit: int) -> Sequence[Command]:
        """The oldest commands that are not settled, in order."""
        ...

    def settle(self, outcomes: Sequence[Settled]) -> None:
        """Reports outcomes durably and moves on; the same one may be settled again after a crash."""
        ...


class Errand(NamedTuple):
    """What one request is for: to write some units, or to look one up."""

    units: list[Unit]
    looks: bool = False
    follows: bool = False

    @property
    def commands(self) -> list[Command]:
        """What is asked of the CRM, a row each."""
        return [one.command for one in self.units]

    @property
    def entries(self) -> list[Entry]:
        """The rows of all its commands."""
        return [entry for one in self.units for entry in one.entries]

    @property
    def rank(self) -> Rank:
        """Of which class its request is."""
        return rank_of(entry.command for entry in self.entries)

    @property
    def repeated(self) -> int:
        """How many of its commands were sent before and are to be sent again."""
        return 0 if self.looks else sum(one.repeated for one in self.units)


class Ready(NamedTuple):
    """An errand that may leave."""

    errand: Errand
    request: Request


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
        crew: Crew | None = None,
    ) -> None:
        self._connector = connector
        self._guarded = Guarded(connector)
        self._send = send
        self._ledger = ledger
        self._source = source
        self._limits = limits
        self._patience = Patience(policy or Policy(), chance or Random())  # noqa: S311  # spreads retries, guards nothing
        self._at, self._may_go_on = at, may_go_on
        self._crew: Crew = crew or Alone()
        self._alone: set[str] = set()
        self._judged: set[str] = set()
        self._down = self._inside = 0

    def turn(self, now: int) -> Turn:
        """One round: take, send what may be sent, look up what is uncertain, settle. ``now`` in milliseconds.

        ``at`` is called at claimed, sent, answered, recorded and settled, where a test may stop the worker.
        ``may_go_on`` is asked before each wave but the first: who shares commands has to look around in between.
        """
        tally, window = Round(now), self._patience.policy.window
        commands = self._source.take(window)
        if commands:
            self._at("claimed")
        errands = deque(self._errands(self._ready(commands, tally)))
        try:
            while errands and not tally.is_over:
                wave = list(self._wave(errands, tally))
                if wave:
                    errands.extendleft(reversed(self._go(wave, tally)))
                if errands and not self._may_go_on():
                    tally.stop(now)
        finally:
            self._leave_all()
        if tally.ended() and (tally.behind or len(commands) == window):
            tally.wake(now)  # more may be ready now
        return tally.turn()

    def _leave_all(self) -> None:
        """What was let in and did not leave, because something failed on the way, takes no place."""
        for _ in range(self._inside):
            self._limits.leave()
        self._inside = 0

    # -- what is due ------------------------------------------------------

    def _ready(self, commands: Sequence[Command], tally: Round) -> list[Unit]:
        """What is due, at most one row per record; what is settled already is reported again."""
        entries = self._ledger.entries([command.id for command in commands])
        rows: dict[str, list[Entry]] = {}
        settled: list[Entry] = []
        refused: list[Entry] = []
        full: set[str] = set()
        due = 0
        for command in commands:
            lane = lane_of(command)
            if lane in full:
                tally.behind = True  # its forerunner may end in this turn
                continue
            entry = entries.get(command.id) or Entry(command=command, state="planned")
            row = rows.get(lane)
            if row is None and entry.state in {"done", "unknown"}:
                settled.append(entry)
            elif due >= ROWS if row is None else not self._joins(row[0], entry):
                full.add(lane)
                tally.behind = True
            elif command.id not in entries and (refusal := self._refusal(command)):
                refused.append(final(entry, refusal))
            elif row is None:
                rows[lane] = [entry]
                due += entry.next_at <= tally.now
            else:
                row.append(entry)
        self._report(settled, tally)
        self._record(refused, tally)
        return [one for row in rows.values() if self._is_due(one := unit(row), tally)]

    def _refusal(self, command: Command) -> Rejected | None:
        """Why the command need not be sent; each is judged once."""
        if command.id in self._judged:
            return None
        refusal = self._guarded.refuse(command)
        if refusal is None:
            self._judged.add(command.id)
        return refusal

    def _joins(self, first: Entry, entry: Entry) -> bool:
        if self._alone and not self._alone.isdisjoint((first.command.id, entry.command.id)):
            return False
        return joins(first, entry)

    def _is_due(self, one: Unit, tally: Round) -> bool:
        if one.next_at <= tally.now:
            return True
        tally.wake(one.next_at)
        return False

    def _errands(self, ready: Sequence[Unit]) -> Iterator[Errand]:
        for units in batches(ready, self._connector, self._guarded.most):
            first = units[0]
            yield Errand(units, first.is_sent or self._connector.looks_first(first.command))

    # -- what leaves ------------------------------------------------------

    def _wave(self, errands: deque[Errand], tally: Round) -> Iterator[Ready]:
        """As many errands as there is room for now."""
        chosen = 0
        while errands and chosen < self._crew.size:
            ready = self._prepared(errands, tally)
            if ready is None:
                continue
            price, rank = self._guarded.price(ready.request), ready.errand.rank
            wait = self._limits.enter(tally.now, rank, price, ready.errand.follows)
            if not wait:
                chosen += 1
                self._inside += 1
                yield ready
                continue
            self._limits.not_again(ready.errand.repeated)
            if chosen:  # asked again when those that leave now are back
                errands.appendleft(ready.errand)
                return
            tally.wake(tally.now + max(wait, self._limits.worth(tally.now, len(errands) + 1)))
            _keep_urgent(errands, rank)

    def _prepared(self, errands: deque[Errand], tally: Round) -> Ready | None:
        """The next errand with its request; none where it needs no request, must wait, or falls apart."""
        errand = errands.popleft()
        if errand.looks:
            request = self._guarded.find(errand.units[0].command)
            if isinstance(request, Request):
                return Ready(errand, request)
            self._without_lookup(errand, request, errands, tally)
            return None
        affordable = self._affordable(errand, tally)
        if affordable is None:
            return None
        made = self._guarded.request(affordable.commands)
        if isinstance(made, Request):
            return Ready(affordable, made)
        self._limits.not_again(affordable.repeated)
        self._fall_apart(affordable, made, errands, tally)
        return None

    def _affordable(self, errand: Errand, tally: Round) -> Errand | None:
        """What of it may leave: those that were sent before only within the retry budget."""
        wait = self._limits.again(errand.repeated, tally.now) if errand.repeated else 0
        if not wait:
            return errand
        tally.wake(tally.now + wait)
        rest = [one for one in errand.units if not one.repeated]
        return Errand(rest) if rest else None

    def _fall_apart(self, errand: Errand, failed: Failed, errands: deque[Errand], tally: Round) -> None:
        """Of commands that cannot be put into one request, those that cannot be sent alone are rejected."""
        if len(errand.units) > 1:
            errands.extendleft(Errand([one]) for one in reversed(errand.units))
        elif len(errand.entries) > 1:
            self._alone.update(entry.command.id for entry in errand.entries)
            tally.wake(tally.now)
        else:
            [entry] = errand.entries
            self._record([final(entry, failed.rejected(entry.command))], tally)

    def _without_lookup(self, errand: Errand, failed: Failed | None, errands: deque[Errand], tally: Round) -> None:
        if failed is not None:
            self._record(self._rows(errand.units, uncertain(errand.commands, failed.reason), tally), tally)
        elif not errand.units[0].is_sent:
            errands.appendleft(Errand(errand.units))
        else:
            self._record([self._patience.blind(entry, self._connector, tally) for entry in errand.entries], tally)

    def _go(self, wave: Sequence[Ready], tally: Round) -> list[Errand]:
        """Sends a wave and notes what came of it; what follows from its lookups."""
        marked = [ready._replace(errand=self._marked(ready.errand, tally)) for ready in wave]
        claims = [entry for ready in marked if not ready.errand.looks for entry in ready.errand.entries]
        if claims:
            self._ledger.write(claims, tally.now)
            self._at("sent")
        answers = self._crew.send(self._send, [ready.request for ready in marked])
        for ready, answered in zip(marked, answers, strict=True):
            came = isinstance(answered.answer, Response)
            self._limits.leave(answered.seconds if came else None, len(ready.errand.units))
            self._inside -= 1
        if any(isinstance(answered.answer, Response) for answered in answers):
            self._down = 0
            self._at("answered")
        return self._conclude(marked, answers, tally)

    def _marked(self, errand: Errand, tally: Round) -> Errand:
        if errand.looks:
            return errand
        mark = self._patience.marked
        return Errand([
            msgspec.structs.replace(one, entries=tuple(mark(entry, tally.now) for entry in one.entries))
            for one in errand.units
        ])  # fmt: skip

    # -- what came of it ------------------------------------------------------

    def _conclude(self, wave: Sequence[Ready], answers: Sequence[Answered], tally: Round) -> list[Errand]:
        """Finishes what is decided and postpones the rest, in one note."""
        rows: list[Entry] = []
        unsent: list[Entry] = []
        following: list[Errand] = []
        for (errand, _), (answer, _) in zip(wave, answers, strict=True):
            if isinstance(answer, Response):
                done, more = self._read(errand, answer, tally)
                rows += done
                following += more
            elif isinstance(answer, NoAnswer):
                rows += self._rows(errand.units, uncertain(errand.commands, str(answer)), tally)
            else:
                back = [] if errand.looks else [unmarked(entry) for entry in errand.entries]
                self._limits.not_again(sum(entry.attempts > 0 for entry in back))
                unsent += back
                self._away(answer, tally)
                continue
            self._limits.begin(0 if errand.looks else sum(entry.attempts == 1 for entry in errand.entries))
        if unsent:
            self._ledger.write(unsent, tally.now)
        self._record(rows, tally)
        return following

    def _read(self, errand: Errand, response: Response, tally: Round) -> tuple[list[Entry], list[Errand]]:
        """The rows of an errand after its answer, and what follows from a lookup."""
        if not errand.looks:
            outcomes = self._guarded.outcomes(errand.commands, response)
            return self._rows(errand.units, outcomes, tally, self._pressed(response, outcomes, tally)), []
        [one] = errand.units
        found = self._guarded.found(one.command, response)
        until = self._pressed(response, [] if isinstance(found, Command) else [found], tally)
        if isinstance(found, Command):
            # What was found out is noted with the command, and asked about after a crash.
            [entry] = [entry for entry in one.entries if entry.command.id == found.id]
            return [], [Errand([unit([msgspec.structs.replace(entry, command=found)])], follows=True)]
        tries = max(entry.attempts for entry in one.entries)
        if isinstance(found, RetryLater) and until is None and tries < self._patience.policy.attempts:
            return [], [Errand([one], follows=True)]  # proven not there
        return self._rows([one], [found], tally, until), []

    def _rows(
        self, units: Sequence[Unit], outcomes: Sequence[Outcome], tally: Round, until: int | None = None
    ) -> list[Entry]:
        rows: list[Entry] = []
        for one, outcome in zip(units, outcomes, strict=True):
            if isinstance(outcome, Rejected) and len(one.entries) > 1:  # perhaps only one of them is wrong
                self._alone.update(entry.command.id for entry in one.entries)
                tally.wake(tally.now)
                rows += map(apart, one.entries)
            elif until is not None:
                rows += [self._patience.pressed(entry, of(entry, outcome), until, tally) for entry in one.entries]
            else:
                rows += [self._patience.after(entry, of(entry, outcome), tally) for entry in one.entries]
        return rows

    def _pressed(self, response: Response, outcomes: Sequence[Outcome], tally: Round) -> int | None:
        """Until when the whole connection rests, where the CRM had no room; what the answer tells is heard."""
        self._limits.hear(self._guarded.usage(response), tally.now)
        decided = any(isinstance(outcome, Applied | Rejected) for outcome in outcomes)
        pressure: Pressure | None = None if decided else self._guarded.pressure(response)
        if pressure is None:
            self._limits.accepted()
            return None
        after = pressure.after or retry_after(response)
        if pressure is OVERLOADED:
            told = [outcome.after for outcome in outcomes if isinstance(outcome, RetryLater)]
            after = max([after, *told])
        until = self._limits.press(msgspec.structs.replace(pressure, after=after), tally.now)
        name = self._connector.settings.connection
        tally.stop(until, f"connection {name!r}: its quota is used up" if pressure.kind == "spent" else "")
        return until

    def _away(self, error: NotSent, tally: Round) -> None:
        """The connection is not there: everybody waits, and no command loses a try."""
        if not tally.problem:
            wait = self._patience.wait(self._down)
            self._down += 1
            self._limits.pause(tally.now + wait, "the CRM cannot be reached")
            tally.stop(tally.now + wait, str(error))

    def _record(self, entries: Sequence[Entry], tally: Round) -> None:
        """Notes the rows durably, then reports those that are final."""
        if not entries:
            return
        self._ledger.write(entries, tally.now)
        self._at("recorded")
        self._report([entry for entry in entries if entry.outcome], tally)

    def _report(self, decided: Sequence[Entry], tally: Round) -> None:
        settled = [(entry.command, entry.outcome or nobody_knows(entry.command)) for entry in decided]
        if not settled:
            return
        for command, outcome in settled:
            tally.count(outcome)
            self._alone.discard(command.id)
            self._judged.discard(command.id)
        self._source.settle(settled)
        self._at("settled")


def _keep_urgent(errands: deque[Errand], rank: Rank) -> None:
    """Leave out what may not leave before one of this rank may."""
    urgent = [errand for errand in errands if RANKS.index(errand.rank) < RANKS.index(rank)]
    errands.clear()
    errands.extend(urgent)
