"""A stranger's connector: how little it takes, and that the shipped contract checks it."""

from collections.abc import Sequence

from connectors.base import Connector, Request, Response
from connectors.testing import ConnectorContract
from schemas.codec import to_json
from schemas.commands import Applied, Command, Outcome, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata
from tests.connectors.fakes import settings


class ChatConnector(Connector):
    """Posts messages to a chat."""

    kind = "chat"

    def request(self, commands: Sequence[Command]) -> Request:
        return Request(
            method="POST", path="/messages", body=to_json(commands[0].fields), content_type="application/json"
        )

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        if response.status == 201:
            return [Applied(command_id=command.id) for command in commands]
        if response.status == 429:
            return [RetryLater(command_id=command.id, reason="busy", after=10.0) for command in commands]
        return [Uncertain(command_id=command.id, reason=f"status {response.status}") for command in commands]


class TestChatContract(ConnectorContract):
    connector = ChatConnector(settings("chat"), ConnectionMetadata(connection="chat"))
    commands = (Command(id="c1", connection="chat", tab="chat:messages", operation="message", fields={"text": "Hi"}),)

    def answered(self, commands: Sequence[Command]) -> Response:
        return Response(status=201)
