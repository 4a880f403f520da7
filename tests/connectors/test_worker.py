"""Stories of the worker: one effect per command, whatever is lost or dies in between (D-42, G3, G24)."""

import sqlite3
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.base import Limits, Response
from connectors.ledger import Ledger
from connectors.limits import Limiter
from connectors.patience import Policy
from connectors.rounds import Turn
from connectors.worker import Worker
from schemas.commands import Applied, Command, Outcome, Rejected, Uncertain
from tests.connectors.fakes import NOW, ListSource, ToyCrm, create, toy, update

POINTS = ("claimed", "sent", "answered", "recorded", "settled")


class Stopped(Exception):  # noqa: N818
    """The process died here."""


class Shop:
    """A worker with its ledger, source and toy CRM; the clock is moved by hand."""

    def __init__(self, database: sqlite3.Connection, *commands: Command, **policy: int) -> None:
        self.crm = ToyCrm()
        self.source = ListSource(*commands)
        self.database = database
        self.now = NOW
        self.policy = Policy(**policy)
        self.worker = self.start()

    def start(self, at: Callable[[str], None] = lambda point: None) -> Worker:
        """A fresh process over the same database."""
        ledger, limits = Ledger(self.database, "toy"), Limiter(Limits(at_once=8))
        self.worker = Worker(toy(), self.crm, ledger, self.source, limits, policy=self.policy, chance=Random(7), at=at)
        return self.worker

    def turn(self) -> Turn:
        return self.worker.turn(self.now)

    def until_idle(self) -> None:
        """Turns until nothing is left to do, moving the clock to where the worker asks to be woken."""
        for _ in range(200):
            turn = self.turn()
            if turn.idle_until is None:
                return
            self.now = max(self.now, turn.idle_until)
        raise AssertionError("the worker never comes to rest")

    def outcome(self, command_id: str) -> Outcome:
        return self.source.settled[command_id]

    def ledger(self) -> Ledger:
        return Ledger(self.database, "toy")


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def test_creates_leave_in_batches_of_the_vendors_size(database: sqlite3.Connection) -> None:
    shop = Shop(database, *(create(number) for number in range(7)))
    turn = shop.turn()
    assert turn.applied == 7
    assert turn.idle_until is None
    assert [request.path for request in shop.crm.requests] == ["/create"] * 3
    assert shop.outcome("c4") == Applied(command_id="c4", record_id="r-c4")


def test_two_writes_of_one_record_that_cannot_be_one_go_one_after_the_other(database: sqlite3.Connection) -> None:
    shop = Shop(database, update(1, "A"), update(2, "A", trigger_native=False), update(3, "B"))
    shop.crm.rows["u1"] = {"locked": "yes"}
    shop.turn()
    assert [key for key, _ in shop.crm.effects] == ["u3"]
    shop.crm.rows.clear()
    shop.until_idle()
    assert [key for key, record in shop.crm.effects if record == "A"] == ["u1", "u2"]


def test_a_rejected_row_does_not_hold_its_neighbours_back(database: sqlite3.Connection) -> None:
    shop = Shop(database, create(1), create(2), create(3))
    shop.crm.rows["c2"] = {"error": "INVALID_DATA"}
    turn = shop.turn()
    assert (turn.applied, turn.rejected) == (2, 1)
    assert shop.outcome("c2") == Rejected(command_id="c2", code="INVALID_DATA", reason="INVALID_DATA")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("hit", [1, 2])
def test_a_worker_that_dies_at_any_point_has_one_effect_each(
    database: sqlite3.Connection, point: str, hit: int
) -> None:
    shop = Shop(database, create(1), create(2), update(3, "A"), create(4), create(5))
    _die_once(shop, point, hit)
    shop.start()
    shop.until_idle()
    assert sorted(key for key, _ in shop.crm.effects) == ["c1", "c2", "c4", "c5", "u3"]
    assert all(isinstance(outcome, Applied) for outcome in shop.source.settled.values())
    assert len(shop.source.settled) == 5


@pytest.mark.parametrize("order", ["lost", Response(status=500), Response(status=200, body=b"[]")])
def test_an_answer_that_is_lost_is_looked_up_and_not_repeated(
    database: sqlite3.Connection, order: str | Response
) -> None:
    shop = Shop(database, create(1), create(2))
    shop.crm.say(order)
    turn = shop.turn()
    assert turn.idle_until == NOW + 5_000
    assert not shop.source.settled
    shop.until_idle()
    assert sorted(shop.crm.effects) == [("c1", "r-c1"), ("c2", "r-c2")]
    duplicate = isinstance(order, str)
    assert shop.outcome("c1") == Applied(command_id="c1", record_id="r-c1", duplicate=duplicate)


def test_a_connection_that_is_away_costs_no_tries(database: sqlite3.Connection) -> None:
    shop = Shop(database, create(1), attempts=1)
    shop.crm.say(*["away"] * 6)
    turn = shop.turn()
    assert turn.problem == "connection 'toy' could not be reached"
    shop.until_idle()
    assert shop.crm.effects == [("c1", "r-c1")]
    assert len(shop.crm.requests) == 7


