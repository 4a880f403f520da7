"""What is hosted on a broker: the workspaces with their workflows, over how many partitions, in which form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

import msgspec

from rules.book import Book
from rules.rounds import Limits
from rules.trees import at_home_with
from schemas import topics
from schemas.keys import home
from schemas.values import Ref, tab_of
from streams.changelog import Layout
from streams.flow import THE_STAGES, Stages
from streams.stage import Stage

ORIGIN = "origin"
"""The header of a message between partitions: by it a repetition is known (stage protocol, section 6)."""

Headers = Sequence[tuple[str, bytes]]


class HaltedError(RuntimeError):
    """A partition cannot go on before a person has mended something; the message says what."""


class Framing(Protocol):
    """How nouns stand on a broker (``schemas.contracts``)."""

    def encode(self, noun: Any, topic: str) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Value and headers."""
        ...

    def decode(self, value: bytes, headers: Headers, topic: str) -> Any:
        """The noun. Raises CodecError."""
        ...


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """One record as it was read."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    at: int
    """The record's time stamp, in milliseconds: the time of what names none."""


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One record to send."""

    key: bytes
    value: bytes | None
    headers: Headers
    at: int


class Foreign(Protocol):
    """A topic of somebody else, with keys, values and partitions as they have them."""

    def read(self, record: Incoming) -> tuple[str, str, Any]:
        """Workspace, key in it, and the message. Raises CodecError."""
        ...

    def write(self, key: str, message: Any) -> tuple[bytes, bytes | None, int]:
        """Key, value and partition of what a stage says there."""
        ...

    def home(self, ref: Ref) -> int:
        """The partition in which a record of it is told."""
        ...


@dataclass(frozen=True)
class Workspace:
    """The workflows of one workspace, and what its stages are opened with."""

    book: Book
    connections: Sequence[str] = ()
    limits: Limits | None = None
    channels: Mapping[str, str] = field(default_factory=dict)
    more_stages: Sequence[Callable[[], Stage]] = ()
    history: bool = False
    order: Sequence[str] = ()
    """Tabs whose changes come in this order where they are of one time, and before those of other tabs."""
    clock: Callable[[], int] | None = None
    """Another time than the program's own (milliseconds), for practice and tests."""


@dataclass(frozen=True)
class Topology:
    """Who is hosted, over how many partitions, and in which form."""

    workspaces: Mapping[str, Workspace]
    partitions: int
    framing: Framing
    spread: bool = False
    era: int = 0
    stages: Stages = THE_STAGES
    foreign: Mapping[str, Foreign] = field(default_factory=dict)
    """The topics of others, by our names of them: of a tab, or what a stage of ``stages`` writes."""

    @property
    def layout(self) -> Layout:
        """What the rows of every partition are written under."""
        return Layout(self.partitions, self.spread, self.era)

    def inputs(self) -> list[str]:
        """The topics that every partition reads."""
        tabs = {tab for one in self.workspaces.values() for tab in one.book.read_fields}
        changes = sorted(topics.changes(tab) for tab in tabs)
        read = [*changes, topics.OUTCOMES, topics.JOURNEYS]
        if self.spread:  # what one partition says, another reads
            read += [topics.RELATIONS, *self._left_and_read()]
        return read

    def home(self, workspace: str, key: str) -> int:
        """The partition of a record, relation key or journey: of a record of others, where they tell it."""
        owner = at_home_with(key)
        if self.foreign:
            theirs = self.foreign.get(topics.changes(tab_of(owner)))
            if theirs is not None:
                return theirs.home(owner)
        return home(workspace, owner, self.partitions, self.spread)

    def order(self) -> list[str]:
        """The topics of which it is said who goes first among records of one time."""
        return [topics.changes(tab) for one in self.workspaces.values() for tab in one.order]

    def written(self) -> frozenset[str]:
        """The topics that there are for outputs beside those of commands; a broker may have no others."""
        own = own_topics(self._extra())
        return frozenset({*self.inputs(), topics.RELATIONS, topics.JOURNEYS, topics.DECISIONS, *own})

    def _left_and_read(self) -> list[str]:
        """The topics of what leaves the flow that strangers' stages read."""
        extra, commands = self._extra(), self._commands()
        patterns = [pattern for stage in extra for pattern in stage.reads]
        left = [topics.DECISIONS, *commands, *own_topics(extra)]
        read = [name for name in left if any(fnmatchcase(name, pattern) for pattern in patterns)]
        return read + [bulk for live, bulk in commands.items() if live in read]

    def _extra(self) -> list[Stage]:
        return [make() for one in self.workspaces.values() for make in one.more_stages]

    def _commands(self) -> dict[str, str]:
        """The topics of commands, each with that of its bulk lane: who reads the one reads the other."""
        connections = {name for one in self.workspaces.values() for name in one.connections}
        return {topics.commands(name): topics.bulk(name) for name in sorted(connections)}


def own_topics(stages: Iterable[Stage]) -> list[str]:
    """The topics of their own that strangers' stages name in ``writes``."""
    return sorted({topic for stage in stages for topic in getattr(stage, "writes", ())})
