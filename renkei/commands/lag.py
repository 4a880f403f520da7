"""``renkei lag``: how far each consumer is behind, for how long, and whether it is well."""

import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from connectors.kafka_io import KafkaTrouble
from renkei.lag.burrow import BAD
from renkei.lag.opening import watching
from renkei.lag.table import NOBODY, lag_json, lag_table, verdicts
from renkei.lag.watch import LagWatch, PartitionLag
from renkei.lag.window import Frame
from renkei.options import (
    BrokerOption,
    FolderArgument,
    JsonOption,
    StateOption,
    broker_of,
    opened_folder,
    say_json,
    told,
)
from schemas.values import MINUTE, SECOND

BETWEEN = 5 * SECOND
"""Between two looks of --watch, in ms."""
PIPED = 160
"""Columns where nobody looks through a terminal."""


def lag(
    folder: FolderArgument = Path(),
    broker: BrokerOption = "",
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group", metavar="NAME", help="A group; several times for more. The project's own unless named."
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--watch", help="Look again and again, until stopped.")] = False,
    window: Annotated[
        float, typer.Option("--window", min=0.1, metavar="MINUTES", help="What the verdict looks back on.")
    ] = 10.0,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far each consumer is behind, for how long, and whether it is well. Exit code 1: one is not."""
    with told(as_json):
        project = opened_folder(folder, state)
        frame = Frame(span=int(window * MINUTE))
        with watching(project, broker_of(project, broker), group or (), frame=frame) as watch:
            if follow:
                rows = _follow(watch, as_json)
            else:
                rows = watch.look()
                _show(rows, as_json)
    if any(row.status in BAD for row in rows):
        raise typer.Exit(1)


def _show(rows: Sequence[PartitionLag], as_json: bool) -> None:
    if as_json:
        say_json(lag_json(rows))
    else:
        _console().print(_view(rows))


def _follow(watch: LagWatch, as_json: bool) -> Sequence[PartitionLag]:
    """Look until told to stop; what was seen last. A broker that is away is told, and asked again."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    rows: Sequence[PartitionLag] = ()
    live = Live(console=_console(), auto_refresh=False)
    with nullcontext() if as_json else live:
        while not ended.is_set():
            try:
                rows = watch.look()
                say_json(lag_json(rows)) if as_json else live.update(_view(rows), refresh=True)
            except KafkaTrouble as error:
                typer.echo(str(error), err=True)
            ended.wait(min(BETWEEN, watch.frame.step) / 1000)
    return rows


def _view(rows: Sequence[PartitionLag]) -> Group | Text:
    if not rows:
        return Text(NOBODY)
    return Group(lag_table(rows), *(Text(line) for line in verdicts(rows)))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPED)
