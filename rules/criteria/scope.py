"""What an evaluation sees: the records of a journey from where one anchor record stands."""

from collections.abc import MutableMapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from schemas.metadata import ConnectionMetadata
from schemas.values import Image, Ref, Value

Verdict: TypeAlias = bool | None
"""True, false, or none for unknown (D-04)."""


class Unknown:
    """A record or value that cannot be known yet, which is not the same as an absent one (D-04)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "unknown"

    def __bool__(self) -> bool:
        raise TypeError("unknown is neither true nor false: compare with `is UNKNOWN`")


UNKNOWN: Final = Unknown()


class RelatedRow(NamedTuple):
    """One record of a related tab."""

    ref: Ref
    image: Image


class Rows(NamedTuple):
    """The records of a related tab below the common ancestor, and whether these are all (D-32)."""

    rows: Sequence[RelatedRow]
    complete: bool


class Mark(NamedTuple):
    """Memory of one time-window operand between two evaluations: last verdict, and when it became true."""

    verdict: Verdict
    since: int | None


class Scope(Protocol):
    """The view of one evaluation; its records are on the hot path, so they are a plain subscription."""

    def __getitem__(self, alias: str) -> Image | Unknown | None:
        """The one record that an alias means here: the anchor, a record on its way up, or a lookup's record.

        It is none where the lookup is empty or names nobody (D-33), and UNKNOWN where it has not answered yet.
        """
        ...

    @property
    def before(self) -> Image | None:
        """The anchor's image before the waking event; none at creation and outside events (D-117)."""
        ...

    @property
    def changed(self) -> frozenset[str]:
        """The anchor's fields that the waking event changed."""
        ...

    @property
    def created(self) -> bool:
        """Whether the waking event created the anchor."""
        ...

    anchor: Ref
    now: int
    marks: MutableMapping[str, Mark]
    """Memory of time windows, by the operand's canonical text; the evaluation updates it."""

    def rows(self, alias: str) -> Rows:
        """All records of an alias that hang below the nearest common ancestor of it and the anchor."""
        ...

    def at(self, alias: str, row: RelatedRow) -> "Scope":
        """The same view from one related record: ``records[alias]`` is that row, rows hang below it."""
        ...

    def metadata(self, alias: str) -> ConnectionMetadata | None:
        """What is known of the users and teams of the alias's connection."""
        ...

    def value_of_step(self, name: str, field: str) -> "Value | Unknown":
        """An output of an earlier step of the same fire: ``id``, ``url`` or a field (D-46)."""
        ...
