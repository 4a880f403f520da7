"""What hosts the flows of one partition on a broker: folds records into work that is to be committed as one.

No broker, no clock, no task in here: the runtime hands over what it read and commits what comes back. Fused, a
workspace is one flow on one partition; spread, it has one on every partition, and what one says to another goes by
topics (design, section 2).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rules.book import joins_alike
from schemas import topics
from schemas.codec import pack, to_json
from schemas.commands import Report
from schemas.events import ChangeEvent
from schemas.keys import in_workspace
from schemas.messages import OutcomeOf, Tick
from streams import changelog, wire
from streams.changelog import Layout, Restored
from streams.flow import Flow, StageRows, moved_timers, staying, without_joins
from streams.inbox import Inbox
from streams.outbox import Outbox, Outgoings
from streams.stage import Changed, Output, Place, Source
from streams.topology import HaltedError, Incoming, Outgoing, Topology, Workspace


class LayoutChangedError(HaltedError):
    """The state was written over another partition count, or fused and not spread: keys would change their homes."""


@dataclass
class Work:
    """What a fold brought about, to be committed as one."""

    outputs: Outgoings = field(default_factory=dict)
    rows: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    next: dict[str, int] = field(default_factory=dict)
    """Per topic read, the offset to read next."""
    taken: int = 0
    parked: Counter[str] = field(default_factory=Counter)
    """How many records were set aside, by topic."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.outputs or self.rows)


