"""A toy CRM and a command source in memory, so that the worker's stories need no network."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from connectors.base import Connector, NoAnswer, NotSent, Request, Response
from connectors.limits import Limiter, Rank
from connectors.settings import ConnectionSettings
from connectors.worker import Settled
from schemas.codec import from_json, to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata

NOW = 1_800_000_000_000


def settings(kind: str = "toy", **more: Any) -> ConnectionSettings:
    return ConnectionSettings(connection=more.pop("connection", kind), kind=kind, url="https://crm.example", **more)


def create(number: int, **more: Any) -> Command:
    told: dict[str, Any] = {"key": ("Key", f"c{number}"), "fields": {"Name": f"Deal {number}"}, **more}
    return Command(id=f"c{number}", connection="toy", tab="toy:Deals", operation="create", **told)


def update(number: int, record_id: str, **more: Any) -> Command:
    told: dict[str, Any] = {"fields": {"Stage": f"Stage {number}"}, **more}
    return Command(id=f"u{number}", connection="toy", tab="toy:Deals", operation="update", record_id=record_id, **told)


@contextmanager
def slot(limiter: Limiter, now: int, rank: Rank = "rule", price: int = 1) -> Iterator[int]:
    """The right to send one request inside the block: 0, or the milliseconds to wait before asking again."""
    wait = limiter.enter(now, rank, price)
    try:
        yield wait
    finally:
        if wait == 0:
            limiter.leave()


class ToyConnector(Connector):
    """Creates in batches of three, updates one by one; creates are looked up by key."""

    kind = "toy"
    batch: ClassVar[Mapping[str, int]] = {"create": 3}

    def request(self, commands: Sequence[Command]) -> Request:
        rows = [{"key": command.id, "record": command.record_id, **command.fields} for command in commands]
        return Request(method="POST", path=f"/{commands[0].operation}", body=to_json(rows))

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        if response.status == 429:
            return [RetryLater(command_id=command.id, reason="busy", after=30.0) for command in commands]
        rows = response.json() if response.status == 200 else None
        if not isinstance(rows, list) or len(rows) != len(commands):
            return [Uncertain(command_id=command.id, reason="unreadable") for command in commands]
        return [_outcome(command, row) for command, row in zip(commands, rows, strict=True)]

    def find(self, command: Command) -> Request | None:
        return None if command.operation == "mail" else Request(method="GET", path="/find", params={"key": command.id})

    def found(self, command: Command, response: Response) -> Outcome:
        if response.status == 404:
            return RetryLater(command_id=command.id, reason="not there")
        if response.status != 200:
            return Uncertain(command_id=command.id, reason="cannot say")
        return Applied(command_id=command.id, record_id=response.json()["id"], duplicate=True)


def _outcome(command: Command, row: dict[str, Any]) -> Outcome:
    if "error" in row:
        return Rejected(command_id=command.id, code=row["error"], reason=row["error"])
    if "locked" in row:
        return RetryLater(command_id=command.id, reason="locked")
    return Applied(command_id=command.id, record_id=row["id"])


class ToyCrm:
    """The other end: notes every effect; ``say`` lines up what the next answers are instead."""

    def __init__(self) -> None:
        self.effects: list[tuple[str, str]] = []
        self.requests: list[Request] = []
        self.orders: list[str | Response] = []
        self.rows: dict[str, dict[str, str]] = {}

    def say(self, *orders: str | Response) -> None:
        """``lost``: apply, no answer; ``away``: not even arrive; a response: answer it, apply nothing."""
        self.orders += orders

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        order = self.orders.pop(0) if self.orders else "well"
        if order == "away":
            raise NotSent("connection 'toy' could not be reached")
        if isinstance(order, Response):
            return order
        response = self._find(request) if request.path == "/find" else self._apply(request)
        if order == "lost":
            raise NoAnswer("connection 'toy' did not answer")
        return response

    def _find(self, request: Request) -> Response:
        ids = [record_id for key, record_id in self.effects if key == request.params["key"]]
        return Response(status=200, body=to_json({"id": ids[0]})) if ids else Response(status=404)

    def _apply(self, request: Request) -> Response:
        rows = from_json(request.body or b"[]")
        answers = [self.rows.get(row["key"]) or self._effect(row) for row in rows]
        return Response(status=200, body=to_json(answers))

    def _effect(self, row: dict[str, str]) -> dict[str, str]:
        record_id = row["record"] or f"r-{row['key']}"
        self.effects.append((row["key"], record_id))
        return {"id": record_id}


class ListSource:
    """Commands in order; settling is durable at once."""

    def __init__(self, *commands: Command) -> None:
        self.commands = list(commands)
        self.settled: dict[str, Outcome] = {}

    def take(self, limit: int) -> Sequence[Command]:
        return [command for command in self.commands if command.id not in self.settled][:limit]

    def settle(self, outcomes: Sequence[Settled]) -> None:
        for command, outcome in outcomes:
            self.settled[command.id] = outcome


def toy() -> ToyConnector:
    return ToyConnector(settings(), ConnectionMetadata(connection="toy"))
