"""Putting a project's parts together: connectors, captures, the flow and the workers, over one state file."""

import fcntl
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from random import Random
from secrets import randbits

from connectors.base import Connector, NoAnswer, NotSent, Send
from connectors.capture import CaptureFailed
from connectors.file import JsonLines
from connectors.ledger import Ledger, Remembered
from connectors.limits import Limiter
from connectors.metering import metered
from connectors.registry import connect
from connectors.waves import Threads
from connectors.worker import Worker
from renkei.folder import Folder, with_metadata
from renkei.history import HistoryPart
from renkei.learning import MetadataPart
from renkei.limiting import Limiting, keeper, note_of
from renkei.logged import LANES, LoggedCommands
from renkei.moving import refuse_moved
from renkei.noticing import noticing_of
from renkei.parts import CapturePart, Clock, FlowPart, LogSink, Part, Watched, WorkerPart
from renkei.settings import ConnectionPart
from renkei.tables import csv_rows
from rules.book import Book
from rules.durations import Duration
from rules.errors import Place, refuse
from schemas.abilities import Ability
from schemas.commands import Lane
from schemas.metadata import ConnectionMetadata
from streams.embedded import Embedded
from streams.rehearsal import Rehearsal
from streams.stage import Stage
from streams.store import PATIENCE, Store, StoreError

FILE = "renkei.db"
NO_METADATA = frozenset({"email", "webhook", "file"})
NO_CAPTURE = frozenset({"email", "webhook"})


@dataclass(frozen=True)
class Wired:
    """A connection ready to be used."""

    name: str
    part: ConnectionPart
    connector: Connector
    send: Send
    asking: Send
    """The same network for asking what the login may do: a refusal is an answer, and stops nothing."""


def wire(folder: Folder, name: str, check: Callable[[], None] | None = None) -> Wired:
    """The connector of a connection with its network; channels know the people of all connections.

    ``check`` is called immediately before each request leaves.
    """
    part = folder.settings.connections[name]
    metadata = folder.people(name) if part.kind == "email" else folder.metadata.get(name)
    return Wired(
        name, part, *connect(part.settings(name), folder.credentials(name), metadata, check, folder.shelf(name))
    )


def discover(folder: Folder, tabs: Mapping[str, list[str]]) -> Folder:
    """Ask each CRM for the metadata of its tabs, and remember it.

    Raises:
        WorkflowError: a CRM could not be asked; what was learned before still counts without asking.
    """
    learned: dict[str, ConnectionMetadata] = {}
    for name, names in tabs.items():
        wired = wire(folder, name)
        try:
            learned[name] = wired.connector.describe(wired.send, names)
        except (NotSent, NoAnswer, CaptureFailed) as error:
            hint = "Check its url and credentials, or work with what is known: --offline"
            refuse(f"connection '{name}' could not be asked: {error}", hint, Place("renkei.yaml"))
    return with_metadata(folder, learned)


def asked_of(folder: Folder, book: Book) -> dict[str, list[str]]:
    """Per CRM the tabs whose metadata is wanted: those of the workflows, and of what actions make beside."""
    known = folder.settings.connections
    asked = {
        name: tabs for name, tabs in tabs_of(book).items() if name in known and known[name].kind not in NO_METADATA
    }
    for rule in book.all_rules():
        for action in (step.action for step in rule.steps.values()):
            for one in action.asks():
                name = rule.workflow.tabs[one.alias].partition(":")[0]
                ability = folder.project.abilities.get(name, {}).get(one.operation, Ability())
                if name in asked:
                    asked[name] += [tab for tab in ability.makes.values() if tab not in asked[name]]
    return asked


def tabs_of(book: Book) -> dict[str, list[str]]:
    """Per connection the tabs that the workflows read or write."""
    found: dict[str, list[str]] = {}
    for tab in sorted(book.read_fields):
        connection, _, name = tab.partition(":")
        found.setdefault(connection, []).append(name)
    return found


