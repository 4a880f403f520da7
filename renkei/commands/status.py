"""``renkei status``: on one screen how a project is doing, and what waits for a person."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from renkei.folder import Folder
from renkei.looking import STALE, looking
from renkei.options import FolderArgument, JsonOption, StateOption, command_of, opened_folder, say_json, told
from renkei.overview import MOST, Overview, overview
from schemas.values import format_instant
from streams.explaining import shown_ref

SHOWN = 5


def status(
    folder: FolderArgument = Path(),
    list_orphans: Annotated[bool, typer.Option("--orphans", help="List the records that hang on nothing.")] = False,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a project is doing, also while it runs."""
    with told(as_json):
        project = opened_folder(folder, state)
        edition = project.compile()
        edition.problems.refuse()
        with looking(project, edition.book) as look:
            seen = overview(project, look)
    following = _next(seen, folder)
    if as_json:
        say_json({**asdict(seen), "orphans": _orphans_json(seen, list_orphans), "next": following})
        return
    for line in _lines(seen, project, folder):
        typer.echo(line)
    if list_orphans:
        for line in _orphans(seen):
            typer.echo(line)
    typer.echo(f"Next: {following}")


def _lines(seen: Overview, project: Folder, folder: Path) -> Iterator[str]:
    if seen.stale:
        yield STALE
    yield _row("project", project.settings.project)
    yield _row("changes", f"{seen.taken:,} taken" + (f", {seen.backlog:,} wait" if seen.backlog else ""))
    missing = ", ".join(tab.replace(":", ".", 1) for tab in seen.not_loaded)
    yield _row("records", f"{seen.records:,}" + (f"; not loaded yet: {missing}" if missing else ""))
    yield _row("journeys", f"{seen.journeys:,}")
    waits = ", ".join(f"{count} {_STATES.get(state, state)}" for state, count in seen.fires.items())
    yield _row("fires", waits or "none on their way")
    due = f", the next at {format_instant(seen.next_due)}" if seen.next_due is not None else ""
    yield _row("timers", f"{seen.timers:,}{due}")
    yield _row("commands", ", ".join(_waiting(seen, project)) or "none wait")
    yield from _trouble(seen, folder)
    counts = seen.orphans.counts()
    yield _row("orphans", ", ".join(f"{count} {what}" for what, count in counts.items()) or "none")


def _trouble(seen: Overview, folder: Path) -> Iterator[str]:
    for one in seen.attention[:SHOWN]:
        yield _row("attention", f"{one.rule} on {shown_ref(one.anchor)}: {one.reason}")
    if len(seen.attention) > SHOWN:
        yield _row("", f"and {len(seen.attention) - SHOWN} more")
    if seen.unknown:
        yield _row("unknown", f"{seen.unknown} commands whose effect nobody can tell: {command_of('unknown', folder)}")
    if seen.parked:
        yield _row("parked", f"{seen.parked} messages: {command_of('parked', folder)}")


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


def _next(seen: Overview, folder: Path) -> str:
    if seen.unknown:
        return command_of("unknown", folder)
    if seen.parked:
        return command_of("parked", folder)
    if seen.attention:
        return command_of(f"explain {shown_ref(seen.attention[0].anchor)}", folder)
    return command_of("run", folder) if seen.backlog else command_of("explain RECORD", folder)


def _row(name: str, text: str) -> str:
    return f"{name:<11}{text}"


_STATES = {
    "attention": "need attention", "held": "held by one that needs attention", "unready": "wait for data",
    "fresh": "read again first", "outcome": "wait for an outcome", "waiting": "wait for a timer",
}  # fmt: skip
