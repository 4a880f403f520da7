"""The flow: the stages of one partition in one process, each input run to rest, with no store inside.

A host feeds it inputs in order and commits what leaves it, the rows that changed and its own position together. What
the three stages say to each other in this partition never leaves it (stage protocol, section 9; docs/decisions.md).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec

from rules.book import Book
from rules.replanning import CHANGED
from rules.rounds import Limits
from schemas import topics
from schemas.decisions import Decision
from schemas.messages import Go, Loaded, Tick, Walk
from schemas.values import Ref
from streams import wire
from streams.journeys import Journeys
from streams.journeystate import HEAD, SEEN
from streams.records import Records
from streams.relations import Relations
from streams.stage import NO_SOURCE, Changed, Output, Place, Rows, Source, Stage, States

REPLANNED = ("replanned", CHANGED)
MOST_STEPS = 1_000_000  # of one input before it comes to rest: a bound against a bug, not a limit

StageRows = dict[str, dict[str, bytes]]
"""The stored rows of one stage: by key and part."""
_Readers = tuple[bool, tuple[Callable[[str, Any, Source], list[Output]], ...]]
"""Of one topic: whether its messages leave the flow, and the steps of the stages that read it, the flow's own first."""


class Stages(NamedTuple):
    """The classes of the three stages. Others in their place decide otherwise, or show what a rule is good for."""

    records: type[Records] = Records
    relations: type[Relations] = Relations
    journeys: type[Journeys] = Journeys


THE_STAGES = Stages()


def staying(number: int, home: Callable[[str], int]) -> Callable[[Output], bool]:
    """Tells the messages for this partition, by the homes of their keys; what is to wait for its turn is none of them.

    A whole channel stays or leaves, so that it is in order. ``Go`` and ``Walk`` are said by a stage to itself, for the
    next page, so that others' messages come in between: they go by the topic.
    """

    def stays(output: Output) -> bool:
        if output.topic not in wire.INNER or type(output.message) in (Go, Walk):
            return False
        return (home(output.key) if output.partition is None else output.partition) == number

    return stays