def test_an_overloaded_crm_is_left_alone_as_long_as_it_asks(database: sqlite3.Connection) -> None:
    shop = Shop(database, update(1, "A"), update(2, "B"))
    shop.crm.say(Response(status=429))
    shop.turn()
    shop.now += 29_000
    shop.turn()
    assert len(shop.crm.requests) == 1
    shop.now += 1_001
    shop.until_idle()
    assert len(shop.crm.effects) == 2


def test_a_command_that_is_postponed_for_ever_is_given_up(database: sqlite3.Connection) -> None:
    shop = Shop(database, create(1), attempts=3)
    shop.crm.rows["c1"] = {"locked": "yes"}
    shop.until_idle()
    outcome = shop.outcome("c1")
    assert isinstance(outcome, Rejected)
    assert outcome.code == "gave_up"
    assert len(shop.crm.requests) == 3


@pytest.mark.parametrize("wish", ["skip", "ask"])
def test_a_mail_whose_answer_is_lost_is_unknown_and_listed(database: sqlite3.Connection, wish: str) -> None:
    mail = Command(id="m1", connection="toy", tab="toy:mail", operation="mail", on_unknown=wish)  # type: ignore[arg-type]  # one of the two
    shop = Shop(database, mail)
    shop.crm.say("lost")
    shop.until_idle()
    assert isinstance(shop.outcome("m1"), Uncertain)
    assert len(shop.crm.effects) == 1
    assert [entry.command.id for entry in shop.ledger().unknown()] == ["m1"]


def test_a_mail_whose_author_said_retry_is_sent_again(database: sqlite3.Connection) -> None:
    shop = Shop(database, Command(id="m1", connection="toy", tab="toy:mail", operation="mail"))
    shop.crm.say("lost")
    shop.until_idle()
    assert len(shop.crm.effects) == 2
    assert isinstance(shop.outcome("m1"), Applied)


def test_an_effect_that_cannot_be_told_becomes_unknown_after_a_while(database: sqlite3.Connection) -> None:
    shop = Shop(database, create(1), looks=3)
    shop.crm.say("lost", *[Response(status=500)] * 3)
    shop.until_idle()
    assert isinstance(shop.outcome("c1"), Uncertain)
    assert shop.crm.effects == [("c1", "r-c1")]


def test_an_unknown_command_goes_out_again_on_an_operators_word(database: sqlite3.Connection) -> None:
    shop = Shop(database, create(1), looks=1)
    shop.crm.say(Response(status=500), Response(status=500))
    shop.until_idle()
    assert shop.ledger().again("c1", shop.now)
    shop.source.settled.clear()
    shop.until_idle()
    assert isinstance(shop.outcome("c1"), Applied)
    assert not shop.ledger().again("c1", shop.now)


def test_a_command_that_comes_again_gets_its_first_outcome(database: sqlite3.Connection) -> None:
    shop = Shop(database, create(1))
    shop.until_idle()
    shop.source.settled.clear()
    shop.start().turn(NOW)
    assert shop.outcome("c1") == Applied(command_id="c1", record_id="r-c1")
    assert len(shop.crm.effects) == 1


def test_a_ledger_forgets_what_is_old_and_done_only(database: sqlite3.Connection) -> None:
    shop = Shop(database, create(1), create(2))
    shop.until_idle()
    assert [entry.command.id for entry in shop.ledger().recent(NOW)] == ["c1", "c2"]
    assert shop.ledger().forget(NOW) == 0
    assert shop.ledger().forget(NOW + 1) == 2


MOST = 12
orders = st.lists(st.sampled_from(["well", "lost", "away", Response(status=429), Response(status=500)]), max_size=MOST)


@given(orders=orders, deaths=st.lists(st.tuples(st.sampled_from(POINTS), st.integers(1, 4)), max_size=4))
@example(orders=["well", "well", Response(status=500), *["lost"] * 8], deaths=[])
def test_whatever_happens_each_command_has_one_effect(
    orders: list[str | Response], deaths: list[tuple[str, int]]
) -> None:
    connection = sqlite3.connect(":memory:")
    updates = update(9, "A"), update(10, "A", owner="user:ann")
    shop = Shop(connection, *(create(number) for number in range(4)), *updates, looks=MOST)  # more patient than fate
    shop.crm.say(*orders)
    for point, hit in deaths:
        _die_once(shop, point, hit)
    shop.start()
    shop.until_idle()
    connection.close()
    assert sorted(key for key, _ in shop.crm.effects) == ["c0", "c1", "c2", "c3", "u10", "u9"]
    assert [key for key, record in shop.crm.effects if record == "A"] == ["u9", "u10"]


def _die_once(shop: Shop, point: str, hit: int) -> None:
    passed = iter(range(1, 1000))

    def die(here: str) -> None:
        if here == point and next(passed) == hit:
            raise Stopped

    shop.start(die)
    try:
        shop.until_idle()
    except Stopped:
        return
