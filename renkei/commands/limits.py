"""``renkei limits``: what each connection may use of its CRM, and how much of that is left."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from connectors.base import Limits
from connectors.limits import RANKS, Limiter, read_state
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
    "Used is what workers and captures have noted on the broker, five seconds ago at most. The minute, requests at "
    "once and retries are of each worker: renkei_limit_*, at the /metrics of `renkei connectors --metrics-port PORT`."
)
_OF_THE_DAY = ("used", "left", "of", "ends_at", "by_rank")
"""What is known on a broker."""


class _Line(NamedTuple):
    name: str
    allowed: Limits
    view: View | None
    """None until the connection was used."""
    is_there: bool = False
    """On a broker: only the day is known of all workers."""


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
        lines = list(_lines(project, now, there))
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


def _lines(folder: Folder, now: int, there: str) -> Iterator[_Line]:
    allowed = {
        name: limits_of(folder, name, kind_of(part.kind).limits)
        for name, part in folder.settings.connections.items()
        if part.kind != "file"
    }
    seen = _noted_there(folder, there, allowed, now) if there else _noted_here(folder, allowed, now)
    for name, own in allowed.items():
        yield _Line(name, own, seen.get(name), bool(there))


def _noted_here(folder: Folder, names: Iterable[str], now: int) -> dict[str, View]:
    """What the state file says, as of the last seconds of work."""
    if not (folder.state / FILE).is_file():
        return {}
    store = reading(folder.state / FILE)
    try:
        states = {name: read_state(store.note(note_of(name))) for name in names}
    finally:
        store.close()
    return {name: view(state, now) for name, state in states.items() if state is not None}


def _noted_there(folder: Folder, broker: str, allowed: Mapping[str, Limits], now: int) -> dict[str, View]:
    """What is noted on the broker, as a worker sees it that has all partitions and is at rest."""
    from renkei.mirror import mirrored  # noqa: PLC0415 - the broker's libraries, for those who have a broker

    found: dict[str, View] = {}
    with mirrored(folder, broker) as mirror:
        for name, own in allowed.items():
            limiter, spent = Limiter(own), mirror.spent(name)
            if spent.steps:
                limiter.count_from(spent)
                found[name] = view(limiter.state(now), now)
    return found


def _table(lines: list[_Line]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("connection", overflow="fold")
    for title in ("used", "left", "of", "per minute", "at once", "retries left", "day ends"):
        table.add_column(title, justify="right")
    table.add_column("used by")
    for line in lines:
        name, allowed, seen, _ = line
        if seen is None:
            table.add_row(name, "-", "-", _number(allowed.per_day), _number(allowed.per_minute), f"{allowed.at_once}")
        else:
            day = (f"{seen.used:,}", _number(seen.left), _of(seen))
            table.add_row(name, *day, *_at_work(line, seen), _ends(seen), _shares(seen))
    return table


def _at_work(line: _Line, seen: View) -> tuple[str, str, str]:
    """The minute, requests at once and retries; on a broker what each worker may, since they stand with each."""
    if line.is_there:
        return _number(line.allowed.per_minute), f"{line.allowed.at_once}", "-"
    at_once = f"{seen.concurrency} of {seen.at_once}"
    return _part(seen.minute_left, seen.per_minute), at_once, f"{seen.retries_left}"


def _sentences(line: _Line, now: int) -> Iterator[str]:
    """What a person should know besides."""
    seen = line.view
    if seen is None or line.is_there:
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
    allowed = {"connection": line.name, "allowed": msgspec.structs.asdict(line.allowed)}
    if line.view is None:
        return allowed
    seen = msgspec.structs.asdict(line.view)
    if line.is_there:
        return allowed | {name: seen[name] for name in _OF_THE_DAY}
    return {**allowed, **seen, "attempts_per_command": round(line.view.attempts_per_command, 3)}
