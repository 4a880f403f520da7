"""Mails over real SMTP to the practice range's mail server: once each, and never twice when an answer is lost (G24)."""

import sqlite3
from collections.abc import Iterator
from random import Random

import pytest

from connectors.base import Limits, NotSent
from connectors.credentials import Credentials
from connectors.email import EmailConnector
from connectors.ledger import Ledger
from connectors.limits import Limiter
from connectors.registry import connect
from connectors.settings import ConnectionSettings
from connectors.worker import Worker
from sandbox.clock import Clock
from sandbox.mail import MailFaults, MailSink
from schemas.commands import Applied, Command, Outcome, Rejected, Uncertain
from tests.connectors.crms import metadata
from tests.connectors.fakes import NOW, ListSource


@pytest.fixture(scope="module")
def running() -> Iterator[MailSink]:
    sink = MailSink(Clock())
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture
def sink(running: MailSink) -> MailSink:
    running.clear()
    running.faults = MailFaults()
    return running


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def mail(command_id: str = "m1", **more: object) -> Command:
    fields = {"to": ["ann@example.com", "bob@example.com"], "subject": "受注", "body": "Hello\n.\n..bye", **more}
    return Command(
        id=command_id, connection="mail", tab="mail:messages", operation="email", fields=fields, planned_at=NOW,
        on_unknown="skip",
    )  # fmt: skip


def deliver(
    sink: MailSink, database: sqlite3.Connection, allow_private: bool = True
) -> tuple[dict[str, Outcome], Ledger]:
    told = ConnectionSettings(
        connection="mail", kind="email", url=f"smtp://{sink.host}:{sink.port}", sender="Renkei <renkei@example.com>",
        allow_private=allow_private, timeout=5,
    )  # fmt: skip
    connector, send, _ = connect(told, Credentials("mail", {}), metadata("zoho"))
    assert isinstance(connector, EmailConnector)
    source, ledger = ListSource(mail()), Ledger(database, "mail")
    worker, now = Worker(connector, send, ledger, source, Limiter(Limits()), chance=Random(1)), NOW
    for _ in range(30):
        turn = worker.turn(now)
        if turn.problem:
            raise NotSent(turn.problem)
        if turn.idle_until is None:
            break
        now = turn.idle_until
    return source.settled, ledger


def test_a_mail_arrives_as_it_was_written(sink: MailSink, database: sqlite3.Connection) -> None:
    outcomes, _ = deliver(sink, database)
    [found] = sink.messages()
    assert outcomes["m1"] == Applied(command_id="m1")
    assert (found.sender, found.recipients) == ("renkei@example.com", ("ann@example.com", "bob@example.com"))
    assert (found.subject, found.text.splitlines()) == ("受注", ["Hello", ".", "..bye"])
    assert found.message["Message-ID"] == "<m1@example.com>"


def test_a_busy_server_gets_the_mail_later(sink: MailSink, database: sqlite3.Connection) -> None:
    sink.faults.busy = 2
    outcomes, _ = deliver(sink, database)
    assert isinstance(outcomes["m1"], Applied)
    assert len(sink.messages()) == 1


def test_a_mail_whose_answer_is_lost_is_not_sent_again_but_listed(sink: MailSink, database: sqlite3.Connection) -> None:
    sink.faults.lost_answers = 1
    outcomes, ledger = deliver(sink, database)
    assert isinstance(outcomes["m1"], Uncertain)
    assert [entry.command.id for entry in ledger.unknown()] == ["m1"]
    assert len(sink.messages()) == 1


@pytest.mark.parametrize(
    ("refused", "kind"), [(("ann@example.com",), Applied), (("ann@example.com", "bob@example.com"), Rejected)]
)
def test_refused_recipients(sink: MailSink, database: sqlite3.Connection, refused: tuple[str, ...], kind: type) -> None:
    sink.faults.refused.update(refused)
    outcomes, _ = deliver(sink, database)
    assert type(outcomes["m1"]) is kind


def test_a_mail_server_on_a_private_address_needs_permission(sink: MailSink, database: sqlite3.Connection) -> None:
    with pytest.raises(NotSent, match="a private address"):
        deliver(sink, database, allow_private=False)
    assert not sink.messages()
