"""What the stages say to each other (stage protocol, section 3).

Each message carries ``at`` (milliseconds, the time that its readers take as now) and its causal chain. Its origin, by
which a consumer knows a repetition, is kept by the runtime beside it.
"""

from typing import Any, NamedTuple, TypeAlias

import msgspec

from schemas.commands import Applied, Outcome
from schemas.events import Chain, Operation
from schemas.values import Image, Ref


class Message(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What all stage messages have."""

    at: int
    chain: Chain | None = None


class Fact(Message, frozen=True, tag="fact"):
    """A record has this image now (none: deleted). ``records`` says so; ``relations`` tells it on."""

    ref: Ref
    home: int
    version: int
    image: dict[str, Any] | None
    op: Operation
    position: int
    """The source position of the change: with ``ref`` it names the event on every runtime."""
    load: bool = False
    old: dict[str, Any] = {}
    """Values before this change, of the fields that changed."""
    previous: int = -1
    """The version before this change: a journey that holds it need not compare the images again."""
    coalesced: bool = False
    born: int | None = None
    """When the record was created live; none for a record that was found."""
    key: str = ""
    seek: int = 0


class Seek(Message, frozen=True, tag="seek"):
    """A journey asks a relation key who is here, and to be told of changes."""

    journey: Ref
    seek: int


class Unseek(Message, frozen=True, tag="unseek"):
    """A journey no longer wants a relation key."""

    journey: Ref
    seek: int


class Row(NamedTuple):
    """One record in an answer."""

    ref: Ref
    home: int
    version: int
    image: Image
    born: int | None
    position: int


class Answer(Message, frozen=True, tag="answer"):
    """One page of who is at a relation key; ``last`` ends it, before that the node is unknown (D-04)."""

    key: str
    seek: int
    rows: tuple[Row, ...]
    last: bool
    as_of: dict[int, int] | None = None
    """On the first page: the newest change offset seen at the key, per home partition of its tab."""


class Go(Message, frozen=True, tag="go"):
    """A relation key reminds itself to serve the next page."""


class Loaded(Message, frozen=True, tag="loaded"):
    """A tab's first load is complete as far as ``upstream`` (stage, partition) is concerned."""

    tab: str
    generation: int
    upstream: tuple[str, int]


class Walk(Message, frozen=True, tag="walk"):
    """Look again at the journeys of a partition, one page after ``after``, because ``tab`` is known now."""

    tab: str
    after: str


class Tick(Message, frozen=True, tag="tick"):
    """Timers due until ``at`` may fire: written by the host, so that topic order alone decides."""


class OutcomeOf(Message, frozen=True, tag="outcome"):
    """What became of a command of a fire."""

    fire: str
    outcome: Outcome


class Signal(Message, frozen=True, tag="signal"):
    """A named outside event for a journey: a mail opened, a form answered, a button pressed."""

    name: str
    ref: Ref
    position: int
    values: dict[str, Any] = {}


class Resume(Message, frozen=True, tag="resume"):
    """An operator's word on a fire that needs attention: retry the step, skip it, say it is done, or give the fire up.

    Of a step that is done, ``applied`` is what it gave, and ``record`` the record that it wrote, if it wrote one.
    """

    fire: str
    how: str
    applied: Applied | None = None
    record: Ref = ""


StageMessage: TypeAlias = Fact | Seek | Unseek | Answer | Go | Loaded | Walk | Tick | OutcomeOf | Signal | Resume
