"""What a project's state says at a glance: the flow, its journeys, what waits, and for whom."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import msgspec

from connectors.base import LoadProgress
from renkei.doubts import doubts
from renkei.folder import Folder
from renkei.lag.burrow import GroupStatus
from renkei.lag.opening import watching
from renkei.lag.table import verdicts
from renkei.lag.watch import by_group
from renkei.logged import waiting
from renkei.looking import Look
from renkei.mirror import Mirror
from renkei.operating import parked_there
from renkei.parts import progress_note
from renkei.wiring import FILE
from rules.book import Book
from rules.state import Fire, JourneyRules
from schemas import topics
from schemas.values import Ref
from streams.embedded import Embedded
from streams.history import backlog, decisions_of, loaded_tabs, rules_of_journeys
from streams.orphans import Orphans, orphans
from streams.parking import parked_messages
from streams.store import Store

MOST = 1000
"""Waiting commands that are counted per connection."""
_WAITING = ("attention", "held", "unready", "fresh")


@dataclass(frozen=True)
class Stopped:
    """A fire that needs somebody's attention."""

    fire: str
    journey: Ref
    anchor: Ref
    rule: str
    reason: str


@dataclass(frozen=True)
class Loading:
    """A tab whose first load goes on: the records read, and how many there were; none where the CRM does not count."""

    tab: str
    read: int
    of: int | None


@dataclass(frozen=True)
class Consumer:
    """A consumer group on a broker in one line. ``age`` is how long (s) the oldest unread message has waited."""

    group: str
    status: GroupStatus
    lag: int
    age: float | None
    bad: tuple[str, ...]
    """The partitions whose verdict asks for somebody, each with what it means."""


@dataclass(frozen=True)
class Waiting:
    """How far the project is, and what waits for whom; a broker tells it otherwise than one machine."""

    taken: int
    backlog: int
    commands: dict[str, int]
    unknown: int
    parked: int
    counted: Literal["changes", "offsets"] = "changes"
    barriers: tuple[str, ...] = ()
    consumers: tuple[Consumer, ...] = ()


@dataclass(frozen=True)
class Overview:
    """Everything on one screen. ``commands`` counts those that wait per connection, at most ``MOST`` each.

    ``taken`` counts what ``counted`` names: on a broker offsets, to which the markers of transactions belong.
    """

    taken: int
    counted: Literal["changes", "offsets"]
    backlog: int
    records: int
    not_loaded: tuple[str, ...]
    loading: tuple[Loading, ...]
    journeys: int
    fires: dict[str, int]
    """Fires on their way, by what they wait for."""
    attention: tuple[Stopped, ...]
    timers: int
    next_due: int | None
    commands: dict[str, int]
    unknown: int
    parked: int
    orphans: Orphans
    stale: bool
    barriers: tuple[str, ...]
    """Where the first load of a tab is not told on yet (on a broker)."""
    consumers: tuple[Consumer, ...]
    """The consumer groups (on a broker)."""

    @property
    def needs_somebody(self) -> bool:
        """Whether anything waits for a person."""
        return bool(self.attention or self.unknown or self.parked)


def overview(folder: Folder, look: Look) -> Overview:
    """The state of a project at a glance."""
    flow, log = look.flow, look.log
    waits = waiting_here(folder, log) if look.mirror is None else waiting_there(folder, look.flow.book, look.mirror)
    memories = list(rules_of_journeys(flow.store))
    fires = [(key, fire) for key, memory in memories for fire in memory.fires.values()]
    stopped = [(key, fire) for key, fire in fires if fire.state == "attention"]
    look.recall({key for key, _ in stopped})
    missing = _not_loaded(look)
    return Overview(
        taken=waits.taken,
        counted=waits.counted,
        backlog=waits.backlog,
        records=len(flow.records.states),
        not_loaded=missing,
        loading=tuple(_loading(folder, look, missing)),
        journeys=_journeys(flow),
        fires=_states(fire for _, fire in fires),
        attention=tuple(_stopped(log, key, fire) for key, fire in stopped),
        timers=sum(_timers(memory) for _, memory in memories),
        next_due=flow.journeys.next_due,
        commands=waits.commands,
        unknown=waits.unknown,
        parked=waits.parked,
        orphans=orphans(flow),
        stale=look.stale,
        barriers=waits.barriers,
        consumers=waits.consumers,
    )  # fmt: skip


def waiting_here(folder: Folder, log: Store) -> Waiting:
    """What waits on this machine."""
    taken, backlog_ = backlog(log)
    unknown = len(doubts(folder, folder.state / FILE))
    return Waiting(taken, backlog_, _commands(log), unknown, len(parked_messages(log)))


def waiting_there(folder: Folder, book: Book, mirror: Mirror) -> Waiting:
    """What waits on a broker."""
    taken, backlog_ = mirror.taken(book)
    parked = len(parked_there(mirror.archive, folder.settings.kafka.prefix))
    return Waiting(
        taken, backlog_, mirror.commands(), len(mirror.doubts()), parked, "offsets", tuple(mirror.barriers()),
        tuple(_consumers(folder, mirror.address)),
    )  # fmt: skip


def _consumers(folder: Folder, address: str) -> Iterator[Consumer]:
    """One line per group, the worst first."""
    with watching(folder, address) as watch:
        rows = watch.look()
    for one in by_group(rows):
        members = [row for row in rows if row.group == one.group]
        age = max((row.age for row in members if row.age is not None), default=None)
        yield Consumer(one.group, one.status, one.totallag, age, tuple(verdicts(members)))


def _states(fires: Iterable[Fire]) -> dict[str, int]:
    """How many fires wait for what."""
    states: dict[str, int] = {}
    for fire in fires:
        state = fire.state if fire.state in _WAITING else "outcome" if fire.awaits else fire.state
        states[state] = states.get(state, 0) + 1
    return dict(sorted(states.items()))


def _journeys(flow: Embedded) -> int:
    """Those whose main record is there: others only remember who names one that is not."""
    found = map(flow.journeys.states.get, flow.journeys.states.names())
    return sum(1 for journey in found if journey is not None and journey.join.members[0])


def _timers(memory: JourneyRules) -> int:
    return sum(1 for timer in memory.timers.values() if timer.due is not None)


def _not_loaded(look: Look) -> tuple[str, ...]:
    known = loaded_tabs(look.flow.store)
    return tuple(tab for tab in sorted(look.flow.book.read_fields) if tab not in known)


def _loading(folder: Folder, look: Look, missing: Iterable[str]) -> Iterator[Loading]:
    """How far the first loads of these tabs are, as far as they have begun."""
    for tab in missing:
        name = tab.partition(":")[0]
        captured = look.log.note if look.mirror is None else look.mirror.captured(name).get
        kept = captured(progress_note(tab)) if name in folder.settings.connections else None
        if kept:
            progress = msgspec.json.decode(kept, type=LoadProgress)
            yield Loading(tab, progress.read, progress.of)


def _stopped(log: Store, journey: Ref, fire: Fire) -> Stopped:
    told = (one for one in reversed(decisions_of(log, journey)) if one.fire == fire.id and one.kind == "failed")
    reason = next((one.reason for one in told), "")
    return Stopped(fire.id, journey, fire.anchor, fire.rule, reason)


def _commands(log: Store) -> dict[str, int]:
    """Per connection how many commands wait to be applied."""
    found: dict[str, int] = {}
    for topic in log.topics(topics.commands("")):
        name = topic.removeprefix(topics.commands(""))
        count = sum(1 for _ in islice(waiting(log, name), MOST))
        if count:
            found[name] = count
    return found