class PartitionHost:
    """What is at home in one partition. After ``fold`` raised, or its work was not committed, open another one."""

    def __init__(self, topology: Topology, number: int, restored: Restored) -> None:
        """Open on what the changelog holds.

        Raises:
            LayoutChangedError: the rows were written under another layout.
        """
        self.number, self._topology, self._restored = number, topology, restored
        self._inbox, self._outbox = Inbox(topology, restored.positions), Outbox(topology)
        count = topology.partitions
        self._place = Place(number, count, count, count) if topology.spread else Place()
        """A fused flow is a world of one partition; spread, the home of a record is where its changes are."""
        self._histories = frozenset(name for name, one in topology.workspaces.items() if one.history)
        self.is_clocked = any(one.clock is not None for one in topology.workspaces.values())
        """Whether a workspace has a clock of its own: nobody knows how fast that one goes."""
        self._era = topology.era if restored.layout is None else restored.layout.era
        self.positions = restored.positions
        self._flows: dict[str, Flow] = {}
        self._ticked: set[str] = set()
        self._fed: set[str] = set()
        """The workspaces that have taken something since their rows were last handed out."""
        self.news: list[str] = []
        """What a person should hear of the opening: how many timers a changed calendar has moved (D-56)."""
        self._work = Work()
        self._check_layout(restored.layout)
        for workspace in sorted(topology.workspaces.keys() & set(restored.workspaces())):
            self._open_once(workspace)

    # -- folding --------------------------------------------------------------

    def fold(self, topic: str, records: Sequence[Incoming], end: int) -> None:
        """Take records of one topic in order, up to the offset ``end``; what was taken before is dropped.

        Raises:
            Exception: a stage could not take a message: the state in memory is half-way.
        """
        first = self.positions.next.get(topic, 0)
        upstream = f"{topic}/{self.number}" if self._topology.spread else ""
        for record in records:
            if record.offset >= first:
                self._take(topic, record, upstream)
        self.positions.next[topic] = self._work.next[topic] = max(end, first)

    @property
    def is_history(self) -> bool:
        """Whether a history is the clock here: then the order of its records counts for more than being quick."""
        return bool(self._histories)

    def park(self, topic: str, record: Incoming, why: str) -> None:
        """Set a record aside with the reason, and go on behind it."""
        self._park(topic, record, why)
        self.positions.next[topic] = self._work.next[topic] = record.offset + 1

    def work(self) -> Work:
        """What the folds since the last call brought about, rows and positions included."""
        work, self._work = self._work, Work()
        work.outputs = self._outbox.take()
        for workspace in sorted(self._fed):
            for stage, changed in self._flows[workspace].changed():
                work.rows.append(changelog.row(stage, workspace, changed))
        self._fed.clear()
        if work.next or work.rows:
            work.rows.append(changelog.position_row(self.positions))
        return work

    def ticks(self, now: int) -> None:
        """Write a Tick for every workspace of which a timer is due: topic order alone decides when it fires (D-06)."""
        for workspace, left in self._waits(now):
            if left <= 0:
                at = self._clocked(workspace, now)
                self._ticked.add(workspace)
                tick = Outgoing(in_workspace(workspace, wire.MARKER), pack(Tick(at=at)), [], at)
                self._outbox.put(topics.JOURNEYS, self.number, tick)

    def wait(self, now: int) -> int | None:
        """How long until the next timer is due for which no Tick is on its way (milliseconds); none without one."""
        return min((left for _, left in self._waits(now)), default=None)

    def flow(self, workspace: str) -> Flow | None:
        """The stages of a workspace as they are in memory, if it has been here."""
        return self._flows.get(workspace)

    def _waits(self, now: int) -> list[tuple[str, int]]:
        return [
            (workspace, due - self._clocked(workspace, now))
            for workspace, flow in self._flows.items()
            if workspace not in self._ticked and workspace not in self._histories
            and (due := flow.next_due) is not None
        ]  # fmt: skip

    def _clocked(self, workspace: str, now: int) -> int:
        clock = self._topology.workspaces[workspace].clock
        return now if clock is None else clock()

    # -- opening --------------------------------------------------------------

    def _check_layout(self, found: Layout | None) -> None:
        wanted = self._topology.layout
        if found is None:
            self._work.rows.append(changelog.layout_row(wanted))
        elif (found.partitions, found.spread) != (wanted.partitions, wanted.spread):
            raise LayoutChangedError(
                f"the state of partition {self.number} was written over {found.partitions} partitions "
                f"(spread: {found.spread}), and now there are {wanted.partitions} (spread: {wanted.spread}). "
                "Keys would change their homes. Go back to the former settings, or load into topics of another prefix."
            )

    def _open_once(self, workspace: str) -> Flow:
        found = self._flows.get(workspace)
        if found is None:
            found = self._flows[workspace] = self._open(workspace)
        return found

    def _open(self, workspace: str) -> Flow:
        """The flow as it was. Under other workflows than it was written under all is joined anew, firing nothing."""
        one = self._topology.workspaces[workspace]
        known, now = self._restored.fingerprints.get(workspace), one.book.fingerprint
        if known != now:
            self._work.rows.append(changelog.fingerprint_row(workspace, now))
        is_other = known is not None and known != now
        if is_other and self._topology.spread:
            return self._replanned(workspace, one, known or "")
        rows, dues = self._stored(workspace, one)
        if not is_other:
            return self._flow(workspace, one, rows, dues)
        kept = without_joins(rows)
        self._forget(workspace, rows, kept)
        flow = self._flow(workspace, one, kept, dues)
        self._fed.add(workspace)
        self._tell_anew(workspace, flow.rejoin(self.positions.at, lambda done, total: None))
        return flow

    def _replanned(self, workspace: str, one: Workspace, known: str) -> Flow:
        """A spread flow whose calendars changed: its joins stay as they are.

        Raises:
            LayoutChangedError: its workflows changed.
        """
        if not joins_alike(known, one.book.fingerprint):
            raise LayoutChangedError(
                f"the workflows of workspace '{workspace}' have changed since its state was written. A spread "
                "workspace cannot be joined anew in place: load its history into topics of another prefix."
            )
        flow = self._flow(workspace, one, *self._stored(workspace, one))
        self._fed.add(workspace)
        self._tell_anew(workspace, flow.replan(self.positions.at))
        return flow

    def _stored(self, workspace: str, one: Workspace) -> tuple[dict[str, StageRows], dict[str, int]]:
        """The rows of every stage, and when journeys need a Tick."""
        names = [*topics.STAGES, *(make().name for make in one.more_stages)]
        stored = {name: self._restored.of(name, workspace) for name in names}
        dues = stored["journeys"].dues
        return {name: of_stage.rows for name, of_stage in stored.items()}, dues

    def _flow(self, workspace: str, one: Workspace, rows: Mapping[str, StageRows], dues: Mapping[str, int]) -> Flow:
        return Flow(
            one.book, self._place, rows, dues, limits=one.limits, channels=one.channels, more_stages=one.more_stages,
            history=one.history, stages=self._topology.stages,
            stays=staying(self.number, partial(self._topology.home, workspace)) if self._topology.spread else None,
        )  # fmt: skip

    def _tell_anew(self, workspace: str, outputs: list[Output]) -> None:
        self._send(workspace, outputs, self.positions.at)
        self.news += moved_timers(outputs)

    def _forget(self, workspace: str, rows: Mapping[str, StageRows], kept: Mapping[str, StageRows]) -> None:
        """Delete the rows of the joins that are built again; rows written later in the same work count (D-82)."""
        self._work.rows += [
            changelog.row(stage, workspace, Changed(key, part, None))
            for stage in ("relations", "journeys")
            for key, parts in rows[stage].items()
            for part in parts
            if part not in kept[stage].get(key, {})
        ]

    # -- messages --------------------------------------------------------------

    def _take(self, topic: str, record: Incoming, upstream: str) -> None:
        try:
            read = self._inbox.read(topic, record)
        except ValueError as error:
            self._park(topic, record, str(error))
            return
        if read is None:
            return  # a repetition
        workspace, key, message = read
        flow = self._flows.get(workspace)
        if flow is None:
            if workspace not in self._topology.workspaces:
                self._park(topic, record, f"no project of workspace '{workspace}' is served here")
                return
            flow = self._open_once(workspace)
        at = _time_of(message, record)
        if at > self.positions.at:  # noqa: PLR1730 - faster than a call, and this is done for every message
            self.positions.at = at
        kind = type(message)
        if kind is Tick:
            self._ticked.discard(workspace)
        elif kind is Report:
            message = OutcomeOf(at=message.at, chain=message.chain, fire=message.fire, outcome=message.outcome)
        self._fed.add(workspace)
        self._work.taken += 1
        inner = topics.JOURNEYS if topic == topics.OUTCOMES else topic
        outputs = flow.feed(inner, key, message, at, Source(self._place.number, record.offset, self._era))
        if outputs:
            self._send(workspace, outputs, at, f"{upstream}:{record.offset}:" if upstream else "")

    def _send(self, workspace: str, outputs: list[Output], at: int, cause: str = "") -> None:
        for index, output in enumerate(outputs):
            self._outbox.send(workspace, output, at, f"{cause}{index}" if cause else "")

    def _park(self, topic: str, record: Incoming, why: str) -> None:
        note = {
            "topic": topic, "partition": self.number, "offset": record.offset, "at": record.at, "why": why,
            "how": f"renkei parked retry {topic}/{self.number}/{record.offset}",
        }  # fmt: skip
        self._outbox.put(topics.PARKED, 0, Outgoing(record.key or b"", to_json(note), [], record.at))
        self._work.parked[topic] += 1


def _time_of(message: Any, record: Incoming) -> int:
    """The time of an input: of a change when it was seen, of a command when it was planned."""
    if type(message) is ChangeEvent:
        return message.seen_at  # the most of them, and each miss below costs an exception
    for name in ("at", "planned_at"):
        at: int | None = getattr(message, name, None)
        if at is not None:
            return at
    return record.at
