"""What a project's state says at a glance: the flow, its journeys, what waits, and for whom."""

from dataclasses import dataclass

from renkei.doubts import doubts
from renkei.folder import Folder
from renkei.looking import Look
from renkei.parts import LoggedCommands
from renkei.wiring import FILE
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
class Overview:
    """Everything on one screen. ``commands`` counts those that wait per connection, at most ``MOST`` each."""

    taken: int
    backlog: int
    records: int
    not_loaded: tuple[str, ...]
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

    @property
    def needs_somebody(self) -> bool:
        """Whether anything waits for a person."""
        return bool(self.attention or self.unknown or self.parked)


def overview(folder: Folder, look: Look) -> Overview:
    """The state of a project at a glance."""
    flow, log = look.flow, look.log
    taken, waiting = backlog(log)
    memories = list(rules_of_journeys(flow.store))
    fires = [(key, fire) for key, memory in memories for fire in memory.fires.values()]
    states: dict[str, int] = {}
    for _, fire in fires:
        state = fire.state if fire.state in _WAITING else "outcome" if fire.awaits else fire.state
        states[state] = states.get(state, 0) + 1
    return Overview(
        taken=taken,
        backlog=waiting,
        records=len(flow.records.states),
        not_loaded=_not_loaded(look),
        journeys=_journeys(flow),
        fires=dict(sorted(states.items())),
        attention=tuple(_stopped(log, key, fire) for key, fire in fires if fire.state == "attention"),
        timers=sum(_timers(memory) for _, memory in memories),
        next_due=flow.journeys.next_due,
        commands=_commands(log),
        unknown=len(doubts(folder, folder.state / FILE)),
        parked=len(parked_messages(log)),
        orphans=orphans(flow),
        stale=look.stale,
    )  # fmt: skip


def _journeys(flow: Embedded) -> int:
    """Those whose main record is there: others only remember who names one that is not."""
    found = map(flow.journeys.states.get, flow.journeys.states.names())
    return sum(1 for journey in found if journey is not None and journey.join.members[0])


def _timers(memory: JourneyRules) -> int:
    return sum(1 for timer in memory.timers.values() if timer.due is not None)


def _not_loaded(look: Look) -> tuple[str, ...]:
    known = loaded_tabs(look.flow.store)
    return tuple(tab for tab in sorted(look.flow.book.read_fields) if tab not in known)


def _stopped(log: Store, journey: Ref, fire: Fire) -> Stopped:
    told = (one for one in reversed(decisions_of(log, journey)) if one.fire == fire.id and one.kind == "failed")
    reason = next((one.reason for one in told), "")
    return Stopped(fire.id, journey, fire.anchor, fire.rule, reason)


def _commands(log: Store) -> dict[str, int]:
    """Per connection how many commands wait to be applied."""
    found: dict[str, int] = {}
    for topic in log.topics(topics.commands("")):
        name = topic.removeprefix(topics.commands(""))
        count = len(LoggedCommands(log, name, lambda: 0).take(MOST))
        if count:
            found[name] = count
    return found
