"""``renkei run``: watch, decide and act, until stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from renkei.bars import LoadBars, bars
from renkei.checking import refreshed
from renkei.commands.connectors import begun
from renkei.contracts import Contracts
from renkei.folder import Folder
from renkei.history import HistoryPart
from renkei.kafka_parts import capture_parts, connector_parts
from renkei.limiting import Limiting
from renkei.observing import MetricsHost, MetricsPort, Observed, observed
from renkei.options import FolderArgument, JsonOption, StateOption, command_of, opened_folder, say_json, told
from renkei.parts import CapturePart, FlowPart, Part, WorkerPart
from renkei.runner import settle, wall_clock
from renkei.serving import serve
from renkei.streaming import registry_of
from renkei.wiring import locked, parts
from rules.book import Book
from schemas.topics import PARKED


def run(  # noqa: PLR0913, PLR0917 - what a person may type
    folder: FolderArgument = Path(),
    once: Annotated[bool, typer.Option("--once", help="Run to rest, then end.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use the metadata that was learned before.")] = False,
    state: StateOption = None,
    broker: Annotated[
        str, typer.Option("--broker", metavar="ADDRESS", help="kafka://host:port: the same on Kafka, in one process.")
    ] = "",
    metrics_port: MetricsPort = 0,
    metrics_host: MetricsHost = "127.0.0.1",
    as_json: JsonOption = False,
) -> None:
    """Run a project on this machine: watch its connections, decide, and act."""
    with told(as_json):
        if broker:
            with observed(metrics_host, metrics_port) as seen:
                run_on_kafka(folder, broker, offline, state, seen)
            return
        project = opened_folder(folder, state)
        if not offline:
            project = refreshed(project, _say, strict=once)
        edition = project.compile()
        edition.problems.refuse()
        with locked(project.state) as file:
            if once or project.settings.history:
                counts = run_to_rest(project, edition.book, file, quiet=as_json)
                _tell(counts, folder, as_json)
            else:
                with observed(metrics_host, metrics_port) as seen:
                    _run_on(project, edition.book, file, seen)


def run_on_kafka(path: Path, broker: str, offline: bool, state: Path | None, seen: Observed) -> None:
    """Capture, streams and connectors of a project in one process, until stopped."""
    from renkei.streams_part import StreamsPart  # noqa: PLC0415 - the broker's libraries, for those who have a broker

    project, book, address = begun(path, broker, offline, state)
    contracts, limiting = Contracts(registry_of(project)), Limiting(project)
    opening: dict[str, Callable[[], Part]] = {
        "streams": lambda: StreamsPart(project, book, broker, seen.meter, seen.health),
        **capture_parts(project, book, address, contracts, wall_clock, limiting=limiting),
        **connector_parts(project, address, contracts, wall_clock, limiting=limiting),
    }
    name = project.settings.project
    serve(opening, f"{name}: live on {address}; see {seen.address}/readyz. Stop with Ctrl-C.",
          f"{name}: all parts ready.", seen)  # fmt: skip


def run_to_rest(folder: Folder, book: Book, file: Path, *, quiet: bool = False) -> dict[str, int]:
    """Turn everything until nothing is left to do now; what was done, by name."""
    opened: list[Part] = []
    try:
        for make in parts(folder, book, file, wall_clock, _say).values():
            opened.append(make())  # noqa: PERF401 - those opened are closed, whatever happens
        flow = next(part for part in opened if isinstance(part, FlowPart))
        with bars(quiet=quiet) as progress:
            task = progress.add_task(f"running {folder.settings.project}", total=None, what="changes")
            loads = LoadBars(progress)

            def tell() -> None:
                progress.update(task, completed=flow.taken)
                loads.show(opened)

            problems = settle(opened, wall_clock, tell=tell)
        for name, problem in sorted(problems.items()):
            typer.echo(f"{name}: {problem}", err=True)
        return counts_of(opened)
    finally:
        for part in opened:
            part.close()


def counts_of(opened: list[Part]) -> dict[str, int]:
    """What the parts have done, as numbers for people and scripts."""
    flow = next(part for part in opened if isinstance(part, FlowPart)).flow
    workers = [part for part in opened if isinstance(part, WorkerPart)]
    topics = flow.store.topics("commands.")
    return {
        "changes": sum(part.captured for part in opened if isinstance(part, CapturePart | HistoryPart)),
        "commands": sum(flow.store.count(topic) for topic in topics),
        "applied": sum(part.applied for part in workers),
        "rejected": sum(part.rejected for part in workers),
        "parked": flow.store.count(PARKED),
        "unknown": sum(part.unknown for part in workers),
        "journeys": sum(1 for key in flow.journeys.states.names() if key != ""),
    }


def _run_on(folder: Folder, book: Book, file: Path, seen: Observed) -> None:
    rules = sum(1 for _ in book.all_rules())
    hello = f"{folder.settings.project}: {rules} rules are live. Stop with Ctrl-C; look with: renkei status"
    serve(parts(folder, book, file, wall_clock, _say), f"{hello}, or at {seen.address}/readyz", seen=seen)


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _tell(counts: dict[str, int], folder: Path, as_json: bool) -> None:
    if as_json:
        say_json(counts)
        return
    typer.echo(", ".join(f"{name}: {value:,}" for name, value in counts.items()))
    typer.echo(f"Next: {command_of('status', folder)}")
