"""Unsent updates of one record are one row; each command has its outcome, and no other write is passed (D-40, D-42)."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any, ClassVar
from weakref import finalize

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Limits, Pressure, Request, Response
from connectors.ledger import Ledger, Remembered
from connectors.limits import Limiter
from connectors.patience import Policy
from connectors.waves import Threads
from connectors.worker import Worker
from schemas.codec import from_json, to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata
from tests.connectors.fakes import NOW, ListSource, ToyConnector, settings, update


class Shelf:
    """A CRM of records that keeps what it was told, row by row, and may lose answers or have no room."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.rows: list[dict[str, Any]] = []
        self.orders: list[str] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        order = self.orders.pop(0) if self.orders else "well"
        if order == "full":
            return Response(status=429)
        if request.method == "GET":
            return Response(status=200, body=to_json(self.records.get(request.params["record"], {})))
        rows = from_json(request.body or b"[]")
        if order != "never":
            for row in rows:
                self._keep(row)
        if order in {"lost", "never"}:
            return Response(status=500)
        return Response(status=200, body=to_json([{"id": row["record"], "bad": "Wrong" in row} for row in rows]))

    def _keep(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if "Wrong" not in row:
            kept = self.records.setdefault(row["record"], {})
            kept.update({name: value for name, value in row.items() if name not in ("key", "record")})


class Shelved(ToyConnector):
    """Updates three at a time, looked up by what the record holds."""

    batch: ClassVar[dict[str, int]] = {"update": 3}

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        if response.status == 429:
            return [RetryLater(command_id=one.id, reason="full") for one in commands]
        if response.status != 200:
            return [Uncertain(command_id=one.id, reason="lost") for one in commands]
        return [
            Rejected(command_id=one.id, code="BAD", reason="BAD") if row["bad"] else
            Applied(command_id=one.id, record_id=one.record_id)
            for one, row in zip(commands, response.json(), strict=True)
        ]  # fmt: skip

    def find(self, command: Command) -> Request | None:
        return Request(method="GET", path="/find", params={"record": command.record_id})

    def found(self, command: Command, response: Response) -> Outcome:
        stored = response.json() if response.status == 200 else {}
        if response.status != 200:
            return Uncertain(command_id=command.id, reason="full")
        if all(stored.get(name) == value for name, value in command.fields.items()):
            return Applied(command_id=command.id, record_id=command.record_id, duplicate=True)
        return RetryLater(command_id=command.id, reason="not as it should be")


class Desk:
    """A worker over the shelf; the clock is moved by hand."""

    def __init__(self, *commands: Command, crew: Threads | None = None, kind: type[Shelved] = Shelved) -> None:
        self.crm, self.source, self.now = Shelf(), ListSource(*commands), NOW
        self.database = sqlite3.connect(":memory:")
        finalize(self, self.database.close)
        self.limiter = Limiter(Limits(at_once=4), Random(1))
        self._crew, self._kind = crew, kind
        self.start()

    def start(self, at: Callable[[str], None] = lambda point: None) -> None:
        """A fresh process over the same database."""
        connector = self._kind(settings(), ConnectionMetadata(connection="toy"))
        ledger = Remembered(Ledger(self.database, "toy"))
        self.worker = Worker(
            connector, self.crm, ledger, self.source, self.limiter, policy=Policy(), chance=Random(7), at=at,
            crew=self._crew,
        )  # fmt: skip

    def until_idle(self) -> None:
        for _ in range(300):
            turn = self.worker.turn(self.now)
            if turn.idle_until is None:
                return
            self.now = max(self.now, turn.idle_until)
        raise AssertionError("the worker never comes to rest")


def told(desk: Desk) -> dict[str, str]:
    return {name: type(outcome).__name__ for name, outcome in desk.source.settled.items()}


def test_later_values_win_and_each_command_has_its_outcome() -> None:
    desk = Desk(
        update(1, "A", fields={"Stage": "Won", "Amount": 1}), update(2, "B", fields={"Stage": "受注"}),
        update(3, "A", fields={"Amount": 2, "Note": "🎌"}),
    )  # fmt: skip
    desk.until_idle()
    assert len(desk.crm.requests) == 1
    assert desk.crm.records == {"A": {"Stage": "Won", "Amount": 2, "Note": "🎌"}, "B": {"Stage": "受注"}}
    assert told(desk) == dict.fromkeys(["u1", "u2", "u3"], "Applied")
    assert {outcome.command_id for outcome in desk.source.settled.values()} == {"u1", "u2", "u3"}


@pytest.mark.parametrize(
    "between",
    [
        {"trigger_native": False}, {"owner": "user:ann"}, {"on_unknown": "ask"}, {"if_unmodified": 17},
        {"operation": "delete"}, {"operation": "link"},
    ],
    ids=str,
)  # fmt: skip
def test_nothing_is_passed_that_means_to_be_written_otherwise(between: dict[str, Any]) -> None:
    second = msgspec.structs.replace(update(2, "A"), **between)
    desk = Desk(update(1, "A"), second, update(3, "A"))
    desk.until_idle()
    assert [row["key"] for row in desk.crm.rows] == ["u1", "u2", "u3"]


def test_one_wrong_value_costs_only_its_own_command() -> None:
    desk = Desk(update(1, "A"), update(2, "A", fields={"Wrong": 1}), update(3, "A", fields={"Note": "x"}))
    desk.until_idle()
    assert told(desk) == {"u1": "Applied", "u2": "Rejected", "u3": "Applied"}
    assert desk.crm.records["A"] == {"Stage": "Stage 1", "Note": "x"}


@pytest.mark.parametrize(("order", "writes"), [("lost", 1), ("never", 2)])
def test_what_left_together_is_looked_up_together(order: str, writes: int) -> None:
    """The first command alone would look as if it had not happened: its value was overwritten."""
    desk = Desk(update(1, "A"), update(2, "A"))
    desk.crm.orders = [order]
    desk.worker.turn(desk.now)
    desk.source.commands.append(update(3, "A"))
    desk.start()
    desk.until_idle()
    assert told(desk) == dict.fromkeys(["u1", "u2", "u3"], "Applied")
    posted = [request for request in desk.crm.requests if request.method == "POST"]
    assert len(posted) == writes + 1
    assert desk.crm.records["A"]["Stage"] == "Stage 3"


def test_a_refusal_for_want_of_room_costs_no_try_and_no_lookup() -> None:
    desk = Desk(update(1, "A"), update(2, "B", owner="user:ann"))
    desk.crm.orders = ["full"] * 20 + ["lost"] + ["full"] * 20
    desk.until_idle()
    assert told(desk) == {"u1": "Applied", "u2": "Applied"}


def test_requests_of_a_wave_leave_at_once_and_are_noted_together() -> None:
    crew = Threads(4)
    desk = Desk(*(update(number, f"R{number}") for number in range(30)), crew=crew)
    points: list[str] = []
    desk.start(points.append)
    desk.until_idle()
    crew.close()
    assert len(desk.crm.requests) == 10
    assert points.count("sent") == points.count("recorded") == 3, "four requests, four, and two"
    assert len(desk.source.settled) == 30


class Blind(Shelved):
    """Lookups say nothing."""

    def found(self, command: Command, response: Response) -> Outcome:
        return Uncertain(command_id=command.id, reason="cannot say")


def test_an_uncertain_answer_is_looked_up_at_growing_distances_and_then_shown_as_unknown() -> None:
    desk = Desk(update(1, "A"), kind=Blind)
    desk.crm.orders = ["lost"]
    looks: list[int] = []
    while not desk.source.settled:
        asked = len(desk.crm.requests)
        turn = desk.worker.turn(desk.now)
        looks += [desk.now] * (len(desk.crm.requests) - asked)
        desk.now = turn.idle_until or desk.now
    waits = [later - earlier for earlier, later in pairwise(looks)]
    assert waits == sorted(waits)
    assert (waits[0], len(waits)) == (5_000, 8)
    assert waits[-1] > 100_000
    assert told(desk) == {"u1": "Uncertain"}


FIELDS = st.dictionaries(st.sampled_from(["Stage", "Amount", "Note"]), st.integers(0, 9), min_size=1)
COMMANDS = st.lists(st.tuples(st.sampled_from("ABC"), FIELDS, st.booleans()), max_size=14)
ORDERS = st.lists(st.sampled_from(["well", "lost", "never", "full"]), max_size=10)


@given(wanted=COMMANDS, orders=ORDERS, deaths=st.lists(st.integers(1, 6), max_size=3))
def test_records_end_as_if_each_command_had_been_written_in_order(
    wanted: list[tuple[str, dict[str, int], bool]], orders: list[str], deaths: list[int]
) -> None:
    commands = [
        update(number, record, fields=fields, trigger_native=native)
        for number, (record, fields, native) in enumerate(wanted)
    ]
    desk = Desk(*commands)
    desk.crm.orders = list(orders)
    for death in deaths:
        _die(desk, death)
    desk.start()
    desk.until_idle()
    expected: dict[str, dict[str, int]] = {}
    for record, fields, _ in wanted:
        expected.setdefault(record, {}).update(fields)
    assert desk.crm.records == expected
    assert set(told(desk).values()) <= {"Applied"}
    assert len(desk.source.settled) == len(commands)
    desk.database.close()


class Stopped(Exception):  # noqa: N818
    """The process died here."""


def _die(desk: Desk, after: int) -> None:
    points: Iterator[int] = iter(range(1, 10_000))

    def die(point: str) -> None:
        if next(points) == after:
            raise Stopped

    desk.start(die)
    try:
        desk.until_idle()
    except Stopped:
        return


def test_a_connector_says_what_a_call_costs_and_what_is_left() -> None:
    class Dear(Shelved):
        def price(self, request: Request) -> int:
            return len(from_json(request.body or b"[]"))

        def pressure(self, response: Response) -> Pressure | None:
            return Pressure(kind="spent") if response.status == 429 else None

    desk = Desk(*(update(number, f"R{number}") for number in range(7)), kind=Dear)
    desk.worker.turn(NOW)
    assert desk.limiter.state(NOW).day.spent.since(0) == {"rule": 7}
    desk.source.commands.append(update(99, "Z"))
    desk.crm.orders = ["full"]
    turn = desk.worker.turn(NOW)
    assert turn.problem == "connection 'toy': its quota is used up"
    assert turn.idle_until is not None
    assert len(desk.crm.requests) == 4
    desk.worker.turn(turn.idle_until - 1)
    assert len(desk.crm.requests) == 4, "no call while the quota is known to be empty"
