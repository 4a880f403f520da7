"""What a stage is: a pure fold over the messages of one partition, with state by key.

A runtime gives each stage of each partition its state rows, hands it messages in order, writes the outputs, the changed
rows and the position together, and does nothing else (design section 3).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec

S = TypeVar("S")

PARTITION_KEY = "\x1fpartition"
"""The key of what a whole partition remembers: part of its position row, so written with it (protocol, section 6)."""

Rows = Mapping[str, bytes]
"""The stored rows of one key, by part."""


class Output(msgspec.Struct, frozen=True):
    """A message for a topic. With ``partition`` it goes there, else where its key belongs."""

    topic: str
    key: str
    message: Any
    partition: int | None = None
    at: int | None = None
    """When it was said (milliseconds), where that is not the time of the input from which it follows."""


class Source(msgspec.Struct, frozen=True):
    """Where a message stands in the stage's input: the upstream it came from and its offset there.

    For ``records`` that is the partition and offset of ``changes``. The runtime has dropped repetitions already.
    """

    upstream: int = 0
    offset: int = 0
    era: int = 0


NO_SOURCE = Source()


class Changed(msgspec.Struct, frozen=True):
    """One state row to write; no content deletes it. ``due`` is when the key next needs a Tick."""

    key: str
    part: str
    content: bytes | None
    due: int | None = None


class Place(NamedTuple):
    """Which partition a stage works on, and how many there are of each kind."""

    number: int = 0
    records: int = 1
    relations: int = 1
    journeys: int = 1


class Stage(Protocol):
    """One stage of one partition. A stranger's stage has the same members (docs/extending.md).

    ``step`` folds one message in and returns what it says to others. ``changed`` yields the rows to write since it was
    last asked. ``reads`` names the topics, a final ``*`` standing for any rest. A stranger's stage may also have
    ``writes``, its topics that are not of the flow, and ``restore``, which gets the rows by key as they were committed.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        """What follows from one message."""
        ...

    def changed(self) -> Iterator[Changed]:
        """The rows that the steps since the last call changed."""
        ...


@runtime_checkable
class Noting(Protocol):
    """A stage whose partition remembers something of each message, beside its keys.

    Where a runtime has no transaction, a key may have applied a message that the position row does not know of. The
    message is then not folded into the key again, but the partition has to hear of it again.
    """

    def note(self, key: str, message: Any) -> None:
        """Remember of a message what belongs to the partition, not to its key."""
        ...


class States(Generic[S]):
    """The states of one stage and partition by key: stored rows, read when first wanted, and what changed since.

    Rows stay as bytes until their key is touched, so a restart with much state is quick.
    """

    def __init__(self, stored: dict[str, dict[str, bytes]], read: Callable[[str, Rows], S]) -> None:
        self._stored = stored
        self._read = read
        self._live: dict[str, S] = {}
        self._touched: dict[str, None] = {}
        """The keys in the order in which they were touched: the same each time that the same messages come."""
        self.touch: Callable[[str], None] = self._touched.setdefault
        """Say that the state of a key changed."""
        self._gone: dict[str, set[str]] = {}

    def get(self, key: str) -> S | None:
        """The state of a key, or none. It belongs to the stage: say ``touch`` after changing it."""
        state = self._live.get(key)
        if state is None and self._stored and (rows := self._stored.pop(key, None)) is not None:
            state = self._live[key] = self._read(key, rows)
        return state

    def put(self, key: str, state: S) -> None:
        """Make this the state of the key."""
        self._live[key] = state
        self._touched[key] = None

    def drop(self, key: str, parts: Iterable[str]) -> None:
        """Forget the key, of which at most these rows have been written."""
        self._live.pop(key, None)
        self._touched.pop(key, None)
        self._gone.setdefault(key, set()).update(parts)

    def names(self) -> list[str]:
        """All keys in order."""
        return sorted([*self._live, *self._stored])

    def take_gone(self) -> Iterator[Changed]:
        """The rows of the keys forgotten since the last call. Write them first: such a key may have come anew."""
        for key in sorted(self._gone):
            for part in sorted(self._gone[key]):
                yield Changed(key, part, None)
        self._gone.clear()

    def take_touched(self) -> list[tuple[str, S]]:
        """The keys changed since the last call, with their states."""
        changed = [(key, self._live[key]) for key in self._touched]
        self._touched.clear()
        return changed

    def __len__(self) -> int:
        return len(self._live) + len(self._stored)