class Flow:
    """All stages of one partition. After a step that raised it may be half-way: open another one."""

    def __init__(  # noqa: PLR0913 - all that a partition is opened with
        self,
        book: Book,
        place: Place,
        stored: Mapping[str, StageRows] | None = None,
        dues: Mapping[Ref, int] | None = None,
        *,
        limits: Limits | None = None,
        channels: Mapping[str, str] | None = None,
        more_stages: Sequence[Callable[[], Stage]] = (),
        history: bool = False,
        stages: Stages = THE_STAGES,
        stays: Callable[[Output], bool] | None = None,
    ) -> None:
        """Open the stages on their committed rows (by stage) and dues; they take the dictionaries over.

        With ``history`` timers run at the times for which they were planned, not when the flow came to them. Where a
        workspace is spread, ``stays`` tells which messages are for this partition: all others leave.
        """
        rows = stored or {}
        self._history, self._stays = history, stays
        self.records = stages.records(book, place, rows.get("records", {}))
        self.relations = stages.relations(place, rows.get("relations", {}))
        self.journeys = stages.journeys(book, place, rows.get("journeys", {}), dues, limits=limits, channels=channels)
        self._stages: dict[str, Stage] = {
            "records": self.records, "relations": self.relations, "journeys": self.journeys,
        }  # fmt: skip
        self._extra = [make() for make in more_stages]
        self._readers: dict[str, _Readers] = {}
        for stage in self._extra:
            restore: Callable[[Mapping[str, Rows]], None] | None = getattr(stage, "restore", None)
            if restore is not None:
                restore(rows.get(stage.name, {}))

    def feed(self, topic: str, key: str, message: Any, at: int, source: Source = NO_SOURCE) -> list[Output]:
        """Run one input to rest, after the timers that were due before it; what leaves the flow, in order.

        ``at`` (milliseconds) is the input's time, and that of every output that names none of its own.

        Raises:
            Exception: a stage could not take it.
        """
        if self.journeys.next_due is None or isinstance(message, Tick):
            return self._rest([Output(topic, key, message)], source)
        return [*self._ticks_before(at), *self._rest([Output(topic, key, message)], source)]

    def tick(self, now: int) -> list[Output]:
        """Run the timers that are due by now; what leaves the flow."""
        due = self.next_due
        if due is None or due > now:
            return []
        return self._rest([Output(topics.JOURNEYS, wire.MARKER, Tick(at=now))])

    @property
    def next_due(self) -> int | None:
        """When the next timer is due (milliseconds)."""
        return self.journeys.next_due

    def changed(self) -> Iterator[tuple[str, Changed]]:
        """The rows to write since the last call, each with the name of its stage; write them in this order."""
        for stage in (*self._stages.values(), *self._extra):
            for row in stage.changed():
                yield stage.name, row

    def states(self, stage: str) -> States[Any]:
        """The states of records, relations or journeys, by key."""
        found: States[Any] = getattr(self, stage).states
        return found

    def rejoin(self, at: int, tell: Callable[[int, int], None]) -> list[Output]:
        """Join the stored records anew under other workflows, firing nothing (D-82); what leaves the flow.

        Then what hangs on a changed calendar is planned again (D-56). The flow has to be opened ``without_joins``.
        ``tell`` hears how many records of how many are done.
        """
        known = self.journeys.forget_tabs()
        leaving: list[Output] = []
        refs = self.records.states.names()
        for number, ref in enumerate(refs):
            leaving += self._rest(self.records.reload(ref, at))
            if number % 1000 == 0:
                tell(number, len(refs))
        for tab in known:
            leaving += self._rest([Output(topics.changes(tab), wire.MARKER, loaded(tab, at))])
        return leaving + self.replan(at)

    def replan(self, at: int) -> list[Output]:
        """Plan anew what hangs on a changed calendar (D-56); what leaves the flow."""
        queue: list[Output] = []
        leaving: list[Output] = []
        self._part(self.journeys.replan(at), queue, leaving)
        return leaving + self._rest(queue)

    def _ticks_before(self, at: int) -> list[Output]:
        """Timers that were due before this input's time run first: in a history each at its own time, as it was then;
        live, at the time that it has become, so that what an outage made late is seen to be late (D-54).
        """
        leaving: list[Output] = []
        while (due := self.next_due) is not None and due < at:
            now = due if self._history else at
            leaving += [msgspec.structs.replace(output, at=now) for output in self.tick(now)]
        return leaving

    def _rest(self, queue: list[Output], source: Source = NO_SOURCE) -> list[Output]:
        """Run messages through the stages until nothing is left; what leaves the flow is returned."""
        leaving: list[Output] = []
        for output in queue:  # it grows while it is read, to at most so many steps
            leaves, steps = self._readers.get(output.topic) or self._readers_of(output.topic)
            if leaves:
                leaving.append(output)
            for step in steps:
                if more := step(output.key, output.message, source):
                    if self._stays is None:
                        queue += more
                    else:
                        self._part(more, queue, leaving)
                    if len(queue) > MOST_STEPS:
                        raise RuntimeError(f"after {MOST_STEPS:,} messages the flow has not come to rest")
        return leaving

    def _part(self, said: Iterable[Output], queue: list[Output], leaving: list[Output]) -> None:
        """What stays goes on here, the rest leaves."""
        stays = self._stays
        for output in said:
            (queue if stays is None or stays(output) else leaving).append(output)

    def _readers_of(self, topic: str) -> _Readers:
        """Who reads a topic; found once."""
        stage = self._stages.get(wire.stage_of(topic))
        extra = [one for one in self._extra if any(fnmatchcase(topic, pattern) for pattern in one.reads)]
        steps = tuple(one.step for one in ([*extra] if stage is None else [stage, *extra]))
        found = self._readers[topic] = (stage is None and self._stays is None, steps)
        return found


def loaded(tab: str, at: int) -> Loaded:
    """The marker that a tab's first load is complete, as capture writes it."""
    return Loaded(at=at, tab=tab, generation=0, upstream=("capture", 0))


def moved_timers(outputs: Iterable[Output]) -> list[str]:
    """How many timers a changed calendar has moved, in a sentence per workflow (D-56)."""
    messages = (output.message for output in outputs)
    moved = Counter(
        one.workflow for one in messages if isinstance(one, Decision) and (one.kind, one.reason) == REPLANNED
    )
    return [
        f"{count:,} {'timer' if count == 1 else 'timers'} moved: the calendar of {workflow} changed"
        for workflow, count in sorted(moved.items())
    ]


def without_joins(stored: Mapping[str, StageRows]) -> dict[str, StageRows]:
    """The rows that outlive a change of the workflows: relations and joins are built again from the images."""
    journeys = {
        key: {part: content for part, content in parts.items() if part != HEAD and not part.startswith(SEEN)}
        for key, parts in stored.get("journeys", {}).items()
    }
    return {**stored, "relations": {}, "journeys": journeys}
