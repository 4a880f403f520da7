"""``renkei migrate``: move an embedded project onto Kafka."""

import sys
from contextlib import closing
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from renkei.folder import Folder
from renkei.killing import killing
from renkei.migration import Mover, Tell, bring_to_rest
from renkei.options import (
    BrokerOption,
    FolderArgument,
    JsonOption,
    StateOption,
    broker_of,
    command_of,
    opened_folder,
    say_json,
    told,
)
from renkei.runner import wall_clock
from renkei.wiring import locked
from rules.errors import Place, refuse
from streams.store import Store, StoreError


def migrate(
    folder: FolderArgument = Path(),
    broker: BrokerOption = "",
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move a project from this machine onto Kafka, with all it knows; nothing fires twice. Its topics must be empty."""
    with told(as_json):
        project = opened_folder(folder, state)
        _refuse_others(project)
        edition = project.compile()
        edition.problems.refuse()
        address = broker_of(project, broker)
        with locked(project.state, moving=True) as file:
            if not file.exists():
                raise StoreError(f"there is nothing to move: {file} is made when the project first runs")
            quiet = as_json or not sys.stderr.isatty()
            with closing(Store(file)) as store, _progress(quiet) as progress:
                bring_to_rest(project, edition.book, store, lambda text: typer.echo(text, err=True))
                mover = Mover(project, edition.book, address, store, wall_clock(), killing())
                counts = mover.move(_teller(progress))
        following = command_of("streams --project", folder) if folder != Path() else "renkei streams"
        if as_json:
            say_json({"moved": dict(counts), "to": address, "next": following})
            return
        typer.echo(", ".join(f"{name}: {count:,}" for name, count in counts.items()) or "the move has ended")
        typer.echo(f"Next: {following}, and renkei capture and renkei connectors")


def _refuse_others(project: Folder) -> None:
    place = Place("renkei.yaml")
    if project.settings.kafka.spread:
        hint = "Set `spread: false`, or begin anew on Kafka and let every tab be loaded."
        refuse("a project moves as one: its state cannot be spread over partitions on the way", hint, place)
    if project.settings.history:
        refuse("a history is not moved", "Let its files be read anew: renkei capture", place)


def _progress(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        console=Console(stderr=True), transient=True, disable=quiet,
    )  # fmt: skip


def _teller(progress: Progress) -> Tell:
    task = progress.add_task("moving", total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)
