"""A chat as a connection."""

from collections.abc import Sequence

from connectors.base import Connector, Request, Response
from schemas.codec import to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain


class ChatConnector(Connector):
    """Posts messages; the chat drops a second message of the same id, so repeating one does no harm."""

    kind = "chat"
    repeatable = frozenset({"message"})

    def request(self, commands: Sequence[Command]) -> Request:
        """One message, one request."""
        body = {"id": commands[0].id, **commands[0].fields}
        return Request(method="POST", path="/messages", body=to_json(body), content_type="application/json")

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """By status; what it does not tell is uncertain."""
        name = commands[0].id
        if response.status == 201:
            return [Applied(command_id=name)]
        if response.status == 404:
            return [Rejected(command_id=name, code="no_room", reason="the chat has no such room")]
        if response.status == 429:
            return [RetryLater(command_id=name, reason="the chat is busy", after=10.0)]
        return [Uncertain(command_id=name, reason=f"the chat answered {response.status}")]
