"""The mark of a project that moves, or has moved, from its state file to a broker: it never runs at two places."""

from pathlib import Path
from secrets import token_hex
from typing import Literal

import msgspec

from streams.store import Store, StoreError

_NOTE = "moved"


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Where a project goes. While it is ``moving`` nobody but the move may work on it."""

    to: str
    prefix: str
    is_done: bool = False
    id: str = msgspec.field(default_factory=lambda: token_hex(8))
    """It stands in the header of everything that is written, so that a second try knows what the first one did."""

    @property
    def where(self) -> str:
        """The place in words."""
        return self.to + (f" under the prefix {self.prefix}" if self.prefix else "")

    @property
    def state(self) -> Literal["moving", "moved"]:
        """How far it is."""
        return "moved" if self.is_done else "moving"


def move_of(store: Store) -> Move | None:
    """Where the project of a state file goes or has gone, or none."""
    kept = store.note(_NOTE)
    return msgspec.json.decode(kept, type=Move) if kept else None


def note_move(store: Store, move: Move | None) -> None:
    """Mark a state file durably; none takes the mark away."""
    with store.transaction():
        store.set_note(_NOTE, b"" if move is None else msgspec.json.encode(move))


def refuse_moved(file: Path) -> None:
    """Make sure that nothing is decided here any more once a project has moved.

    Raises:
        StoreError: it has, or a move was begun and not ended.
    """
    if not file.exists():
        return
    store = Store(file)
    try:
        move = move_of(store)
    finally:
        store.close()
    if move is None:
        return
    if move.is_done:
        raise StoreError(
            f"this project has moved to {move.where}: it runs there, by `renkei run --broker`, or by `renkei "
            "capture`, `renkei streams` and `renkei connectors`. To begin anew on this machine, name another state "
            "folder: --state DIR"
        )
    raise StoreError(
        f"this project is moving to {move.where}, and the move did not end. Type `renkei migrate` again: it goes on "
        "from where it was"
    )
