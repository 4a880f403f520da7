"""``renkei limits``: what each connection may use of its CRM, and how much of that is left."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from connectors.base import Limits
from connectors.limits import RANKS, read_state
from connectors.registry import kind_of
from connectors.view import View, view
from renkei.folder import Folder
from renkei.lag.table import duration
from renkei.limiting import limits_of, note_of
from renkei.options import (
    FolderArgument,
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
from renkei.wiring import FILE
from schemas.values import SECOND, format_instant
from streams.history import reading

ON_A_BROKER = (
    "On a broker each worker keeps this in memory and tells it as metrics, renkei_limit_*, at the /metrics of "
    "`renkei connectors --metrics-port PORT`. Below is what may be used, not what is."
)


class _Line(NamedTuple):
    name: str
    allowed: Limits
    view: View | None
    """None until the connection was used."""


def limits(
    folder: FolderArgument = Path(),
    state: StateOption = None,
    broker: LookBrokerOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what each connection may use of its CRM and what is left: the day, the minute, requests at once, retries."""
    now = wall_clock()
    with told(as_json):
        project = opened_folder(folder, state)
        there = looked_at(project, broker)
        lines = list(_lines(project, now, bool(there)))
    following = command_of("status", folder, broker)
    if as_json:
        note = {"note": ON_A_BROKER} if there else {}
        say_json({"limits": [_as_json(line) for line in lines], **note, "next": following})
        return
    if there:
        typer.echo(ON_A_BROKER)
    Console().print(_table(lines))
    for sentence in (sentence for line in lines for sentence in _sentences(line, now)):
        typer.echo(sentence)
    typer.echo(f"Next: {following}")


def _lines(folder: Folder, now: int, there: bool) -> Iterator[_Line]:
    for name, part in folder.settings.connections.items():
        if part.kind != "file":
            allowed = limits_of(folder, name, kind_of(part.kind).limits)
            yield _Line(name, allowed, None if there else _noted(folder, name, now))


def _noted(folder: Folder, name: str, now: int) -> View | None:
    """What the state file says, as of the last seconds of work."""
    if not (folder.state / FILE).is_file():
        return None
    store = reading(folder.state / FILE)
    try:
        state = read_state(store.note(note_of(name)))
    finally:
        store.close()
    return None if state is None else view(state, now)


def _table(lines: list[_Line]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("connection", overflow="fold")
    for title in ("used", "left", "of", "per minute", "at once", "retries left", "day ends"):
        table.add_column(title, justify="right")
    table.add_column("used by")
    for name, allowed, seen in lines:
        if seen is None:
            table.add_row(name, "-", "-", _number(allowed.per_day), _number(allowed.per_minute), f"{allowed.at_once}")
            continue
        table.add_row(
            name, f"{seen.used:,}", _number(seen.left), _of(seen), _part(seen.minute_left, seen.per_minute),
            f"{seen.concurrency} of {seen.at_once}", f"{seen.retries_left}", _ends(seen), _shares(seen),
        )  # fmt: skip
    return table


def _sentences(line: _Line, now: int) -> Iterator[str]:
    """What a person should know besides."""
    seen = line.view
    if seen is None:
        return
    if seen.paused_until is not None:
        wait = duration((seen.paused_until - now) / SECOND)
        yield f"{line.name} rests for {wait}: {seen.reason}."
    if seen.of is None and seen.left is None:
        yield f"{line.name}: the CRM has not told its quota of a day. Name it: `limits: {{per_day: ...}}`."
    yield f"{line.name}: as of {format_instant(seen.at)}; {seen.attempts_per_command:.2f} attempts per command."


def _shares(seen: View) -> str:
    """Who used how much, the most urgent first."""
    total = sum(seen.by_rank.values())
    told = [f"{rank} {seen.by_rank[rank] / total:.0%}" for rank in RANKS if seen.by_rank.get(rank)]
    return ", ".join(told)


def _ends(seen: View) -> str:
    return "no" if seen.ends_at is None else format_instant(seen.ends_at)


def _part(left: int | None, most: int | None) -> str:
    return "no limit" if most is None else f"{left or 0} now, {most:,}"


def _of(seen: View) -> str:
    return f"{seen.at_least:,} or more" if seen.of is None and seen.at_least else _number(seen.of)


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _as_json(line: _Line) -> dict[str, Any]:
    seen = {} if line.view is None else msgspec.structs.asdict(line.view)
    attempts = {} if line.view is None else {"attempts_per_command": round(line.view.attempts_per_command, 3)}
    return {"connection": line.name, "allowed": msgspec.structs.asdict(line.allowed), **seen, **attempts}
