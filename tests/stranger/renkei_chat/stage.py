"""A running total of what each owner has won."""

from collections.abc import Iterator
from typing import Any, ClassVar

from schemas.codec import Unpacker, pack
from schemas.events import ChangeEvent
from schemas.values import Amount, to_number
from streams.stage import Changed, Output, Rows, Source

_read: Unpacker[tuple[str, Any]] = Unpacker(tuple[str, Any])


class WonTotals:
    """Tells on ``totals.won`` the new total of an owner whenever it changes; its state is the won deals."""

    name: ClassVar[str] = "won_totals"
    reads: ClassVar[tuple[str, ...]] = ("changes.zoho.Deals",)

    def __init__(self) -> None:
        self._won: dict[str, tuple[str, Any]] = {}
        self._touched: set[str] = set()

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        """The totals that one change of a deal changes; a repetition changes none."""
        if not isinstance(message, ChangeEvent):  # the marker of a first load
            return []
        deal, before = message.after or {}, self._won.pop(key, None)
        if deal.get("Stage") == "Closed Won":
            self._won[key] = str(deal.get("Owner")), to_number(deal.get("Amount")) or 0
        after = self._won.get(key)
        if after == before:
            return []
        self._touched.add(key)
        owners = sorted({won[0] for won in (before, after) if won})
        return [Output("totals.won", owner, self.total(owner)) for owner in owners]

    def total(self, owner: str) -> Amount:
        """What an owner has won."""
        return Amount(sum(amount for one, amount in self._won.values() if one == owner))

    def changed(self) -> Iterator[Changed]:
        """One row per deal whose share changed; no content deletes it."""
        for key in sorted(self._touched):
            yield Changed(key, "", pack(self._won[key]) if key in self._won else None)
        self._touched.clear()

    def restore(self, rows: dict[str, Rows]) -> None:
        """The state as it was committed."""
        self._won = {key: _read(parts[""]) for key, parts in rows.items()}
