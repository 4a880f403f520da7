"""Reading vendors' answers carefully: they are untrusted input, and what is unclear is uncertain."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.base import Response
from schemas.codec import CodecError
from schemas.commands import Command, Outcome, RetryLater, Uncertain
from schemas.values import Value, is_empty, same, to_number

LONGEST_WAIT = 86_400.0
"""Seconds: no vendor may ask us to wait longer than a day."""


def parsed(response: Response) -> Any:
    """The body as JSON; none where it is not JSON at all."""
    try:
        return response.json()
    except CodecError:
        return None


def uncertain(commands: Iterable[Command], reason: str) -> list[Outcome]:
    """The same uncertainty for all."""
    return [Uncertain(command_id=command.id, reason=reason) for command in commands]


def retry(commands: Iterable[Command], reason: str, after: float = 0.0) -> list[Outcome]:
    """Nothing was written for any of them."""
    return [RetryLater(command_id=command.id, reason=reason, after=after) for command in commands]


def unreadable(commands: Sequence[Command], response: Response) -> list[Outcome]:
    """What an answer means that does not have the shape it should have: who knows."""
    return uncertain(commands, f"an answer of status {response.status} that cannot be read")


def retry_after(response: Response, default: float = 0.0) -> float:
    """The seconds of a ``Retry-After`` header, within reason; the default where it is absent or a date."""
    try:
        seconds = float(response.headers.get("retry-after", ""))
    except ValueError:
        return default
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else default


def text(value: object) -> str:
    """The value if it is text, else nothing."""
    return value if isinstance(value, str) else ""


def listed(value: object) -> list[Any]:
    """The value if it is a list, else nothing."""
    return value if isinstance(value, list) else []


def whole(value: object) -> int | None:
    """The value as a count, also where it is told as text; none where it is no such number."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def holds(stored: Mapping[str, Value], wanted: Mapping[str, Value]) -> bool:
    """Whether a record holds all these values, numbers compared as numbers."""
    return all(_alike(stored.get(name), value) for name, value in wanted.items())


def _alike(stored: Value, wanted: Value) -> bool:
    if same(stored, wanted):
        return True
    if is_empty(stored) or is_empty(wanted) or isinstance(stored, bool) or isinstance(wanted, bool):
        return False
    left, right = to_number(stored), to_number(wanted)
    return left is not None and left == right
