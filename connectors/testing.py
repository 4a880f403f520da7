"""The contract every connector keeps, as tests: subclass ``ConnectorContract``, say how an applied answer looks.

class TestMyConnector(ConnectorContract):
    connector = MyConnector(settings, metadata)
    commands = (create_one, update_one)

    def answered(self, commands):
        return Response(status=200, body=b"...")
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from connectors.base import Connector, Response
from connectors.reading import READ
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain

GARBAGE = (
    b"", b"{", b"null", b"[]", b"[[]]", b"{}", b"true", b"<html>Bad gateway</html>", b"\xff\xfe",
    b'{"data": 7}', b'{"data": [7]}', b'{"success": true}', b'{"success": "yes"}', b"[" * 5000,
    b'[{"success": true}]', b'"text"',
)  # fmt: skip
"""Bodies that no vendor means; an answer that holds one says nothing about the effect."""


class ConnectorContract:
    """Named tests that any connector passes; ``commands`` holds one command of every operation it knows."""

    connector: ClassVar[Connector]
    commands: ClassVar[Sequence[Command]]
    overloaded: ClassVar[Sequence[int]] = (429,)
    """Statuses that mean: nothing was written, come again."""
    broken: ClassVar[Sequence[int]] = (500, 502, 504)
    """Statuses after which nobody knows what was written."""
    reads_bodies: ClassVar[bool] = True
    """Whether the body of an answer tells the outcome, not its status alone."""

    @abstractmethod
    def answered(self, commands: Sequence[Command]) -> Response:
        """The answer of a CRM that applied all these commands."""

    def test_a_request_is_made_of_its_commands_alone(self) -> None:
        """Two requests for the same commands are the same."""
        for group in self._groups():
            assert self.connector.request(group) == self.connector.request(group)

    def test_an_applied_batch_has_one_applied_outcome_per_command_in_order(self) -> None:
        """Order and number of outcomes are those of the commands."""
        for group in self._groups():
            outcomes = self._outcomes(group, self.answered(group))
            assert all(isinstance(outcome, Applied) for outcome in outcomes), outcomes

    def test_an_unreadable_answer_is_uncertain_for_every_command(self) -> None:
        """Nothing is guessed (D-42)."""
        bodies = GARBAGE if self.reads_bodies else ()
        for group in self._groups():
            for body in bodies:
                outcomes = self._outcomes(group, Response(status=200, body=body))
                assert all(isinstance(outcome, Uncertain) for outcome in outcomes), (body[:40], outcomes)

    def test_an_answer_with_a_row_too_few_is_uncertain_for_every_command(self) -> None:
        """A short answer cannot be matched to rows; what was read is matched by id."""
        for group in self._groups():
            if len(group) > 1 and self.reads_bodies and group[0].operation != READ:
                outcomes = self._outcomes(group, self.answered(group[:-1]))
                assert all(isinstance(outcome, Uncertain) for outcome in outcomes), outcomes

    def test_an_overloaded_answer_means_later(self) -> None:
        """Nothing was written, so the same request may go again."""
        for group in self._groups():
            for status in self.overloaded:
                outcomes = self._outcomes(group, Response(status=status))
                assert all(isinstance(outcome, RetryLater) for outcome in outcomes), outcomes

    def test_a_broken_answer_is_uncertain(self) -> None:
        """A server that broke may have written."""
        for group in self._groups():
            for status in self.broken:
                outcomes = self._outcomes(group, Response(status=status, body=b"<html></html>"))
                assert all(isinstance(outcome, Uncertain) for outcome in outcomes), outcomes

    def test_a_lookup_that_cannot_be_read_leaves_the_effect_uncertain(self) -> None:
        """Only a clear answer proves presence or absence."""
        for command in self.commands:
            for body in GARBAGE:
                found = self.connector.found(command, Response(status=500, body=body))
                assert isinstance(found, Uncertain), (body[:40], found)

    def test_an_unknown_operation_is_refused_or_at_least_not_fatal(self) -> None:
        """Refusing never raises."""
        for command in self.commands:
            refused = self.connector.refuse(msgspec.structs.replace(command, operation="no such thing"))
            assert refused is None or isinstance(refused, Rejected)

    def _groups(self) -> list[list[Command]]:
        """Each command alone, and as many copies of it as one request can carry (three at most)."""
        groups = []
        for command in self.commands:
            size = min(3, self.connector.most(command))
            groups.append([_copy(command, number) for number in range(size)])
        return groups

    def _outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        outcomes = self.connector.outcomes(commands, response)
        assert [outcome.command_id for outcome in outcomes] == [command.id for command in commands]
        return outcomes


def _copy(command: Command, number: int) -> Command:
    if number == 0:
        return command
    key = (command.key[0], f"{command.key[1]}-{number}") if command.key else None
    return msgspec.structs.replace(command, id=f"{command.id}-{number}", key=key)
