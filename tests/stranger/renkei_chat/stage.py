"""How often the amount of a deal was lowered, as a tab that workflows can join."""

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from schemas.codec import Unpacker, pack
from schemas.events import ChangeEvent, Operation
from schemas.messages import Loaded
from schemas.values import Amount, to_number
from streams.stage import Changed, Output, Rows, Source

TAB, TOPIC = "facts:Deals", "changes.facts.Deals"


class Seen(msgspec.Struct, frozen=True):
    """What is remembered of one deal: its newest change, its amount then, and how often that was less than before."""

    position: int
    amount: Any = None  # an exact number, or none
    times: int = 0


_read: Unpacker[Seen] = Unpacker(Seen)


class Reductions:
    """Tells in the tab ``facts.Deals`` how often the amount of each deal was lowered, under the deal's own id."""

    name: ClassVar[str] = "reductions"
    reads: ClassVar[tuple[str, ...]] = ("changes.zoho.Deals",)

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._touched: set[str] = set()

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        """What one change of a deal says about its amount; a repetition says nothing."""
        here = source.upstream  # the partition in which this deal's changes are, so that nothing overtakes anything
        if isinstance(message, Loaded):
            return [Output(TOPIC, key, msgspec.structs.replace(message, tab=TAB), here)]
        event: ChangeEvent = message
        before = self._seen.get(key)
        if before is not None and event.source_position <= before.position:
            return []
        self._touched.add(key)
        if event.after is None:
            self._seen.pop(key, None)
            return [Output(TOPIC, key, fact(event, "delete", None), here)]
        after = self._seen[key] = _after(before, event)
        if before is not None and after.times == before.times:
            return []
        return [Output(TOPIC, key, fact(event, "update" if before else "create", after.times), here)]

    def changed(self) -> Iterator[Changed]:
        """One row per deal; no content deletes it."""
        for key in sorted(self._touched):
            yield Changed(key, "", pack(self._seen[key]) if key in self._seen else None)
        self._touched.clear()

    def restore(self, rows: dict[str, Rows]) -> None:
        """The state as it was committed."""
        self._seen = {key: _read(parts[""]) for key, parts in rows.items()}


def _after(before: Seen | None, event: ChangeEvent) -> Seen:
    seen = before or Seen(0)
    number = to_number((event.after or {}).get("Amount", seen.amount))
    amount = None if number is None else Amount(number)
    is_less = amount is not None and seen.amount is not None and amount < seen.amount
    return Seen(event.source_position, amount, seen.times + is_less)


def fact(event: ChangeEvent, op: Operation, times: int | None) -> ChangeEvent:
    """The change of our tab that follows from a change of a deal, at its time and place."""
    image = None if times is None else {"id": event.record_id, "Reductions": times}
    return msgspec.structs.replace(event, tab=TAB, op=op, after=image, changed_fields=(), partial=False)
