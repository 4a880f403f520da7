"""Logins that end, fail and are mended while a worker is at work in the practice CRMs: nothing is lost or parked."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from connectors.base import NotSent
from connectors.credentials import Credentials, SecretFile, credentials
from connectors.lease import Lease
from connectors.ledger import Ledger
from connectors.limits import Limiter
from connectors.registry import connect
from connectors.rounds import Turn
from connectors.tokens import Kept, Shelf
from connectors.worker import Worker
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Applied, Command, Outcome
from schemas.values import MINUTE
from tests.connectors.fakes import NOW, ListSource
from tests.connectors.practice import WORDS, Desk

WRONG = dict.fromkeys(("client_secret", "refresh_token", "access_key"), "canary-5ecret")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(params=sorted(WORDS))
def desk(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Desk]:
    sandbox.clock.set(max(NOW, sandbox.clock.now()) + 20 * MINUTE)
    database = sqlite3.connect(":memory:")
    made = Desk(sandbox, request.param, database)
    yield made
    made.crm.faults.clear()
    made.transport.close()
    database.close()


class Office:
    """A worker whose credentials lie in a file, as in a project; its tokens end by the CRM's clock."""

    def __init__(self, desk: Desk, file: Path) -> None:
        self.desk, self.file = desk, SecretFile(file)
        self.file.keep(desk.kind, desk.crm.credentials)
        self.source = ListSource()
        self.ledger = Ledger(desk.database, desk.kind)
        shelf = Shelf(lambda: desk.clock.now() / 1000)
        found = credentials(desk.kind, {}, file)
        connector, send, _ = connect(desk.settings, found, desk.connector.metadata, None, shelf)
        self.worker = Worker(connector, send, self.ledger, self.source, Limiter(connector.limits), chance=Random(1))

    def keep(self, secrets: dict[str, str] | None = None) -> None:
        """Credentials are renewed, or become wrong, in the file."""
        self.file.keep(self.desk.kind, {**self.desk.crm.credentials, **(secrets or {})})

    def turn(self) -> Turn:
        """One round now; then the clock is where the worker waits until."""
        turn = self.worker.turn(self.desk.clock.now())
        self.desk.clock.set(max(self.desk.clock.now(), turn.idle_until or 0))
        return turn

    def work(self) -> dict[str, Outcome]:
        """Rounds until nothing is left to do."""
        for _ in range(200):
            if self.worker.turn(self.desk.clock.now()).idle_until is None:
                return self.source.settled
            self.turn()
        raise AssertionError("the worker never comes to rest")

    def commands(self, word: str, count: int) -> list[Command]:
        """Creates and, of a record that is there, updates."""
        words = self.desk.words
        there = self.desk.crm.insert(words.tab, {**words.rest, words.name: f"{word} 既存"})
        made = [self.desk.command(f"{self.desk.kind}-{word}-{n}", "create", name=f"{word} {n}") for n in range(count)]
        return [*made, self.desk.command(f"{self.desk.kind}-{word}-u", "update", there, name=f"{word} 更新")]


@pytest.fixture
def office(desk: Desk, tmp_path: Path) -> Office:
    return Office(desk, tmp_path / "credentials.yaml")


def keys(desk: Desk, commands: list[Command]) -> list[int]:
    """How often each created record is there."""
    there = [row.get(desk.words.key) for row in desk.crm.records(desk.words.tab)]
    return [there.count(command.id) for command in commands if command.operation == "create"]


@pytest.mark.parametrize("skip", range(4))
def test_a_token_that_ends_in_the_middle_of_the_work_loses_nothing(office: Office, skip: int) -> None:
    commands = office.source.commands = office.commands(f"mid{skip}", 5)
    since = len(office.desk.crm.ledger())
    office.desk.crm.faults.add(Fault(do="expire_token", skip=skip, times=2))
    outcomes = office.work()
    assert all(isinstance(outcome, Applied) for outcome in outcomes.values()), outcomes
    assert len(outcomes) == len(commands)
    assert keys(office.desk, commands) == [1] * 5
    effects = sorted(effect.operation for effect in office.desk.crm.ledger()[since:])
    assert effects == ["insert"] * 5 + ["update"]


