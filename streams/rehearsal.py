"""A rehearsal: the commands of a history are answered as if they had been applied, and reach no CRM.

Without answers a fire would wait at its first step for ever (D-40), and a history would show only half of what it sets
off. The answers come with the command itself, so the same history gives the same decisions (design principle 2).
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from schemas import topics
from schemas.commands import Applied, Command
from schemas.messages import OutcomeOf
from streams.stage import Changed, Output, Source


class Rehearsal:
    """Says of every command that it was applied; of a record read again, that it is as we know it (D-36)."""

    name: ClassVar[str] = "rehearsal"
    reads: ClassVar[tuple[str, ...]] = ("commands.*",)

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        """The outcome of one command, for the journey that it comes from."""
        command: Command = message
        fields = {} if command.operation == "read" else dict(command.fields)
        applied = Applied(
            command_id=command.id, record_id=command.record_id or f"rehearsed-{command.id}", fields=fields
        )
        outcome = OutcomeOf(at=command.planned_at, chain=command.chain, fire=command.fire, outcome=applied)
        return [Output(topics.JOURNEYS, command.journey, outcome)]

    def changed(self) -> Iterator[Changed]:
        """Nothing: a rehearsal remembers nothing."""
        return iter(())