@contextmanager
def locked(state: Path, *, moving: bool = False) -> Iterator[Path]:
    """The state folder for this process alone; the path of its state file.

    Raises:
        StoreError: the folder cannot be written, another process works on it, or, unless this one is ``moving`` it,
            it has moved to a broker.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise StoreError(
            f"cannot write the state folder {state}: {error.strerror}. Make it writable, or name another: --state DIR"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"another renkei is at work on {state}. Stop it first, or name another state folder: --state DIR"
            ) from None
        if not moving:
            refuse_moved(state / FILE)
        yield state / FILE


def open_flow(
    folder: Folder,
    book: Book,
    file: Path | str,
    tell: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Embedded:
    """The stages over the state file, newly published workflows joined to what is known."""
    return Embedded(
        Store(file),
        book,
        limits=folder.settings.limits.limits(),
        channels=folder.channels(),
        more_stages=stages_of(folder),
        history=folder.settings.history,
        tell=tell,
        say=say,
    )


def stages_of(folder: Folder) -> list[Callable[[], Stage]]:
    """The stages beside our own: those of installed packages, and the rehearsal of a history's commands."""
    return [*installed_stages(), *([Rehearsal] if folder.settings.history else [])]


def installed_stages() -> list[Callable[[], Stage]]:
    """The stages of installed packages."""
    return [point.load() for point in sorted(entry_points(group="renkei.stages"), key=lambda point: point.name)]


def capture_part(
    folder: Folder, book: Book, name: str, file: Path, clock: Clock, limiting: Limiting
) -> CapturePart | None:
    """What watches a connection, or none if no workflow reads it."""
    part = folder.settings.connections[name]
    tabs = tabs_of(book).get(name, [])
    interval = Duration.parse(part.poll).elapsed()
    if part.kind in NO_CAPTURE or not (tabs or part.files):
        return None
    if part.kind == "file":
        captures = file_captures(folder, name, tabs)
        return CapturePart(name, captures, LogSink(Store(file), captures), interval)
    wired, store = wire(folder, name), Store(file)
    limiter = limiting.of(name, wired.connector, store)
    captures = tab_captures(wired, tabs, limiter, clock)
    sink = LogSink(store, captures, _ledger(file, name))
    hints = noticing_of(wired.connector, folder.credentials(name), wired.asking, tabs)
    wait = partial(limiter.wait, rank="capture")
    return CapturePart(name, captures, sink, interval, wired.connector, hints=hints, wait=wait)


def tab_captures(wired: Wired, tabs: Sequence[str], limiter: Limiter, clock: Clock) -> list[Watched]:
    """What watches the tabs of a CRM; what that costs counts."""
    name, send = wired.name, metered(wired.send, wired.connector, limiter, clock)
    return [Watched(f"{name}:{tab}", wired.connector.capture(tab, send), (f"{name}:{tab}",)) for tab in tabs]


def worker_part(
    folder: Folder, name: str, file: Path, clock: Clock, limiting: Limiting, lane: Lane = "live"
) -> WorkerPart:
    """What applies the commands of one lane of a connection."""
    wired, store = wire(folder, name), Store(file)
    ledger = _ledger(file, name)
    limiter = limiting.of(name, wired.connector, store)
    crew = Threads(limiter.at_once)
    worker = Worker(
        wired.connector, wired.send, Remembered(ledger), LoggedCommands(store, name, clock, lane), limiter,
        chance=Random(randbits(64)), crew=crew,  # noqa: S311 - jitter, not secrecy
        may_go_on=(lambda: True) if lane == "live" else limiter.give_way,
    )  # fmt: skip

    def close() -> None:
        store.set_note(note_of(name), limiter.saved(clock()))
        crew.close()
        store.close()
        ledger.close()

    return WorkerPart(name, worker, limiter, close, keeper(name, limiter, store), lane)


