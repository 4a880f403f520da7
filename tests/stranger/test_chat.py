"""What the package promises, with the tests and the driver that Renkei brings."""

from collections.abc import Sequence

from connectors.base import Response
from connectors.settings import ConnectionSettings
from connectors.testing import ConnectorContract
from rules.actions.registry import registry
from rules.project import Project
from rules.publishing import publish
from schemas.commands import Command
from schemas.events import ChangeEvent
from schemas.metadata import ConnectionMetadata
from streams.stage import Source
from streams.testing import Driver
from tests.stranger.renkei_chat.action import Message
from tests.stranger.renkei_chat.connector import ChatConnector
from tests.stranger.renkei_chat.stage import Reductions

SETTINGS = ConnectionSettings(connection="chat", kind="chat", url="https://chat.example")
HELLO = Command(
    id="c1", connection="chat", tab="chat:messages", operation="message", fields={"room": "sales", "text": "Hello"}
)


class TestChatConnector(ConnectorContract):
    connector = ChatConnector(SETTINGS, ConnectionMetadata(connection="chat"))
    commands = (HELLO,)

    def answered(self, commands: Sequence[Command]) -> Response:
        return Response(status=201)


CHEER = """
workflow: cheer
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  fact: {module: facts.Deals, match: {id: deal.id}, several: oldest}
rules:
  deal:
    - name: won
      trigger: criteria_met
      criteria: deal.Stage is "Closed Won"
      actions:
        - message: sales
          text: "{{ deal.Deal_Name }} is won"
  fact:
    - name: haggled
      trigger: criteria_met
      criteria: fact.Reductions >= 2
      actions:
        - message: sales
          text: "{{ deal.Deal_Name }} was lowered {{ fact.Reductions }} times"
"""


def test_a_won_deal_is_told_to_the_room_once() -> None:
    driver = Driver(publish({"cheer.yaml": CHEER}, Project(actions=registry([Message]))))
    driver.create("zoho:Deals", "1", Deal_Name="Mirai", Stage="Negotiation")
    assert driver.commands() == []
    driver.update("zoho:Deals", "1", Stage="Closed Won")
    driver.update("zoho:Deals", "1", Deal_Name="Mirai KK")
    [command] = driver.commands()
    assert (command.connection, command.operation) == ("chat", "message")
    assert command.fields == {"room": "sales", "text": "Mirai is won"}


def deal(position: int, amount: int) -> ChangeEvent:
    return ChangeEvent(
        tab="zoho:Deals", record_id="1", op="update", after={"id": "1", "Amount": amount},
        committed_at=position, seen_at=position, source_position=position,
    )  # fmt: skip


def test_reductions_are_counted_once_and_survive_a_restart() -> None:
    stage, here = Reductions(), Source()
    [first] = stage.step("1", deal(1, 500), here)
    assert (first.topic, first.message.after) == ("changes.facts.Deals", {"id": "1", "Reductions": 0})
    [lowered] = stage.step("1", deal(2, 400), here)
    assert lowered.message.after == {"id": "1", "Reductions": 1}
    assert stage.step("1", deal(2, 400), here) == [], "a capture may tell a change twice"
    assert stage.step("1", deal(3, 450), here) == []
    again = Reductions()
    again.restore({row.key: {row.part: row.content} for row in stage.changed() if row.content})
    [told] = again.step("1", deal(4, 300), here)
    assert told.message.after == {"id": "1", "Reductions": 2}
