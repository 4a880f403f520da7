"""The journeys of a state file as a person reads them: who did what in which CRM, what Renkei did, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rules.book import Book, Workflow
from schemas import topics
from schemas.commands import Applied, Command
from schemas.decisions import Decision
from schemas.events import ChangeEvent
from schemas.messages import OutcomeOf
from schemas.metadata import ConnectionMetadata
from schemas.values import Image, Ref, changed_fields, id_of, tab_of
from streams import wire
from streams.embedded import Embedded
from streams.store import Entry

SHOWN_FIELDS = 3
NAME_FIELDS = ("Name", "Deal_Name", "Last_Name", "Account_Name", "projectname", "Subject", "subject")


@dataclass(frozen=True)
class Moment:
    """One line of a timeline. ``by`` is a person or Renkei; ``where`` a tab; ``why`` the rule and what it saw."""

    at: int
    by: str
    where: str
    what: str
    why: str = ""
    record: Ref = ""


@dataclass(frozen=True)
class HandOver:
    """How long one stage waited for the one before, in milliseconds; none if it has not begun."""

    stage: str
    teams: tuple[str, ...]
    began: int
    waited: int | None
    took: int | None


@dataclass(frozen=True)
class JourneyReport:
    """One journey from its first event to its last."""

    journey: Ref
    title: str
    workflow: str
    zone: str
    """The time zone in which the journey is told."""
    moments: tuple[Moment, ...]
    created: tuple[Moment, ...]
    notified: tuple[Moment, ...]
    hand_overs: tuple[HandOver, ...]


@dataclass
class _Log:
    """The log, read once."""

    changes: dict[Ref, list[ChangeEvent]] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    outcomes: dict[str, tuple[int, object]] = field(default_factory=dict)
    fired: dict[str, Decision] = field(default_factory=dict)


def journeys(flow: Embedded, metadata: Mapping[str, ConnectionMetadata]) -> list[JourneyReport]:
    """Every journey in which something happened, with its timeline."""
    log = _read(flow)
    names = {f"{name}/{user.id}": user.name for name, known in metadata.items() for user in known.users}
    found: list[JourneyReport] = []
    for key in flow.journeys.states.names():
        journey = flow.journeys.states.get(key)
        fired = [one for one in log.fired.values() if one.journey == key]
        if journey is None or not fired:
            continue
        refs = {ref for members in journey.join.members for ref in members}
        found.append(_report(key, refs, fired, log, names, flow.book))
    return found


def _report(
    key: Ref, refs: set[Ref], fired: list[Decision], log: _Log, names: Mapping[str, str], book: Book
) -> JourneyReport:  # fmt: skip
    commands = [one for one in log.commands.values() if one.journey == key and one.operation != "read"]
    moments = [moment for ref in sorted(refs) for moment in _edits(ref, log, names)]
    acts = [_act(one, log, names) for one in commands]
    ordered = tuple(sorted([*moments, *acts], key=lambda moment: moment.at))
    workflows = [one for one in book.workflows if one.name in {decision.workflow for decision in fired}]
    return JourneyReport(
        journey=key,
        title=_title(log.changes.get(key, [])),
        workflow=", ".join(one.name for one in workflows),
        zone=next((one.source.timezone for one in workflows), "UTC"),
        moments=ordered,
        created=tuple(
            one for one, command in zip(acts, commands, strict=True) if command.operation in ("create", "task")
        ),
        notified=tuple(
            one for one, command in zip(acts, commands, strict=True) if command.operation in ("notify", "email")
        ),
        hand_overs=tuple(hand for one in workflows for hand in _hand_overs(one, refs, log)),
    )


def _read(flow: Embedded) -> _Log:
    log = _Log()
    store = flow.store
    for topic in store.topics("changes."):
        for event in _messages(store.read(topic)):
            if isinstance(event, ChangeEvent):
                log.changes.setdefault(event.ref, []).append(event)
    planned = [entry for topic in store.topics("commands.") for entry in store.read(topic)]
    for command in _messages(sorted(planned, key=lambda entry: entry.seq)):
        log.commands[command.id] = command
    for message in _messages(store.read(topics.JOURNEYS)):
        if isinstance(message, OutcomeOf):
            log.outcomes[message.outcome.command_id] = (message.at, message.outcome)
    for decision in _messages(store.read(topics.DECISIONS)):
        if decision.kind == "fired":
            log.fired[decision.fire] = decision
    return log


def _messages(entries: Iterable[Entry]) -> Iterable[Any]:
    return map(wire.read_entry, entries)


def _edits(ref: Ref, log: _Log, names: Mapping[str, str]) -> Iterable[Moment]:
    """What people did to a record; our own writes are told as acts."""
    before: Image | None = None
    for event in log.changes.get(ref, []):
        after = event.after
        if event.origin is None and not event.load:
            connection = tab_of(ref).partition(":")[0]
            by = names.get(f"{connection}/{event.actor}", event.actor or "somebody")
            yield Moment(event.committed_at, by, _place(ref), _what(event, before), record=ref)
        before = after


def _what(event: ChangeEvent, before: Image | None) -> str:
    if event.op == "delete" or event.after is None:
        return "deleted it"
    if before is None:
        name = _name(event.after)
        return f"created “{name}”" if name else "created it"
    fields = sorted(changed_fields(before, event.after) - _SYSTEM)
    told = [f"{name}: {before.get(name) or '–'} → {event.after.get(name) or '–'}" for name in fields[:SHOWN_FIELDS]]
    return ", ".join(told) or "saved it"


def _act(command: Command, log: _Log, names: Mapping[str, str]) -> Moment:
    at, outcome = log.outcomes.get(command.id, (command.planned_at, None))
    fired = log.fired.get(command.fire)
    why = f"{_reason(fired)} ({command.rule})" if fired is not None else command.rule
    done = "" if isinstance(outcome, Applied) else f" ({type(outcome).__name__.lower() if outcome else 'waiting'})"
    record = f"{command.tab}/{outcome.record_id}" if isinstance(outcome, Applied) and outcome.record_id else ""
    return Moment(at, "Renkei", _place(command.tab), _told(command, names) + done, why, record)


def _told(command: Command, names: Mapping[str, str]) -> str:
    fields = command.fields
    match command.operation:
        case "create" | "upsert":
            owner = f", owner {command.owner.partition(':')[2]}" if command.owner else ""
            return f"created “{_name(fields) or command.tab}”{owner}"
        case "update":
            return "set " + ", ".join(f"{name} to {value}" for name, value in fields.items())
        case "notify" | "email":
            to = ", ".join(_person(str(one), names) for one in fields.get("to", []))
            return f"mailed {to}: “{fields.get('subject', '')}”"
        case "task":
            return f"opened task “{fields.get('subject', '')}”"
    return command.operation


def _person(who: str, names: Mapping[str, str]) -> str:
    """A recipient by name: ``user:17`` is whoever has that id in one of the CRMs."""
    name = who.partition(":")[2] or who
    return next((known for key, known in names.items() if key.endswith(f"/{name}")), name)


def _reason(fired: Decision) -> str:
    return str(fired.detail.get("criteria") or fired.reason or "the record was created")


def _hand_overs(workflow: Workflow, refs: set[Ref], log: _Log) -> Iterable[HandOver]:
    """Per stage: how long it waited since the stage before was last worked on, and how long it took."""
    previous: int | None = None
    for stage in workflow.source.stages:
        tab = workflow.tabs[stage.tab]
        events = sorted(
            (event for ref in refs if tab_of(ref) == tab for event in log.changes.get(ref, [])),
            key=lambda event: event.committed_at,
        )
        if not events:
            continue
        began, ended = events[0].committed_at, events[-1].committed_at
        waited = began - previous if previous is not None and began >= previous else None
        yield HandOver(stage.name, tuple(stage.teams), began, waited, ended - began if ended > began else None)
        previous = ended


def _title(events: list[ChangeEvent]) -> str:
    return next((_name(event.after) for event in reversed(events) if event.after), "")


def _name(fields: Mapping[str, object]) -> str:
    return next((str(fields[name]) for name in NAME_FIELDS if fields.get(name)), "")


def _place(ref: Ref) -> str:
    connection, _, tab = tab_of(ref).partition(":")
    return f"{connection} {tab.replace('_', ' ')}" if tab not in ("messages", "requests") else connection


def record_name(ref: Ref) -> str:
    """A record as a person names it: ``zoho.Deals/17``."""
    return f"{tab_of(ref).replace(':', '.', 1)}/{id_of(ref)}"


_SYSTEM = frozenset({
    "id", "Modified_Time", "Modified_By", "Created_Time", "Created_By", "SystemModstamp", "LastModifiedDate",
    "LastModifiedById", "modifiedtime", "modifiedby", "CreatedDate", "CreatedById",
})  # fmt: skip
