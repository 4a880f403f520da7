"""What becomes of a command after an outcome: it ends, waits for another try, or is looked up later (D-42, D-47)."""

from random import Random
from typing import assert_never

import msgspec

from connectors.base import Connector
from connectors.ledger import Entry, State, nobody_knows
from connectors.rounds import Round
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.values import MINUTE


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the worker is; times in milliseconds."""

    window: int = 50_000
    """Commands looked at in one turn: as many as are looked through for later updates of the same records."""
    attempts: int = 12
    """Tries of one command that the CRM itself postponed, before it is rejected as ``gave_up``."""
    first_wait: int = 1_000
    longest_wait: int = 15 * MINUTE
    first_look: int = 5_000
    """How long after an unanswered request its effect is first looked up: a slow CRM may still be applying it."""
    looks: int = 8
    """Lookups without a clear answer, before the effect counts as unknown."""


class Patience:
    """A policy at work; ``chance`` spreads the waits."""

    def __init__(self, policy: Policy, chance: Random) -> None:
        self.policy, self._chance = policy, chance

    def after(self, entry: Entry, outcome: Outcome, tally: Round) -> Entry:
        """The row of a command once this outcome came."""
        match outcome:
            case Applied() | Rejected():
                return final(entry, outcome)
            case RetryLater():
                return self.postponed(entry, outcome, tally)
            case Uncertain():
                return self.wondering(entry, outcome, tally)
            case _:
                assert_never(outcome)

    def pressed(self, entry: Entry, outcome: Outcome, until: int, tally: Round) -> Entry:
        """The CRM had no room: that costs no try, and no lookup."""
        tally.wake(until)
        if entry.state == "sent" and not isinstance(outcome, RetryLater):
            return msgspec.structs.replace(entry, next_at=until)
        tally.count(RetryLater(command_id=entry.command.id, reason=""))
        after = outcome.after if isinstance(outcome, RetryLater) else 0.0
        next_at = tally.now + int(after * 1000)
        return _planned(entry, max(1, entry.attempts - 1), next_at)

    def postponed(self, entry: Entry, outcome: RetryLater, tally: Round) -> Entry:
        """Nothing was written: later again, until it is given up."""
        if entry.attempts >= self.policy.attempts:
            return gave_up(entry, f"{entry.attempts} tries; the last one: {outcome.reason}")
        wait = max(int(outcome.after * 1000), self.wait(entry.attempts))
        tally.count(outcome)
        tally.wake(tally.now + wait)
        return _planned(entry, entry.attempts, tally.now + wait)

    def wondering(self, entry: Entry, outcome: Uncertain, tally: Round) -> Entry:
        """Looks later, each time after a longer while; at last the effect counts as unknown."""
        if entry.lookups >= self.policy.looks:
            if entry.state == "planned":  # nothing was sent yet, so nothing is unknown
                return gave_up(entry, f"not sent, since its key cannot be looked up: {outcome.reason}")
            return final(entry, nobody_knows(entry.command))
        turns = max(entry.lookups, entry.attempts - 1)
        wait = min(self.policy.first_look * 2 ** min(turns, 30), self.policy.longest_wait)
        tally.wake(tally.now + wait)
        return msgspec.structs.replace(entry, lookups=entry.lookups + 1, next_at=tally.now + wait)

    def blind(self, entry: Entry, kind: Connector, tally: Round) -> Entry:
        """A sent command that cannot be looked up: repeated where that does no harm or its author said so."""
        command = entry.command
        wished = command.on_unknown == "retry" and command.operation not in kind.never_blind
        if command.operation in kind.repeatable or wished:
            return self.postponed(entry, RetryLater(command_id=command.id, reason="sent, not answered"), tally)
        return final(entry, nobody_knows(command))

    def marked(self, entry: Entry, now: int) -> Entry:
        """As it is noted before it leaves."""
        attempts, look_at = entry.attempts + 1, now + self.policy.first_look
        return msgspec.structs.replace(entry, state="sent", attempts=attempts, lookups=0, next_at=look_at, sent_at=now)

    def wait(self, attempt: int) -> int:
        """Exponential back-off with full jitter."""
        most = min(self.policy.first_wait * 2 ** min(attempt, 30), self.policy.longest_wait)
        return self._chance.randint(1, most)


def unmarked(entry: Entry) -> Entry:
    """It did not leave."""
    return msgspec.structs.replace(entry, state="planned", attempts=entry.attempts - 1, next_at=0)


def apart(entry: Entry) -> Entry:
    """It was refused together with others of its record, and is due at once, alone."""
    return _planned(entry, entry.attempts, 0)


def final(entry: Entry, outcome: Outcome) -> Entry:
    """It is decided."""
    state: State = "unknown" if isinstance(outcome, Uncertain) else "done"
    return msgspec.structs.replace(entry, state=state, outcome=outcome)


def gave_up(entry: Entry, reason: str) -> Entry:
    """It is decided that it is not tried again."""
    return final(entry, Rejected(command_id=entry.command.id, code="gave_up", reason=reason))


def of(entry: Entry, outcome: Outcome) -> Outcome:
    """The outcome of a row as that of one of its commands."""
    command: Command = entry.command
    return outcome if outcome.command_id == command.id else msgspec.structs.replace(outcome, command_id=command.id)


def _planned(entry: Entry, attempts: int, next_at: int) -> Entry:
    return Entry(command=entry.command, state="planned", attempts=attempts, next_at=next_at)