def parts(
    folder: Folder, book: Book, file: Path, clock: Clock, say: Callable[[str], None] = lambda sentence: None
) -> dict[str, Callable[[], Part]]:
    """How each running part is opened, by name; open each in the thread that turns it.

    A history is captured by one part, so that the events of all its files come in the order of their times; its
    commands are answered by a rehearsal, and reach no CRM. ``say`` hears what publishing has moved.
    """
    history, limiting = folder.settings.history, Limiting(folder)
    opening: dict[str, Callable[[], Part]] = {}
    if history:
        opening["history"] = lambda: history_part(folder, book, file)
    for name, connection in folder.settings.connections.items():
        if connection.kind != "file" and not history:
            for lane in LANES:
                part = partial(worker_part, folder, name, file, clock, limiting, lane)
                opening[f"worker {name}" if lane == "live" else f"worker {name} {lane}"] = part
        if connection.kind not in NO_CAPTURE and not history:
            opening[f"capture {name}"] = partial(_capture_or_idle, folder, book, name, file, clock, limiting)
    if not history:
        opening["metadata"] = lambda: metadata_part(folder, book, file, clock, limiting)
    opening["flow"] = lambda: FlowPart(open_flow(folder, book, file, say=say), history=history)
    return opening


def metadata_part(
    folder: Folder, book: Book, file: Path | None, clock: Clock, limiting: Limiting, names: Collection[str] = ()
) -> MetadataPart:
    """What looks for drift in these connections, or all; what it asks counts, as the capture's requests do."""
    asked = [(name, tabs) for name, tabs in asked_of(folder, book).items() if name in (names or {name})]
    return MetadataPart(
        folder, {name: partial(_described, folder, name, tabs, file, clock, limiting) for name, tabs in asked}
    )


def _described(
    folder: Folder, name: str, tabs: Sequence[str], file: Path | None, clock: Clock, limiting: Limiting
) -> ConnectionMetadata:
    wired, store = wire(folder, name), Store(file) if file is not None else None
    try:
        limiter = limiting.of(name, wired.connector, store)
        return wired.connector.describe(metered(wired.send, wired.connector, limiter, clock), tabs)
    finally:
        if store is not None:
            store.close()


def history_part(folder: Folder, book: Book, file: Path) -> HistoryPart:
    """What tells the files of all connections in the order of their times."""
    tabs = tabs_of(book)
    files = [
        one
        for name, part in folder.settings.connections.items()
        if part.kind == "file"
        for one in file_captures(folder, name, tabs.get(name, []))
    ]
    return HistoryPart(files, Store(file))


def _capture_or_idle(
    folder: Folder, book: Book, name: str, file: Path, clock: Clock, limiting: Limiting
) -> CapturePart:
    found = capture_part(folder, book, name, file, clock, limiting)
    return found or CapturePart(name, [], LogSink(Store(file), []), 60_000)


def file_captures(folder: Folder, name: str, tabs: Sequence[str]) -> list[Watched]:
    """The captures of a file connection; JSON lines may tell of any of its tabs, a CSV tells of one."""
    history = folder.settings.history
    captures: list[Watched] = []
    for one in folder.settings.connections[name].files:
        path = folder.path / one.path
        if not path.is_file():
            refuse(f"connection '{name}': there is no file {one.path}", "Check `files:`.", Place("renkei.yaml"))
        if one.tab is None:
            lines = JsonLines(path, connection=name, history=history)
            captures.append(Watched(f"{name}:{one.path}", lines, tuple(f"{name}:{tab}" for tab in tabs)))
        else:
            captures.append(Watched(f"{name}:{one.path}", csv_rows(name, path, one, history), (f"{name}:{one.tab}",)))
    return captures


def _ledger(file: Path, name: str) -> Ledger:
    database = sqlite3.connect(file, timeout=PATIENCE)
    database.execute("PRAGMA synchronous = FULL")
    return Ledger(database, name)
