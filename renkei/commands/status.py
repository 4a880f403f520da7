"""``renkei status``: on one screen how a project is doing, and what waits for a person."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from renkei.folder import Folder
from renkei.lag.table import duration
from renkei.looking import STALE, looking
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
from renkei.overview import MOST, Loading, Overview, overview
from schemas.values import format_instant
from streams.explaining import shown_ref

SHOWN = 5


def status(
    folder: FolderArgument = Path(),
    list_orphans: Annotated[bool, typer.Option("--orphans", help="List the records that hang on nothing.")] = False,
    state: StateOption = None,
    broker: LookBrokerOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show how a project is doing, also while it runs."""
    hint = partial(command_of, folder=folder, broker=broker)
    with told(as_json):
        project = opened_folder(folder, state)
        edition = project.compile()
        edition.problems.refuse()
        with looking(project, edition.book, broker=looked_at(project, broker)) as look:
            seen = overview(project, look)
    following = _next(seen, hint)
    if as_json:
        say_json({**asdict(seen), "orphans": _orphans_json(seen, list_orphans), "next": following})
        return
    for line in _lines(seen, project, hint):
        typer.echo(line)
    if list_orphans:
        for line in _orphans(seen):
            typer.echo(line)
    typer.echo(f"Next: {following}")


def _lines(seen: Overview, project: Folder, hint: Hint) -> Iterator[str]:
    if seen.stale:
        yield STALE
    yield _row("project", project.settings.project)
    wait = f", {seen.backlog:,} wait" if seen.backlog else ""
    yield _row("changes", f"{seen.taken:,} taken{_COUNTED[seen.counted]}{wait}")
    missing = ", ".join(tab.replace(":", ".", 1) for tab in seen.not_loaded)
    yield _row("records", f"{seen.records:,}" + (f"; not loaded yet: {missing}" if missing else ""))
    yield from (_row("loading", _loading(one)) for one in seen.loading)
    yield _row("journeys", f"{seen.journeys:,}")
    waits = ", ".join(f"{count} {_STATES.get(state, state)}" for state, count in seen.fires.items())
    yield _row("fires", waits or "none on their way")
    due = f", the next at {format_instant(seen.next_due)}" if seen.next_due is not None else ""
    yield _row("timers", f"{seen.timers:,}{due}")
    yield _row("commands", ", ".join(_waiting(seen, project)) or "none wait")
    yield from _trouble(seen, hint)
    counts = seen.orphans.counts()
    yield _row("orphans", ", ".join(f"{count} {what}" for what, count in counts.items()) or "none")
    yield from _consumers(seen)


def _loading(one: Loading) -> str:
    name = one.tab.replace(":", ".", 1)
    if not one.of:
        return f"{name}: {one.read:,} records read"
    return f"{name}: {one.read:,} of {one.of:,} records read ({one.read / one.of:.0%})"


def _consumers(seen: Overview) -> Iterator[str]:
    """One line per consumer group, and one per partition that asks for somebody."""
    for one in seen.consumers:
        waits = f", {one.lag:,} behind" if one.lag else ""
        age = f", the oldest for {duration(one.age)}" if one.age is not None else ""
        yield _row("consumer", f"{one.group}: {one.status}{waits}{age}")
        yield from (_row("", words) for words in one.bad)
    yield from (_row("loading", words) for words in seen.barriers)


def _trouble(seen: Overview, hint: Hint) -> Iterator[str]:
    for one in seen.attention[:SHOWN]:
        yield _row("attention", f"{one.rule} on {shown_ref(one.anchor)}: {one.reason}")
    if len(seen.attention) > SHOWN:
        yield _row("", f"and {len(seen.attention) - SHOWN} more")
    if seen.unknown:
        yield _row("unknown", f"{seen.unknown} commands whose effect nobody can tell: {hint('unknown')}")
    if seen.parked:
        yield _row("parked", f"{seen.parked} messages: {hint('parked')}")


def _waiting(seen: Overview, project: Folder) -> Iterator[str]:
    for name, count in seen.commands.items():
        served = "" if name in project.settings.connections else f" (renkei.yaml names no connection '{name}')"
        yield f"{'at least ' if count == MOST else ''}{count:,} for {name}{served}"


def _orphans(seen: Overview) -> Iterator[str]:
    for tab, refs in seen.orphans.loose.items():
        yield f"without a journey in {tab.replace(':', '.', 1)}:"
        yield from (f"  {shown_ref(one)}" for one in refs)
    for one in seen.orphans.dangling:
        yield f"{shown_ref(one.record)}: {one.field} {one.words}"


def _orphans_json(seen: Overview, listed: bool) -> dict[str, object]:
    return {"counts": seen.orphans.counts(), **(asdict(seen.orphans) if listed else {})}


def _next(seen: Overview, hint: Hint) -> str:
    if seen.unknown:
        return hint("unknown")
    if seen.parked:
        return hint("parked")
    if seen.attention:
        return hint(f"explain {shown_ref(seen.attention[0].anchor)}")
    if seen.backlog:
        return hint("run" if seen.counted == "changes" else "lag")
    return hint("explain RECORD")


def _row(name: str, text: str) -> str:
    return f"{name:<11}{text}"


_COUNTED = {"changes": "", "offsets": " (offsets)"}
_STATES = {
    "attention": "need attention", "held": "held by one that needs attention", "unready": "wait for data",
    "fresh": "read again first", "outcome": "wait for an outcome", "waiting": "wait for a timer",
}  # fmt: skip
