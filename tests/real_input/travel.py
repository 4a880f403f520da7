"""The travel expenses as a project of its own, and its history on any runtime."""

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from examples.bpi2020.convert import convert
from renkei.folder import Folder, read_folder
from renkei.wiring import history_part, open_flow
from schemas.events import ChangeEvent
from streams import wire
from streams.history import commands
from streams.store import Store
from tests.real_input.expenses import SOURCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "bpi2020"

Runtime: TypeAlias = Callable[[Folder, Sequence[ChangeEvent]], set[str]]
"""Runs a history whose tabs are all loaded, with its times as the clock; the ids of the commands that come out."""


def travel(target: Path, until: datetime | None = None) -> Folder:
    """The example as a project of its own, with the whole history or what came before a time."""
    shutil.copytree(EXAMPLE, target, ignore=shutil.ignore_patterns("events", ".renkei", "__pycache__"))
    convert(SOURCE, target / "events", until)
    return read_folder(target)


def history(project: Folder) -> list[ChangeEvent]:
    """All change events of a project's files, in the order in which its flow takes them."""
    with TemporaryDirectory() as name:
        file = Path(name) / "history.db"
        part = history_part(project, project.compile().book, file)
        while part.turn(0).busy:
            pass
        part.close()
        store = Store(file)
        entries = [one for topic in store.topics("changes.") for one in store.read(topic)]
        store.close()
    entries.sort(key=lambda one: one.seq)
    return [wire.read_entry(one) for one in entries if one.key != wire.MARKER]


def run_embedded(project: Folder, events: Sequence[ChangeEvent]) -> set[str]:
    """A history on the embedded runtime."""
    book = project.compile().book
    flow = open_flow(project, book, ":memory:")
    flow.mark_loaded(book.read_fields, 0)
    flow.append(events)
    flow.run()
    found = {one.id for one in commands(flow.store)}
    flow.store.close()
    return found


def commands_of(project: Folder, runtime: Runtime = run_embedded) -> set[str]:
    """The ids of the commands that a runtime decides on over a project's whole history."""
    return runtime(project, history(project))
