"""A connector whose exceptions are outcomes: a mistake in a stranger's code costs one command, not the connection."""

from collections.abc import Sequence

import msgspec

from connectors.answers import uncertain
from connectors.base import Connector, Pressure, Request, Response, Usage
from schemas.commands import Command, Outcome, Rejected, Uncertain

FAILED = "connector_failed"


class Failed(msgspec.Struct, frozen=True):
    """A method of the connector raised: which, what and where; never a value."""

    reason: str

    def rejected(self, command: Command) -> Rejected:
        """The command as one that this connector cannot send."""
        return Rejected(command_id=command.id, code=FAILED, reason=self.reason)


class Guarded:
    """The pure methods of a connector, none of which raises."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    def refuse(self, command: Command) -> Rejected | None:
        """Why the command need not be sent; one that cannot even be judged is not sent either."""
        try:
            return self._connector.refuse(command)
        except Exception as error:
            return self._failed("refuse", error).rejected(command)

    def most(self, command: Command) -> int:
        """How many commands like this one go into one request: one at least, and where the connector cannot say."""
        try:
            return max(1, self._connector.most(command))
        except Exception:
            return 1

    def request(self, commands: Sequence[Command]) -> Request | Failed:
        """The request for the commands."""
        try:
            return self._connector.request(commands)
        except Exception as error:
            return self._failed("request", error)

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """One outcome per command, in order; all uncertain where the connector gives anything else."""
        try:
            outcomes = self._connector.outcomes(commands, response)
            if [outcome.command_id for outcome in outcomes] == [command.id for command in commands]:
                return outcomes
        except Exception as error:
            return uncertain(commands, self._failed("outcomes", error).reason)
        return uncertain(commands, f"{self._name}.outcomes() does not give one outcome per command, in order")

    def find(self, command: Command) -> Request | Failed | None:
        """The request that looks the command's effect up."""
        try:
            return self._connector.find(command)
        except Exception as error:
            return self._failed("find", error)

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """What the lookup says."""
        try:
            return self._connector.found(command, response)
        except Exception as error:
            return Uncertain(command_id=command.id, reason=self._failed("found", error).reason)

    def price(self, request: Request) -> int:
        """What the request costs: one where the connector cannot say."""
        try:
            return max(0, self._connector.price(request))
        except Exception:
            return 1

    def usage(self, response: Response) -> Sequence[Usage]:
        """What the answer tells of quotas: nothing where the connector cannot read it."""
        try:
            return self._connector.usage(response)
        except Exception:
            return ()

    def pressure(self, response: Response) -> Pressure | None:
        """Whether the whole connection was refused: no, where the connector cannot say."""
        try:
            return self._connector.pressure(response)
        except Exception:
            return None

    @property
    def _name(self) -> str:
        return type(self._connector).__name__

    def _failed(self, method: str, error: Exception) -> Failed:
        # The kind and the line only: an exception's text may quote a field value.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f", line {trace.tb_lineno} of {trace.tb_frame.f_code.co_name}()" if trace is not None else ""
        return Failed(f"{self._name}.{method}() raised {type(error).__name__}{where}")
