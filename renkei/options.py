"""What the commands share: their common arguments, and how refusals and results are told."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from connectors.credentials import CredentialError
from connectors.kafka_io import KafkaTrouble
from connectors.registry import UnknownConnector
from connectors.settings import SettingsError
from renkei.folder import Folder, read_folder
from renkei.wiring import FILE
from rules.errors import Place, WorkflowError, refuse
from sandbox.broker.errors import BrokerError
from schemas.codec import to_json
from streams.store import StoreError
from streams.topology import HaltedError

FolderArgument = Annotated[Path, typer.Argument(metavar="[DIR]", help="The project folder.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
StateOption = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="Where the state is; .renkei in the project unless named.")
]
BrokerOption = Annotated[
    str, typer.Option("--broker", metavar="ADDRESS", help="kafka://host:port; the one of renkei.yaml unless named.")
]
LookBrokerOption = Annotated[
    str,
    typer.Option(
        "--broker",
        metavar="ADDRESS",
        help="kafka://host:port: look there. Unless named: here, or at the broker of renkei.yaml if nothing runs here.",
    ),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Use the metadata that was learned before.")]
ProjectOption = Annotated[
    Path, typer.Option("--project", metavar="DIR", help="The project folder.", show_default=False)
]

EXPECTED = (
    WorkflowError, StoreError, CredentialError, SettingsError, UnknownConnector, KafkaTrouble, BrokerError, HaltedError,
)  # fmt: skip


@contextmanager
def told(as_json: bool = False) -> Iterator[None]:
    """What a person can mend ends the command with words and exit code 1, without a traceback."""
    try:
        yield
    except (*EXPECTED, OSError) as error:
        problems = error.problems.to_json() if isinstance(error, WorkflowError) else []
        if as_json:
            say_json({"ok": False, "error": _words(error), "problems": problems})
        else:
            typer.echo(_words(error), err=True)
        raise typer.Exit(1) from None


def say_json(document: Any) -> None:
    """One JSON document for scripts, decimals as exact numbers."""
    typer.echo(to_json(document).decode())


def opened_folder(path: Path, state: Path | None = None, kafka: Mapping[str, object] | None = None) -> Folder:
    """The project of a folder, with another place for its state and other Kafka settings where they are named."""
    folder = read_folder(path)
    named = {name: value for name, value in (kafka or {}).items() if value is not None}
    if named:
        part = folder.settings.kafka.model_copy(update=named)
        folder = replace(folder, settings=folder.settings.model_copy(update={"kafka": part}))
    return folder if state is None else replace(folder, state_folder=state)


def broker_of(folder: Folder, named: str = "") -> str:
    """The broker's address, from the command or the settings. Raises WorkflowError where there is none."""
    address = named or folder.settings.kafka.broker
    if not address:
        hint = "Name it: --broker kafka://host:port, or `broker:` below `kafka:`."
        refuse("no broker is named", hint, Place("renkei.yaml"))
    return address


def looked_at(folder: Folder, named: str = "") -> str:
    """The broker on which a project is looked after; empty where its state is on this machine."""
    if named or (folder.state / FILE).is_file():
        return named
    return folder.settings.kafka.broker


Hint: TypeAlias = Callable[[str], str]
"""Makes a command to type next of its words."""


def command_of(words: str, folder: Path, broker: str = "") -> str:
    """A command to type next: ``renkei run``, with the folder unless one stands in it, and the broker if named."""
    there = f" --broker {broker}" if broker else ""
    return (f"renkei {words}" if folder == Path() else f"renkei {words} {folder}") + there


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return f"cannot use{where}: {error.strerror or error}. Check that it exists and that you may use it."
    return str(error)
