"""``renkei connectors``: apply commands from a broker in the CRMs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from connectors.framing import Packed
from connectors.kafka_io import Admin
from renkei.folder import Folder
from renkei.kafka_parts import capture_parts, connector_parts
from renkei.options import BrokerOption, OfflineOption, ProjectOption, broker_of, opened_folder, told
from renkei.parts import Part
from renkei.runner import wall_clock
from renkei.serving import serve
from renkei.topology import require, topics_of
from renkei.wiring import asked_of, discover
from rules.book import Book

NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Connections; all unless named.", show_default=False)
]


def connectors(
    names: NamesArgument = None,
    folder: ProjectOption = Path(),
    broker: BrokerOption = "",
    offline: OfflineOption = False,
) -> None:
    """Apply commands from the broker in the CRMs; as many processes as you like share the work."""
    with told():
        project, _, address = _begin(folder, broker, offline)
        opening = connector_parts(project, address, Packed(), wall_clock, names or ())
        _serve(project, opening, "applied", "connectors")


def capture(
    names: NamesArgument = None,
    folder: ProjectOption = Path(),
    broker: BrokerOption = "",
    offline: OfflineOption = False,
) -> None:
    """Watch the CRMs and put their changes on the broker; of several processes one does, the others stand by."""
    with told():
        project, book, address = _begin(folder, broker, offline)
        opening = capture_parts(project, book, address, Packed(), wall_clock, names or ())
        _serve(project, opening, "watched", "capture")


def _begin(path: Path, broker: str, offline: bool) -> tuple[Folder, Book, str]:
    """The project, compiled, with all its topics there."""
    project = opened_folder(path)
    address = broker_of(project, broker)
    if not offline:
        asked = asked_of(project, project.compile().book)
        project = discover(project, asked) if asked else project
    edition = project.compile()
    edition.problems.refuse()
    admin = Admin(address)
    try:
        require(admin, topics_of(project, edition.book))
    finally:
        admin.close()
    return project, edition.book, address


def _serve(project: Folder, opening: Mapping[str, Callable[[], Part]], verb: str, command: str) -> None:
    names = ", ".join(name.partition(" ")[2] for name in opening) or "nothing"
    name = project.settings.project
    serve(opening, f"{name}: {names} will be {verb}. Stop with Ctrl-C.", f"{name}: {command} ready.")
