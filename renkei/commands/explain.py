"""``renkei explain``: why rules fired, or did not fire, for a record, at any time (D-103)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, NoReturn

import typer

from renkei.looking import STALE, Look, looking
from renkei.options import (
    FolderArgument,
    Hint,
    JsonOption,
    LookBrokerOption,
    StateOption,
    command_of,
    looked_at,
    opened_folder,
    say_json,
    told,
)
from renkei.runner import wall_clock
from schemas.abilities import CONVERTED
from schemas.commands import Applied, Rejected, RetryLater, Uncertain
from schemas.decisions import Decision
from schemas.values import format_instant, parse_instant
from streams.explaining import RecordExplained, RuleExplained, Way, explain_record, records_called, shown_ref
from streams.history import journeys_with
from streams.lookup import CommandExplained, explain_commands

_COMMAND = re.compile(r"[0-9a-f]{24}")
SHOWN = 5
"""Records of a related tab that are named."""

RecordArgument = Annotated[
    str, typer.Argument(metavar="RECORD", help="zoho.Deals/17, a bare id, or the id of a command or fire.")
]
RuleOption = Annotated[str, typer.Option("--rule", "-r", help="Only this rule: its name, or workflow/name.")]
AtOption = Annotated[str, typer.Option("--at", help="As it was at this time, as 2026-01-31T09:00:00Z.")]


def explain(
    record: RecordArgument,
    folder: FolderArgument = Path(),
    rule: RuleOption = "",
    at: AtOption = "",
    state: StateOption = None,
    broker: LookBrokerOption = "",
    as_json: JsonOption = False,
) -> None:
    """Tell why each rule fired or did not fire for a record, or what became of a command."""
    moment = _moment(at)
    hint = partial(command_of, folder=folder, broker=broker)
    with told(as_json):
        project = opened_folder(folder, state)
        edition = project.compile()
        edition.problems.refuse()
        with looking(project, edition.book, moment, looked_at(project, broker)) as look:
            if found := _commands(look, record):
                _tell_commands(list(found), hint, as_json)
            else:
                _tell_records(look, record, rule, moment, hint, as_json)


def _commands(look: Look, name: str) -> Sequence[CommandExplained]:
    """The commands of this id, or of this fire."""
    if not _COMMAND.fullmatch(name):
        return ()
    look.find(name)
    return explain_commands(look.log, name)


def _moment(at: str) -> int | None:
    try:
        return parse_instant(at) if at else None
    except ValueError:
        raise typer.BadParameter(f"'{at}' is no time: write 2026-01-31 or 2026-01-31T09:00:00Z") from None


def _tell_records(look: Look, name: str, rule: str, at: int | None, hint: Hint, as_json: bool) -> None:
    records = records_called(look.flow, name)
    if not records:
        _refuse(f"no record {name} is known" + (" at that time" if at is not None else ""), hint, as_json)
    if len(records) > 1:
        words = ", ".join(map(shown_ref, records[:SHOWN]))
        _refuse(f"{name} may be one of several records: {words}", hint, as_json)
    look.recall(journeys_with(look.flow.store, records[0]))
    now = wall_clock() if at is None else at
    found = explain_record(look.flow, look.log, records[0], now, rule)
    following = _next(found, hint)
    if as_json:
        say_json({"explained": _record_json(found), "at": format_instant(now), "stale": look.stale, "next": following})
        return
    if look.stale:
        typer.echo(f"{STALE}\n")
    for line in _record_lines(found):
        typer.echo(line)
    typer.echo(f"\nNext: {following}")


def _refuse(problem: str, hint: Hint, as_json: bool) -> NoReturn:
    following = f"Name it as connection.Tab/id. What is known: {hint('status')}"
    if as_json:
        say_json({"ok": False, "error": problem, "next": hint("status")})
    else:
        typer.echo(f"{problem}. {following}", err=True)
    raise typer.Exit(1)


def _next(found: RecordExplained, hint: Hint) -> str:
    """The command that shows what was done, if anything was; else the status."""
    fires = [one.fire for rule in found.rules for one in rule.decisions if one.fire]
    if not fires:
        return hint("status")
    return hint(f"explain {fires[-1]}")


# -- a record ------------------------------------------------------------------


def _record_lines(found: RecordExplained) -> Iterator[str]:
    yield shown_ref(found.record)
    if found.journeys and found.journeys != (found.record,):
        yield f"  in the journey of {', '.join(map(shown_ref, found.journeys))}"
    if found.note:
        yield f"  {found.note}"
    for rule in found.rules:
        yield ""
        yield from _rule_lines(rule)


def _rule_lines(one: RuleExplained) -> Iterator[str]:
    word = "FIRED" if one.reason == "fired" else "OVERRULED" if one.reason == "overruled" else "DID NOT FIRE"
    yield f"{one.rule}: {word}: {one.why}"
    if one.journey != one.anchor and one.reason != "other_anchor":
        yield f"  in the journey of {shown_ref(one.journey)}"
    if one.criteria:
        since = f", remembered since {format_instant(one.since)}" if one.since is not None and one.since > 0 else ""
        yield f"  criteria as they stand{since}:"
        yield from (f"    {line}" for line in one.criteria)
    yield from (f"  looks at {_way(way)}" for way in one.ways)
    for timer in one.timers:
        due = format_instant(timer.due) if timer.due is not None else "once its data is known"
        yield f"  timer ({timer.kind}): due {due}"
    yield from (f"  fire {fire.id}: {fire.state}, {len(fire.todo)} steps to go" for fire in one.fires)
    yield from (f"  {_decision(decision, one.steps)}" for decision in one.decisions)


def _way(way: Way) -> str:
    shown = ", ".join(map(shown_ref, way.records[:SHOWN])) or "no record"
    more = f" and {len(way.records) - SHOWN} more" if len(way.records) > SHOWN else ""
    return f"{way.alias} ({way.by}): {shown}{more}{'' if way.complete else ', and not all are known yet'}"


def _decision(one: Decision, steps: Mapping[str, str] = MappingProxyType({})) -> str:
    does = f" ({steps[one.step]})" if one.step in steps else ""
    parts = [one.kind, f"step {one.step}{does}" if one.step else "", one.reason]
    return f"{format_instant(one.at)}  {': '.join(part for part in parts if part)}"


def _record_json(found: RecordExplained) -> dict[str, object]:
    return {
        "record": found.record,
        "journeys": found.journeys,
        "note": found.note,
        "rules": [
            {
                "rule": one.rule, "journey": one.journey, "anchor": one.anchor, "reason": one.reason, "why": one.why,
                "verdict": one.verdict, "since": one.since, "criteria": one.criteria, "ways": one.ways,
                "decisions": one.decisions, "timers": one.timers, "fires": one.fires,
            }
            for one in found.rules
        ],
    }  # fmt: skip


# -- a command ------------------------------------------------------------------


def _tell_commands(found: list[CommandExplained], hint: Hint, as_json: bool) -> None:
    following = hint(f"explain {shown_ref(found[0].command.anchor)}")
    if as_json:
        say_json({"commands": found, "next": following})
        return
    for one in found:
        for line in _command_lines(one):
            typer.echo(line)
    typer.echo(f"\nNext: {following}")


def _command_lines(one: CommandExplained) -> Iterator[str]:
    command = one.command
    target = f"{command.tab.replace(':', '.', 1)}" + (f"/{command.record_id}" if command.record_id else "")
    yield f"{command.id}: {command.operation} {target}"
    yield f"  planned {format_instant(command.planned_at)} by {command.workflow}/{command.rule}, step {command.step}"
    yield f"  for {shown_ref(command.anchor)} in the journey of {shown_ref(command.journey)}"
    if command.chain is not None:
        yield f"  chain {command.chain.id}, hop {command.chain.hop}: {' -> '.join(command.chain.fired)}"
    yield f"  {_outcome(one)}"
    yield from (f"  {_decision(decision)}" for decision in one.decisions)


def _outcome(one: CommandExplained) -> str:
    at = format_instant(one.settled_at) if one.settled_at is not None else ""
    match one.outcome:
        case None:
            return "no outcome yet"
        case Applied(record_id=record_id, duplicate=duplicate):
            found = ", found there already" if duplicate else ""
            return f"applied {at}{found}" + (f": record {record_id}" if record_id else "") + _made(one)
        case Rejected(code=code, reason=reason):
            return f"rejected {at}: {code}: {reason}"
        case Uncertain(reason=reason) | RetryLater(reason=reason):
            return f"uncertain {at}: {reason}"


def _made(one: CommandExplained) -> str:
    """What a conversion made or joined, by id."""
    if one.command.operation != "convert" or not isinstance(one.outcome, Applied):
        return ""
    fields = one.outcome.fields
    named = [f"{name} {fields[name]}" for name in CONVERTED if fields.get(name)]
    return f", converted to {', '.join(named)}" if named else ""
