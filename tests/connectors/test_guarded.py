"""A mistake in a stranger's connector costs one command its effect, never the connection its worker."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NoReturn

import pytest

from connectors.base import Connector, Limits, Request, Response
from connectors.ledger import Ledger
from connectors.limits import Limiter
from connectors.rounds import Turn
from connectors.worker import Worker
from schemas.commands import Applied, Command, Outcome, Rejected, Uncertain
from schemas.metadata import ConnectionMetadata
from tests.connectors.fakes import NOW, ListSource, ToyConnector, ToyCrm, create, settings

CANARY = "canary-value"


def fall() -> NoReturn:
    raise KeyError(CANARY)


class Clumsy(ToyConnector):
    """Stumbles in one of its methods: over the command ``c2``, or over everything where it reads answers."""

    stumbles = ""

    def most(self, command: Command) -> int:
        return fall() if self.stumbles == "most" else super().most(command)

    def refuse(self, command: Command) -> Rejected | None:
        return fall() if self.stumbles == "refuse" and command.id == "c2" else None

    def request(self, commands: Sequence[Command]) -> Request:
        if self.stumbles == "request" and any(command.id == "c2" for command in commands):
            fall()
        return super().request(commands)

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        told = fall() if self.stumbles == "outcomes" else super().outcomes(commands, response)
        return told[1:] if self.stumbles == "too few outcomes" else told

    def find(self, command: Command) -> Request | None:
        return fall() if self.stumbles == "find" else super().find(command)

    def found(self, command: Command, response: Response) -> Outcome:
        return fall() if self.stumbles == "found" else super().found(command, response)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


class Shop:
    def __init__(self, database: sqlite3.Connection, connector: Connector, *commands: Command) -> None:
        self.crm, self.source, self.ledger = ToyCrm(), ListSource(*commands), Ledger(database, "toy")
        self.worker = Worker(connector, self.crm, self.ledger, self.source, Limiter(Limits()))

    def until_idle(self) -> dict[str, Outcome]:
        turn, now = Turn(idle_until=NOW), NOW
        while turn.idle_until is not None:
            now = max(now, turn.idle_until)
            turn = self.worker.turn(now)
        return self.source.settled


def clumsy(stumbles: str) -> Clumsy:
    connector = Clumsy(settings(), ConnectionMetadata(connection="toy"))
    connector.stumbles = stumbles
    return connector


@pytest.mark.parametrize("stumbles", ["refuse", "request"])
def test_a_command_that_cannot_be_put_into_a_request_is_rejected_and_its_neighbours_go_out(
    database: sqlite3.Connection, stumbles: str
) -> None:
    shop = Shop(database, clumsy(stumbles), create(1), create(2), create(3))
    outcomes = shop.until_idle()
    refused = outcomes["c2"]
    assert isinstance(refused, Rejected)
    assert refused.code == "connector_failed"
    assert refused.reason.startswith(f"Clumsy.{stumbles}() raised KeyError, line ")
    assert CANARY not in refused.reason
    assert sorted(key for key, _ in shop.crm.effects) == ["c1", "c3"]


@pytest.mark.parametrize("stumbles", ["outcomes", "too few outcomes"])
def test_an_answer_that_cannot_be_taken_is_looked_up_and_not_repeated(
    database: sqlite3.Connection, stumbles: str
) -> None:
    shop = Shop(database, clumsy(stumbles), create(1), create(2))
    assert shop.until_idle() == {
        one: Applied(command_id=one, record_id=f"r-{one}", duplicate=True) for one in ("c1", "c2")
    }
    assert len(shop.crm.effects) == 2


@pytest.mark.parametrize("stumbles", ["find", "found"])
def test_an_effect_that_cannot_be_looked_up_becomes_unknown(database: sqlite3.Connection, stumbles: str) -> None:
    shop = Shop(database, clumsy(stumbles), create(1))
    shop.crm.say("lost")
    assert isinstance(shop.until_idle()["c1"], Uncertain)
    assert [entry.command.id for entry in shop.ledger.unknown()] == ["c1"]
    assert len(shop.crm.effects) == 1


def test_a_connector_that_cannot_tell_its_batches_sends_one_by_one(database: sqlite3.Connection) -> None:
    shop = Shop(database, clumsy("most"), create(1), create(2))
    assert all(isinstance(outcome, Applied) for outcome in shop.until_idle().values())
    assert len(shop.crm.requests) == 2


class Forgetful(ToyConnector):
    """Cannot look anything up, and its creates must not be doubled."""

    never_blind = frozenset({"create"})

    def find(self, command: Command) -> Request | None:
        return None


def test_what_must_not_be_doubled_is_not_repeated_even_if_its_author_says_so(database: sqlite3.Connection) -> None:
    shop = Shop(database, Forgetful(settings(), ConnectionMetadata(connection="toy")), create(1, on_unknown="retry"))
    shop.crm.say("lost")
    assert isinstance(shop.until_idle()["c1"], Uncertain)
    assert len(shop.crm.effects) == 1


class Hesitant(Forgetful):
    """Would look first, but has nothing to look by."""

    look_first = frozenset({"create"})


def test_a_command_that_would_be_looked_up_first_and_cannot_be_is_sent(database: sqlite3.Connection) -> None:
    shop = Shop(database, Hesitant(settings(), ConnectionMetadata(connection="toy")), create(1))
    assert shop.until_idle() == {"c1": Applied(command_id="c1", record_id="r-c1")}
