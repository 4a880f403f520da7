"""``renkei connectors``: apply commands from a broker in the CRMs."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from renkei.checking import refreshed
from renkei.contracts import Contracts
from renkei.folder import Folder
from renkei.kafka_parts import capture_parts, connector_parts
from renkei.observing import MetricsHost, MetricsPort, Observed, observed
from renkei.options import BrokerOption, OfflineOption, ProjectOption, StateOption, broker_of, opened_folder, told
from renkei.parts import Part
from renkei.runner import wall_clock
from renkei.serving import serve
from renkei.streaming import registry_of
from renkei.topology import require_topics
from rules.book import Book

NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Connections; all unless named.", show_default=False)
]


def connectors(
    names: NamesArgument = None,
    folder: ProjectOption = Path(),
    broker: BrokerOption = "",
    offline: OfflineOption = False,
    state: StateOption = None,
    metrics_port: MetricsPort = 0,
    metrics_host: MetricsHost = "127.0.0.1",
) -> None:
    """Apply commands from the broker in the CRMs; as many processes as you like share the work."""
    with told(), observed(metrics_host, metrics_port) as seen:
        project, _, address = begun(folder, broker, offline, state)
        opening = connector_parts(project, address, Contracts(registry_of(project)), wall_clock, names or ())
        _serve(project, opening, "applied", "connectors", seen)


def capture(
    names: NamesArgument = None,
    folder: ProjectOption = Path(),
    broker: BrokerOption = "",
    offline: OfflineOption = False,
    state: StateOption = None,
    metrics_port: MetricsPort = 0,
    metrics_host: MetricsHost = "127.0.0.1",
) -> None:
    """Watch the CRMs and put their changes on the broker; of several processes one does, the others stand by."""
    with told(), observed(metrics_host, metrics_port) as seen:
        project, book, address = begun(folder, broker, offline, state)
        opening = capture_parts(project, book, address, Contracts(registry_of(project)), wall_clock, names or ())
        _serve(project, opening, "watched", "capture", seen)


def begun(path: Path, broker: str, offline: bool, state: Path | None = None) -> tuple[Folder, Book, str]:
    """The project, compiled, with all its topics there, and the broker's address."""
    project = opened_folder(path, state)
    address = broker_of(project, broker)
    if not offline:
        project = refreshed(project, partial(typer.echo, err=True))
    edition = project.compile()
    edition.problems.refuse()
    require_topics(project, edition.book, address)
    return project, edition.book, address


def _serve(project: Folder, opening: Mapping[str, Callable[[], Part]], verb: str, command: str, seen: Observed) -> None:
    names = ", ".join(name.partition(" ")[2] for name in opening) or "nothing"
    name = project.settings.project
    hello = f"{name}: {names} will be {verb}; see {seen.address}/readyz. Stop with Ctrl-C."
    serve(opening, hello, f"{name}: {command} ready.", seen)
