"""Commands by their own id or their fire's, with what was decided and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas import topics
from schemas.commands import Command, Outcome
from schemas.decisions import Decision
from schemas.messages import OutcomeOf
from streams import wire
from streams.history import commands, decisions_of
from streams.store import Store


@dataclass(frozen=True)
class CommandExplained:
    """A command, the decisions of its fire, and its outcome if it is back, with the time (milliseconds)."""

    command: Command
    decisions: tuple[Decision, ...]
    outcome: Outcome | None = None
    settled_at: int | None = None


def explain_commands(log: Store, name: str) -> Sequence[CommandExplained]:
    """The command with this id, or all commands of the fire with this id."""
    return [_explained(log, one) for one in commands(log) if name in (one.id, one.fire)]


def _explained(log: Store, command: Command) -> CommandExplained:
    decisions = tuple(one for one in decisions_of(log, command.journey) if one.fire == command.fire)
    answer = next((one for one in reversed(_outcomes(log, command)) if one.outcome.command_id == command.id), None)
    if answer is None:
        return CommandExplained(command, decisions)
    return CommandExplained(command, decisions, answer.outcome, answer.at)


def _outcomes(log: Store, command: Command) -> list[OutcomeOf]:
    query = "SELECT seq FROM log WHERE topic = ? AND key = ? ORDER BY seq"
    rows = log.database.execute(query, (topics.JOURNEYS, command.journey)).fetchall()
    entries = [log.read(topics.JOURNEYS, seq - 1, 1)[0] for (seq,) in rows]
    return [message for entry in entries if isinstance(message := wire.read_entry(entry), OutcomeOf)]