def test_broken_credentials_stop_the_connection_and_park_nothing_until_they_are_renewed(office: Office) -> None:
    office.keep(WRONG)
    commands = office.source.commands = office.commands("broken", 3)
    since, kind = len(office.desk.crm.ledger()), office.desk.kind
    problems = [office.turn().problem for _ in range(12)]
    assert all(f"renkei connect {kind} --name {kind}" in one for one in problems), problems
    assert not any("canary" in one for one in problems)
    assert office.source.settled == {}
    entries = office.ledger.entries([command.id for command in commands])
    assert {(entry.state, entry.attempts) for entry in entries.values()} <= {("planned", 0)}
    assert len(office.desk.crm.ledger()) == since
    office.keep()
    outcomes = office.work()
    assert all(isinstance(outcome, Applied) for outcome in outcomes.values()), outcomes
    assert keys(office.desk, commands) == [1] * 3, "without a restart"


def test_credentials_that_are_revoked_at_work_lose_nothing(office: Office) -> None:
    first = office.source.commands = office.commands("before", 2)
    assert len(office.work()) == len(first)
    office.keep(WRONG)
    office.desk.crm.expire_tokens()
    second = office.commands("after", 2)
    office.source.commands = [*first, *second]
    assert "login was refused" in office.turn().problem
    office.keep()
    outcomes = office.work()
    assert {outcomes[command.id].__class__ for command in second} == {Applied}
    assert keys(office.desk, second) == [1] * 2


def test_a_crm_that_is_away_at_the_login_is_no_refusal(office: Office) -> None:
    commands = office.source.commands = office.commands("away", 2)
    office.desk.crm.expire_tokens()
    office.desk.crm.faults.add(Fault(do="status", status=503, times=3, where="oauth|getchallenge"))
    office.desk.crm.faults.add(Fault(do="reset_after", times=1, where="oauth|login"))
    outcomes = office.work()
    assert all(isinstance(outcome, Applied) for outcome in outcomes.values()), outcomes
    assert keys(office.desk, commands) == [1] * 2


PROCESS = """
import sys
from pathlib import Path
from connectors.base import Request
from connectors.credentials import credentials
from connectors.registry import connect
from connectors.settings import ConnectionSettings
from connectors.tokens import FileShelf
kind, url, folder = sys.argv[1:]
login = "client_credentials" if kind == "salesforce" else "refresh_token"
told = ConnectionSettings(connection=kind, kind=kind, url=url, login=login, allow_private=True)
secrets = credentials(kind, {}, Path(folder, "c.yaml"))
connector, send, _ = connect(told, secrets, None, None, FileShelf(Path(folder, "t")))
print("ready", flush=True)
sys.stdin.readline()
print(len(connector.describe(send, []).users))
"""


def test_processes_that_begin_at_once_log_in_once(desk: Desk, tmp_path: Path) -> None:
    SecretFile(tmp_path / "c.yaml").keep(desk.kind, desk.crm.credentials)
    desk.crm.faults.forget_calls()
    words = [sys.executable, "-c", PROCESS, desk.kind, desk.crm.url, str(tmp_path)]
    started = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        for _ in range(3)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    assert [one.communicate(timeout=60)[0] for one in started] == ["8\n"] * 3
    posts = [call for call in desk.crm.faults.calls() if call.method == "POST"]
    assert len(posts) == 1, posts


class Occupied(Shelf):
    """A shelf that somebody else is at: who opens it waits for longer than any claim lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    @contextmanager
    def open(self) -> Iterator[Kept]:
        self.seconds += 60.0
        with super().open() as kept:
            yield kept


def test_a_login_that_takes_longer_than_its_claim_lasts_comes_about_all_the_same(desk: Desk) -> None:
    """Else every further claim would wait as long, and no command would ever leave."""
    shelf = Occupied()
    lease = Lease(2_500, lambda: shelf.seconds)
    found = Credentials(desk.kind, desk.crm.credentials)
    connector, send, _ = connect(desk.settings, found, desk.connector.metadata, lease.check, shelf)
    lease.begin()
    with pytest.raises(NotSent, match="claimed anew"):
        connector.describe(send, [desk.words.tab])
    lease.begin()
    assert desk.words.tab in connector.describe(send, [desk.words.tab]).tabs
